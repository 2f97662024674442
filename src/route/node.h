// SPDX-License-Identifier: Apache-2.0
// The parts of a table: nodes for one route and for one host, and the set of host patterns. Built
// by the control thread, then immutable and read by workers. A node lives in all table versions
// from `born` to `last`; route/routes frees it when none of these is left. Private to the route
// layer.
#pragma once

#include "base/list.h"
#include "path_index.h"
#include "route/glob.h"
#include "route/table.h"
#include "weight.h"

struct routes_binding;

struct lifetime {
    struct list link; // in one of the retired lists once it has left the newest table
    uint64_t born;
    uint64_t last;
};

struct route_state {
    _Atomic uint32_t cursor;
    uint32_t refs; // route nodes; control thread
};

struct route_node {
    struct lifetime life;
    struct route route;
    struct ring *ring; // reference; NULL: targets in order
    struct glob *glob; // owned; the path, with ROUTE_MATCH_GLOB and when it is a pattern
    uint64_t digest;
    struct route_target targets[];
};

struct host_node {
    struct lifetime life;
    uint64_t hash;
    struct str host;          // in this allocation
    struct path_index *paths; // reference; NULL: go through the routes
    uint32_t count;
    const struct route_node *routes[]; // paths descending
};

// Up to this many paths are compared one by one.
enum { PATHS_LINEAR_MAX = 8 };

// routes: count of them, paths descending. paths (may be NULL) is shared, a reference is taken.
MUST_CHECK struct host_node *host_node_new(struct str host, const struct route_node *const *routes,
                                           size_t count, struct path_index *paths);
void host_node_free(struct host_node *node);
// The route for a path, or NULL.
const struct route *host_node_match(const struct host_node *node, enum route_matcher matcher,
                                    struct str path);

uint64_t host_hash(struct str host);

// Host patterns in fabio's order, found by the literal text behind their last special character: a
// lookup tries only patterns whose tail, from its first '.', the host ends with, and those without
// such a tail.
struct pattern {
    struct str host;   // the pattern itself, the key of its host node; in the set's arena
    struct glob *glob; // owned
    uint64_t needs;    // glob_needs
    uint32_t port;     // 80 or 443 when it ends with that port, else 0
};

struct pattern_set;

// hosts: all valid patterns. Order does not matter. NULL when memory is short.
MUST_CHECK struct pattern_set *pattern_set_new(const struct str *hosts, size_t count);
struct pattern_set *pattern_set_ref(struct pattern_set *set);
void pattern_set_unref(struct pattern_set *set);
// The first pattern in fabio's order, at or behind *rank, that matches; *rank is then behind it.
// host is the request's host, with_port the same with the connection's default port behind.
const struct pattern *pattern_set_next(const struct pattern_set *set, uint32_t *rank,
                                       struct str host, struct str with_port,
                                       uint32_t default_port);
// 80 or 443 when the host ends with that port, else 0.
uint32_t pattern_port(struct str host);
// fabio's order of matching hosts: descending by the reversed name, port behind.
int pattern_order(struct str a, struct str b);

struct table_slot {
    uint64_t hash;
    const struct host_node *node; // NULL: free
};

struct table {
    struct routes *owner;
    struct list link; // in routes.tables
    uint32_t refs;    // routes for the newest, and whoever it was published to; control thread
    uint64_t version;
    uint64_t digest;
    enum route_matcher matcher;
    enum route_strategy strategy;
    struct pattern_set *patterns; // reference; NULL: none
    size_t route_count;
    size_t target_count;
    size_t host_count;
    size_t port_host_count;         // hosts that end with ":80" or ":443"
    size_t slot_count;              // a power of two, at least twice host_count
    struct table_slot *slots;       // owned
    const struct host_node **hosts; // owned; ascending by name
};

const struct host_node *table_find_host(const struct table *table, struct str host);
