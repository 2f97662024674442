// SPDX-License-Identifier: Apache-2.0
#include "upstream/target.h"

#include "base/mem.h"

void used_targets_add(struct used_targets *used, struct target *target)
{
    struct target **next = &target_use(target)->next;
    *next = atomic_load_explicit(&used->newest, memory_order_relaxed);
    while (!atomic_compare_exchange_weak_explicit(&used->newest, next, target, memory_order_release,
                                                  memory_order_relaxed)) {
    }
}

struct target *used_targets_take(struct used_targets *used)
{
    return atomic_exchange_explicit(&used->newest, NULL, memory_order_acquire);
}

// The first worker's stays.
static struct target_use *make_use(struct target *target, struct used_targets *used)
{
    struct target_use *use =
        mem_zalloc(sizeof *use + target->worker_count * sizeof use->counters[0]);
    struct target_use *present = NULL;
    if (!use)
        return NULL;
    if (!atomic_compare_exchange_strong(&target->use, &present, use)) {
        mem_free(use);
        return present;
    }
    used_targets_add(used, target);
    return use;
}

static struct target_counters *make_counters(struct target *target, unsigned worker,
                                             struct used_targets *used)
{
    struct target_use *use = target_use(target);
    if (!use)
        use = make_use(target, used);
    struct target_counters *counters = use ? mem_zalloc(sizeof *counters) : NULL;
    // The control thread reads the block as soon as it sees the pointer.
    if (counters)
        atomic_store_explicit(&use->counters[worker], counters, memory_order_release);
    return counters;
}

struct target_counters *target_counters_of(struct target *target, unsigned worker,
                                           struct used_targets *used)
{
    struct target_counters *counters = target_counters_at(target, worker);
    return LIKELY(counters) ? counters : make_counters(target, worker, used);
}

void target_use_free(struct target *target)
{
    struct target_use *use = target_use(target);
    if (!use)
        return;
    for (unsigned i = 0; i < target->worker_count; i++) {
        struct target_counters *counters = target_counters_at(target, i);
        if (counters)
            code_hists_fini(&counters->durations);
        mem_free(counters);
    }
    mem_free(use->sample);
    mem_free(use);
}

void target_totals_read(const struct target *target, unsigned worker_count,
                        struct target_totals *totals)
{
    *totals = (struct target_totals){0};
    for (unsigned i = 0; i < worker_count; i++) {
        const struct target_counters *counters = target_counters_at(target, i);
        if (counters)
            target_totals_add(totals, counters);
    }
}
