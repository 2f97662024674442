// SPDX-License-Identifier: Apache-2.0
// The runs of scan.h against the table of classes: each byte value at each place of runs of each
// length around the step, in blocks of exactly their size.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "scan.h"

enum { LEN_MAX = 50 };

typedef const char *scan_fn(const char *at, const char *end);

// `except` is the byte of the class at which the scan stops all the same; -1: none.
static void check(scan_fn *scan, enum char_class char_class, int except, char filling)
{
    for (size_t len = 0; len <= LEN_MAX; len++) {
        char *bytes = malloc(len ? len : 1);
        assert_non_null(bytes);
        memset(bytes, filling, len);
        assert_ptr_equal(scan(bytes, bytes + len), bytes + len);
        for (size_t at = 0; at < len; at++) {
            for (int value = 0; value < 256; value++) {
                bytes[at] = (char)value;
                bool is_in = char_is((char)value, char_class) && value != except;
                size_t want = is_in ? len : at;
                assert_ptr_equal(scan(bytes, bytes + len), bytes + want);
                assert_ptr_equal(scan(bytes + at, bytes + len), bytes + want);
            }
            bytes[at] = filling;
        }
        free(bytes);
    }
}

static void scans_tokens(void **state)
{
    (void)state;
    check(scan_token, CHAR_TOKEN, -1, 'a');
    check(scan_token, CHAR_TOKEN, -1, 'Z');
    check(scan_token, CHAR_TOKEN, -1, '-');
    check(scan_token, CHAR_TOKEN, -1, '7');
}

static void scans_text(void **state)
{
    (void)state;
    check(scan_text, CHAR_TEXT, '\t', ' ');
    check(scan_text, CHAR_TEXT, '\t', '~');
    check(scan_text, CHAR_TEXT, '\t', '\xff');
}

static void scans_targets(void **state)
{
    (void)state;
    check(scan_target, CHAR_TARGET, -1, '/');
    check(scan_target, CHAR_TARGET, -1, '~');
}

static void scans_hosts(void **state)
{
    (void)state;
    check(scan_host, CHAR_HOST, -1, 'q');
    check(scan_host, CHAR_HOST, -1, '.');
    check(scan_host, CHAR_HOST, -1, '9');
    check(scan_host, CHAR_HOST, -1, '~');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scans_tokens),
        cmocka_unit_test(scans_text),
        cmocka_unit_test(scans_targets),
        cmocka_unit_test(scans_hosts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
