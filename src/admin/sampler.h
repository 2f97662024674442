// SPDX-License-Identifier: Apache-2.0
// Reads the targets' counters once a second and makes of them what people look at: rates, recent
// quantiles, and sums per service that never fall. A sum per service must outlive its targets, else
// each deployment would look to Prometheus like a counter reset; therefore what a target has gained
// since the last reading is added to its service, and a vanished target takes nothing away. Control
// thread only. The numbers of one target lie in target->use->sample, which the registry frees with
// the target. Must be freed before the targets.
#pragma once

#include <stdint.h>

#include "base/list.h"
#include "base/str.h"
#include "stats/counters.h"
#include "upstream/registry.h"

enum {
    SAMPLER_PERIOD_MS = 1000,
    SAMPLER_RATE_TICKS = 5,       // rates are means of the last 5 s
    SAMPLER_GRACE_MS = 60 * 1000, // a service's sums outlive its last target with traffic by this
    SAMPLER_CODES_MAX = 32,       // of a service; the last is for all others
};

// What is shown of a target. All fields 8 bytes: compared as memory.
struct target_figures {
    double request_rate; // per second
    double error_rate;   // per second; responses 5xx, our own 502 and 504 included
    uint64_t p50_us;     // of recent requests: older ones weigh 10 % less per second
    uint64_t p99_us;
    uint64_t requests;
    uint64_t errors;
    uint64_t failures;
    uint64_t in_flight;
    uint64_t ejected_by;  // workers
    uint64_t ejected_s;   // still, at most
    uint64_t eject_cause; // enum eject_cause
    uint64_t bytes_in;
    uint64_t bytes_out;
};

// The durations of a service's requests that ended with one status code.
struct code_sums {
    unsigned code; // CODE_OTHER: all for which there was no room
    uint64_t sum_us;
    struct hist_sum hist;
};

struct service_sums {
    struct str name;                            // owned, terminated
    struct target_totals totals;                // in_flight and ejected_by as of the last reading
    struct code_sums *codes[SAMPLER_CODES_MAX]; // owned; as they were first seen
    unsigned code_count;
    // The sampler's.
    uint32_t refs; // targets with a sample
    uint64_t seen_at_ms;
    uint64_t pass;
    struct list link;
};

struct sampler;

MUST_CHECK struct sampler *sampler_new(struct targets *targets);
void sampler_free(struct sampler *sampler);

// Once a second: reads everything, moves the windows on.
void sampler_tick(struct sampler *sampler, uint64_t now_ms);
// Reads everything without touching rates: before a scrape.
void sampler_read(struct sampler *sampler, uint64_t now_ms);
// Calls fn with each target that is about to go, its last gains read; NULL: nobody.
void sampler_on_gone(struct sampler *sampler, void (*fn)(void *ctx, struct target *target),
                     void *ctx);
// Counts ticks, from 1.
uint64_t sampler_tick_count(const struct sampler *sampler);

// As of the last tick; NULL while the target has had no traffic.
const struct target_figures *sampler_figures(const struct target *target);
// The tick in which the figures changed last; 0 without figures.
uint64_t sampler_changed_at(const struct target *target);

// Iterates the live targets that had traffic as of the last reading, in no order; start with NULL,
// NULL at the end.
struct target *sampler_next(const struct sampler *sampler, const struct target *previous);
// The services that had traffic: nodes are service_sums.link.
const struct list *sampler_services(const struct sampler *sampler);
// Sums over all targets, vanished ones included, without the histogram.
const struct target_totals *sampler_sums(const struct sampler *sampler);
