// SPDX-License-Identifier: Apache-2.0
// Count, sum and percentiles of the values are those of the samples that were recorded.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/rng.h"
#include "stats/samples.h"

enum { VALUES = 100, SAMPLES_MAX = 20000 };

static void assert_near(double value, double expected, double share)
{
    if (fabs(value - expected) > share * expected + 0.5)
        fail_msg("%f is not within %f of %f", value, share, expected);
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a;
    uint64_t right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void nothing_gives_nothing(void **state)
{
    (void)state;
    struct hist_sum hist = {0};
    struct hist_sample values[VALUES];
    assert_int_equal(samples_of_hist(&hist, 0, values, VALUES), 0);
}

static void few_samples_are_given_one_by_one(void **state)
{
    (void)state;
    struct hist hist = {0};
    const uint64_t samples[] = {3, 3, 1000, 250000};
    uint64_t sum_us = 0;
    for (size_t i = 0; i < ARRAY_LEN(samples); i++) {
        hist_record(&hist, samples[i]);
        sum_us += samples[i];
    }
    struct hist_sum sum = {0};
    hist_add(&sum, &hist);
    struct hist_sample values[VALUES];
    assert_int_equal(samples_of_hist(&sum, sum_us, values, VALUES), 4);
    for (size_t i = 0; i < ARRAY_LEN(samples); i++)
        assert_near(values[i].us, (double)samples[i], 0.2);
    assert_near(values[0].us + values[1].us + values[2].us + values[3].us, (double)sum_us, 1e-9);

    // One alone is exact.
    struct hist one = {0};
    hist_record(&one, 1337);
    struct hist_sum one_sum = {0};
    hist_add(&one_sum, &one);
    assert_int_equal(samples_of_hist(&one_sum, 1337, values, VALUES), 1);
    assert_near(values[0].us, 1337, 1e-9);
}

static void many_samples_keep_sum_and_percentiles(void **state)
{
    (void)state;
    static uint64_t samples[SAMPLES_MAX];
    struct rng rng;
    rng_init(&rng, 7);
    for (unsigned round = 0; round < 200; round++) {
        unsigned count = 1 + rng_below(&rng, SAMPLES_MAX);
        unsigned octaves = 4 + rng_below(&rng, 20);
        struct hist hist = {0};
        uint64_t sum_us = 0;
        for (unsigned i = 0; i < count; i++) {
            samples[i] = 1 + rng_below(&rng, 1U << (1 + rng_below(&rng, octaves)));
            sum_us += samples[i];
            hist_record(&hist, samples[i]);
        }
        qsort(samples, count, sizeof *samples, compare);
        struct hist_sum sum = {0};
        hist_add(&sum, &hist);

        struct hist_sample values[VALUES];
        size_t n = samples_of_hist(&sum, sum_us, values, VALUES);
        assert_in_range(n, MIN(count, (unsigned)VALUES / 2), VALUES);
        double total = 0;
        uint64_t from = 0;
        for (size_t i = 0; i < n; i++) {
            assert_true(i == 0 || values[i].us >= values[i - 1].us);
            assert_true(values[i].weight > 0);
            total += values[i].us * (double)values[i].weight;
            // A value lies between the ends of its share, give or take a bucket's width.
            uint64_t to = from + values[i].weight;
            assert_true(to <= count);
            assert_true(values[i].us >= 0.75 * (double)samples[from] - 1);
            assert_true(values[i].us <= 1.3 * (double)samples[to - 1] + 1);
            from = to;
            assert_true(i == n / 2 || values[i].weight == values[0].weight);
        }
        assert_int_equal(from, count);
        assert_near(total, (double)sum_us, 1e-6);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_gives_nothing),
        cmocka_unit_test(few_samples_are_given_one_by_one),
        cmocka_unit_test(many_samples_keep_sum_and_percentiles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
