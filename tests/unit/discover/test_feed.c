// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <uv.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "discover/feed.h"
#include "route/def.h"

struct world {
    uv_loop_t loop;
    struct targets *targets;
    struct problems *problems;
    struct feed *feed;
    unsigned published;
    bool is_closed;
};

static void on_published(void *ctx, const struct table *table)
{
    struct world *world = ctx;
    assert_non_null(table);
    world->published++;
}

static void on_closed(void *ctx)
{
    ((struct world *)ctx)->is_closed = true;
}

static int setup_format(void **state, enum routes_log_format format)
{
    struct world *world = mem_zalloc(sizeof *world);
    uv_loop_init(&world->loop);
    world->targets = targets_new(&world->loop, 1);
    world->problems = problems_new();
    struct feed_config config = {.coalesce_ms = 20, .coalesce_max_ms = 200, .log_format = format};
    world->feed =
        feed_new(&world->loop, &config, world->targets, world->problems, on_published, world);
    *state = world;
    return world->feed ? 0 : -1;
}

static int setup(void **state)
{
    return setup_format(state, ROUTES_LOG_DELTA);
}

static int setup_all(void **state)
{
    return setup_format(state, ROUTES_LOG_ALL);
}

static int setup_detail(void **state)
{
    return setup_format(state, ROUTES_LOG_DETAIL);
}

static int teardown(void **state)
{
    struct world *world = *state;
    feed_close(world->feed, on_closed, world);
    targets_free(world->targets);
    while (!world->is_closed)
        uv_run(&world->loop, UV_RUN_ONCE);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    problems_free(world->problems);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    mem_free(world);
    return 0;
}

static void run_for(struct world *world, uint64_t ms)
{
    uint64_t end_ms = clock_now_ms() + ms;
    while (clock_now_ms() < end_ms)
        uv_run(&world->loop, UV_RUN_NOWAIT);
}

static void run_until_published(struct world *world, unsigned count)
{
    uint64_t end_ms = clock_now_ms() + 5000;
    while (world->published < count && clock_now_ms() < end_ms)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->published, count);
}

static int set_service(struct world *world, const char *name, const char *src)
{
    struct err err = {0};
    struct route_def_spec spec = {.service = str_of(name),
                                  .src = str_of(src),
                                  .dst = STR("http://10.0.0.1:80/"),
                                  .instance = STR("n/a"),
                                  .source_text = str_of(src)};
    struct route_def *def = src ? route_def_new(&spec, &err) : NULL;
    int status = feed_set_service(world->feed, str_of(name), &def, def ? 1 : 0);
    route_def_unref(def);
    return status;
}

static void nothing_is_published_before_the_backend_is_synced(void **state)
{
    struct world *world = *state;
    assert_int_equal(set_service(world, "web", "/web"), 0);
    run_for(world, 50);
    assert_int_equal(world->published, 0);
    assert_null(feed_table(world->feed));
    feed_set_synced(world->feed, true);
    assert_false(feed_is_synced(world->feed));
    run_until_published(world, 1);
    assert_true(feed_is_synced(world->feed));
    assert_int_equal(table_route_count(feed_table(world->feed)), 1);
    struct feed_totals totals;
    feed_totals_read(world->feed, &totals);
    assert_true(totals.is_partial);
    assert_int_equal(totals.tables_published, 1);
    feed_set_synced(world->feed, false);
    feed_totals_read(world->feed, &totals);
    assert_false(totals.is_partial);
}

static void an_empty_first_table_is_a_table(void **state)
{
    struct world *world = *state;
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
    assert_int_equal(table_route_count(feed_table(world->feed)), 0);
}

static void a_change_after_quiet_is_published_at_once(void **state)
{
    struct world *world = *state;
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
    run_for(world, 30);
    assert_int_equal(set_service(world, "web", "/web"), 0);
    uint64_t start_us = clock_now_us();
    run_until_published(world, 2);
    assert_true(clock_now_us() - start_us < 15 * 1000); // less than the coalescing time
    assert_int_equal(set_service(world, "web", NULL), 0);
    run_until_published(world, 3);
    assert_int_equal(table_route_count(feed_table(world->feed)), 0);
}

static void a_burst_becomes_one_table(void **state)
{
    struct world *world = *state;
    char name[16], src[16];
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
    run_for(world, 30);
    for (int i = 0; i < 50; i++) {
        snprintf(name, sizeof name, "s%d", i);
        snprintf(src, sizeof src, "/s%d", i);
        assert_int_equal(set_service(world, name, src), 0);
    }
    run_until_published(world, 2);
    assert_int_equal(table_route_count(feed_table(world->feed)), 50);
    run_for(world, 50);
    assert_int_equal(world->published, 2);
}

static void continuous_change_cannot_put_it_off_for_ever(void **state)
{
    struct world *world = *state;
    char src[32];
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
    // How often is a matter of test_coalesce.c; here the changes never end before it happens.
    for (int i = 0; world->published < 4; i++) {
        snprintf(src, sizeof src, "/s%d", i);
        assert_int_equal(set_service(world, "web", src), 0);
        uv_run(&world->loop, UV_RUN_NOWAIT);
    }
}

