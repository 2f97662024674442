// SPDX-License-Identifier: Apache-2.0
// Makes of a histogram the single timings that statsd servers want: at most `max` values, each
// standing for an equal share of the samples and being the mean of its share, so that count, sum
// and mean come out right at the server and percentiles as well as `max` values can show them.
// Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "stats/hist.h"

// Writes the values in us, ascending, and returns how many: the number of samples or max, whichever
// is less. The sample rate to say is that number over hist->count. sum_us is the true sum of the
// samples; 0: not known.
size_t samples_of_hist(const struct hist_sum *hist, uint64_t sum_us, double *values_us, size_t max);
