// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/compose.h"
#include "http/refusal.h"

// Labels are metric names: lower case, digits and '_', each once.
static void every_refusal_has_a_row(void **state)
{
    (void)state;
    for (int i = HTTP_ACCEPTED; i < HTTP_REFUSAL_COUNT; i++) {
        const char *label = http_refusal_label(i);
        assert_true(strlen(label) > 0);
        assert_int_equal(strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789_"), strlen(label));
        assert_true(strlen(http_refusal_text(i)) > 0);
        for (int j = HTTP_ACCEPTED; j < i; j++)
            assert_string_not_equal(label, http_refusal_label(j));
        if (i != HTTP_ACCEPTED) {
            assert_in_range(http_refusal_status(i), 400, 505);
            assert_true(strlen(http_reason(http_refusal_status(i))) > 0);
        }
    }
}

static void statuses_are_those_of_the_rfc(void **state)
{
    (void)state;
    assert_int_equal(http_refusal_status(HTTP_BAD_SYNTAX), 400);
    assert_int_equal(http_refusal_status(HTTP_UNKNOWN_METHOD), 501);
    assert_int_equal(http_refusal_status(HTTP_METHOD_REFUSED), 405);
    assert_int_equal(http_refusal_status(HTTP_TARGET_TOO_LONG), 414);
    assert_int_equal(http_refusal_status(HTTP_HEAD_TOO_LARGE), 431);
    assert_int_equal(http_refusal_status(HTTP_BAD_VERSION), 505);
    assert_int_equal(http_refusal_status(HTTP_UNKNOWN_CODING), 501);
    assert_int_equal(http_refusal_status(HTTP_BAD_EXPECT), 417);
    assert_string_equal(http_refusal_label(HTTP_FOLDED_FIELD), "obs_fold");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_refusal_has_a_row),
        cmocka_unit_test(statuses_are_those_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
