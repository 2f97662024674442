// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"

static void every_code_has_its_own_text(void **state)
{
    (void)state;
    static const int codes[] = {
#define X(name, value, text) name,
        ERR_LIST(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_true(codes[i] < 0);
        assert_string_not_equal(err_text(codes[i]), err_text(12345));
        for (size_t k = 0; k < i; k++)
            assert_int_not_equal(codes[i], codes[k]);
    }
    assert_string_equal(err_text(0), "no error");
    assert_string_equal(err_text(ERR_NOMEM), "out of memory");
}

static void wraps_with_context(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(err_set(&err, ERR_INVALID, "not a number: %s", "x"), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "weight"), ERR_INVALID);
    assert_int_equal(err_wrap(&err, "tag %d", 3), ERR_INVALID);
    assert_string_equal(err.text, "tag 3: weight: not a number: x");
    assert_int_equal(err.code, ERR_INVALID);
}

static void cuts_long_texts(void **state)
{
    (void)state;
    struct err err;
    char longer[1000];
    memset(longer, 'a', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';

    err_set(&err, ERR_IO, "%s", longer);
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    err_wrap(&err, "ctx");
    assert_int_equal(strlen(err.text), sizeof err.text - 1);
    assert_memory_equal(err.text, "ctx: aaa", 8);
    err_wrap(&err, "%s", longer);
    assert_true(strlen(err.text) < sizeof err.text);
    assert_memory_equal(err.text, "aaaa", 4);
}

static void nobody_needs_to_want_the_text(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_wrap(NULL, "x"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_code_has_its_own_text),
        cmocka_unit_test(wraps_with_context),
        cmocka_unit_test(cuts_long_texts),
        cmocka_unit_test(nobody_needs_to_want_the_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
