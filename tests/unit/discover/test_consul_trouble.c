// SPDX-License-Identifier: Apache-2.0
// A Consul in trouble for minutes, by a scripted clock: how often it is asked, what becomes of the
// routes, and how soon news is routed after the trouble's end, whenever that is.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "consul_world.h"

enum {
    BURST_MS = 10 * 1000,
    WINDOW_MS = 10 * 1000,
    SOON_MS = 3000,
    LATE = 5000,
};

static const char *const NAMES[FAULT_COUNT] = {
    [FAULT_REFUSED] = "refused",
    [FAULT_RESET] = "reset",
    [FAULT_500] = "500",
    [FAULT_503] = "503",
    [FAULT_429] = "429",
    [FAULT_403] = "403",
    [FAULT_GARBAGE] = "garbage",
    [FAULT_SILENT] = "silent",
    [FAULT_AT_ONCE] = "at once",
    [FAULT_NO_INDEX] = "no index",
    [FAULT_INDEX_0] = "index 0",
    [FAULT_INDEX_HUGE] = "index 2^64-1",
    [FAULT_BACKWARDS] = "backwards",
    [FAULT_POLLS_504] = "polls 504",
    [FAULT_REFUSED_OR_500] = "flipping",
};

static unsigned failed;

static bool is_news_routed(void)
{
    return world_routes(LATE) && strstr(world_destination(0), ":8099") != NULL;
}

// One fault of everything, for so long; then a service is new and another has moved.
static void play(enum fault fault, unsigned services, uint64_t fault_ms)
{
    world_begin(services);
    uint64_t began_ms = world_now_ms();
    world_set_fault(fault);
    world_run(fault_ms);
    size_t most = world_most_requests(began_ms + BURST_MS, WINDOW_MS);
    assert_int_equal(world_routed(), services);
    world_set_fault(FAULT_NONE);
    world_add(LATE);
    world_move(0, 8099);
    uint64_t took_ms = world_run_until(is_news_routed, 60 * 1000);
    // A span of ten seconds has room for both its ends.
    bool is_well = most <= WINDOW_MS / 1000 + 1 && took_ms <= SOON_MS && world_lost() == 0;
    if (!is_well)
        print_error("%s, %u services, %llu ms: %zu requests in 10 s, right again after %llu ms, %u "
                    "losses\n",
                    NAMES[fault], services, (unsigned long long)fault_ms, most,
                    (unsigned long long)took_ms, world_lost());
    failed += !is_well;
    // And all of it, not only what was looked at.
    world_run(60 * 1000);
    assert_int_equal(world_routed(), services + 1);
    world_end();
}

static void every_fault_of_everything(void **state)
{
    (void)state;
    static const unsigned SERVICES[] = {1, 3, 60, 300};
    const char *rounds = getenv("TAGWAY_CONSUL_ROUNDS");
    srand(1);
    failed = 0;
    for (enum fault fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        for (size_t i = 0; i < sizeof SERVICES / sizeof SERVICES[0]; i++) {
            for (int left = rounds ? atoi(rounds) : 2; left > 0; left--)
                play(fault, SERVICES[i], 60 * 1000 + (uint64_t)rand() % 3000);
        }
    }
    assert_int_equal(failed, 0);
}

static void an_hour_without_consul(void **state)
{
    (void)state;
    world_begin(60);
    uint64_t began_ms = world_now_ms();
    size_t before = world_requests();
    world_set_fault(FAULT_REFUSED);
    world_run(60 * 60 * 1000);
    assert_in_range(world_requests() - before, 1000, 3600);
    assert_in_range(world_most_requests(began_ms + BURST_MS, 1000), 1, 2);
    assert_int_equal(world_routed(), 60);
    assert_int_equal(world_lost(), 0);
    world_end();
}

static bool has_moved(void)
{
    return strstr(world_destination(1), ":8099") != NULL;
}

static bool has_moved_back(void)
{
    return strstr(world_destination(0), ":8099") != NULL;
}

// Others change every second and are not kept waiting; the broken one is asked once a second.
static void a_fault_of_one_service_is_its_own(void **state)
{
    (void)state;
    for (enum fault fault = FAULT_NONE + 1; fault < FAULT_COUNT; fault++) {
        if (fault == FAULT_REFUSED || fault == FAULT_REFUSED_OR_500)
            continue; // of the whole agent
        world_begin(3);
        world_set_fault_of(0, fault);
        world_run(10 * 1000);
        size_t before = world_requests();
        world_run(60 * 1000);
        if (world_requests() - before > 66)
            fail_msg("%s: %zu requests in a minute", NAMES[fault], world_requests() - before);
        world_move(1, 8099);
        assert_in_range(world_run_until(has_moved, 10 * 1000), 0, 10);
        world_set_fault_of(0, FAULT_NONE);
        world_move(0, 8099);
        uint64_t took_ms = world_run_until(has_moved_back, 60 * 1000);
        if (fault == FAULT_403)
            assert_in_range(took_ms, 0, 30 * 1000); // a matter of policy: asked every 30 s
        else if (took_ms > SOON_MS)
            fail_msg("%s: right again after %llu ms", NAMES[fault], (unsigned long long)took_ms);
        assert_int_equal(world_lost(), 0);
        world_end();
    }
}

