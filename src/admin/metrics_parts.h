// SPDX-License-Identifier: Apache-2.0
// Private to src/admin/metrics*.c: the pieces the text of /metrics is made of.
#pragma once

#include "admin/metrics.h"
#include "stats/prom.h"

// A family of one sample.
static inline void metrics_gauge_u64(struct buf *out, const char *name, const char *help,
                                     uint64_t value)
{
    prom_family(out, name, "gauge", help);
    prom_sample_u64(out, name, NULL, 0, value);
}

static inline void metrics_gauge_f64(struct buf *out, const char *name, const char *help,
                                     double value)
{
    prom_family(out, name, "gauge", help);
    prom_sample_f64(out, name, NULL, 0, value);
}

// The targets that get series, those with equal labels (they differ in TLS options only) side by
// side. Silent targets get none: 100,000 of them would be a million series of zeros.
struct target_list {
    const struct target **at; // owned
    size_t count;
    size_t omitted;
    unsigned worker_count;
};

MUST_CHECK int target_list_init(struct target_list *list, const struct metrics_input *input);
void target_list_fini(struct target_list *list);
// How many from `first` on have equal labels.
size_t target_list_group(const struct target_list *list, size_t first);

// Families of tagway's names, by target.
void metrics_write_targets(struct buf *out, const struct metrics_input *input);
// Families of fabio's names.
void metrics_write_fabio(struct buf *out, const struct metrics_input *input);
// process_*
void metrics_write_process(struct buf *out, uint64_t started_us);
