// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "discover/problems.h"

static void add(struct problems *problems, const char *text, const char *reason)
{
    problems_add(problems, &(struct problem){.source = STR("consul"),
                                             .service = STR("web"),
                                             .instance = STR("node/web-1"),
                                             .text = str_of(text),
                                             .reason = str_of(reason),
                                             .is_lost = true});
}

static void a_scope_is_replaced_as_a_whole(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    problems_begin(problems, STR("a"));
    add(problems, "one", "bad");
    add(problems, "two", "bad");
    problems_end(problems);
    problems_begin(problems, STR("b"));
    add(problems, "three", "bad");
    problems_end(problems);
    assert_int_equal(problems_count(problems), 3);
    assert_int_equal(problems_total(problems), 3);

    problems_begin(problems, STR("a"));
    add(problems, "two", "bad");
    problems_end(problems);
    assert_int_equal(problems_count(problems), 2);
    assert_true(str_eq(problems_at(problems, 0)->text, STR("two")));
    assert_true(str_eq(problems_at(problems, 1)->text, STR("three")));
    problems_clear(problems, STR("a"));
    problems_clear(problems, STR("unknown"));
    assert_int_equal(problems_count(problems), 1);
    problems_free(problems);
}

static void a_problem_that_stays_keeps_its_time_and_changes_nothing(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    problems_begin(problems, STR("a"));
    add(problems, "one", "bad");
    problems_end(problems);
    const struct problem *before = problems_at(problems, 0);
    uint64_t since_us = before->since_us;
    uint64_t version = problems_version(problems);
    assert_true(since_us > 0);
    problems_begin(problems, STR("a"));
    add(problems, "one", "bad");
    problems_end(problems);
    assert_ptr_equal(problems_at(problems, 0), before);
    assert_int_equal(problems_version(problems), version);

    // Another reason is another problem.
    problems_begin(problems, STR("a"));
    add(problems, "one", "worse");
    problems_end(problems);
    assert_int_equal(problems_count(problems), 1);
    assert_true(problems_version(problems) > version);
    problems_free(problems);
}

static void equal_problems_of_one_scope_are_counted_apart(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    for (int round = 0; round < 2; round++) {
        problems_begin(problems, STR("a"));
        add(problems, "one", "bad");
        add(problems, "one", "bad");
        problems_end(problems);
        assert_int_equal(problems_count(problems), 2);
    }
    problems_free(problems);
}

static void rows_are_bounded_and_the_rest_is_counted(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    char text[16];
    for (int round = 0; round < 2; round++) {
        problems_begin(problems, STR("flood"));
        for (int i = 0; i < PROBLEMS_MAX + 500; i++) {
            snprintf(text, sizeof text, "%d", i);
            add(problems, text, "bad");
        }
        problems_end(problems);
        assert_int_equal(problems_count(problems), PROBLEMS_MAX);
        assert_int_equal(problems_total(problems), PROBLEMS_MAX + 500);
    }
    problems_clear(problems, STR("flood"));
    assert_int_equal(problems_count(problems), 0);
    assert_int_equal(problems_total(problems), 0);
    problems_free(problems);
}

static void long_texts_are_cut(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    problems_begin(problems, STR("a"));
    add(problems, text, "bad");
    problems_end(problems);
    assert_int_equal(problems_at(problems, 0)->text.len, 256);
    problems_free(problems);
}

static void shortage_loses_rows_only(void **state)
{
    (void)state;
    struct problems *problems = problems_new();
    for (int n = 0; n < 12; n++) {
        problems_begin(problems, STR("steady"));
        add(problems, "stays", "bad");
        problems_end(problems);
        mem_fail_after(n);
        problems_begin(problems, STR("a"));
        add(problems, "one", "bad");
        add(problems, "two", "bad");
        problems_end(problems);
        mem_fail_after(-1);
        assert_in_range(problems_count(problems), 1, 3);
        problems_clear(problems, STR("a"));
        assert_int_equal(problems_count(problems), 1);
        assert_int_equal(problems_total(problems), 1);
    }
    problems_free(problems);
    mem_fail_after(0);
    assert_null(problems_new());
    mem_fail_after(-1);
    problems_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_scope_is_replaced_as_a_whole),
        cmocka_unit_test(a_problem_that_stays_keeps_its_time_and_changes_nothing),
        cmocka_unit_test(equal_problems_of_one_scope_are_counted_apart),
        cmocka_unit_test(rows_are_bounded_and_the_rest_is_counted),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(shortage_loses_rows_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
