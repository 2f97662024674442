// SPDX-License-Identifier: Apache-2.0
#include "upstream/target.h"

#include "base/mem.h"

void used_targets_add(struct used_targets *used, struct target *target)
{
    target->next_used = atomic_load_explicit(&used->newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&used->newest, &target->next_used, target,
                                                  memory_order_release, memory_order_relaxed)) {
    }
}

struct target *used_targets_take(struct used_targets *used)
{
    return atomic_exchange_explicit(&used->newest, NULL, memory_order_acquire);
}

struct target_counters *target_counters_of(struct target *target, unsigned worker,
                                           struct used_targets *used)
{
    struct target_counters *counters =
        atomic_load_explicit(&target->counters[worker], memory_order_relaxed);
    if (LIKELY(counters))
        return counters;
    counters = mem_zalloc(sizeof *counters);
    // The control thread reads the block as soon as it sees the pointer.
    atomic_store_explicit(&target->counters[worker], counters, memory_order_release);
    if (counters && !atomic_exchange(&target->is_used, true))
        used_targets_add(used, target);
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
