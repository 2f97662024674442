// SPDX-License-Identifier: Apache-2.0
// Where registry backends deliver. The feed keeps what each said last, coalesces changes (20 ms, at
// most 200 ms under continuous change), builds one table and publishes it. It also knows whether
// the process is ready. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "discover/problems.h"
#include "route/routes.h"
#include "upstream/registry.h"

struct uv_loop_s;
struct feed;
struct snapshot;

enum routes_log_format { ROUTES_LOG_DELTA, ROUTES_LOG_ALL, ROUTES_LOG_DETAIL };

struct feed_config {
    struct routes_config routes;
    enum routes_log_format log_format; // log.routes.format
    uint32_t coalesce_ms;              // 20
    uint32_t coalesce_max_ms;          // 200
};

// Called after each published table (also the first), on the control thread.
typedef void (*feed_published_fn)(void *ctx, const struct table *table);

// targets and problems are borrowed and must outlive the feed.
MUST_CHECK struct feed *feed_new(struct uv_loop_s *loop, const struct feed_config *config,
                                 struct targets *targets, struct problems *problems,
                                 feed_published_fn on_published, void *ctx);
// Stops its timer, unpublishes and frees all tables (workers must be gone). The loop must run once
// more for the timer handle: on_closed is called then.
void feed_close(struct feed *feed, void (*on_closed)(void *ctx), void *ctx);

// Another way to match, pick and log from now on; the table is built again where that matters.
void feed_set_config(struct feed *feed, const struct feed_config *config);

// Deliveries. 0, or ERR_NOMEM: nothing changed and the backend must deliver again.
// One service's definitions (see routes_set_service).
MUST_CHECK int feed_set_service(struct feed *feed, struct str key, struct route_def *const *defs,
                                size_t count);
// After a delivery: puts those that the feed keeps in the place of the backend's own, so that a
// definition that has not changed is there once.
void feed_share_defs(const struct feed *feed, struct str key, struct route_def **defs,
                     size_t count);
// Manual commands as text; `origin` as for command_list_parse. Bad lines go to problems (scope
// "manual").
MUST_CHECK int feed_set_manual(struct feed *feed, struct str origin, struct str text);
// Manual commands that are parsed already, taken over also on failure; text is what the change log
// compares, a line for each.
MUST_CHECK int feed_set_commands(struct feed *feed, struct command_list *commands, struct str text);
// Page for requests without a route; empty removes it.
MUST_CHECK int feed_set_noroute_html(struct feed *feed, struct str html);
// The backend has delivered everything it had at start; is_partial when it gave up waiting for
// some. The first table is published not before (consul.md C31).
void feed_set_synced(struct feed *feed, bool is_partial);

bool feed_is_synced(const struct feed *feed);            // and the first table is published
const struct table *feed_table(const struct feed *feed); // NULL before
struct str feed_noroute_html(const struct feed *feed);
// Adds what backends have delivered last, with references to the definitions. 0 or ERR_NOMEM.
MUST_CHECK int feed_copy(const struct feed *feed, struct snapshot *copy);

// Figures for metrics and /api.
struct feed_totals {
    uint64_t tables_built;
    uint64_t tables_published;
    uint64_t build_us_last;
    uint64_t build_us_max;
    uint64_t published_at_us; // wall clock of the last publish
    bool is_partial;
};
void feed_totals_read(const struct feed *feed, struct feed_totals *totals);
