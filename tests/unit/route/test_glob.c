// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include "base/clock.h"
#include "base/rng.h"
#include "route/glob.h"

static bool matches(const char *pattern, const char *text)
{
    struct err err = {0};
    struct glob *glob = glob_new(str_of(pattern), &err);
    if (!glob)
        fail_msg("%s: %s", pattern, err.text);
    bool is_match = glob_match(glob, str_of(text));
    assert_true(!is_match || !(glob_needs(glob) & ~glob_chars(str_of(text))));
    glob_free(glob);
    return is_match;
}

static void matches_the_whole_text(void **state)
{
    (void)state;
    static const struct {
        const char *pattern;
        const char *yes; // separated by '|'
        const char *no;
    } rows[] = {
        {"abc", "abc", "ab|abcd|ABC|"},
        {"*", "|a|a.b/c", NULL},
        {"**", "|a|a.b/c", NULL},
        {"*.foo.com", "a.foo.com|a.b.foo.com|.foo.com", "foo.com|a.foo.com.|xfoo.com"},
        {"foo*", "foo|foo.com|foo/bar/baz", "fo|xfoo"},
        {"a*b*c", "abc|aXbYc|abbcc", "ab|acb|abcd"},
        {"a*a", "aa|aXa|aaa", "a|ab"},
        {"?", "a|.|\xc3\xa9|\xff", "|ab|\xff\xff"},
        {"a?c", "abc|a.c", "ac|abbc"},
        {"[abc]", "a|b|c", "d||ab|]"},
        {"[!abc]", "d|.", "a|b|c||dd"},
        {"[a-c]x", "ax|bx|cx", "dx|x|-x"},
        {"[!a-c]x", "dx|-x", "ax|bx|x"},
        {"[abc-z]", "a|b|c|-|z", "d|y"},
        {"[-a]", "-|a", "b"},
        {"[!-a]", "b", "-|a"},
        {"[!!a]", "b", "!|a"},
        {"[a\\]b]", "a|]|b", "\\"},
        {"[]-a]", "]|^|a", "b|["},
        {"[\xc3\xa9\xc3\xa8]", "\xc3\xa9|\xc3\xa8", "\xc3|e"},
        {"{a,b}", "a|b", "c|ab||{a,b}"},
        {"{a,b}.com", "a.com|b.com", "c.com|.com"},
        {"{a,}x", "ax|x", "aax|a"},
        {"{}x", "x", "{}x"},
        {"{a,{b,c}d}e", "ae|bde|cde", "be|de|e"},
        {"{*a,b?}c", "ac|xxac|bxc", "bc|c"},
        {"{a,*}*b", "b|ab|xb|aXb", "a|bx"},
        {"{a*,b}*c", "ac|axxc|bc|bxc", "c"},
        {"x{a,b}{c,d}y", "xacy|xady|xbcy|xbdy", "xaby|xy"},
        {"\\*", "*", "a|\\*"},
        {"a\\?b", "a?b", "axb"},
        {"\\{a,b\\}", "{a,b}", "a|b"},
        {"a\\", "a", "a\\"},
        {"a]b}c,d!e-f", "a]b}c,d!e-f", "ab"},
        {"/foo/*/bar", "/foo/x/bar|/foo/x/y/bar|/foo//bar", "/foo/bar"},
        {"*a*a*a*b", "aaab|xaxaxaxb", "aab|aaa"},
        {"\xe2\x82\xac?", "\xe2\x82\xac\xf0\x9f\x98\x80", "\xe2\x82\xac|\xf0\x9f\x98\x80"},
        {"[\xf0\x9f\x98\x80-\xf0\x9f\x98\x82]", "\xf0\x9f\x98\x81",
         "\xf0\x9f\x98\x83|\xe2\x82\xac"},
        {"?*\xc3\xa9", "\xff\xc3\xa9", "\xc3\xa9|\xff\xa9"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str piece;
        char text[64];
        for (int is_yes = 0; is_yes < 2; is_yes++) {
            struct str rest = str_of(is_yes ? rows[i].yes : rows[i].no);
            while (str_split_next(&rest, '|', &piece)) {
                snprintf(text, sizeof text, "%.*s", STR_FMT(piece));
                if (matches(rows[i].pattern, text) != is_yes)
                    fail_msg("%s against %s", rows[i].pattern, text);
            }
        }
    }
}

static void refuses_broken_patterns(void **state)
{
    (void)state;
    static const char *const patterns[] = {"[",    "[a",     "a[]", "[!]",   "[z-a]",  "[a-",
                                           "[a-z", "[a-z0]", "{a",  "{a,b",  "{a,{b}", "[!",
                                           "/t[a", "[\\",    "{[}", "\xff*", "a\xc3"};
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct err err = {0};
        if (glob_new(str_of(patterns[i]), &err))
            fail_msg("%s is accepted", patterns[i]);
        assert_int_equal(err.code, ERR_INVALID);
    }
}