static void manual_routes_come_on_top_and_bad_lines_are_told(void **state)
{
    struct world *world = *state;
    feed_set_synced(world->feed, false);
    assert_int_equal(set_service(world, "web", "/web"), 0);
    assert_int_equal(feed_set_manual(world->feed, STR("kv x"),
                                     STR("route add m /m http://10.0.0.2:80/\nroute nonsense\n")),
                     0);
    run_until_published(world, 1);
    assert_int_equal(table_route_count(feed_table(world->feed)), 2);
    assert_int_equal(problems_count(world->problems), 1);
    assert_true(str_eq(problems_at(world->problems, 0)->instance, STR("kv x line 2")));
    assert_int_equal(feed_set_manual(world->feed, STR("kv x"), STR_NULL), 0);
    run_until_published(world, 2);
    assert_int_equal(table_route_count(feed_table(world->feed)), 1);
    assert_int_equal(problems_count(world->problems), 0);
}

static void the_page_is_kept(void **state)
{
    struct world *world = *state;
    assert_int_equal(feed_set_noroute_html(world->feed, STR("<p>")), 0);
    assert_true(str_eq(feed_noroute_html(world->feed), STR("<p>")));
    assert_int_equal(feed_set_noroute_html(world->feed, STR("<p>")), 0);
    assert_int_equal(feed_set_noroute_html(world->feed, STR_NULL), 0);
    assert_int_equal(feed_noroute_html(world->feed).len, 0);
}

static void other_log_formats(void **state)
{
    struct world *world = *state;
    assert_int_equal(set_service(world, "web", "/web"), 0);
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
}

// What has not changed is kept once, by the backend too.
static void definitions_that_did_not_change_are_shared(void **state)
{
    struct world *world = *state;
    static const char *const instances[] = {"n/b", "n/a", "n/c"};
    struct route_def *defs[2][3];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 3; i++) {
            struct err err = {0};
            struct route_def_spec spec = {.service = STR("web"),
                                          .src = STR("/web"),
                                          .dst = STR("http://10.0.0.1:80/"),
                                          .instance = str_of(instances[i]),
                                          .health = round && i == 1 ? ROUTE_CRITICAL : ROUTE_UP};
            defs[round][i] = route_def_new(&spec, &err);
            assert_non_null(defs[round][i]);
        }
        assert_int_equal(feed_set_service(world->feed, STR("web"), defs[round], 3), 0);
        feed_share_defs(world->feed, STR("web"), defs[round], 3);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(defs[1][i] == defs[0][i], i != 1);
        assert_true(str_eq(route_def_instance(defs[1][i]), str_of(instances[i])));
        assert_int_equal(defs[1][i]->health, i == 1 ? ROUTE_CRITICAL : ROUTE_UP);
        // The feed, routes, and ours.
        assert_int_equal(defs[1][i]->refs, i == 1 ? 3 : 4);
    }
    for (int i = 0; i < 3; i++) {
        route_def_unref(defs[0][i]);
        route_def_unref(defs[1][i]);
    }
}

static void a_delivery_without_memory_is_refused_and_changes_nothing(void **state)
{
    struct world *world = *state;
    feed_set_synced(world->feed, false);
    assert_int_equal(set_service(world, "web", "/web"), 0);
    run_until_published(world, 1);
    struct err err = {0};
    struct route_def_spec spec = {
        .service = STR("web"), .src = STR("/new"), .dst = STR("http://10.0.0.1:80/")};
    struct route_def *def = route_def_new(&spec, &err);
    int status = ERR_NOMEM;
    for (int n = 0; n < 200 && status != 0; n++) {
        mem_fail_after(n);
        status = feed_set_service(world->feed, STR("web"), &def, 1);
        mem_fail_after(-1);
        assert_true(status == 0 || status == ERR_NOMEM);
    }
    assert_int_equal(status, 0);
    route_def_unref(def);
    run_until_published(world, 2);

    status = ERR_NOMEM;
    for (int n = 0; n < 200 && status != 0; n++) {
        mem_fail_after(n);
        status = feed_set_manual(world->feed, STR("kv"), STR("route add m /m http://10.0.0.2:80/"));
        mem_fail_after(-1);
    }
    assert_int_equal(status, 0);
    run_until_published(world, 3);
    assert_int_equal(table_route_count(feed_table(world->feed)), 2);
    mem_fail_after(0);
    assert_int_equal(feed_set_noroute_html(world->feed, STR("x")), ERR_NOMEM);
    mem_fail_after(-1);
}

static void a_build_without_memory_is_tried_again(void **state)
{
    struct world *world = *state;
    feed_set_synced(world->feed, false);
    run_until_published(world, 1);
    assert_int_equal(set_service(world, "web", "/web"), 0);
    uint64_t end_ms = clock_now_ms() + 60;
    while (clock_now_ms() < end_ms) {
        mem_fail_after(0);
        uv_run(&world->loop, UV_RUN_NOWAIT);
        mem_fail_after(-1);
    }
    assert_int_equal(world->published, 1);
    run_until_published(world, 2);
    assert_int_equal(table_route_count(feed_table(world->feed)), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_is_published_before_the_backend_is_synced, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(an_empty_first_table_is_a_table, setup, teardown),
        cmocka_unit_test_setup_teardown(definitions_that_did_not_change_are_shared, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_change_after_quiet_is_published_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_burst_becomes_one_table, setup, teardown),
        cmocka_unit_test_setup_teardown(continuous_change_cannot_put_it_off_for_ever, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(manual_routes_come_on_top_and_bad_lines_are_told, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_page_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(other_log_formats, setup_all, teardown),
        cmocka_unit_test_setup_teardown(other_log_formats, setup_detail, teardown),
        cmocka_unit_test_setup_teardown(a_delivery_without_memory_is_refused_and_changes_nothing,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_build_without_memory_is_tried_again, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
