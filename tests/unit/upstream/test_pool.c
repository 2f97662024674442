// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "upstream/pool.h"

static struct net_loop loop;
static struct upstream upstream;
static struct upstream_config config = {
    .eject = {.failures = 3, .first_ms = 5000, .max_ms = 60000},
};

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

static void what_came_up_anew_is_in_use_again(void **state)
{
    (void)state;
    struct endpoint endpoint = {0};
    struct endpoint_pool pool = {.endpoint = &endpoint};
    uint64_t now_ms = net_loop_now_ms(&loop);
    for (unsigned i = 0; i < config.eject.failures; i++)
        endpoint_pool_failed(&pool, &upstream, EJECT_TLS, false, true);
    assert_false(endpoint_pool_admits(&pool, now_ms, true));
    assert_true(upstream.ejections_until_ms > ejection_until_ms(&pool.ejection));
    atomic_fetch_add(&endpoint.life, 1); // the registry's word
    assert_true(endpoint_pool_admits(&pool, now_ms, true));
    assert_int_equal(ejection_until_ms(&pool.ejection), 0);
}

static void what_is_told_of_an_ejection(void **state)
{
    (void)state;
    struct endpoint *endpoint = mem_zalloc(sizeof *endpoint);
    assert_non_null(endpoint);
    _Atomic(struct endpoint_pool *) pools[2] = {0};
    struct endpoint_pool pool = {.endpoint = endpoint};
    atomic_store(&pools[1], &pool); // worker 0 has none
    atomic_store(&endpoint->pools, pools);
    uint64_t now_ms = net_loop_now_ms(&loop);
    assert_int_equal(endpoint_ejection_read(endpoint, 2, now_ms).workers, 0);
    for (unsigned i = 0; i < config.eject.failures; i++)
        endpoint_pool_failed(&pool, &upstream, EJECT_TIMEOUT, false, true);
    struct endpoint_ejection told = endpoint_ejection_read(endpoint, 2, now_ms);
    assert_int_equal(told.workers, 1);
    assert_int_equal(told.until_ms, ejection_until_ms(&pool.ejection));
    assert_int_equal(told.cause, EJECT_TIMEOUT);
    assert_int_equal(endpoint_ejection_read(endpoint, 2, told.until_ms).workers, 0);
    atomic_fetch_add(&endpoint->life, 1);
    assert_int_equal(endpoint_ejection_read(endpoint, 2, now_ms).workers, 0);
    assert_int_equal(endpoint_ejection_read(NULL, 2, now_ms).workers, 0);
    mem_free(endpoint);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_came_up_anew_is_in_use_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_told_of_an_ejection, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
