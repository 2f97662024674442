// SPDX-License-Identifier: Apache-2.0
#include "discover/pace.h"

enum {
    SATURATION_MS = 60 * 1000,
    // Requests beyond the burst over which the delay of an eased bucket grows to the interval.
    EASE = 16,
};

void bucket_init(struct bucket *bucket, uint32_t burst, uint32_t interval_ms,
                 uint32_t slowest_interval_ms)
{
    *bucket = (struct bucket){.burst = burst,
                              .interval_ms = interval_ms,
                              .base_interval_ms = interval_ms,
                              .slowest_interval_ms = slowest_interval_ms};
}

static uint64_t debt_delay_ms(uint64_t debt_ms, const struct bucket *bucket)
{
    uint64_t room_ms = (uint64_t)(bucket->burst - 1) * bucket->interval_ms;
    return debt_ms > room_ms ? debt_ms - room_ms : 0;
}

uint64_t bucket_delay_ms(const struct bucket *bucket, uint64_t now_ms)
{
    return bucket->full_at_ms <= now_ms ? 0 : debt_delay_ms(bucket->full_at_ms - now_ms, bucket);
}

static uint64_t take(struct bucket *bucket, uint64_t now_ms, uint64_t ease)
{
    if (bucket->full_at_ms <= now_ms) {
        bucket->interval_ms = bucket->base_interval_ms;
        bucket->saturated_since_ms = 0;
        bucket->full_at_ms = now_ms;
    }
    uint64_t delay_ms = debt_delay_ms(bucket->full_at_ms - now_ms, bucket) / ease;

    if (delay_ms == 0) {
        bucket->saturated_since_ms = 0;
    } else if (bucket->saturated_since_ms == 0) {
        bucket->saturated_since_ms = now_ms;
    } else if (now_ms - bucket->saturated_since_ms >= SATURATION_MS) {
        bucket->interval_ms = MIN(bucket->interval_ms * 2, bucket->slowest_interval_ms);
        bucket->saturated_since_ms = now_ms;
    }
    bucket->full_at_ms += bucket->interval_ms;
    return delay_ms;
}

uint64_t bucket_take(struct bucket *bucket, uint64_t now_ms)
{
    return take(bucket, now_ms, 1);
}

uint64_t bucket_take_eased(struct bucket *bucket, uint64_t now_ms)
{
    uint64_t delay_ms = take(bucket, now_ms, EASE);
    return MIN(delay_ms, (uint64_t)bucket->interval_ms);
}

bool bucket_is_degraded(const struct bucket *bucket)
{
    return bucket->interval_ms > bucket->base_interval_ms;
}

uint64_t backoff_next(struct backoff *backoff, struct rng *rng, uint32_t cap_ms)
{
    uint32_t bound_ms = BACKOFF_FIRST_MS << MIN(backoff->failures, 16u);
    if (backoff->failures < 16)
        backoff->failures++;
    return rng_below(rng, MIN(bound_ms, cap_ms) + 1);
}

uint64_t backoff_next_probe(struct backoff *backoff, struct rng *rng, uint32_t floor_ms,
                            uint32_t cap_ms)
{
    enum { BURST = 3 };
    bool is_burst = backoff->failures < BURST;
    uint64_t delay_ms = backoff_next(backoff, rng, cap_ms);
    return is_burst ? delay_ms : floor_ms + delay_ms % (cap_ms - floor_ms + 1);
}

void backoff_reset(struct backoff *backoff)
{
    backoff->failures = 0;
}

enum index_step poll_index_update(struct poll_index *index, bool is_present, uint64_t value)
{
    // A Raft index never gets near 2^63; polling with such a number would only block for the whole
    // wait and see nothing.
    if (!is_present || value == 0 || value > INT64_MAX)
        value = 1;
    if (value < index->value) {
        index->value = 0;
        return ++index->resets >= 2 ? INDEX_PING_PONG : INDEX_RESET;
    }
    if (index->value != 0)
        index->resets = 0;
    index->value = value;
    return INDEX_GO;
}

void poll_index_forget(struct poll_index *index)
{
    index->value = 0;
}

uint32_t pace_wait_ms(uint32_t wait_ms, struct rng *rng)
{
    return wait_ms - wait_ms / 10 + rng_below(rng, wait_ms / 5 + 1);
}

uint32_t pace_deadline_ms(uint32_t wait_ms)
{
    return wait_ms + wait_ms / 16 + 10 * 1000;
}
