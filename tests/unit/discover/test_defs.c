// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/defs.h"

static struct str TAGS[] = {{"urlprefix-/web", 14}};
static struct str NEAR[] = {{"url-prefix-/web", 15}};
static struct str BAD[] = {{"urlprefix-/web weight=x", 23}, {"urlprefix-/good", 15}};

static struct instance instance(const char *id, enum route_health health)
{
    return (struct instance){.node = STR("n"),
                             .id = str_of(id),
                             .service = STR("web"),
                             .address = STR("10.0.0.1"),
                             .datacenter = STR("dc1"),
                             .port = 80,
                             .tags = TAGS,
                             .tag_count = 1,
                             .has_checks = true,
                             .health = health};
}

struct world {
    struct consul_config config;
    struct problems *problems;
    struct def_list list;
};

static int setup(void **state)
{
    struct world *world = mem_zalloc(sizeof *world);
    world->config.tag_prefix = STR("urlprefix-");
    world->problems = problems_new();
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    struct world *world = *state;
    def_list_fini(&world->list);
    problems_free(world->problems);
    mem_free(world);
    return 0;
}

static int build(struct world *world, struct instance *items, size_t count)
{
    struct health_answer answer = {.items = items, .count = count};
    def_list_fini(&world->list);
    return defs_build(&world->list, &answer, STR("web"), &world->config, world->problems);
}

static void healthy_instances_become_definitions(void **state)
{
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_UP), instance("b", ROUTE_UP)};
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.count, 2);
    assert_int_equal(world->list.instances, 2);
    assert_int_equal(world->list.up, 2);
    assert_true(str_eq(route_def_instance(world->list.items[0]), STR("n/a")));
    assert_int_equal(problems_count(world->problems), 0);
}

static void unhealthy_ones_own_their_routes_or_are_dropped_or_used(void **state)
{
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_CRITICAL), instance("b", ROUTE_MAINTENANCE)};
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.count, 2);
    assert_int_equal(world->list.items[0]->health, ROUTE_CRITICAL);
    assert_int_equal(world->list.up, 0);
    assert_int_equal(world->list.in_maintenance, 1);

    world->config.unhealthy_routes = UNHEALTHY_DROP;
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.count, 0);
    assert_int_equal(world->list.instances, 2);

    world->config.unhealthy_routes = UNHEALTHY_FAILOPEN;
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.count, 2);
    assert_int_equal(world->list.items[0]->health, ROUTE_UP);
    items[1].health = ROUTE_UP; // one that is up is enough
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.items[0]->health, ROUTE_CRITICAL);
}

// Routes that differ, of an instance that is out, whatever the process-wide word is.
static void a_tag_says_so_for_its_route(void **state)
{
    static struct str tags[] = {
        STR_INIT("urlprefix-/answer unhealthy=503"), STR_INIT("urlprefix-/gone unhealthy=drop"),
        STR_INIT("urlprefix-/used unhealthy=failopen"), STR_INIT("urlprefix-/odd unhealthy=open")};
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_CRITICAL), instance("b", ROUTE_UP)};
    items[0].tags = tags;
    items[0].tag_count = ARRAY_LEN(tags);
    assert_int_equal(build(world, items, 1), 0);
    assert_int_equal(world->list.count, 3);
    assert_int_equal(world->list.items[0]->health, ROUTE_CRITICAL);
    assert_true(str_eq(world->list.items[1]->rule->path, STR("/used")));
    assert_int_equal(world->list.items[1]->health, ROUTE_UP);
    assert_int_equal(world->list.items[2]->health, ROUTE_CRITICAL);
    assert_int_equal(problems_count(world->problems), 1);
    assert_non_null(strstr(problems_at(world->problems, 0)->reason.ptr, "503, drop or failopen"));

    world->config.unhealthy_routes = UNHEALTHY_DROP;
    assert_int_equal(build(world, items, 1), 0);
    assert_int_equal(world->list.count, 2);
    assert_true(str_eq(world->list.items[0]->rule->path, STR("/answer")));
    assert_true(str_eq(world->list.items[1]->rule->path, STR("/used")));

    // A healthy instance counts for the routes that it has.
    assert_int_equal(build(world, items, 2), 0);
    assert_int_equal(world->list.items[1]->health, ROUTE_UP);
    items[1].tags = tags;
    items[1].tag_count = ARRAY_LEN(tags);
    assert_int_equal(build(world, items, 2), 0);
    assert_true(str_eq(world->list.items[1]->rule->path, STR("/used")));
    assert_int_equal(world->list.items[1]->health, ROUTE_CRITICAL);

    // What is dropped for its checks is kept while these are in doubt.
    world->config.unhealthy_routes = UNHEALTHY_503;
    items[0].health = ROUTE_UP;
    assert_int_equal(build(world, items, 1), 0);
    struct def_list before = world->list;
    world->list = (struct def_list){0};
    items[0].health = ROUTE_CRITICAL;
    assert_int_equal(build(world, items, 1), 0);
    assert_int_equal(defs_keep(&world->list, &before, false, &world->config), 0);
    assert_int_equal(world->list.count, ARRAY_LEN(tags));
    def_list_fini(&before);
}

