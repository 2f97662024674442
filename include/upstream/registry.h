// SPDX-License-Identifier: Apache-2.0
// Keeps all targets and endpoints, the published table, and who still reads what. Written by the
// control thread; workers read the current table once per loop turn.
#pragma once

#include <stdatomic.h>
#include <stdint.h>
#include <sys/socket.h>

#include "route/routes.h"
#include "route/table.h"
#include "upstream/target.h"

struct uv_loop_s;
struct targets;

// What workers see of the table. A worker that is about to look something up announces the version
// it found and then reads the pointer; when it goes back to waiting it says that it holds none. A
// table older than every announced version is freed, so an idle worker never delays that and never
// needs waking.
struct table_cell {
    _Atomic(struct table *) current; // NULL before the first table
    _Atomic uint64_t version;        // of current; raised after current is stored
    struct used_targets used;
    struct {
        _Alignas(64) _Atomic uint64_t version; // TABLE_UNSEEN: holds no table
    } seen[WORKERS_MAX];
};
#define TABLE_UNSEEN UINT64_MAX

// The current table, protected until table_cell_leave. Worker; costs one full barrier.
static inline struct table *table_cell_enter(struct table_cell *cell, unsigned worker)
{
    uint64_t version = atomic_load_explicit(&cell->version, memory_order_acquire);
    atomic_store(&cell->seen[worker].version, version);
    return atomic_load(&cell->current);
}

static inline void table_cell_leave(struct table_cell *cell, unsigned worker)
{
    atomic_store_explicit(&cell->seen[worker].version, TABLE_UNSEEN, memory_order_release);
}

// `loop` is the control loop: names are resolved on its thread pool. worker_count (1 to
// WORKERS_MAX) sizes the per-worker arrays. NULL when memory is short.
MUST_CHECK struct targets *targets_new(struct uv_loop_s *loop, unsigned worker_count);
// Unpublishes and frees all tables, targets and endpoints; workers are gone. The loop must run once
// more afterwards if a name was being looked up.
void targets_free(struct targets *targets);
// Certificates to trust for https targets, beside the system's; borrowed, may be empty. Before the
// first table.
void targets_set_trust(struct targets *targets, struct str ca_file, struct str ca_path);
unsigned targets_worker_count(const struct targets *targets);

// For routes_new.
struct routes_binding targets_binding(struct targets *targets);

struct table_cell *targets_cell(struct targets *targets);
// Makes the table current (NULL: none any more); old versions and retired targets are freed by
// targets_collect.
void targets_publish(struct targets *targets, struct table *table);
// Frees old tables, retired targets and endpoints that nobody can read any more. Called from a
// timer on the control loop and after publishing; cheap when there is nothing to do.
void targets_collect(struct targets *targets);
// Looks up names again whose time has come (30 s; 2 s after a failure). From a timer of about a
// second.
void targets_refresh_names(struct targets *targets);
// Whether every endpoint of the current table has its address (or has failed to resolve once).
bool targets_are_resolved(const struct targets *targets);

// Where this process listens: targets that lead there are not used (endpoint.is_own), for a request
// would come back for ever.
void targets_set_own(struct targets *targets, const struct sockaddr_storage *listeners,
                     unsigned count);
// Counts up when other targets than before are such ones.
uint64_t targets_own_version(const struct targets *targets);

// Iterates all live targets, in no order; start with NULL, NULL at the end. Control thread.
struct target *targets_next(struct targets *targets, struct target *previous);
size_t targets_count(const struct targets *targets);
// A target that is no more in the table, and may be again.
static inline bool target_is_retired(const struct target *target)
{
    return target->link.refs == 0;
}
// Called with each target that had its life, before it is freed (its counters are final); NULL:
// nobody.
void targets_on_free(struct targets *targets, void (*on_free)(void *ctx, struct target *target),
                     void *ctx);
