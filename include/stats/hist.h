// SPDX-License-Identifier: Apache-2.0
// Log-linear latency histogram: values below 8 us exactly, then 8 sub-buckets per octave (error
// <= 12.5
// %) up to 268 s; 208 counters. Written by one worker, read by the control thread at any time:
// counters are relaxed atomics, a reader may see a sample's sum without its bucket, never a torn
// number. A counter wraps after 2^32 samples in one bucket, which Prometheus takes for a counter
// reset. Pure.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

enum { HIST_BUCKETS = 208 };

struct hist {
    _Atomic uint32_t buckets[HIST_BUCKETS];
};

// A sum of several histograms; plain memory of one thread.
struct hist_sum {
    uint64_t buckets[HIST_BUCKETS];
    uint64_t count;
};

// The one writer.
void hist_record(struct hist *hist, uint64_t value_us);
// Index of the bucket for a value, and the bucket's upper bound in us (inclusive).
unsigned hist_bucket(uint64_t value_us);
uint64_t hist_bucket_max_us(unsigned bucket);

void hist_add(struct hist_sum *sum, const struct hist *hist);
void hist_merge(struct hist_sum *sum, const struct hist_sum *other);
// sum -= older, for a rate over a window; buckets never go below 0.
void hist_subtract(struct hist_sum *sum, const struct hist_sum *older);
// Value in us below which `quantile` (0..1) of the samples lie; 0 when there are none.
uint64_t hist_quantile_us(const struct hist_sum *sum, double quantile);
