// SPDX-License-Identifier: Apache-2.0
// What the operator decides about metrics: their names, where they are pushed to, who may scrape
// them. Filled by app/options, read by admin/. Strings are borrowed and must outlive the admin.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum {
    METRICS_BUCKETS_MAX = 64,
    METRICS_LISTENERS_MAX = 16,
};

// Where metrics are pushed to; several at once.
enum push_target {
    PUSH_STDOUT, // also called flat
    PUSH_LABEL,
    PUSH_STATSD,
    PUSH_DOGSTATSD,
    PUSH_GRAPHITE,
    PUSH_TARGETS,
};

struct metrics_config {
    bool uses_fabio_names; // metrics.names.compat
    struct str prefix;     // metrics.prefix, expanded

    bool is_pushed_to[PUSH_TARGETS];
    uint32_t interval_ms;
    struct str addrs[PUSH_TARGETS]; // host:port; of the last three

    struct str subsystem;                        // of Prometheus names of fabio's
    struct str path;                             // of the listeners below
    struct str listeners[METRICS_LISTENERS_MAX]; // host:port of proto=prometheus
    unsigned listener_count;
    double buckets[METRICS_BUCKETS_MAX]; // upper bounds in seconds, ascending
    unsigned bucket_count;               // 0: the defaults of the names in use
};
