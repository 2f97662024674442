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

size_t samples_of_hist(const struct hist_sum *hist, uint64_t sum_us, double *values_us, size_t max)
{
    size_t count = (size_t)MIN(hist->count, (uint64_t)max);
    if (count == 0)
        return 0;
    double factor = correction(hist, sum_us);
    // Goes through the buckets once, cutting shares of share_size samples off; a share may take a
    // part of a bucket.
    double share_size = (double)hist->count / (double)count;
    unsigned bucket = 0;
    double left = (double)hist->buckets[0];
    for (size_t i = 0; i < count; i++) {
        double wanted = share_size;
        double sum = 0;
        double last = 0;
        while (wanted > 0) {
            while (left <= 0 && bucket < HIST_BUCKETS - 1)
                left = (double)hist->buckets[++bucket];
            if (left <= 0) // rounding at the very end
                break;
            double taken = MIN(wanted, left);
            last = bucket_middle_us(bucket);
            sum += taken * last;
            wanted -= taken;
            left -= taken;
        }
        double got = share_size - wanted;
        values_us[i] = factor * (got > 0 ? sum / got : i > 0 ? values_us[i - 1] / factor : last);
    }
    return count;
}