static void bounds_patterns(void **state)
{
    (void)state;
    char text[1100];
    struct err err = {0};
    memset(text, '?', sizeof text);
    struct glob *glob = glob_new(str_make(text, 1024), &err);
    assert_non_null(glob);
    glob_free(glob);
    assert_null(glob_new(str_make(text, 1025), &err));
    memset(text, '{', 1024);
    assert_null(glob_new(str_make(text, 1024), &err));
    assert_non_null(strstr(err.text, "nested"));
    memset(text, ',', 1024); // the pattern that makes most steps
    text[0] = '{';
    text[1023] = '}';
    glob = glob_new(str_make(text, 1024), &err);
    assert_non_null(glob);
    assert_true(glob_match(glob, STR("")));
    assert_false(glob_match(glob, STR(",")));
    glob_free(glob);
}

static void tells_patterns_from_names(void **state)
{
    (void)state;
    assert_false(glob_is_pattern(STR("foo.com:80")));
    assert_false(glob_is_pattern(STR("")));
    assert_false(glob_is_pattern(STR("a]b}")));
    assert_true(glob_is_pattern(STR("*.com")));
    assert_true(glob_is_pattern(STR("a?")));
    assert_true(glob_is_pattern(STR("[a]")));
    assert_true(glob_is_pattern(STR("{a}")));
    assert_true(glob_is_pattern(STR("a\\b")));
}

static void knows_its_tail(void **state)
{
    (void)state;
    static const char *const rows[][2] = {
        {"*.foo.com", ".foo.com"}, {"foo*", ""},           {"foo", "foo"},  {"{a,b}.x", ".x"},
        {"a*{b,c}", ""},           {"[ab].x:80", ".x:80"}, {"?\\*x", "*x"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct glob *glob = glob_new(str_of(rows[i][0]), NULL);
        assert_non_null(glob);
        assert_true(str_eq(glob_tail(glob), str_of(rows[i][1])));
        glob_free(glob);
    }
}

// Backtracking over everything, on patterns of '*', '?', letters and flat braces.
static bool naive_match(const char *pattern, const char *text)
{
    if (*pattern == '\0')
        return *text == '\0';
    if (*pattern == '*') {
        for (;; text++) {
            if (naive_match(pattern + 1, text))
                return true;
            if (*text == '\0')
                return false;
        }
    }
    if (*pattern == '{') {
        const char *end = strchr(pattern, '}');
        for (const char *from = pattern + 1; from <= end;) {
            const char *to = from + strcspn(from, ",}");
            char joined[128];
            snprintf(joined, sizeof joined, "%.*s%s", (int)(to - from), from, end + 1);
            if (naive_match(joined, text))
                return true;
            from = to + 1;
        }
        return false;
    }
    return *text != '\0' && (*pattern == '?' || *pattern == *text) &&
           naive_match(pattern + 1, text + 1);
}

static void agrees_with_backtracking(void **state)
{
    (void)state;
    static const char *const pieces[] = {"a", "b", "*", "?", "{a,b}", "{a*,}", "{ab,b?}", "a", "b"};
    struct rng rng;
    rng_init(&rng, 7);
    unsigned hits = 0;
    for (int i = 0; i < 50000; i++) {
        char pattern[128] = "", text[16] = "";
        for (uint32_t n = rng_below(&rng, 7); n > 0; n--)
            strcat(pattern, pieces[rng_below(&rng, ARRAY_LEN(pieces))]);
        for (uint32_t n = rng_below(&rng, 9); n > 0; n--)
            strcat(text, rng_below(&rng, 2) ? "a" : "b");
        bool expected = naive_match(pattern, text);
        hits += expected;
        if (matches(pattern, text) != expected)
            fail_msg("%s against %s", pattern, text);
    }
    assert_in_range(hits, 1000, 49000);
}

// No assertion on time: a slow machine is no fault. A pattern that backtracks would not come back.
static void stays_linear(void **state)
{
    (void)state;
    static char text[8192];
    memset(text, 'a', sizeof text);
    static const char *const patterns[] = {"*a*a*a*b", "*a*a*a*a*a*a*a*a*a*a*a*a*b?",
                                           "{*a,a*}{*a,a*}{*a,a*}b?"};
    for (size_t i = 0; i < ARRAY_LEN(patterns); i++) {
        struct glob *glob = glob_new(str_of(patterns[i]), NULL);
        assert_non_null(glob);
        uint64_t start_us = clock_now_us();
        assert_false(glob_match(glob, str_make(text, sizeof text)));
        print_message("%s against 8 KB: %u us\n", patterns[i],
                      (unsigned)(clock_now_us() - start_us));
        glob_free(glob);
    }
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 2; n++) {
        struct err err = {0};
        mem_fail_after(n);
        struct glob *glob = glob_new(STR("*.a"), &err);
        mem_fail_after(-1);
        assert_null(glob);
        assert_int_equal(err.code, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_the_whole_text), cmocka_unit_test(refuses_broken_patterns),
        cmocka_unit_test(bounds_patterns),        cmocka_unit_test(tells_patterns_from_names),
        cmocka_unit_test(knows_its_tail),         cmocka_unit_test(agrees_with_backtracking),
        cmocka_unit_test(stays_linear),           cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
