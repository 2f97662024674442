// SPDX-License-Identifier: Apache-2.0
#include "stats/hist.h"

#include "base/attr.h"

// A value v >= 8 with its highest bit at k lies in octave k; the three bits below the highest
// choose one of its 8 sub-buckets. Values below 8 have a bucket each, so that the octaves start
// with k = 3.
enum { SUB_BITS = 3, SUB_BUCKETS = 1 << SUB_BITS };

unsigned hist_bucket(uint64_t value_us)
{
    if (value_us < SUB_BUCKETS)
        return (unsigned)value_us;
    unsigned high_bit = 63 - (unsigned)__builtin_clzll(value_us);
    unsigned shift = high_bit - SUB_BITS;
    // value >> shift is 8..15: the 8 adds the one octave that the small values take.
    unsigned bucket = (shift << SUB_BITS) + (unsigned)(value_us >> shift);
    return MIN(bucket, (unsigned)HIST_BUCKETS - 1);
}

uint64_t hist_bucket_max_us(unsigned bucket)
{
    if (bucket < SUB_BUCKETS)
        return bucket;
    unsigned shift = (bucket >> SUB_BITS) - 1;
    uint64_t first = (uint64_t)(SUB_BUCKETS + bucket % SUB_BUCKETS) << shift;
    return first + (UINT64_C(1) << shift) - 1;
}

void hist_record(struct hist *hist, uint64_t value_us)
{
    _Atomic uint32_t *bucket = &hist->buckets[hist_bucket(value_us)];
    uint32_t count = atomic_load_explicit(bucket, memory_order_relaxed);
    atomic_store_explicit(bucket, count + 1, memory_order_relaxed);
}

void hist_add(struct hist_sum *sum, const struct hist *hist)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        // C11 has no const atomic_load; the object is only read.
        uint32_t n =
            atomic_load_explicit((_Atomic uint32_t *)&hist->buckets[i], memory_order_relaxed);
        sum->buckets[i] += n;
        sum->count += n;
    }
}

void hist_merge(struct hist_sum *sum, const struct hist_sum *other)
{
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        sum->buckets[i] += other->buckets[i];
    sum->count += other->count;
}

void hist_subtract(struct hist_sum *sum, const struct hist_sum *older)
{
    sum->count = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++) {
        sum->buckets[i] -= MIN(sum->buckets[i], older->buckets[i]);
        sum->count += sum->buckets[i];
    }
}

uint64_t hist_quantile_us(const struct hist_sum *sum, double quantile)
{
    if (sum->count == 0)
        return 0;
    // The smallest rank that covers the quantile, at least the first sample and at most the last.
    double wanted = quantile * (double)sum->count;
    uint64_t rank = wanted <= 1 ? 1 : (uint64_t)wanted;
    if ((double)rank < wanted)
        rank++;
    rank = MIN(rank, sum->count);

    uint64_t seen = 0;
    unsigned bucket = 0;
    for (; bucket < HIST_BUCKETS - 1; bucket++) {
        seen += sum->buckets[bucket];
        if (seen >= rank)
            break;
    }
    return hist_bucket_max_us(bucket);
}
