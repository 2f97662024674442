// SPDX-License-Identifier: Apache-2.0
// Rates and recent quantiles come and go with traffic; a service's sums survive its targets.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "admin/sampler.h"
#include "base/mem.h"
#include "world.h"

static const char A[] = "http://127.0.0.1:1001/";
static const char B[] = "http://127.0.0.1:1002/";
static const char WEB[] = "route add web /a http://127.0.0.1:1001/\n"
                          "route add web /b http://127.0.0.1:1002/\n";

static int setup(void **state)
{
    static struct world world;
    world_init(&world);
    world_set_routes(&world, "web", WEB);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    world_fini(*state);
    return 0;
}

static void serve(struct target_counters *counters, unsigned count, uint64_t us)
{
    for (unsigned i = 0; i < count; i++) {
        counter_add(&counters->requests, 1);
        counter_add(&counters->responses_2xx, 1);
        counter_add(&counters->latency_us_sum, us);
        code_hists_record(&counters->durations, 200, us);
    }
}

static const struct service_sums *service_of(const struct sampler *sampler, const char *name)
{
    LIST_FOREACH (node, sampler_services(sampler)) {
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        if (str_eq(service->name, str_of(name)))
            return service;
    }
    return NULL;
}

static void test_no_figures_without_traffic(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    sampler_tick(sampler, 1000);
    assert_null(sampler_figures(world_target(world, A)));
    assert_int_equal(sampler_changed_at(world_target(world, A)), 0);
    assert_true(list_is_empty(sampler_services(sampler)));
    sampler_free(sampler);
}

static void test_rates_are_means_of_five_seconds(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    uint64_t now_ms = 1000;
    for (; now_ms <= 10000; now_ms += 1000) {
        serve(world_counters(world, A, 0), 20, 100);
        serve(world_counters(world, A, 1), 10, 100);
        counter_add(&world_counters(world, A, 1)->responses_5xx, 3);
        sampler_tick(sampler, now_ms);
    }
    const struct target_figures *figures = sampler_figures(world_target(world, A));
    assert_non_null(figures);
    assert_true(figures->request_rate == 30);
    assert_true(figures->error_rate == 3);
    assert_int_equal(figures->requests, 300);
    assert_int_equal(figures->errors, 30);
    assert_int_equal(sampler_changed_at(world_target(world, A)), sampler_tick_count(sampler));

    // Silence: the rate is gone after five seconds, then nothing changes until the quantiles fade.
    for (unsigned i = 0; i < 5; i++, now_ms += 1000)
        sampler_tick(sampler, now_ms);
    figures = sampler_figures(world_target(world, A));
    assert_true(figures->request_rate == 0);
    uint64_t changed_at = sampler_changed_at(world_target(world, A));
    sampler_tick(sampler, now_ms);
    assert_int_equal(sampler_changed_at(world_target(world, A)), changed_at);
    sampler_free(sampler);
}

static void test_a_late_tick_does_not_raise_the_rate(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    uint64_t now_ms = 1000;
    for (unsigned i = 0; i < 12;
         i++, now_ms += 2000) { // the loop was busy: ticks two seconds apart
        serve(world_counters(world, A, 0), 20, 100);
        sampler_tick(sampler, now_ms);
    }
    assert_true(sampler_figures(world_target(world, A))->request_rate == 10);
    sampler_free(sampler);
}

static void test_quantiles_forget(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    uint64_t now_ms = 1000;
    serve(world_counters(world, A, 0), 100, 50000);
    sampler_tick(sampler, now_ms);
    const struct target_figures *figures = sampler_figures(world_target(world, A));
    assert_int_equal(figures->p50_us, hist_bucket_max_us(hist_bucket(50000)));
    for (unsigned i = 0; i < 60; i++) {
        serve(world_counters(world, A, 0), 10, 1000);
        sampler_tick(sampler, now_ms += 1000);
    }
    assert_int_equal(figures->p50_us, hist_bucket_max_us(hist_bucket(1000)));
    assert_int_equal(figures->p99_us, hist_bucket_max_us(hist_bucket(1000)));
    for (unsigned i = 0; i < 120; i++)
        sampler_tick(sampler, now_ms += 1000);
    assert_int_equal(figures->p99_us, 0);
    sampler_free(sampler);
}

