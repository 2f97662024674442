// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include "app/properties.h"
#include "base/mem.h"

static void shows_all_forms(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *shown; // "line key=value|"
    } CASES[] = {
        {"", ""},
        {"a=b", "1 a=b|"},
        {"a = b", "1 a=b|"},
        {"a: b\n", "1 a=b|"},
        {"a b", "1 a=b|"},
        {"a\t=\t b", "1 a=b|"},
        {"  \t a=b", "1 a=b|"},
        {"a", "1 a=|"},
        {"a=", "1 a=|"},
        {"a==b", "1 a==b|"},
        {"a=b=c:d", "1 a=b=c:d|"},
        {"# c\n! d\n\n  # e\na=b", "5 a=b|"},
        {"a=b # no comment", "1 a=b # no comment|"},
        {"a=b\r\nc=d\re=f", "1 a=b|2 c=d|3 e=f|"},
        {"a=b \t ", "1 a=b|"},      // blanks at the end do not count
        {"a=b\\ ", "1 a=b |"},      // but an escaped one does
        {"a=b\\\n   c", "1 a=bc|"}, // continuation
        {"a=b\\\r\n   c\nd=e", "1 a=bc|3 d=e|"},
        {"a=b\\\\\nc=d", "1 a=b\\|2 c=d|"}, // an escaped backslash does not continue
        {"a=b\\", "1 a=b|"},
        {"# no\\\na=b", "2 a=b|"}, // a comment does not continue
        {"a\\=b=c", "1 a=b=c|"},
        {"a\\ b\\:=c", "1 a b:=c|"},
        {"a=\\u0041\\u00e4\\ud83d\\ude00", "1 a=A\xc3\xa4\xf0\x9f\x98\x80|"},
        {"a=1\\n2\\t3\\r4\\f5\\q6", "1 a=1\n2\t3\r4\f5q6|"},
        {"a=1\nb=2\na=3", "3 a=3|2 b=2|"}, // the last of equal keys
        {"A=1\na=2", "1 A=1|2 a=2|"},
        {"\xef\xbb\xbf"
         "a=b",
         "1 a=b|"},
        {"a=${b}c\nb=x", "1 a=xc|2 b=x|"},
        {"a=${b}${b}\nb=${c}\nc=z", "1 a=zz|2 b=z|3 c=z|"},
        {"a=${HOME_OF_TEST}", "1 a=here|"},
        {"a=[${NOT_THERE}]", "1 a=[]|"},
        {"a=${ODD}", "1 a=${a}|"}, // what the environment says is not expanded
        {"a=$b $", "1 a=$b $|"},
        {"HOME_OF_TEST=x\na=${HOME_OF_TEST}", "1 HOME_OF_TEST=x|2 a=x|"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct properties properties;
        struct err err = {0};
        char shown[512] = "";
        size_t len = 0;
        assert_int_equal(
            properties_parse(&arena, str_of(CASES[i].text),
                             (char *const *)ENV("HOME=no", "HOME_OF_TEST=here", "ODD=${a}"),
                             &properties, &err),
            0);
        for (size_t k = 0; k < properties.count; k++)
            len += (size_t)snprintf(shown + len, sizeof shown - len, "%u %.*s=%.*s|",
                                    properties.items[k].line, STR_FMT(properties.items[k].key),
                                    STR_FMT(properties.items[k].value));
        assert_string_equal(shown, CASES[i].shown);
        arena_fini(&arena);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } CASES[] = {
        {"a=\\u00", "line 1: invalid unicode literal"},
        {"\na=\\u00zz", "line 2: invalid unicode literal"},
        {"a=\\ud800", "line 1: invalid unicode literal"},
        {"a=\\udc00x", "line 1: invalid unicode literal"},
        {"a=\\ud800\\u0041", "line 1: invalid unicode literal"},
        {"a=\\u0000", "line 1: invalid unicode literal"},
        {"a=1\n=x", "line 2: no key"},
        {"a=${b", "line 1: malformed expression"},
        {"a=1\nb=${a${a}}", "line 2: malformed expression"},
        {"a=${a}", "line 1: circular reference"},
        {"a=${b}\nb=${c}\nc=${a}", "line 3: circular reference"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct properties properties;
        struct err err = {0};
        assert_int_equal(properties_parse(&arena, str_of(CASES[i].text), (char *const *)NO_ENV,
                                          &properties, &err),
                         ERR_INVALID);
        assert_string_equal(err.text, CASES[i].reason);
        arena_fini(&arena);
    }
    struct arena arena;
    arena_init(&arena);
    struct properties properties;
    struct err err = {0};
    assert_int_equal(
        properties_parse(&arena, STR("a=b\0c"), (char *const *)NO_ENV, &properties, &err),
        ERR_INVALID);
    assert_string_equal(err.text, "line 1: NUL byte");
    arena_fini(&arena);
}

static int parse_text(const char *text, struct err *err)
{
    struct arena arena;
    arena_init(&arena);
    struct properties properties;
    int rc = properties_parse(&arena, str_of(text), (char *const *)NO_ENV, &properties, err);
    arena_fini(&arena);
    return rc;
}

static void bounds_what_a_file_asks_for(void **state)
{
    (void)state;
    static char text[PROPERTIES_MAX + 2];
    struct err err = {0};
    memset(text, 'x', PROPERTIES_MAX + 1);
    assert_int_equal(parse_text(text, &err), ERR_TOO_LARGE);

    // Each line is ten times the one before: 10^8 bytes.
    size_t len = (size_t)snprintf(text, sizeof text, "a0=0123456789\n");
    for (int i = 1; i < 8; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, "a%d=", i);
        for (int k = 0; k < 10; k++)
            len += (size_t)snprintf(text + len, sizeof text - len, "${a%d}", i - 1);
        len += (size_t)snprintf(text + len, sizeof text - len, "\n");
    }
    assert_int_equal(parse_text(text, &err), ERR_TOO_LARGE);

    len = 0;
    for (int i = 0; i < 100; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "a%d=${a%d}\n", i, i + 1);
    assert_int_equal(parse_text(text, &err), ERR_INVALID);
    assert_non_null(strstr(err.text, "references nested too deep"));

    // Escaped backslashes at line ends look like continuations; memory must stay linear.
    for (len = 0; len + 6 < PROPERTIES_MAX; len += 5)
        memcpy(text + len, "a=\\\\\n", 6);
    struct arena arena;
    arena_init(&arena);
    struct properties properties;
    assert_int_equal(
        properties_parse(&arena, str_of(text), (char *const *)NO_ENV, &properties, &err), 0);
    assert_true(arena.total < 64 * (size_t)PROPERTIES_MAX);
    arena_fini(&arena);
}

static void knows_variables(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct properties properties;
    struct err err = {0};
    assert_int_equal(
        properties_parse(&arena, STR("a=${b}\nb=1\nc=2"), (char *const *)NO_ENV, &properties, &err),
        0);
    assert_true(properties_find(&properties, STR("b"))->is_variable);
    assert_false(properties_find(&properties, STR("a"))->is_variable);
    assert_false(properties_find(&properties, STR("c"))->is_variable);
    assert_null(properties_find(&properties, STR("d")));
    arena_fini(&arena);
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t allowed = 0;; allowed++) {
        struct err err = {0};
        mem_fail_after(allowed);
        int rc = parse_text("a=${b}x\nb=1\nc=2\nd=\\u0041\n", &err);
        mem_fail_after(-1);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shows_all_forms),
        cmocka_unit_test(refuses),
        cmocka_unit_test(bounds_what_a_file_asks_for),
        cmocka_unit_test(knows_variables),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
