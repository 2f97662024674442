// SPDX-License-Identifier: Apache-2.0
// The text of /metrics, in tagway's names or fabio's. Labels come only from routes (service, host,
// path, target), from fixed sets (code class, reason, state) and never from requests; a target's
// series end with the target, a service's sums never fall (sampler.h). Control thread.
#pragma once

#include "admin/admin.h"
#include "admin/sampler.h"

enum {
    METRICS_TARGETS_MAX =
        10000, // targets with series of their own; further ones are counted as omitted
    METRICS_SERVICES_MAX = 10000, // likewise
};

struct push;

struct metrics_input {
    const struct admin_config *config;
    const struct admin_sources *sources;
    struct sampler *sampler; // read just before
    const struct push *push; // NULL: nothing is pushed
    bool is_ready;
    uint64_t started_us; // wall clock
};

// Upper bounds of the buckets of exported histograms, in seconds.
const double *metrics_bounds(const struct metrics_config *config, size_t *count);
void metrics_write(struct buf *out, const struct metrics_input *input);
