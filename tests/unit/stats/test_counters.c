// SPDX-License-Identifier: Apache-2.0
// Every counter of the X-macros reaches its own total, and only that.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stats/counters.h"

// Gives every counter another value, derived from its position.
static void fill_target(struct target_counters *counters, uint64_t base)
{
    uint64_t n = base;
#define X(name, help) counter_add(&counters->name, n++);
    TARGET_COUNTERS(X)
#undef X
}

static void test_target_totals_sum_the_workers(void **state)
{
    (void)state;
    struct target_counters *a = aligned_alloc(64, (sizeof *a + 63) / 64 * 64);
    struct target_counters *b = aligned_alloc(64, (sizeof *b + 63) / 64 * 64);
    assert_non_null(a);
    assert_non_null(b);
    memset(a, 0, sizeof *a);
    memset(b, 0, sizeof *b);
    fill_target(a, 100);
    fill_target(b, 1000);
    counter_add(&a->in_flight, 3);
    counter_add(&b->in_flight, 4);
    code_hists_record(&a->durations, 200, 7);
    code_hists_record(&b->durations, 200, 7);
    code_hists_record(&b->durations, CODE_TUNNEL, 7);

    struct target_totals totals = {0};
    target_totals_add(&totals, a);
    target_totals_add(&totals, b);
    uint64_t n = 1100;
#define X(name, help)                 \
    assert_int_equal(totals.name, n); \
    n += 2;
    TARGET_COUNTERS(X)
#undef X
    assert_int_equal(totals.in_flight, 7);
    totals.ejected_by = 1;
    assert_int_equal(totals.latency.count, 2);
    assert_int_equal(totals.latency.buckets[7], 2);

    struct target_totals sum = totals;
    target_totals_merge(&sum, &totals);
    n = 2200;
#define X(name, help)              \
    assert_int_equal(sum.name, n); \
    n += 4;
    TARGET_COUNTERS(X)
#undef X
    assert_int_equal(sum.in_flight, 14);
    assert_int_equal(sum.ejected_by, 2);
    assert_int_equal(sum.latency.count, 4);
    code_hists_fini(&a->durations);
    code_hists_fini(&b->durations);
    free(a);
    free(b);
}

static void test_worker_totals_sum_the_workers(void **state)
{
    (void)state;
    struct worker_counters counters = {0};
    uint64_t n = 1;
#define X(name, help) counter_add(&counters.name, n++);
    WORKER_COUNTERS(X)
#undef X
    struct worker_totals totals = {0};
    worker_totals_add(&totals, &counters);
    worker_totals_add(&totals, &counters);
    n = 2;
#define X(name, help)                 \
    assert_int_equal(totals.name, n); \
    n += 2;
    WORKER_COUNTERS(X)
#undef X
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_target_totals_sum_the_workers),
        cmocka_unit_test(test_worker_totals_sum_the_workers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
