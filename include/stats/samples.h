// SPDX-License-Identifier: Apache-2.0
// Makes of a histogram the single timings that statsd servers want: at most `max` values, each
// standing for a share of the samples and being its mean, so that count, sum and mean come out
// right at the server and percentiles as well as `max` values can show them. The shares are equal,
// so that also servers which do not weigh values have the percentiles, and whole, for some servers
// take only 1/n for a sample rate. What is left over when a number cannot be divided is the share
// in the middle. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "stats/hist.h"

struct hist_sample {
    double us;
    uint64_t weight; // samples it stands for
};

// Writes the samples, ascending, and returns how many. sum_us is the true sum of the histogram's
// samples; 0: not known.
size_t samples_of_hist(const struct hist_sum *hist, uint64_t sum_us, struct hist_sample *samples,
                       size_t max);
