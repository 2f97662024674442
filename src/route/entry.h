// SPDX-License-Identifier: Apache-2.0
// The write side's model, from which tables are built: services with their definitions, hosts, and
// for each host and path the definitions and manual commands that make its route. Each command acts
// on one route at a time, so a route is the unit of change. Private to the route layer; control
// thread.
#pragma once

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/slab.h"
#include "node.h"
#include "route/routes.h"

// Something to tell about a route: a definition that lost, or a command that found nothing.
enum note_kind {
    NOTE_DUPLICATE, // same target with other options; lost
    NOTE_BAD_HOST,  // the host pattern does not compile; lost
    NOTE_SHARED,    // another service has the same host and path; warning
    NOTE_OPTION,    // route_def_warning; warning
    NOTE_NO_AUTH,   // auth= names no scheme; warning
    NOTE_NO_MATCH,  // `route weight` without a target; lost
};

struct note {
    enum note_kind kind;
    const struct route_def *def; // NULL with NOTE_NO_MATCH alone
    const struct route_def *other;
    uint32_t command; // index, for NOTE_NO_MATCH
};

struct notes {
    struct note *at; // owned
    size_t count;
    size_t cap;
};

struct host_entry {
    struct str name;           // in this allocation; key in routes.hosts
    struct path_entry **paths; // owned array; descending, unless is_unsorted
    size_t path_count;
    size_t path_cap;
    bool is_unsorted;
    bool is_pattern;
    char *bad_reason;       // owned; why the pattern does not compile, or NULL
    struct host_node *node; // in the newest table, or NULL
    // While a table is built:
    struct host_node *next_node;
    bool has_new_paths;       // a route came or went: the path index is stale
    struct list changed_link; // in routes.changed_hosts
};

struct path_entry {
    struct str key;  // "host\0path", in this allocation; key in routes.paths
    struct str path; // the end of key
    struct host_entry *host;
    struct route_def **defs; // owned array; references are held by the services; in route_def_order
    size_t def_count;
    size_t def_cap;
    size_t coming;          // definitions that routes_set_service is about to add
    uint32_t command_first; // in routes.command_refs
    uint32_t command_count;
    struct route_node *node; // in the newest table, or NULL
    struct notes notes;
    struct list dirty_link; // in routes.dirty
    struct list noted_link; // in routes.noted
    // While a table is built:
    struct route_node *next_node;
    struct notes next_notes;
};

struct service_entry {
    struct str key;          // in this allocation
    struct route_def **defs; // owned array of references, in route_def_order
    size_t def_count;
};

struct command_ref {
    struct path_entry *entry;
    uint32_t command;
};

// One target while a route is put together.
struct candidate {
    struct route_def *def;
    double fixed;
    bool is_none;    // weight 0 that means no traffic
    uint32_t before; // number of the one before in its chain, 0: none; duplicate.c
};

// Buffers that are kept from route to route.
struct workspace {
    struct candidate *candidates;
    struct share *shares; // of those that are up, if has_weights
    uint32_t *slots;
    size_t cap;
    size_t count;
    bool has_weights; // some candidate; else all that are up have equal shares
    // duplicate.c: the last candidate of each chain, by its number; how many are in chains, and how
    // many were ever looked at.
    uint32_t *chains;
    size_t chain_count;
    size_t chained;
    uint64_t compared;
    // Of the new nodes: the last targets, which are not bound yet.
    struct routes_unbound unbound[ROUTES_BIND_TOGETHER];
    size_t unbound_count;
};

// What a build adds to the numbers of the newest table.
struct table_change {
    uint64_t digest;
    size_t routes, targets; // may wrap: they are added
    size_t hosts;           // in changed_hosts
};

struct routes {
    struct routes_config config;
    struct routes_binding binding;
    struct map services; // key -> struct service_entry
    struct map hosts;    // name -> struct host_entry
    struct map paths;    // "host\0path" -> struct path_entry
    // Of the two: a build goes through all that have changed several times, and they are fetched
    // sooner side by side than strewn among definitions.
    struct slab host_slab, path_slab;
    struct list dirty; // path entries to be built again
    struct list noted; // path entries with notes
    struct list changed_hosts;
    struct table_change change; // by the build under way
    size_t coming;              // definitions that have come since the last build

    struct command_list *manual;      // owned, or NULL
    struct command_ref *command_refs; // owned; commands with a host and path, grouped by entry
    uint32_t *global_commands;        // owned; `route del` without one, ascending
    size_t global_count;

    struct ring_cache rings;
    struct workspace work;
    bool is_config_new;         // nodes of before are not to be used again
    struct table *newest;       // reference, or NULL
    struct list tables;         // all that live
    struct list retired_routes; // nodes that left the newest table: lifetime.link
    struct list retired_hosts;
};

// "host\0path", as definitions and commands keep them side by side.
struct str path_key(struct str host, struct str path);

// Finds or makes; NULL when memory is short. An entry that stays without definitions and commands
// goes with the next build.
MUST_CHECK struct path_entry *entry_get(struct routes *routes, struct str host, struct str path);
void entry_mark(struct routes *routes, struct path_entry *entry);
void entry_free(struct routes *routes, struct path_entry *entry);
// Room for all that is `coming`.
MUST_CHECK int entry_reserve(struct path_entry *entry);
// Merges count sorted definitions in; there must be room.
void entry_add(struct path_entry *entry, struct route_def *const *defs, size_t count);
// Takes count definitions out, which must be there, in the same order.
void entry_remove(struct path_entry *entry, struct route_def *const *defs, size_t count);
void host_sort_paths(struct host_entry *host);

MUST_CHECK int notes_add(struct notes *notes, struct note note);
void notes_fini(struct notes *notes);

// Builds entry->next_node and next_notes from definitions and commands. When the route is as
// before, next_node is the present node. Its last targets may be bound with the next routes' or by
// routes_bind. 0 or ERR_NOMEM (nothing is left behind).
MUST_CHECK int route_build(struct routes *routes, struct path_entry *entry, uint64_t version);
// Binds what waits for it. 0 or ERR_NOMEM.
MUST_CHECK int routes_bind(struct routes *routes);
// Gives back targets, ring and state.
void route_node_free(struct routes *routes, struct route_node *node);
void workspace_fini(struct workspace *work);

// A new version from the newest one and the hosts in changed_hosts; NULL when memory is short.
// Nothing is published and no entry changed.
MUST_CHECK struct table *table_build(struct routes *routes, uint64_t version);
// Drops a reference; with the last one also the nodes that lived for this version only.
void table_release(struct table *table);
// Frees the retired nodes that no living table has.
void routes_sweep(struct routes *routes);
