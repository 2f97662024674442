// SPDX-License-Identifier: Apache-2.0
// The published routing table: immutable, shared by all workers, found through one atomic pointer.
// This header is the read side; route/routes.h builds tables. Lookup allocates nothing and takes
// time that does not grow with the number of exact hosts (docs/routing.md, "Which route", for the
// order of candidates).
//
// Threads: any worker may read a table between two quiescent points; memory belongs to
// route/routes.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "route/def.h"

struct target; // upstream/target.h; opaque here
struct table;

enum route_matcher { ROUTE_MATCH_PREFIX, ROUTE_MATCH_IPREFIX, ROUTE_MATCH_GLOB };
enum route_strategy { ROUTE_PICK_RANDOM, ROUTE_PICK_ROUND_ROBIN };

struct route_target {
    const struct route_def *def; // pinned by the table and by `target`
    struct target *target;       // counters, address, state; given by the bind callback
};

struct route_weight {
    double share; // effective, 0..1
    double fixed; // as set by tag or `route weight`; 0: dynamic
};

struct route_state; // survives table versions: the round-robin cursor

struct route {
    struct str host;
    struct str path;
    struct route_target *targets; // the first up_count take traffic, the others are down
    uint32_t up_count;
    uint32_t count;
    const uint32_t *ring;               // ring_len indexes into targets; NULL: the targets in order
    uint32_t ring_len;                  // number of slots also when ring is NULL
    const struct route_weight *weights; // of all targets; NULL, as mostly: equal shares
    struct route_state *state;
};

// Of one of a route's targets.
static inline struct route_weight route_weight_of(const struct route *route,
                                                  const struct route_target *target)
{
    ptrdiff_t at = target - route->targets;
    if (route->weights)
        return route->weights[at];
    return (struct route_weight){.share = at < route->up_count ? 1 / (double)route->up_count : 0};
}

// Walks the candidate hosts of one lookup; on the caller's stack, set up by table_lookup_start. May
// be copied. All but path is private to table.c.
struct table_cursor {
    const struct table *table;
    struct str path;
    uint32_t stage;
    uint32_t index;
    uint32_t default_port;
    uint32_t host_len;
    char host_bytes[256]; // normalised host; one longer than 252 matches only host-less routes
};

// Prepares a lookup. host is the request's authority (any case, maybe with port; :80 resp. :443 is
// dropped by is_tls); path the normalised path, which must outlive the cursor.
void table_lookup_start(struct table_cursor *cursor, const struct table *table, struct str host,
                        struct str path, bool is_tls);
// Next matching route, best candidate host first, at most one per host; NULL when there is none
// left. The first call gives the route to use; more are needed only to skip redirect loops.
const struct route *table_lookup_next(struct table_cursor *cursor);

// Exact host key, path "/" (TCP and SNI routes). NULL when there is none.
const struct route *table_lookup_exact(const struct table *table, struct str host);

// Picks a target. `salt` is a random number (RANDOM) and ignored otherwise. is_usable may refuse a
// target (ejected, already tried): then the next slots of the ring are probed; when all are
// refused, NULL. is_usable may be NULL. Down targets and targets of weight 0 are never given, so
// that a route may have none to give.
typedef bool (*route_usable_fn)(void *ctx, const struct route_target *target);
const struct route_target *route_pick(const struct route *route, enum route_strategy strategy,
                                      uint32_t salt, route_usable_fn is_usable, void *ctx);

// Facts about a table.
uint64_t table_version(const struct table *table); // counts up with every build, starts at 1
// Equal content gives equal digest on every machine (of one byte order). Content is what decides
// where requests go: hosts, paths, targets with options, weights and health; not where a definition
// came from.
uint64_t table_digest(const struct table *table);
enum route_strategy table_strategy(const struct table *table);
size_t table_host_count(const struct table *table);
size_t table_route_count(const struct table *table);
size_t table_target_count(const struct table *table);

// Iterates all routes, hosts ascending, paths descending (the order of /api/routes). Start with a
// zeroed iterator. Control thread.
struct table_iterator {
    size_t host;
    size_t path;
};
const struct route *table_next_route(const struct table *table, struct table_iterator *at);

struct buf;
// fabio's `?raw` text and `detail` tree.
void table_print(const struct table *table, struct buf *out);
void table_print_detail(const struct table *table, struct buf *out);
