// SPDX-License-Identifier: Apache-2.0
// metrics.prefix: the templates that are understood, and that all others are refused.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "app/metrics_prefix.h"
#include "base/mem.h"

static int expand(struct arena *arena, const char *text, struct str *prefix, struct err *err)
{
    return metrics_prefix_expand(arena, str_of(text), STR("My.Host:1"), STR("fabio.X"), prefix,
                                 err);
}

static void what_is_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *expected;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"default", "my_host_1.fabio_x"},
        {"{{clean .Hostname}}.{{clean .Exec}}", "my_host_1.fabio_x"},
        {"{{ clean\t.Exec }}", "fabio_x"},
        {"a-{{.Hostname}}-{{ .Exec }}-z", "a-My.Host:1-fabio.X-z"},
        {"a}}b", "a}}b"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct arena arena;
        arena_init(&arena);
        struct err err = {0};
        struct str prefix;
        assert_int_equal(expand(&arena, cases[i].text, &prefix, &err), 0);
        assert_string_equal(prefix.ptr, cases[i].expected);
        arena_fini(&arena);
    }
}

static void what_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{{",
        "{{}}",
        "{{.Pid}}",
        "{{clean}}",
        "{{clean .Pid}}",
        "{{.Exec",
        "{{.Exec .Exec}}",
        "{{if true}}x",
        "{{\"text\"}}",
        "{{clean clean .Exec}}",
        "a b",
        "a|b",
        "a#b",
        "a@b",
        "a\nb",
        "{{.Exec | clean}}",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct arena arena;
        arena_init(&arena);
        struct err err = {0};
        struct str prefix;
        assert_int_equal(expand(&arena, texts[i], &prefix, &err), ERR_INVALID);
        assert_true(err.text[0]);
        arena_fini(&arena);
    }
}

static void shortage_is_told(void **state)
{
    (void)state;
    for (int64_t allocations = 0;; allocations++) {
        struct arena arena;
        arena_init(&arena);
        struct err err = {0};
        struct str prefix;
        mem_fail_after(allocations);
        int rc = expand(&arena, "default", &prefix, &err);
        mem_fail_after(-1);
        arena_fini(&arena);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NOMEM);
        assert_true(allocations < 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_understood),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(shortage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