static void test_services_sum_their_targets(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    serve(world_counters(world, A, 0), 5, 100);
    serve(world_counters(world, B, 1), 7, 200);
    counter_add(&world_counters(world, A, 0)->in_flight, 2);
    world_eject(world, B, 5000, EJECT_CONNECT);
    sampler_tick(sampler, 1000);
    sampler_read(sampler, 1500); // reading twice counts nothing twice
    const struct service_sums *web = service_of(sampler, "web");
    assert_non_null(web);
    assert_int_equal(web->totals.requests, 12);
    assert_int_equal(web->totals.responses_2xx, 12);
    assert_int_equal(web->totals.latency_us_sum, 5 * 100 + 7 * 200);
    assert_int_equal(web->totals.latency.count, 12);
    assert_int_equal(web->totals.in_flight, 2);
    assert_int_equal(web->totals.ejected_by, 1);
    assert_int_equal(sampler_sums(sampler)->requests, 12);
    assert_int_equal(sampler_sums(sampler)->in_flight, 2);
    sampler_free(sampler);
    counter_add(&world_counters(world, A, 0)->in_flight, (uint64_t)-2);
}

static const struct code_sums *code_of(const struct service_sums *service, unsigned code)
{
    for (unsigned i = 0; i < service->code_count; i++) {
        if (service->codes[i]->code == code)
            return service->codes[i];
    }
    return NULL;
}

static void test_durations_are_summed_by_code(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    // Two workers see the codes in another order.
    code_hists_record(&world_counters(world, A, 0)->durations, 200, 10);
    code_hists_record(&world_counters(world, A, 0)->durations, 404, 20);
    code_hists_record(&world_counters(world, A, 1)->durations, 404, 30);
    code_hists_record(&world_counters(world, A, 1)->durations, CODE_TUNNEL, 1000000);
    sampler_read(sampler, 1000);
    sampler_read(sampler, 1001); // takes nothing twice
    code_hists_record(&world_counters(world, A, 1)->durations, 200, 40);
    sampler_read(sampler, 1002);
    const struct service_sums *web = service_of(sampler, "web");
    assert_int_equal(web->code_count, 3);
    assert_int_equal(code_of(web, 200)->hist.count, 2);
    assert_int_equal(code_of(web, 200)->sum_us, 50);
    assert_int_equal(code_of(web, 404)->hist.count, 2);
    assert_int_equal(code_of(web, 404)->sum_us, 50);
    assert_int_equal(code_of(web, CODE_TUNNEL)->sum_us, 1000000);
    assert_int_equal(web->totals.latency.count, 4); // without the session

    // Whatever a target answers, the codes of a service are bounded and nothing is lost.
    for (unsigned code = 100; code < 1000; code++)
        code_hists_record(&world_counters(world, code % 3 ? A : B, code % 2)->durations, code, 1);
    sampler_read(sampler, 1003);
    // And from a target that comes later, the known code goes to its own place.
    world_set_routes(world, "web2", "route add web /later http://127.0.0.1:1099/\n");
    code_hists_record(&world_counters(world, "http://127.0.0.1:1099/", 0)->durations, 200, 1);
    for (unsigned code = 500; code < 600; code++)
        code_hists_record(&world_counters(world, "http://127.0.0.1:1099/", 0)->durations, code, 1);
    uint64_t before = code_of(web, 200)->hist.count;
    sampler_read(sampler, 1004);
    assert_int_equal(code_of(web, 200)->hist.count, before + 1);
    assert_true(web->code_count <= SAMPLER_CODES_MAX);
    uint64_t count = 0;
    for (unsigned i = 0; i < web->code_count; i++)
        count += web->codes[i]->hist.count;
    assert_int_equal(count, 5 + 900 + 1 + 100);
    assert_non_null(code_of(web, CODE_OTHER));
    sampler_free(sampler);
}