static void what_cannot_be_routed_is_told(void **state)
{
    struct world *world = *state;
    struct instance items[5];
    for (size_t i = 0; i < ARRAY_LEN(items); i++)
        items[i] = instance("a", ROUTE_UP);
    items[0].kind = STR("connect-proxy");
    items[1].port = 0;
    items[2].address = STR_NULL;
    items[3].has_checks = false;
    assert_int_equal(build(world, items, 5), 0);
    assert_int_equal(world->list.count, 1);
    assert_int_equal(problems_count(world->problems), 4);
    assert_true(str_eq(problems_at(world->problems, 0)->reason, STR("ignored: connect-proxy")));
    for (size_t i = 0; i < 4; i++)
        assert_true(problems_at(world->problems, i)->is_lost);

    world->config.checks_required = CHECKS_NONE;
    assert_int_equal(build(world, items, 5), 0);
    assert_int_equal(world->list.count, 2);
    defs_forget(STR("web"), world->problems);
    assert_int_equal(problems_count(world->problems), 0);
}

static void a_bad_tag_loses_only_itself(void **state)
{
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_UP), instance("b", ROUTE_UP),
                               instance("c", ROUTE_UP)};
    items[0].tags = BAD;
    items[0].tag_count = ARRAY_LEN(BAD);
    items[1].tags = NEAR;
    items[2].tag_count = 0;
    items[2].long_tag = STR("urlprefix-xxx");
    items[2].has_too_many_tags = true;
    assert_int_equal(build(world, items, 3), 0);
    assert_true(world->list.count >= 1);
    assert_true(str_eq(world->list.items[world->list.count - 1]->rule->path, STR("/good")));
    assert_int_equal(world->list.instances, 1);
    assert_true(problems_count(world->problems) >= 4);
}

static void held_removals_keep_what_was_up(void **state)
{
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_UP), instance("b", ROUTE_UP),
                               instance("c", ROUTE_CRITICAL)};
    assert_int_equal(build(world, items, 3), 0);
    struct def_list before = world->list;
    world->list = (struct def_list){0};

    struct instance now[] = {instance("a", ROUTE_CRITICAL), instance("d", ROUTE_UP)};
    assert_int_equal(build(world, now, 2), 0);
    assert_int_equal(defs_keep(&world->list, &before, false, &world->config), 0);
    assert_int_equal(world->list.count, 2); // b has vanished for good
    assert_int_equal(world->list.items[0]->health, ROUTE_UP);

    assert_int_equal(build(world, now, 2), 0);
    assert_int_equal(defs_keep(&world->list, &before, true, &world->config), 0);
    assert_int_equal(world->list.count, 3);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(world->list.items[i]->health, ROUTE_UP);
    assert_int_equal(world->list.up, 2);
    def_list_fini(&before);
}

static void shortage_is_reported(void **state)
{
    struct world *world = *state;
    struct instance items[] = {instance("a", ROUTE_UP)};
    int status = ERR_NOMEM;
    for (int n = 0; n < 100; n++) {
        mem_fail_after(n);
        status = build(world, items, 1);
        mem_fail_after(-1);
        assert_true(status == 0 || status == ERR_NOMEM);
    }
    assert_int_equal(status, 0);
    assert_int_equal(world->list.count, 1);
    struct def_list empty = {0};
    mem_fail_after(0);
    assert_int_equal(defs_keep(&empty, &world->list, true, &world->config), ERR_NOMEM);
    mem_fail_after(-1);
    def_list_fini(&empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(healthy_instances_become_definitions, setup, teardown),
        cmocka_unit_test_setup_teardown(unhealthy_ones_own_their_routes_or_are_dropped_or_used,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_tag_says_so_for_its_route, setup, teardown),
        cmocka_unit_test_setup_teardown(what_cannot_be_routed_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(a_bad_tag_loses_only_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(held_removals_keep_what_was_up, setup, teardown),
        cmocka_unit_test_setup_teardown(shortage_is_reported, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
