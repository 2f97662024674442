// SPDX-License-Identifier: Apache-2.0
// When a Consul watch may ask again: token bucket, retry delay, and what an answer's index means
// for the next request. Pure: the caller brings the clock and the random numbers. Used by watch.c
// and agent.c on the control thread; values are embedded, nothing is allocated.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/rng.h"

// Token bucket in its "virtual scheduling" form: full_at_ms is when the bucket will be full again.
struct bucket {
    uint32_t burst;
    uint32_t interval_ms;         // one token per interval
    uint32_t base_interval_ms;    // interval while not degraded
    uint32_t slowest_interval_ms; // degraded no further than this
    uint64_t full_at_ms;
    uint64_t saturated_since_ms; // 0: the last request did not have to wait
};

// slowest_interval_ms == interval_ms: never degrades.
void bucket_init(struct bucket *bucket, uint32_t burst, uint32_t interval_ms,
                 uint32_t slowest_interval_ms);
// Takes one token and returns how many milliseconds to wait before using it, 0: none. A bucket that
// made every request wait for a minute halves its rate, again every further minute; it is back to
// its first rate once it has been full.
uint64_t bucket_take(struct bucket *bucket, uint64_t now_ms);
// The same for requests that have a reason each: beyond the burst the delay grows little by little
// to the interval, so that a few quick changes are not held up and many cost no more than before.
uint64_t bucket_take_eased(struct bucket *bucket, uint64_t now_ms);
// What bucket_take would return, without taking.
uint64_t bucket_delay_ms(const struct bucket *bucket, uint64_t now_ms);
bool bucket_is_degraded(const struct bucket *bucket);

enum { BACKOFF_FIRST_MS = 250 };

struct backoff {
    uint32_t failures;
};

// Full jitter: uniform in [0, min(cap, 250 * 2^failures)], milliseconds; counts the failure.
uint64_t backoff_next(struct backoff *backoff, struct rng *rng, uint32_t cap_ms);
void backoff_reset(struct backoff *backoff);
// For the one that finds out whether the other side is back: as backoff_next at first, then uniform
// in [floor, cap], so that it asks less than once in floor_ms.
uint64_t backoff_next_probe(struct backoff *backoff, struct rng *rng, uint32_t floor_ms,
                            uint32_t cap_ms);

struct poll_index {
    uint64_t value;  // for the next request; 0: read without index
    uint32_t resets; // in a row
};

enum index_step {
    INDEX_GO,        // poll on with the new value
    INDEX_RESET,     // went backwards: read in full next
    INDEX_PING_PONG, // went backwards again at once: this leads nowhere
};

// Takes in the index of an accepted answer. One that is missing, zero or cannot be a Raft index
// (is_present false for text that is not a number) counts as 1, so that no request in a loop ever
// goes without an index.
enum index_step poll_index_update(struct poll_index *index, bool is_present, uint64_t value);
// After any failure: the next request reads in full.
void poll_index_forget(struct poll_index *index);

// The `wait` to ask for: wait_ms +-10 %, and the local deadline that belongs to it, milliseconds.
uint32_t pace_wait_ms(uint32_t wait_ms, struct rng *rng);
uint32_t pace_deadline_ms(uint32_t wait_ms);
