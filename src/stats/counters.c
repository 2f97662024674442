// SPDX-License-Identifier: Apache-2.0
#include "stats/counters.h"

void target_totals_add(struct target_totals *totals, const struct target_counters *counters)
{
#define X(name, help) totals->name += counter_get(&counters->name);
    TARGET_COUNTERS(X)
#undef X
    totals->in_flight += counter_get(&counters->in_flight);
    code_hists_add(&totals->latency, &counters->durations);
}

void target_totals_merge(struct target_totals *totals, const struct target_totals *other)
{
#define X(name, help) totals->name += other->name;
    TARGET_COUNTERS(X)
#undef X
    totals->in_flight += other->in_flight;
    totals->ejected_by += other->ejected_by;
    hist_merge(&totals->latency, &other->latency);
}

void worker_totals_add(struct worker_totals *totals, const struct worker_counters *counters)
{
#define X(name, help) totals->name += counter_get(&counters->name);
    WORKER_COUNTERS(X)
#undef X
}
