// SPDX-License-Identifier: Apache-2.0
// Buckets tile the number line within 12.5 %; quantiles agree with a sorted array of the samples.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/rng.h"
#include "stats/hist.h"

static struct hist *hist_make(void)
{
    struct hist *hist = calloc(1, sizeof *hist);
    assert_non_null(hist);
    return hist;
}

static void test_buckets_tile_all_values(void **state)
{
    (void)state;
    uint64_t first = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        uint64_t last = hist_bucket_max_us(i);
        assert_true(last >= first);
        assert_int_equal(hist_bucket(first), i);
        assert_int_equal(hist_bucket(last), i);
        assert_true((double)(last - first) <= 0.125 * (double)first);
        first = last + 1;
    }
    assert_int_equal(first, UINT64_C(1) << 28); // 268 s
}

static void test_values_beyond_the_last_bucket_stay_in_it(void **state)
{
    (void)state;
    assert_int_equal(hist_bucket(UINT64_C(1) << 28), HIST_BUCKETS - 1);
    assert_int_equal(hist_bucket(UINT64_MAX), HIST_BUCKETS - 1);
}

static int compare_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Naive model: the value at rank ceil(q * n) of the sorted samples.
static uint64_t naive_quantile(const uint64_t *sorted, size_t count, double quantile)
{
    size_t rank = 1;
    while (rank < count && (double)rank < quantile * (double)count)
        rank++;
    return sorted[rank - 1];
}

static void test_quantiles_match_a_sorted_array(void **state)
{
    (void)state;
    static const double quantiles[] = {0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1};
    struct rng rng;
    rng_init(&rng, 7);

    for (unsigned round = 0; round < 200; round++) {
        struct hist *hist = hist_make();
        size_t count = 1 + rng_below(&rng, 500);
        uint64_t *samples = calloc(count, sizeof *samples);
        assert_non_null(samples);
        for (size_t i = 0; i < count; i++) {
            samples[i] = rng_next(&rng) >> (36 + rng_below(&rng, 28));
            hist_record(hist, samples[i]);
        }
        qsort(samples, count, sizeof *samples, compare_u64);

        struct hist_sum sum = {0};
        hist_add(&sum, hist);
        assert_int_equal(sum.count, count);
        for (size_t i = 0; i < sizeof quantiles / sizeof *quantiles; i++) {
            uint64_t exact = naive_quantile(samples, count, quantiles[i]);
            // The answer is the upper end of the bucket that holds the exact one.
            assert_int_equal(hist_quantile_us(&sum, quantiles[i]),
                             hist_bucket_max_us(hist_bucket(exact)));
        }
        free(samples);
        free(hist);
    }
}

static void test_empty_has_quantile_zero(void **state)
{
    (void)state;
    struct hist_sum sum = {0};
    assert_int_equal(hist_quantile_us(&sum, 0.99), 0);
}

static void test_the_slowest_sample_is_found(void **state)
{
    (void)state;
    struct hist *hist = hist_make();
    hist_record(hist, 3);
    hist_record(hist, UINT64_MAX);
    struct hist_sum sum = {0};
    hist_add(&sum, hist);
    assert_int_equal(hist_quantile_us(&sum, 1), hist_bucket_max_us(HIST_BUCKETS - 1));
    assert_int_equal(hist_quantile_us(&sum, 0.5), 3);
    free(hist);
}

static void test_sums_of_workers_add_and_windows_subtract(void **state)
{
    (void)state;
    struct hist *a = hist_make();
    struct hist *b = hist_make();
    for (unsigned i = 0; i < 10; i++)
        hist_record(a, 5);
    struct hist_sum older = {0};
    hist_add(&older, a);
    hist_record(a, 5);
    hist_record(b, 1000);

    struct hist_sum sum_a = {0};
    hist_add(&sum_a, a);
    struct hist_sum sum = {0};
    hist_add(&sum, b);
    hist_merge(&sum, &sum_a);
    assert_int_equal(sum.count, 12);
    assert_int_equal(sum.buckets[5], 11);
    assert_int_equal(sum.buckets[hist_bucket(1000)], 1);

    hist_subtract(&sum, &older);
    assert_int_equal(sum.count, 2);
    assert_int_equal(sum.buckets[5], 1);

    // A counter that wrapped looks smaller than before: nothing, rather than a huge number.
    struct hist_sum wrapped = {0};
    hist_subtract(&wrapped, &older);
    assert_int_equal(wrapped.count, 0);
    assert_int_equal(wrapped.buckets[5], 0);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_buckets_tile_all_values),
        cmocka_unit_test(test_values_beyond_the_last_bucket_stay_in_it),
        cmocka_unit_test(test_quantiles_match_a_sorted_array),
        cmocka_unit_test(test_empty_has_quantile_zero),
        cmocka_unit_test(test_the_slowest_sample_is_found),
        cmocka_unit_test(test_sums_of_workers_add_and_windows_subtract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
