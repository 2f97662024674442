// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "discover/pace.h"

static void a_burst_is_free_and_then_the_rate_holds(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 3, 1000, 1000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(bucket_take(&bucket, 5000), 0);
    assert_int_equal(bucket_take(&bucket, 5000), 1000);
    // The one before waits until 6000; the next gets its token at 7000.
    assert_int_equal(bucket_take(&bucket, 6000), 1000);
    assert_false(bucket_is_degraded(&bucket));
}

static void an_eased_bucket_slows_down_little_by_little(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 2, 1000, 1000);
    assert_int_equal(bucket_take_eased(&bucket, 5000), 0);
    assert_int_equal(bucket_take_eased(&bucket, 5000), 0);
    uint64_t now_ms = 5000, before_ms = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t delay_ms = bucket_take_eased(&bucket, now_ms);
        assert_in_range(delay_ms, before_ms, 1000);
        assert_true(i >= 4 || delay_ms <= 300);
        before_ms = delay_ms;
        now_ms += delay_ms;
    }
    assert_in_range(before_ms, 950, 1000);
    // No more than the burst and what the ease allows beyond the rate.
    assert_true(now_ms - 5000 >= (200 - 2 - 17) * 1000);
    // A plain request finds the debt of the eased ones.
    assert_true(bucket_take(&bucket, now_ms) >= 1000);
}

static void a_quiet_bucket_is_full_again(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 2, 1000, 1000);
    for (int i = 0; i < 4; i++)
        (void)bucket_take(&bucket, 0);
    assert_int_equal(bucket_take(&bucket, 100 * 1000), 0);
    assert_int_equal(bucket_take(&bucket, 100 * 1000), 0);
    assert_true(bucket_take(&bucket, 100 * 1000) > 0);
}

// A watch that wakes up the moment it asks, for half an hour.
static void lasting_saturation_degrades_to_the_slowest_rate(void **state)
{
    (void)state;
    struct bucket bucket;
    uint64_t now_ms = 0;
    unsigned last_minutes = 0;
    bucket_init(&bucket, 3, 1000, 15 * 1000);
    while (now_ms < 30 * 60 * 1000) {
        now_ms += bucket_take(&bucket, now_ms);
        if (now_ms > 20 * 60 * 1000)
            last_minutes++;
    }
    assert_true(bucket_is_degraded(&bucket));
    assert_int_equal(bucket.interval_ms, 15 * 1000);
    assert_in_range(last_minutes, 38, 43); // ten minutes, one per 15 s

    now_ms += 60 * 1000;
    assert_int_equal(bucket_take(&bucket, now_ms), 0);
    assert_false(bucket_is_degraded(&bucket));
}

static void a_minute_of_a_request_a_second_is_no_saturation(void **state)
{
    (void)state;
    struct bucket bucket;
    bucket_init(&bucket, 3, 1000, 15 * 1000);
    for (uint64_t now_ms = 0; now_ms < 10 * 60 * 1000; now_ms += 1000)
        assert_int_equal(bucket_take(&bucket, now_ms), 0);
    assert_false(bucket_is_degraded(&bucket));
}

static void backoff_grows_with_full_jitter_up_to_its_cap(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7);
    struct backoff backoff = {0};
    uint64_t bound_ms = 250;
    for (int i = 0; i < 40; i++) {
        assert_in_range(backoff_next(&backoff, &rng, 15000), 0, bound_ms);
        bound_ms = bound_ms * 2 > 15000 ? 15000 : bound_ms * 2;
    }
    uint64_t lowest_ms = UINT64_MAX, highest_ms = 0;
    for (int i = 0; i < 1000; i++) {
        uint64_t delay_ms = backoff_next(&backoff, &rng, 15000);
        lowest_ms = delay_ms < lowest_ms ? delay_ms : lowest_ms;
        highest_ms = delay_ms > highest_ms ? delay_ms : highest_ms;
    }
    assert_in_range(lowest_ms, 0, 300);
    assert_in_range(highest_ms, 14700, 15000);
    backoff_reset(&backoff);
    assert_in_range(backoff_next(&backoff, &rng, 15000), 0, 250);
}

