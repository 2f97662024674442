// SPDX-License-Identifier: Apache-2.0
// What the admin reads, for its tests: real targets, table, feed and problems without a network,
// and a backend and worker figures that the test sets.
#pragma once

#include <uv.h>

#include "admin/admin.h"
#include "upstream/pool.h"

struct world {
    uv_loop_t loop;
    struct targets *targets;
    struct problems *problems;
    struct feed *feed;
    unsigned published; // tables
    struct backend backend;
    struct admin_sources sources;

    struct worker_totals workers;
    uint64_t data_age_ms;
    struct { // what came to manual_put
        char sub_path[128], value[128], version[32];
        unsigned puts;
    } manual;
};

enum { WORLD_WORKERS = 2 };

void world_init(struct world *world);
void world_fini(struct world *world);
// Replaces a service's routes: `route add` commands, one per line. Returns when they are published.
void world_set_routes(struct world *world, const char *service, const char *commands);
// The same with health for every definition.
void world_set_unhealthy(struct world *world, const char *service, const char *commands,
                         const char *note);
// The target of the current table with that destination.
struct target *world_target(struct world *world, const char *dst);
// A worker's counters of it, created as by a first request.
struct target_counters *world_counters(struct world *world, const char *dst, unsigned worker);
// Its endpoint is ejected by worker 0.
void world_eject(struct world *world, const char *dst, uint64_t until_ms, enum eject_cause cause);
