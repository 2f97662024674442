// SPDX-License-Identifier: Apache-2.0
// Writes the Prometheus text exposition format 0.0.4. Label values are escaped, invalid UTF-8
// becomes U+FFFD. Pure; appends to a buf.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct prom_label {
    const char *name;
    struct str value;
};

// "# HELP" and "# TYPE" lines; kind is "counter", "gauge" or "histogram". Once per metric, before
// samples.
void prom_family(struct buf *out, const char *name, const char *kind, const char *help);
// One sample line; labels may be NULL with count 0.
void prom_sample_u64(struct buf *out, const char *name, const struct prom_label *labels,
                     size_t count, uint64_t value);
void prom_sample_f64(struct buf *out, const char *name, const struct prom_label *labels,
                     size_t count, double value);
// A bound as fabio writes it, which is Go's shortest form: a label that changes would be another
// series.
enum { PROM_BOUND_TEXT_MAX = 48 };
void prom_bound_text(double bound, char text[PROM_BOUND_TEXT_MAX]);
// _bucket lines for the given upper bounds (seconds, ascending), +Inf, _sum and _count.
struct hist_sum;
void prom_histogram(struct buf *out, const char *name, const struct prom_label *labels,
                    size_t count, const struct hist_sum *hist, double sum_seconds,
                    const double *bounds, size_t bound_count);
