// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"
#include "base/regexp.h"

enum { COMPILED_MAX = 256 << 10 }; // bytes of an arena for one expression, by far

static struct arena arena;

static int begin(void **state)
{
    (void)state;
    arena_init(&arena);
    return 0;
}

static int end(void **state)
{
    (void)state;
    arena_fini(&arena);
    return 0;
}

static struct regexp_matcher *matcher_of(struct str expression)
{
    const struct regexp *regexp;
    struct err err = {0};
    if (regexp_compile(&arena, expression, &regexp, &err) != 0)
        fail_msg("%.*s: %s", STR_FMT(expression), err.text);
    struct regexp_matcher *matcher = regexp_matcher_new(regexp);
    assert_non_null(matcher);
    return matcher;
}

static void matches(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        const char *text;
        bool want;
    } CASES[] = {
        {"^text/", "text/html; charset=utf-8", true},
        {"^text/", "application/text/", false},
        {"json", "application/vnd.api+json", true},
        {"^(text/.*|application/(javascript|json))(;.*)?$", "application/json; a", true},
        {"^(text/.*|application/(javascript|json))(;.*)?$", "application/jsonp", false},
        {"^text/html$", "text/html", true},
        {"^text/html$", "text/html\n", false}, // RE2's $
        {"TEXT", "text/html", false},
        {"(?i)TEXT", "text/html", true},
        {"\\btext\\b", "x text y", true},
        {"[[:alpha:]]{4}/", "text/", true},
        {"^(?P<top>text)/", "text/a", true},
        {"^$", "", true},
        {"", "a", true},
        {"text", "", false},
        {"^eth[0-9]{1,3}$", "eth12", true},
        {"^eth[0-9]{1,3}$", "eth1234", false},
        {"^a++$", "aaa", true}, // RE2 refuses it; here it means a+ that gives nothing back
        {"^(a+)+$", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!", false}, // given up
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct regexp_matcher *matcher = matcher_of(str_of(CASES[i].expression));
        for (int again = 0; again < 2; again++) {
            if (regexp_matcher_matches(matcher, str_of(CASES[i].text)) != CASES[i].want)
                fail_msg("%s on %s", CASES[i].expression, CASES[i].text);
        }
        regexp_matcher_free(matcher);
    }
}

static void long_texts_match_nothing(void **state)
{
    (void)state;
    struct regexp_matcher *matcher = matcher_of(STR("t"));
    static char wide[REGEXP_TEXT_MAX + 1];
    memset(wide, 't', sizeof wide);
    assert_true(regexp_matcher_matches(matcher, str_make(wide, REGEXP_TEXT_MAX)));
    assert_false(regexp_matcher_matches(matcher, str_make(wide, REGEXP_TEXT_MAX + 1)));
    assert_false(regexp_matcher_matches(matcher, STR_NULL));
    regexp_matcher_free(matcher);
}

static void refuse(struct str expression, const char *reason)
{
    const struct regexp *regexp;
    struct err err = {0};
    assert_int_equal(regexp_compile(&arena, expression, &regexp, &err), ERR_INVALID);
    if (!strstr(err.text, reason))
        fail_msg("%.*s: %s", (int)MIN(expression.len, 60), expression.ptr, err.text);
}

static void bad_expressions_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *expression;
        const char *reason;
    } CASES[] = {
        {"(", "missing closing parenthesis at offset 1"},
        {"[a", "missing terminating ] for character class at offset 2"},
        {"*", "quantifier does not follow a repeatable item at offset 0"},
        {"a+++", "quantifier does not follow a repeatable item at offset 3"},
        {"a{2,1}", "numbers out of order"},
        {"(?<a", "at offset"},
        {"(*UTF)a", "at offset"},
        {"\\C", "at offset"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++)
        refuse(str_of(CASES[i].expression), CASES[i].reason);
}

// `deep` groups around an a, each repeated as `counts` says.
static struct str nested(char *room, int deep, const char *counts)
{
    char *end = room;
    memset(end, '(', (size_t)deep);
    end += deep;
    *end++ = 'a';
    for (int i = 0; i < deep; i++) {
        *end++ = ')';
        size_t len = strlen(counts);
        memcpy(end, counts, len);
        end += len;
    }
    return str_make(room, (size_t)(end - room));
}

static void no_expression_is_large(void **state)
{
    (void)state;
    static char room[REGEXP_MAX + 1];
    static char text[REGEXP_TEXT_MAX];
    memset(text, 'a', sizeof text);

    static const char *const COUNTS[] = {"{2}", "{1,255}", "{1,32767}", "{65535}", "{0,65535}",
                                         "{0}", "+",       "*",         "?",       ""};
    for (size_t i = 0; i < ARRAY_LEN(COUNTS); i++) {
        for (int deep = 1; deep <= 250; deep = deep < 8 ? deep + 1 : deep * 2) {
            struct arena own;
            arena_init(&own);
            const struct regexp *regexp;
            struct err err = {0};
            int rc = regexp_compile(&own, nested(room, deep, COUNTS[i]), &regexp, &err);
            assert_true(own.total < COMPILED_MAX);
            assert_true(rc == 0 || strstr(err.text, "regular expression is too large"));
            struct regexp_matcher *matcher = rc == 0 ? regexp_matcher_new(regexp) : NULL;
            if (matcher)
                regexp_matcher_matches(matcher, str_make(text, sizeof text)); // ends
            regexp_matcher_free(matcher);
            arena_fini(&own);
        }
    }
    refuse(STR("(a{1,32767}){1,32767}"), "regular expression is too large");
    refuse(STR("(a{1000}){10000}"), "regular expression is too large");

    regexp_matcher_free(matcher_of(nested(room, REGEXP_NESTING_MAX, "")));
    refuse(nested(room, REGEXP_NESTING_MAX + 1, ""), "parentheses are too deeply nested");

    memset(room, 'a', sizeof room);
    regexp_matcher_free(matcher_of(str_make(room, REGEXP_MAX)));
    refuse(str_make(room, REGEXP_MAX + 1), "pattern string is longer than the limit");
    assert_true(arena.total < 4 * COMPILED_MAX);
}

static void shortage_is_survived(void **state)
{
    (void)state;
    for (int64_t n = 0; n < 30; n++) {
        struct arena own;
        arena_init(&own);
        const struct regexp *regexp;
        struct err err = {0};
        mem_fail_after(n);
        int rc = regexp_compile(&own, STR("^(text/|x)"), &regexp, &err);
        struct regexp_matcher *matcher = rc == 0 ? regexp_matcher_new(regexp) : NULL;
        if (matcher)
            regexp_matcher_matches(matcher, STR("text/html"));
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_NOMEM);
        regexp_matcher_free(matcher);
        arena_fini(&own);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(matches, begin, end),
        cmocka_unit_test_setup_teardown(long_texts_match_nothing, begin, end),
        cmocka_unit_test_setup_teardown(bad_expressions_are_refused, begin, end),
        cmocka_unit_test_setup_teardown(no_expression_is_large, begin, end),
        cmocka_unit_test(shortage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
