// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

static void padded_text_is_decoded(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        struct str bytes;
    } rows[] = {
        // RFC 4648 section 10.
        {"", STR_INIT("")},
        {"Zg==", STR_INIT("f")},
        {"Zm8=", STR_INIT("fo")},
        {"Zm9v", STR_INIT("foo")},
        {"Zm9vYg==", STR_INIT("foob")},
        {"Zm9vYmE=", STR_INIT("fooba")},
        {"Zm9vYmFy", STR_INIT("foobar")},
        {"AP+/", STR_INIT("\0\xff\xbf")},
        {"+/+/", STR_INIT("\xfb\xff\xbf")},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[16];
        size_t len;
        assert_true(base64_decode(str_of(rows[i].text), out, &len));
        assert_true(str_eq(str_make(out, len), rows[i].bytes));
    }
}

static void everything_else_is_refused(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "Z",    "Zg",       "Zg=",      "=",    "====",     "Zg===", "Zm9v\n",
        "Zm 9", "Zm9=Zm9v", "Zg==Zg==", "Zm-_", "Zm9v=Zm8", "Z===",  "\xc3\xa4\xc3\xa4"};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char out[16];
        size_t len;
        assert_false(base64_decode(str_of(rows[i]), out, &len));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(padded_text_is_decoded),
        cmocka_unit_test(everything_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
