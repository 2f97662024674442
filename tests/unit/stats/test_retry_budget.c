// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "stats/retry_budget.h"

enum { NOW = 5000 };

static unsigned take_all(struct retry_budget *budget, uint64_t requests, uint64_t now_ms)
{
    unsigned taken = 0;
    while (taken < 100000 && retry_budget_take(budget, 20, requests, now_ms))
        taken++;
    return taken;
}

static void a_quiet_route_has_a_few(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    assert_int_equal(take_all(&budget, 0, NOW), RETRY_BUDGET_FLOOR);
    assert_int_equal(take_all(&budget, 0, NOW + 999), 0);
    assert_int_equal(take_all(&budget, 0, NOW + 1000), 1);
    assert_int_equal(take_all(&budget, 0, NOW + 6000), 5);
}

static void one_request_in_five_earns_a_try(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    take_all(&budget, 0, NOW);
    unsigned taken = 0;
    for (uint64_t request = 1; request <= 10000; request++)
        taken += retry_budget_take(&budget, 20, request, NOW);
    assert_int_equal(taken, 2000);
}

static void what_was_earned_long_ago_is_limited(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    assert_int_equal(take_all(&budget, (uint64_t)1 << 40, NOW), RETRY_BUDGET_MAX);
    assert_int_equal(take_all(&budget, (uint64_t)1 << 40, NOW + 3600 * 1000), RETRY_BUDGET_MAX);
}

static void zero_percent_is_no_limit(void **state)
{
    (void)state;
    struct retry_budget budget = {0};
    for (unsigned i = 0; i < 5000; i++)
        assert_true(retry_budget_take(&budget, 0, 1, NOW));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quiet_route_has_a_few),
        cmocka_unit_test(one_request_in_five_earns_a_try),
        cmocka_unit_test(what_was_earned_long_ago_is_limited),
        cmocka_unit_test(zero_percent_is_no_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
