// SPDX-License-Identifier: Apache-2.0
// Lines of the push protocols: a series and what it gained since the last push, in the names and
// the form of one target. Used by push.c. Pure; appends to a buf.
#pragma once

#include "admin/series.h"
#include "stats/hist.h"

enum { PUSH_SAMPLES_MAX = 100 }; // values that stand for one timer's samples of an interval

struct push_names {
    bool are_fabio; // names and units as fabio's, its oddities included
    struct str prefix;
};

struct push_point {
    const struct series *series;
    const struct push_names *names;
    uint64_t gained;             // counter
    const struct hist_sum *hist; // timer: what was gained
    uint64_t sum_us;             // of it
    bool is_changed;             // gauge: another value than last time, or the first
    uint64_t now_s;              // Unix time
};

// Appends the lines of the point to out, maybe none.
typedef void push_form_fn(struct buf *out, const struct push_point *point);

// What fabio prints: name:total|c, name:value|g, :name:ms|ms; labels are only named.
push_form_fn push_form_flat;
// The same with labels as |#label:value.
push_form_fn push_form_label;
// Values in ms; labels are part of the name.
push_form_fn push_form_statsd;
// Values in seconds; labels are tags.
push_form_fn push_form_dogstatsd;
// name value time; timers as .p50 .p90 .p95 .p99 in ms (-1: none) and .count.
push_form_fn push_form_graphite;