static void test_bucket_counters_may_wrap(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    struct target_counters *counters = world_counters(world, A, 0);
    serve(counters, 1, 100);
    atomic_store(&counters->durations.first.buckets[hist_bucket(100)], UINT32_MAX);
    sampler_tick(sampler, 1000);
    uint64_t before = service_of(sampler, "web")->totals.latency.count;
    serve(counters, 5, 100);
    sampler_tick(sampler, 2000);
    assert_int_equal(service_of(sampler, "web")->totals.latency.count, before + 5);
    sampler_free(sampler);
}

static void test_a_deployment_takes_nothing_from_the_sums(void **state)
{
    struct world *world = *state;
    struct sampler *sampler = sampler_new(world->targets);
    uint64_t now_ms = 1000;
    serve(world_counters(world, A, 0), 5, 100);
    sampler_tick(sampler, now_ms);
    serve(world_counters(world, A, 0), 3, 100); // after the last reading, before it goes
    serve(world_counters(world, B, 0), 4, 100);
    world_set_routes(world, "web", "route add web /b http://127.0.0.1:1002/\n");
    targets_collect(world->targets);
    sampler_tick(sampler, now_ms += 1000);
    assert_int_equal(service_of(sampler, "web")->totals.requests, 12);
    assert_int_equal(service_of(sampler, "web")->totals.latency.count, 12);
    assert_int_equal(sampler_sums(sampler)->requests, 12);

    // The last one goes as well: the sums stay for a while, then the service is forgotten.
    world_set_routes(world, "web", "");
    targets_collect(world->targets);
    sampler_tick(sampler, now_ms += SAMPLER_GRACE_MS - 1);
    assert_int_equal(service_of(sampler, "web")->totals.requests, 12);
    sampler_tick(sampler, now_ms += 1000);
    assert_null(service_of(sampler, "web"));
    assert_int_equal(sampler_sums(sampler)->requests, 12);
    sampler_free(sampler);
}

static void test_shortage_loses_nothing(void **state)
{
    struct world *world = *state;
    struct used_targets *used = &targets_cell(world->targets)->used;
    serve(world_counters(world, A, 0), 5, 100);
    serve(world_counters(world, B, 0), 6, 100);
    for (int64_t allocations = 0; allocations < 12; allocations++) {
        struct target *a = world_target(world, A);
        struct target *b = world_target(world, B);
        mem_free(target_use(a)->sample); // as new
        mem_free(target_use(b)->sample);
        target_use(a)->sample = NULL;
        target_use(b)->sample = NULL;
        used_targets_take(used);
        used_targets_add(used, a);
        used_targets_add(used, b);
        struct sampler *sampler = sampler_new(world->targets);
        mem_fail_after(allocations);
        sampler_tick(sampler, 1000);
        mem_fail_after(-1);
        sampler_tick(sampler, 2000);
        assert_int_equal(service_of(sampler, "web")->totals.requests, 11);
        sampler_free(sampler);
    }
    mem_fail_after(0);
    assert_null(sampler_new(world->targets));
    mem_fail_after(-1);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(test_no_figures_without_traffic),
        WORLD_TEST(test_rates_are_means_of_five_seconds),
        WORLD_TEST(test_a_late_tick_does_not_raise_the_rate),
        WORLD_TEST(test_quantiles_forget),
        WORLD_TEST(test_services_sum_their_targets),
        WORLD_TEST(test_durations_are_summed_by_code),
        WORLD_TEST(test_bucket_counters_may_wrap),
        WORLD_TEST(test_a_deployment_takes_nothing_from_the_sums),
        WORLD_TEST(test_shortage_loses_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