static void too_many_requests_halve_the_polls(void **state)
{
    (void)state;
    world_begin(55);
    assert_int_equal(world_open_polls(), 58);
    world_set_fault(FAULT_429);
    world_run(200);
    world_set_fault(FAULT_NONE);
    world_run(4 * 1000);
    assert_in_range(world_open_polls(), 20, 32);
    assert_int_equal(world_routed(), 55);
    world_run(10 * 60 * 1000);
    assert_int_equal(world_open_polls(), 58);
    world_end();
}

static void churn(unsigned first, unsigned count)
{
    enum { AT_ONCE = 200 };
    for (unsigned number = first; number < first + count; number += AT_ONCE) {
        for (unsigned i = number; i < number + AT_ONCE; i++)
            world_add(i);
        world_run(20 * 1000);
        assert_int_equal(world_routed(), AT_ONCE + 1);
        for (unsigned i = number; i < number + AT_ONCE; i++)
            world_remove(i);
        world_run(60 * 1000);
        assert_int_equal(world_routed(), 1);
    }
}

// 10,000 names come and go, 200 at a time, by polls and by the digest of all checks.
static void nothing_outlives_its_service(void **state)
{
    (void)state;
    world_begin(1);
    churn(1000, 1000);
    uint64_t before = mem_in_use();
    churn(2000, 10000);
    assert_in_range(mem_in_use(), 0, before + 64 * 1024);
    world_end();
}

static bool has_other_node(void)
{
    return strstr(world_destination(0), "10.7.7.7") != NULL &&
           strstr(world_destination(1), "10.7.7.7") != NULL;
}

static void a_node_that_moves_alone_is_seen(void **state)
{
    (void)state;
    static const struct {
        unsigned services;
        uint64_t within_ms;
    } ROWS[] = {{3, 10}, {300, 2 * 60 * 1000}}; // by polls, by a round over the nodes
    for (size_t i = 0; i < 2; i++) {
        world_begin(ROWS[i].services);
        world_set_node_address(0, "10.6.6.6");
        world_set_node_address(1, "10.6.6.6");
        world_run(3 * 60 * 1000);
        assert_non_null(strstr(world_destination(0), "10.6.6.6"));
        world_set_node_address(0, "10.7.7.7");
        world_set_node_address(1, "10.7.7.7");
        assert_in_range(world_run_until(has_other_node, 10 * 60 * 1000), 0, ROWS[i].within_ms);
        assert_int_equal(world_lost(), 0);
        world_end();
    }
}

// An agent that starts again calls every check critical until it has run once.
static void a_restart_of_the_agent_is_no_end_of_its_services(void **state)
{
    (void)state;
    world_begin(3);
    world_set_fault(FAULT_REFUSED);
    world_run(5 * 1000);
    world_set_up(0, false);
    world_set_up(1, false);
    world_set_fault(FAULT_NONE);
    world_run(6 * 1000);
    assert_true(world_routes(0) && world_routes(1) && world_routes(2));
    world_set_up(0, true);
    world_run(15 * 1000);
    assert_true(world_routes(0) && !world_routes(1) && world_routes(2));
    assert_int_equal(world_lost(), 0);
    // Long after the restart a check is believed at once.
    world_set_up(2, false);
    world_run(10);
    assert_false(world_routes(2));
    world_end();
}

// C11: after a minute at its limit it is read less and less often, and shown as flapping.
static void a_service_that_flaps_is_read_seldom_and_told(void **state)
{
    (void)state;
    world_begin(1);
    assert_false(world_shows("\"is_flapping\":true"));
    for (unsigned i = 0; i < 10 * 60 * 10; i++) {
        world_set_up(0, i % 2);
        world_run(100);
    }
    assert_true(world_shows("\"is_flapping\":true"));
    size_t before = world_requests();
    for (unsigned i = 0; i < 60 * 10; i++) {
        world_set_up(0, i % 2);
        world_run(100);
    }
    assert_in_range(world_requests() - before, 3, 12); // every 15 s, and the polls of the others
    world_set_up(0, true);
    world_run(2 * 60 * 1000);
    assert_true(world_routes(0));
    world_end();
}

// Each poll ends once a minute; what else is asked to find what nothing tells of is a few requests.
static void a_quiet_consul_is_asked_little(void **state)
{
    (void)state;
    enum { MINUTES = 5, POLLS_PER_MINUTE = 64 * 10 / 9, ELSE_PER_MINUTE = 6 };
    world_begin(300);
    world_run(3 * 60 * 1000);
    size_t before = world_requests();
    world_run(MINUTES * 60 * 1000);
    assert_in_range(world_requests() - before, MINUTES,
                    MINUTES * (POLLS_PER_MINUTE + ELSE_PER_MINUTE));
    assert_in_range(world_spread_of_waits_ms(), 3000, 12000);
    world_end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_fault_of_everything),
        cmocka_unit_test(an_hour_without_consul),
        cmocka_unit_test(a_fault_of_one_service_is_its_own),
        cmocka_unit_test(too_many_requests_halve_the_polls),
        cmocka_unit_test(nothing_outlives_its_service),
        cmocka_unit_test(a_node_that_moves_alone_is_seen),
        cmocka_unit_test(a_restart_of_the_agent_is_no_end_of_its_services),
        cmocka_unit_test(a_service_that_flaps_is_read_seldom_and_told),
        cmocka_unit_test(a_quiet_consul_is_asked_little),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
