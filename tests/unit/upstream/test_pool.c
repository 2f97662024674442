// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/pool.h"

static struct net_loop loop;
static struct upstream upstream;
static struct upstream_config config;

static int setup(void **state)
{
    (void)state;
    assert_int_equal(net_loop_init(&loop, NULL), 0);
    upstream_init(&upstream, &loop, 0, &config);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    net_loop_stop(&loop);
    net_loop_run(&loop);
    net_loop_fini(&loop);
    return 0;
}

static bool fail_times(struct endpoint_pool *pool, int times)
{
    bool was_ejected = false;
    for (int i = 0; i < times; i++)
        was_ejected = endpoint_pool_failed(pool, &upstream);
    return was_ejected;
}

static void three_failures_in_a_row_eject(void **state)
{
    (void)state;
    struct endpoint_pool pool = {0};
    uint64_t now_ms = net_loop_now_ms(&loop);
    assert_false(fail_times(&pool, 2));
    endpoint_pool_succeeded(&pool);
    assert_false(fail_times(&pool, 2));
    assert_true(endpoint_pool_is_usable(&pool, now_ms));
    assert_true(fail_times(&pool, 1));
    assert_false(endpoint_pool_is_usable(&pool, now_ms));
    assert_in_range(pool.ejected_until_ms - now_ms, EJECT_FIRST_MS * 9 / 10,
                    EJECT_FIRST_MS * 11 / 10);
    // What was under way when it was ejected does not count again.
    assert_false(fail_times(&pool, 10));
}

static void after_the_hold_down_one_probe_goes_out(void **state)
{
    (void)state;
    struct endpoint_pool pool = {0};
    assert_true(fail_times(&pool, 3));
    uint64_t later_ms = pool.ejected_until_ms;
    assert_true(endpoint_pool_is_usable(&pool, later_ms));
    endpoint_pool_begin_request(&pool, later_ms);
    assert_false(endpoint_pool_is_usable(&pool, later_ms));
    endpoint_pool_succeeded(&pool);
    assert_true(endpoint_pool_is_usable(&pool, later_ms));
    assert_int_equal(pool.ejected_until_ms, 0);
}

static void a_failed_probe_ejects_for_longer_each_time(void **state)
{
    (void)state;
    struct endpoint_pool pool = {0};
    assert_true(fail_times(&pool, 3));
    uint64_t expected_ms = EJECT_FIRST_MS;
    for (int i = 0; i < 8; i++) {
        endpoint_pool_begin_request(&pool, pool.ejected_until_ms);
        assert_true(fail_times(&pool, 1));
        expected_ms = MIN(expected_ms * 2, (uint64_t)EJECT_MAX_MS);
        uint64_t hold_ms = pool.ejected_until_ms - net_loop_now_ms(&loop);
        assert_in_range(hold_ms, expected_ms * 9 / 10, expected_ms * 11 / 10);
    }
}

static void a_probe_that_says_nothing_does_not_block_the_next(void **state)
{
    (void)state;
    struct endpoint_pool pool = {0};
    assert_true(fail_times(&pool, 3));
    uint64_t probe_ms = pool.ejected_until_ms;
    endpoint_pool_begin_request(&pool, probe_ms); // its client goes away
    assert_true(endpoint_pool_is_usable(&pool, probe_ms + EJECT_FIRST_MS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(three_failures_in_a_row_eject, setup, teardown),
        cmocka_unit_test_setup_teardown(after_the_hold_down_one_probe_goes_out, setup, teardown),
        cmocka_unit_test_setup_teardown(a_failed_probe_ejects_for_longer_each_time, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_probe_that_says_nothing_does_not_block_the_next, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
