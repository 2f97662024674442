// SPDX-License-Identifier: Apache-2.0
// What a scrape shows: sums, one series per set of labels, families that are whole and well named.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "admin/metrics.h"
#include "base/map.h"
#include "base/mem.h"
#include "world.h"

static int setup(void **state)
{
    static struct world world;
    world_init(&world);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    world_fini(*state);
    return 0;
}

static void scrape(struct world *world, struct sampler *sampler, struct buf *out)
{
    const struct admin_config config = {.version = STR("1.2.3")};
    sampler_read(sampler, 1000);
    struct metrics_input input = {
        .config = &config, .sources = &world->sources, .sampler = sampler, .is_ready = true};
    buf_clear(out);
    metrics_write(out, &input);
}

static void assert_line(const struct buf *out, const char *line)
{
    char wanted[512];
    snprintf(wanted, sizeof wanted, "\n%s\n", line);
    if (str_find(buf_str(out), str_of(wanted)) < 0)
        fail_msg("missing: %s\nin:\n%.*s", line, STR_FMT(buf_str(out)));
}

static void test_values(void **state)
{
    struct world *world = *state;
    world_set_routes(world, "web", "route add web h.example/x http://127.0.0.1:1/\n");
    world_set_unhealthy(world, "down", "route add down /y http://127.0.0.1:2/\n", "");
    struct sampler *sampler = sampler_new(world->targets);
    struct target_counters *counters = world_counters(world, "http://127.0.0.1:1/", 1);
    counter_add(&counters->requests, 9);
    counter_add(&counters->responses_2xx, 6);
    counter_add(&counters->responses_5xx, 3);
    counter_add(&counters->latency_us_sum, 1500000);
    counter_add(&counters->bytes_out, 77);
    counter_add(&counters->in_flight, 2);
    code_hists_record(&counters->durations, 200, 900);
    world->workers.accepted = 21;
    world->data_age_ms = 1500;

    struct buf out;
    buf_init(&out, 1 << 20);
    scrape(world, sampler, &out);
    assert_int_equal(buf_status(&out), 0);
    assert_line(&out, "tagway_build_info{version=\"1.2.3\"} 1");
    assert_line(&out, "tagway_ready 1");
    assert_line(&out, "tagway_routes 2");
    assert_line(&out, "tagway_targets{state=\"up\"} 1");
    assert_line(&out, "tagway_targets{state=\"down\"} 1");
    assert_line(&out, "tagway_proxy_accepted_total 21");
    assert_line(&out, "tagway_open_connections 42");
    assert_line(&out, "tagway_refused_requests_total{reason=\"syntax\"} 1");
    assert_line(&out, "tagway_refused_responses_total{reason=\"syntax\"} 101");
    assert_line(&out, "tagway_requests_total{service=\"web\",code=\"2xx\"} 6");
    assert_line(&out, "tagway_requests_total{service=\"web\",code=\"5xx\"} 3");
    assert_line(&out, "tagway_request_duration_seconds_bucket{service=\"web\",le=\"0.0005\"} 0");
    assert_line(&out, "tagway_request_duration_seconds_bucket{service=\"web\",le=\"0.001\"} 1");
    assert_line(&out, "tagway_request_duration_seconds_sum{service=\"web\"} 1.5");
#define LABELS "service=\"web\",host=\"h.example\",path=\"/x\",target=\"http://127.0.0.1:1/\""
    assert_line(&out, "tagway_target_requests_total{" LABELS "} 9");
    assert_line(&out, "tagway_target_duration_seconds_total{" LABELS "} 1.5");
    assert_line(&out, "tagway_target_received_bytes_total{" LABELS "} 77");
    assert_line(&out, "tagway_target_in_flight{" LABELS "} 2");
    assert_line(&out, "tagway_target_responses_total{" LABELS ",code=\"5xx\"} 3");
    assert_line(&out, "tagway_data_age_seconds 1.5");
    assert_line(&out, "tagway_fake 1");
    assert_true(str_find(buf_str(&out), STR("process_resident_memory_bytes ")) > 0);
    // No traffic, no series.
    assert_int_equal(str_find(buf_str(&out), STR("127.0.0.1:2")), -1);

    world->data_age_ms = UINT64_MAX; // never read
    scrape(world, sampler, &out);
    assert_int_equal(str_find(buf_str(&out), STR("tagway_data_age_seconds")), -1);
    buf_fini(&out);
    counter_add(&counters->in_flight, (uint64_t)-2);
    sampler_free(sampler);
}

// Targets that differ only in what no label shows must not give one series twice: Prometheus would
// refuse the whole scrape.
static void test_every_series_appears_once(void **state)
{
    struct world *world = *state;
    world_set_routes(
        world, "web",
        "route add web /x https://127.0.0.1:1/ tags \"a\"\n"
        "route add web /x https://127.0.0.1:1/ tags \"b\" opts \"tlsskipverify=true\"\n"
        "route add other /x https://127.0.0.1:1/\n");
    struct sampler *sampler = sampler_new(world->targets);
    struct target *target = NULL;
    unsigned same = 0;
    while ((target = targets_next(world->targets, target))) {
        counter_add(&target_counters_of(target, 0, &targets_cell(world->targets)->used)->requests,
                    1);
        same += str_eq(target->rule->service, STR("web"));
    }
    assert_int_equal(same, 2);
    struct buf out;
    buf_init(&out, 1 << 20);
    scrape(world, sampler, &out);
    assert_line(&out, "tagway_target_requests_total{service=\"web\",host=\"\",path=\"/x\","
                      "target=\"https://127.0.0.1:1/\"} 2");

    struct map seen;
    map_init(&seen);
    struct str rest = buf_str(&out);
    struct str line;
    while (str_split_next(&rest, '\n', &line)) {
        if (line.len == 0)
            continue;
        bool is_type = str_starts_with(line, STR("# TYPE "));
        if (line.ptr[0] == '#' && !is_type)
            continue;
        struct str key = is_type ? line : str_upto(line, (size_t)str_rfind_char(line, ' '));
        if (map_get(&seen, key))
            fail_msg("twice: %.*s", STR_FMT(key));
        assert_int_equal(map_put(&seen, key, &seen), 0);
    }
    map_fini(&seen);
    buf_fini(&out);
    sampler_free(sampler);
}

static void test_shortage_is_told(void **state)
{
    struct world *world = *state;
    world_set_routes(world, "web", "route add web /x http://127.0.0.1:1/\n");
    struct sampler *sampler = sampler_new(world->targets);
    counter_add(&world_counters(world, "http://127.0.0.1:1/", 0)->requests, 1);
    sampler_read(sampler, 1000);
    for (int64_t allocations = 0;; allocations++) {
        struct buf out;
        buf_init(&out, 1 << 20);
        mem_fail_after(allocations);
        scrape(world, sampler, &out);
        mem_fail_after(-1);
        bool is_done = buf_status(&out) == 0;
        buf_fini(&out);
        if (is_done)
            break;
        assert_true(allocations < 100);
    }
    sampler_free(sampler);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_values),
        WORLD_TEST(test_every_series_appears_once),
        WORLD_TEST(test_shortage_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
