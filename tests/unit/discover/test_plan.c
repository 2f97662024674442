// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "discover/plan.h"

static void every_service_has_its_own_poll_within_the_budget(void **state)
{
    (void)state;
    for (unsigned services = 0; services <= 61; services++) {
        struct plan plan = plan_watches(services, 64, false);
        assert_false(plan.is_digest);
        assert_int_equal(plan.own_watches, services);
        assert_int_equal(plan.set_watches, services);
    }
}

static void above_it_polls_of_checks_stand_in_and_the_budget_is_kept(void **state)
{
    (void)state;
    struct plan plan = plan_watches(62, 64, false);
    assert_true(plan.is_digest);
    assert_int_equal(plan.own_watches + PLAN_FIXED_WATCHES + PLAN_DIGEST_WATCHES, 64);
    plan = plan_watches(100000, 64, true);
    assert_int_equal(plan.own_watches, 58);
}

static void above_it_some_polls_are_kept_for_services_that_change(void **state)
{
    (void)state;
    assert_int_equal(plan_watches(100000, 64, true).set_watches, 51);
    assert_int_equal(plan_watches(100000, 13, true).set_watches, 7);
    assert_int_equal(plan_watches(100000, 7, true).set_watches, 1);
}

static void digest_mode_ends_only_well_below_the_budget(void **state)
{
    (void)state;
    assert_true(plan_watches(61, 64, true).is_digest);
    assert_true(plan_watches(56, 64, true).is_digest);
    assert_false(plan_watches(55, 64, true).is_digest);
}

static void a_tiny_budget_leaves_no_own_polls(void **state)
{
    (void)state;
    struct plan plan = plan_watches(5, 4, false);
    assert_true(plan.is_digest);
    assert_int_equal(plan.own_watches, 0);
    plan = plan_watches(5, 0, false);
    assert_true(plan.is_digest);
    assert_int_equal(plan.own_watches, 0);
}

static void single_removals_pass_the_guard(void **state)
{
    (void)state;
    struct guard guard;
    guard_init(&guard, 50);
    for (int i = 0; i < 9; i++)
        assert_true(guard_admits(&guard, 1000, 10 - i, 1));
}

static void more_than_half_and_at_least_ten_are_held(void **state)
{
    (void)state;
    struct guard guard;
    guard_init(&guard, 50);
    assert_true(guard_admits(&guard, 1000, 100, 50));
    assert_false(guard_admits(&guard, 1001, 50, 1));
    assert_false(guard_admits(&guard, 5000, 50, 50));
    guard_init(&guard, 50);
    assert_true(guard_admits(&guard, 1000, 9, 9)); // too few for a guard
    assert_false(guard_admits(&guard, 1000, 20, 11));
}

static void a_new_window_starts_after_ten_seconds(void **state)
{
    (void)state;
    struct guard guard;
    guard_init(&guard, 50);
    assert_true(guard_admits(&guard, 1000, 100, 40));
    assert_false(guard_admits(&guard, 10999, 60, 20));
    assert_true(guard_admits(&guard, 11000, 60, 20));
}

static void zero_percent_switches_it_off(void **state)
{
    (void)state;
    struct guard guard;
    guard_init(&guard, 0);
    assert_true(guard_admits(&guard, 1000, 100, 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_service_has_its_own_poll_within_the_budget),
        cmocka_unit_test(above_it_polls_of_checks_stand_in_and_the_budget_is_kept),
        cmocka_unit_test(above_it_some_polls_are_kept_for_services_that_change),
        cmocka_unit_test(digest_mode_ends_only_well_below_the_budget),
        cmocka_unit_test(a_tiny_budget_leaves_no_own_polls),
        cmocka_unit_test(single_removals_pass_the_guard),
        cmocka_unit_test(more_than_half_and_at_least_ten_are_held),
        cmocka_unit_test(a_new_window_starts_after_ten_seconds),
        cmocka_unit_test(zero_percent_switches_it_off),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
