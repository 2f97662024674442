// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/str.h"

static void assert_str(struct str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr ? got.ptr : "", want, got.len);
}

static void makes_and_compares(void **state)
{
    (void)state;
    assert_str(str_of("abc"), "abc");
    assert_int_equal(str_of(NULL).len, 0);
    assert_true(str_eq(STR("abc"), str_make("abcd", 3)));
    assert_false(str_eq(STR("abc"), STR("abd")));
    assert_false(str_eq(STR("abc"), STR("ab")));
    assert_true(str_eq(STR_NULL, STR("")));
    assert_true(str_ieq(STR("HoSt"), STR("hOsT")));
    assert_false(str_ieq(STR("host"), STR("hosts")));
    // '@' and '[' stand next to the letters: only letters are folded.
    assert_false(str_ieq(STR("@"), STR("`")));
    assert_false(str_ieq(STR("["), STR("{")));
    assert_false(str_ieq(STR("\xc4"), STR("\xe4")));
}

static void finds_prefixes_and_suffixes(void **state)
{
    (void)state;
    assert_true(str_starts_with(STR("urlprefix-/x"), STR("urlprefix-")));
    assert_true(str_starts_with(STR("x"), STR_NULL));
    assert_false(str_starts_with(STR("url"), STR("urlprefix-")));
    assert_true(str_istarts_with(STR("HTTP://x"), STR("http://")));
    assert_false(str_istarts_with(STR("HTT"), STR("http://")));
    assert_false(str_istarts_with(STR("ftp://xx"), STR("http://")));
    assert_true(str_ends_with(STR("a.example.com"), STR(".com")));
    assert_true(str_ends_with(STR_NULL, STR_NULL));
    assert_false(str_ends_with(STR("com"), STR(".com")));
}

static void cuts(void **state)
{
    (void)state;
    assert_str(str_from(STR("abcdef"), 2), "cdef");
    assert_str(str_from(STR("abc"), 9), "");
    assert_str(str_upto(STR("abcdef"), 2), "ab");
    assert_str(str_upto(STR("abc"), 9), "abc");
    assert_str(str_trim(STR(" \t\r\n\v\fa b \n")), "a b");
    assert_str(str_trim(STR("  ")), "");
    assert_str(str_trim(STR_NULL), "");
}

static void orders_bytewise(void **state)
{
    (void)state;
    assert_true(str_cmp(STR("a"), STR("b")) < 0);
    assert_true(str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0);
    assert_true(str_cmp(STR("ab"), STR("a")) > 0);
    assert_int_equal(str_cmp(STR("ab"), STR("ab")), 0);
    assert_int_equal(str_cmp(STR_NULL, STR_NULL), 0);
    assert_true(str_cmp(STR("\xff"), STR("a")) > 0);
}

static void finds(void **state)
{
    (void)state;
    assert_int_equal(str_find_char(STR("a=b=c"), '='), 1);
    assert_int_equal(str_rfind_char(STR("a=b=c"), '='), 3);
    assert_int_equal(str_find_char(STR("abc"), '='), -1);
    assert_int_equal(str_rfind_char(STR_NULL, '='), -1);
    assert_int_equal(str_find_char(STR_NULL, '='), -1);
    assert_int_equal(str_find(STR("xx$path"), STR("$path")), 2);
    assert_int_equal(str_find(STR("xx"), STR("$path")), -1);
    assert_int_equal(str_find(STR_NULL, STR("x")), -1);
    assert_int_equal(str_find(STR("xx"), STR_NULL), 0);
}

static void splits(void **state)
{
    (void)state;
    struct str rest = STR("a,,b,");
    struct str piece;
    const char *want[] = {"a", "", "b", ""};
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_true(str_split_next(&rest, ',', &piece));
        assert_str(piece, want[i]);
    }
    assert_false(str_split_next(&rest, ',', &piece));

    rest = STR("");
    assert_true(str_split_next(&rest, ',', &piece));
    assert_str(piece, "");
    assert_false(str_split_next(&rest, ',', &piece));
}

static void reads_tokens(void **state)
{
    (void)state;
    struct str rest = STR("  route \t add\n");
    struct str token;
    assert_true(str_token_next(&rest, &token));
    assert_str(token, "route");
    assert_true(str_token_next(&rest, &token));
    assert_str(token, "add");
    assert_false(str_token_next(&rest, &token));
    rest = STR_NULL;
    assert_false(str_token_next(&rest, &token));
}

static void measures_utf8(void **state)
{
    (void)state;
    const struct {
        struct str bytes;
        size_t want;
    } cases[] = {
        {STR("a"), 1},
        {STR("\x7f"), 1},
        {STR("\xc3\xa4"), 2},
        {STR("\xe2\x82\xac"), 3},
        {STR("\xf0\x9f\x98\x80"), 4},
        {STR("\xf4\x8f\xbf\xbf"), 4},
        {STR("\x80"), 0},             // a continuation byte alone
        {STR("\xc0\xaf"), 0},         // overlong
        {STR("\xc1\xbf"), 0},         // overlong
        {STR("\xe0\x9f\xbf"), 0},     // overlong
        {STR("\xf0\x8f\xbf\xbf"), 0}, // overlong
        {STR("\xed\xa0\x80"), 0},     // a surrogate
        {STR("\xf4\x90\x80\x80"), 0}, // beyond U+10FFFF
        {STR("\xf5\x80\x80\x80"), 0}, // no lead byte
        {STR("\xc3"), 0},             // cut
        {STR("\xe2\x82"), 0},         // cut
        {STR("\xe2\x82x"), 0},        // no continuation
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(str_utf8_len(cases[i].bytes), cases[i].want);
}

static void reads_numbers(void **state)
{
    (void)state;
    uint64_t value = 7;
    assert_true(str_to_u64(STR("0"), &value));
    assert_int_equal(value, 0);
    assert_true(str_to_u64(STR("18446744073709551615"), &value));
    assert_true(value == UINT64_MAX);
    const char *bad[] = {
        "", "-1", "+1", " 1", "1 ", "0x1", "18446744073709551616", "99999999999999999999999"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(str_to_u64(str_of(bad[i]), &value));
    assert_true(value == UINT64_MAX);
}

static void copies(void **state)
{
    (void)state;
    char *copy = str_dup(str_make("abcdef", 3));
    assert_string_equal(copy, "abc");
    mem_free(copy);
    copy = str_dup(STR_NULL);
    assert_string_equal(copy, "");
    mem_free(copy);
    mem_fail_after(0);
    copy = str_dup(STR("x"));
    mem_fail_after(-1);
    assert_null(copy);
}

static void numbers_to_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t value;
        const char *text;
    } rows[] = {{0, "0"},
                {9, "9"},
                {10, "10"},
                {1234567890, "1234567890"},
                {UINT64_MAX, "18446744073709551615"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char room[STR_U64_MAX];
        assert_true(str_eq(str_from_u64(rows[i].value, room), str_of(rows[i].text)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_to_digits),
        cmocka_unit_test(makes_and_compares),
        cmocka_unit_test(finds_prefixes_and_suffixes),
        cmocka_unit_test(cuts),
        cmocka_unit_test(orders_bytewise),
        cmocka_unit_test(finds),
        cmocka_unit_test(splits),
        cmocka_unit_test(reads_tokens),
        cmocka_unit_test(measures_utf8),
        cmocka_unit_test(reads_numbers),
        cmocka_unit_test(copies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
