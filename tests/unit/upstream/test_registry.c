// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <uv.h>

#include "base/err.h"
#include "base/mem.h"
#include "route/routes.h"
#include "upstream/pool.h"
#include "upstream/registry.h"

enum { WORKERS = 2 };

static uv_loop_t loop;
static struct targets *targets;
static struct routes *routes;

static int setup(void **state)
{
    (void)state;
    struct routes_config config = {0};
    assert_int_equal(uv_loop_init(&loop), 0);
    targets = targets_new(&loop, WORKERS);
    assert_non_null(targets);
    struct routes_binding binding = targets_binding(targets);
    routes = routes_new(&config, &binding);
    assert_non_null(routes);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    targets_publish(targets, NULL);
    routes_free(routes);
    targets_free(targets);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

// Publishes a table with one service of the given destinations ("" entries are left out).
static void publish(const char *service, const char *first, const char *second)
{
    struct route_def *defs[2];
    size_t count = 0;
    const char *dsts[] = {first, second};
    for (int i = 0; i < 2; i++) {
        if (!dsts[i])
            continue;
        struct route_def_spec spec = {
            .service = str_of(service), .src = STR("/a"), .dst = str_of(dsts[i])};
        struct err err;
        defs[count] = route_def_new(&spec, &err);
        assert_non_null(defs[count++]);
    }
    assert_int_equal(routes_set_service(routes, str_of(service), defs, count), 0);
    for (size_t i = 0; i < count; i++)
        route_def_unref(defs[i]);
    struct table *table;
    assert_int_equal(routes_build(routes, &table, NULL, NULL), 0);
    assert_non_null(table);
    targets_publish(targets, table);
}

static struct target *target_to(const char *dst)
{
    struct target *target = NULL;
    while ((target = targets_next(targets, target))) {
        if (str_eq(target_dst(target), str_of(dst)))
            return target;
    }
    return NULL;
}

static void a_target_knows_its_address(void **state)
{
    (void)state;
    publish("web", "http://127.0.0.1:8001/", "http://[::1]:8002/x");
    struct target *v4 = target_to("http://127.0.0.1:8001/");
    struct target *v6 = target_to("http://[::1]:8002/x");
    assert_non_null(v4);
    assert_non_null(v6);
    assert_true(str_eq(v4->rule->service, STR("web")));
    assert_true(str_eq(target_host_header(v4), STR("127.0.0.1:8001")));
    assert_true(str_eq(target_host_header(v6), STR("[::1]:8002")));
    assert_int_equal(v4->endpoint->port, 8001);
    assert_true(targets_are_resolved(targets));
    const struct endpoint_addresses *addresses = atomic_load(&v6->endpoint->addresses);
    assert_int_equal(addresses->count, 1);
    assert_int_equal(addresses->at[0].any.sa_family, AF_INET6);
}

static void a_swap_keeps_targets_and_their_counters(void **state)
{
    (void)state;
    publish("web", "http://127.0.0.1:1/", NULL);
    struct target *target = target_to("http://127.0.0.1:1/");
    struct target_counters *counters = target_counters_of(target, 1, &targets_cell(targets)->used);
    counter_add(&counters->requests, 3);
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    assert_ptr_equal(target_to("http://127.0.0.1:1/"), target);
    struct target_totals totals;
    target_totals_read(target, WORKERS, &totals);
    assert_int_equal(totals.requests, 3);
    assert_int_equal(targets_count(targets), 2);
}

static void a_removed_target_waits_for_its_requests(void **state)
{
    (void)state;
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    struct target *target = target_to("http://127.0.0.1:1/");
    struct target_counters *counters = target_counters_of(target, 0, &targets_cell(targets)->used);
    counter_add(&counters->in_flight, 1);
    publish("web", "http://127.0.0.1:2/", NULL);
    assert_null(target_to("http://127.0.0.1:1/"));
    assert_true(target_is_retired(target));
    assert_int_equal(targets_count(targets), 2); // kept
    counter_add(&counters->in_flight, (uint64_t)-1);
    targets_collect(targets);
    assert_int_equal(targets_count(targets), 1);
}

static void a_target_is_told_of_with_its_first_request(void **state)
{
    (void)state;
    struct used_targets *used = &targets_cell(targets)->used;
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    assert_null(used_targets_take(used));
    struct target *first = target_to("http://127.0.0.1:1/");
    struct target *second = target_to("http://127.0.0.1:2/");
    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(target_counters_of(first, 0, used));
        assert_non_null(target_counters_of(second, 1, used));
        assert_non_null(target_counters_of(first, 1, used));
    }
    assert_ptr_equal(used_targets_take(used), second);
    assert_ptr_equal(target_use(second)->next, first);
    assert_null(target_use(first)->next);
    assert_non_null(target_counters_of(first, 0, used));
    assert_null(used_targets_take(used)); // once
}

static void a_target_that_goes_is_no_more_among_the_used(void **state)
{
    (void)state;
    struct used_targets *used = &targets_cell(targets)->used;
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    struct target *stays = target_to("http://127.0.0.1:2/");
    assert_non_null(target_counters_of(target_to("http://127.0.0.1:1/"), 0, used));
    assert_non_null(target_counters_of(stays, 0, used));
    publish("web", "http://127.0.0.1:2/", NULL);
    assert_int_equal(targets_count(targets), 1);
    assert_ptr_equal(used_targets_take(used), stays);
    assert_null(target_use(stays)->next);
}