static void an_index_moves_forward(void **state)
{
    (void)state;
    struct poll_index index = {0};
    assert_int_equal(poll_index_update(&index, true, 10), INDEX_GO);
    assert_int_equal(index.value, 10);
    assert_int_equal(poll_index_update(&index, true, 10), INDEX_GO);
    assert_int_equal(poll_index_update(&index, true, 12), INDEX_GO);
    assert_int_equal(index.value, 12);
}

static void no_usable_index_reads_as_one(void **state)
{
    (void)state;
    struct poll_index index = {0};
    assert_int_equal(poll_index_update(&index, false, 0), INDEX_GO);
    assert_int_equal(index.value, 1);
    index.value = 0;
    assert_int_equal(poll_index_update(&index, true, 0), INDEX_GO);
    assert_int_equal(index.value, 1);
    index.value = 0;
    assert_int_equal(poll_index_update(&index, true, UINT64_MAX), INDEX_GO);
    assert_int_equal(index.value, 1);
    index.value = 0;
    assert_int_equal(poll_index_update(&index, true, INT64_MAX), INDEX_GO);
    assert_int_equal(index.value, (uint64_t)INT64_MAX);
}

static void backwards_means_a_full_read_and_twice_means_a_pause(void **state)
{
    (void)state;
    struct poll_index index = {0};
    (void)poll_index_update(&index, true, 100);
    assert_int_equal(poll_index_update(&index, true, 50), INDEX_RESET);
    assert_int_equal(index.value, 0);
    // The full read brings an index, the next poll goes back again.
    assert_int_equal(poll_index_update(&index, true, 101), INDEX_GO);
    assert_int_equal(poll_index_update(&index, true, 99), INDEX_PING_PONG);
    // Once a poll goes forward, it is forgiven.
    assert_int_equal(poll_index_update(&index, true, 100), INDEX_GO);
    assert_int_equal(poll_index_update(&index, true, 102), INDEX_GO);
    assert_int_equal(poll_index_update(&index, true, 60), INDEX_RESET);
}

static void after_a_failure_the_next_read_is_full_and_may_go_anywhere(void **state)
{
    (void)state;
    struct poll_index index = {0};
    (void)poll_index_update(&index, true, 100);
    poll_index_forget(&index);
    assert_int_equal(index.value, 0);
    assert_int_equal(poll_index_update(&index, true, 3), INDEX_GO);
    assert_int_equal(index.value, 3);
}

static void waits_are_jittered_and_have_a_deadline(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    uint32_t lowest_ms = UINT32_MAX, highest_ms = 0;
    for (int i = 0; i < 1000; i++) {
        uint32_t wait_ms = pace_wait_ms(60000, &rng);
        assert_in_range(wait_ms, 54000, 66000);
        lowest_ms = wait_ms < lowest_ms ? wait_ms : lowest_ms;
        highest_ms = wait_ms > highest_ms ? wait_ms : highest_ms;
    }
    assert_true(lowest_ms < 55000 && highest_ms > 65000);
    assert_int_equal(pace_deadline_ms(60000), 60000 + 3750 + 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_free_and_then_the_rate_holds),
        cmocka_unit_test(an_eased_bucket_slows_down_little_by_little),
        cmocka_unit_test(a_quiet_bucket_is_full_again),
        cmocka_unit_test(lasting_saturation_degrades_to_the_slowest_rate),
        cmocka_unit_test(a_minute_of_a_request_a_second_is_no_saturation),
        cmocka_unit_test(backoff_grows_with_full_jitter_up_to_its_cap),
        cmocka_unit_test(an_index_moves_forward),
        cmocka_unit_test(no_usable_index_reads_as_one),
        cmocka_unit_test(backwards_means_a_full_read_and_twice_means_a_pause),
        cmocka_unit_test(after_a_failure_the_next_read_is_full_and_may_go_anywhere),
        cmocka_unit_test(waits_are_jittered_and_have_a_deadline),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
