// SPDX-License-Identifier: Apache-2.0
#include "stats/samples.h"

#include "base/attr.h"

static double bucket_middle_us(unsigned bucket)
{
    uint64_t max = hist_bucket_max_us(bucket);
    uint64_t min = bucket == 0 ? 0 : hist_bucket_max_us(bucket - 1) + 1;
    return ((double)min + (double)max) / 2;
}

// A bucket is at most an eighth wide: what the true sum asks for beyond that is torn reading.
static double correction(const struct hist_sum *hist, uint64_t sum_us)
{
    double middle_sum = 0;
    for (unsigned i = 0; i < HIST_BUCKETS; i++)
        middle_sum += (double)hist->buckets[i] * bucket_middle_us(i);
    if (sum_us == 0 || middle_sum == 0)
        return 1;
    double factor = (double)sum_us / middle_sum;
    return factor < 0.875 ? 0.875 : factor > 1.125 ? 1.125 : factor;
}

// Goes through the buckets once and cuts shares off; a share may take a part of a bucket.
struct cutter {
    const struct hist_sum *hist;
    unsigned bucket;
    uint64_t left; // in the bucket
};

static double cut_share(struct cutter *cutter, uint64_t weight)
{
    double sum = 0;
    for (uint64_t wanted = weight; wanted > 0;) {
        while (cutter->left == 0 && cutter->bucket < HIST_BUCKETS - 1)
            cutter->left = cutter->hist->buckets[++cutter->bucket];
        uint64_t taken = MIN(wanted, cutter->left);
        if (taken == 0) // fewer than the histogram says: torn reading
            return sum / (double)(weight - MIN(wanted, weight - 1));
        sum += (double)taken * bucket_middle_us(cutter->bucket);
        wanted -= taken;
        cutter->left -= taken;
    }
    return sum / (double)weight;
}

size_t samples_of_hist(const struct hist_sum *hist, uint64_t sum_us, struct hist_sample *samples,
                       size_t max)
{
    if (hist->count == 0 || max < 2)
        return 0;
    uint64_t share = hist->count <= max ? 1 : (hist->count + max - 2) / (max - 1);
    uint64_t rest = hist->count % share;
    size_t count = (size_t)(hist->count / share) + (rest > 0);
    double factor = correction(hist, sum_us);
    struct cutter cutter = {.hist = hist, .left = hist->buckets[0]};
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = rest > 0 && i == count / 2 ? rest : share;
        samples[i] = (struct hist_sample){factor * cut_share(&cutter, weight), weight};
    }
    return count;
}