static void a_target_that_comes_back_is_the_same(void **state)
{
    (void)state;
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    struct target *target = target_to("http://127.0.0.1:1/");
    struct target_counters *counters = target_counters_of(target, 0, &targets_cell(targets)->used);
    counter_add(&counters->in_flight, 1);
    counter_add(&counters->requests, 7);
    publish("web", "http://127.0.0.1:2/", NULL);
    publish("web", "http://127.0.0.1:1/", "http://127.0.0.1:2/");
    assert_ptr_equal(target_to("http://127.0.0.1:1/"), target);
    assert_false(target_is_retired(target));
    counter_add(&counters->in_flight, (uint64_t)-1);
    targets_collect(targets);
    assert_ptr_equal(target_to("http://127.0.0.1:1/"), target);
    assert_int_equal(counter_get(&counters->requests), 7);
}

static void a_table_waits_for_the_worker_that_reads_it(void **state)
{
    (void)state;
    struct table_cell *cell = targets_cell(targets);
    publish("web", "http://127.0.0.1:1/", NULL);
    struct table *first = table_cell_enter(cell, 1);
    assert_non_null(first);
    publish("web", "http://127.0.0.1:2/", NULL);
    // The sanitizers see it when it is freed too early.
    assert_int_equal(table_target_count(first), 1);
    assert_non_null(target_to("http://127.0.0.1:1/")); // still bound by the old table
    table_cell_leave(cell, 1);
    targets_collect(targets);
    assert_null(target_to("http://127.0.0.1:1/"));
    struct table *second = table_cell_enter(cell, 0);
    assert_int_equal(table_target_count(second), 1);
    table_cell_leave(cell, 0);
}

static void targets_of_one_address_share_the_endpoint(void **state)
{
    (void)state;
    publish("a", "http://127.0.0.1:1/", NULL);
    publish("b", "http://127.0.0.1:1/x", NULL);
    struct target *a = target_to("http://127.0.0.1:1/");
    struct target *b = target_to("http://127.0.0.1:1/x");
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a->endpoint, b->endpoint);
}

static void redirects_and_foreign_schemes_have_no_endpoint(void **state)
{
    (void)state;
    publish("tcp", "tcp://127.0.0.1:1", NULL);
    struct target *target = target_to("tcp://127.0.0.1:1");
    assert_non_null(target);
    assert_null(target->endpoint);
}

static void names_are_looked_up(void **state)
{
    (void)state;
    publish("web", "http://localhost:8080/", NULL);
    struct target *target = target_to("http://localhost:8080/");
    while (!targets_are_resolved(targets))
        uv_run(&loop, UV_RUN_ONCE);
    const struct endpoint_addresses *addresses = atomic_load(&target->endpoint->addresses);
    assert_non_null(addresses);
    assert_true(addresses->count >= 1);
    targets_refresh_names(targets); // not due: changes nothing
    assert_ptr_equal(atomic_load(&target->endpoint->addresses), addresses);
}

static void a_lookup_may_outlive_its_target(void **state)
{
    (void)state;
    publish("web", "http://localhost:8080/", NULL);
    publish("web", "http://127.0.0.1:1/", NULL);
    assert_null(target_to("http://localhost:8080/"));
    // teardown runs the loop until the answer has come to nobody
}

static void shortage_fails_the_build_and_loses_nothing(void **state)
{
    (void)state;
    publish("web", "http://127.0.0.1:1/", NULL);
    struct route_def_spec spec = {
        .service = STR("more"), .src = STR("/b"), .dst = STR("http://127.0.0.1:9/")};
    struct err err;
    struct route_def *def = route_def_new(&spec, &err);
    assert_int_equal(routes_set_service(routes, STR("more"), &def, 1), 0);
    route_def_unref(def);
    struct table *table = NULL;
    int rc = ERR_NOMEM;
    for (int64_t n = 0; rc != 0; n++) {
        assert_true(n < 1000);
        mem_fail_after(n);
        rc = routes_build(routes, &table, NULL, NULL);
        mem_fail_after(-1);
        assert_true(rc == 0 || rc == ERR_NOMEM);
        assert_non_null(target_to("http://127.0.0.1:1/"));
    }
    targets_publish(targets, table);
    assert_non_null(target_to("http://127.0.0.1:9/"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_target_knows_its_address, setup, teardown),
        cmocka_unit_test_setup_teardown(a_swap_keeps_targets_and_their_counters, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_target_waits_for_its_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(a_target_is_told_of_with_its_first_request, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_target_that_goes_is_no_more_among_the_used, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_target_that_comes_back_is_the_same, setup, teardown),
        cmocka_unit_test_setup_teardown(a_table_waits_for_the_worker_that_reads_it, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(targets_of_one_address_share_the_endpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(redirects_and_foreign_schemes_have_no_endpoint, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(names_are_looked_up, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lookup_may_outlive_its_target, setup, teardown),
        cmocka_unit_test_setup_teardown(shortage_fails_the_build_and_loses_nothing, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
