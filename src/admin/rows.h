// SPDX-License-Identifier: Apache-2.0
// Routing table, problems and totals as JSON text. Control thread; reads the current table only.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "discover/problems.h"
#include "route/table.h"

// The array of /api/routes: hosts ascending, paths descending, targets in their order; `null` when
// there are none, as fabio. has_down adds the targets that get no traffic for their health.
void rows_write_routes(struct buf *out, const struct table *table, bool has_down);

// The members of one row that change only with the table (no braces): fabio's fields, then ours.
void rows_write_fixed(struct buf *out, const struct route *route,
                      const struct route_target *route_target);
void rows_write_origin(struct buf *out, const struct route_def *def);
// What moves, as an array after `id`: rate, error rate, p50 ms, p99 ms, requests, errors, failures,
// in flight, workers that eject it, bytes in, bytes out.
void rows_write_figures(struct buf *out, uint64_t id, const struct target *target);

// The array of /api/problems.
void rows_write_problems(struct buf *out, const struct problems *problems);
// How many problems lose something, of those listed.
size_t rows_count_lost(const struct problems *problems);

// Targets of a table by what they get.
struct rows_counts {
    size_t up;
    size_t down;
    size_t ejected; // of those up
};
struct rows_counts rows_count_targets(const struct table *table);
