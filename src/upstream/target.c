// SPDX-License-Identifier: Apache-2.0
#include "upstream/target.h"

#include "base/mem.h"

struct target_counters *target_counters_of(struct target *target, unsigned worker)
{
    struct target_counters *counters =
        atomic_load_explicit(&target->counters[worker], memory_order_relaxed);
    if (LIKELY(counters))
        return counters;
    counters = mem_zalloc(sizeof *counters);
    // The control thread reads the block as soon as it sees the pointer.
    atomic_store_explicit(&target->counters[worker], counters, memory_order_release);
    return counters;
}

void target_counters_free(struct target_counters *counters)
{
    if (counters)
        code_hists_fini(&counters->durations);
    mem_free(counters);
}

void target_totals_read(const struct target *target, unsigned worker_count,
                        struct target_totals *totals)
{
    *totals = (struct target_totals){0};
    for (unsigned i = 0; i < worker_count; i++) {
        const struct target_counters *counters = atomic_load_explicit(
            (_Atomic(struct target_counters *) *)&target->counters[i], memory_order_acquire);
        if (counters)
            target_totals_add(totals, counters);
    }
}
