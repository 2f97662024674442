// SPDX-License-Identifier: Apache-2.0
// Targets: what the data path sends requests to. One `struct target` per (service, host, path, dst)
// of the routing table holds counters and the pinned definition; targets with the same address
// share one `struct endpoint`, which is what connections, pools and ejection belong to.
//
// Life: the registry (control thread) creates a target when the first table with it is built and
// retires it when the last such table is freed; a target that comes back meanwhile is taken up
// again. A worker pins a target only through the in_flight number of its own counter block, so a
// retired target is freed when every worker's block says 0, and an endpoint when no worker has
// connections to it. What a definition says (options) may be read only through the table, within
// the turn that looked it up.
#pragma once

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/index.h"
#include "base/str.h"
#include "route/def.h"
#include "stats/counters.h"

enum {
    WORKERS_MAX = 64,
    ENDPOINT_ADDRESSES_MAX = 4, // of a name with several; tried in order
};

union endpoint_address { // a fifth of a sockaddr_storage
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

struct endpoint_addresses {
    unsigned count;
    union endpoint_address at[]; // to be read through `any`: the last has room for its family only
};

struct tls_context;
struct endpoint_pool; // upstream/pool.h: one worker's connections to one endpoint

// What only https endpoints have.
struct endpoint_tls {
    const struct tls_context *context;
    struct str name; // for SNI and verification; empty: the host
    bool skips_verify;
    // Why the newest handshake of any worker failed, a static text; NULL: it did not. For people.
    _Atomic(const char *) failure;
};

struct endpoint {
    struct index_link link; // registry's; by address, port and TLS settings. refs: targets
    // Counted up when the registry brings it up anew: what workers know against it is forgotten.
    _Atomic uint32_t life;
    uint16_t host_at, host_len; // as in dst, no brackets; in this allocation
    uint16_t tls_at;            // in this allocation; 0: plain
    uint16_t port;
    uint8_t worker_count;
    bool is_listed;         // in the registry's list of retired ones; control thread
    atomic_bool is_retired; // workers stop pooling
    atomic_bool is_own;     // leads back to a listener of this process: not to be used
    // Resolved addresses; NULL while a name is being looked up or does not resolve. Replaced whole
    // by the control thread; the value before stays valid until the next replacement.
    _Atomic(struct endpoint_addresses *) addresses;
    struct name_lookup *lookup;    // registry's; NULL for a literal address
    struct endpoint *next_retired; // registry's
    // One per worker, created by it on first use; the array by the first of them, as most of very
    // many are never used.
    _Atomic(struct endpoint_pool *) *_Atomic pools;
};

// What a target has that was ever used: made by the first worker, freed with it.
struct target_use {
    struct target *next; // in used_targets
    void *sample;        // last totals, for rates; one allocation, the admin's
    _Atomic(struct target_counters *) counters[]; // one per worker, created by it on first use
};

struct target {
    struct index_link
        link; // registry's; by service, host, path, dst and TLS settings. refs: bindings
    const struct route_rule *rule; // reference; with its service, host and path
    struct endpoint
        *endpoint; // NULL for what cannot be proxied to (redirects, unsupported schemes)
    struct target *next_retired;      // registry's
    _Atomic(struct target_use *) use; // NULL: never used
    uint16_t dst_len;
    uint16_t header_in_dst, header_len; // lies in dst or, then at its end, behind it
    bool was_up;                        // in the newest binding; control thread
    bool is_listed;                     // in the registry's list of retired ones; control thread
    uint8_t worker_count;
    char text[]; // dst, and the header if it is not in it
};

// Targets that have been used for the first time: any worker adds, the control thread takes all.
// Whoever looks at counters need not go through the many targets that never had a request.
struct used_targets {
    _Atomic(struct target *) newest;
};

static inline struct str target_dst(const struct target *target)
{
    return str_make(target->text, target->dst_len);
}

// Host to send with host=dst: "name[:port]" of dst.
static inline struct str target_host_header(const struct target *target)
{
    return str_make(target->text + target->header_in_dst, target->header_len);
}

static inline struct str endpoint_host(const struct endpoint *endpoint)
{
    return str_make((const char *)endpoint + endpoint->host_at, endpoint->host_len);
}

static inline bool endpoint_is_own(const struct endpoint *endpoint)
{
    return atomic_load_explicit(&endpoint->is_own, memory_order_relaxed);
}

// NULL: plain.
static inline struct endpoint_tls *endpoint_tls(const struct endpoint *endpoint)
{
    char *at = (char *)endpoint + endpoint->tls_at;
    return endpoint->tls_at ? (struct endpoint_tls *)(void *)at : NULL;
}

static inline struct str endpoint_tls_name(const struct endpoint *endpoint)
{
    const struct endpoint_tls *tls = endpoint_tls(endpoint);
    return tls && tls->name.len ? tls->name : endpoint_host(endpoint);
}

// What a worker has of an endpoint and of a target; NULL: nothing yet. Any thread.
static inline struct endpoint_pool *endpoint_pool_of(const struct endpoint *endpoint,
                                                     unsigned worker)
{
    _Atomic(struct endpoint_pool *) *pools =
        atomic_load_explicit(&endpoint->pools, memory_order_acquire);
    return pools ? atomic_load_explicit(&pools[worker], memory_order_acquire) : NULL;
}

static inline struct target_use *target_use(const struct target *target)
{
    return atomic_load_explicit(&target->use, memory_order_acquire);
}

static inline struct target_counters *target_counters_at(const struct target *target,
                                                         unsigned worker)
{
    const struct target_use *use = target_use(target);
    return use ? atomic_load_explicit(&use->counters[worker], memory_order_acquire) : NULL;
}

// The worker's own counter block for a target, which is among the used ones from now on; NULL when
// memory is short (then the request is shed).
struct target_counters *target_counters_of(struct target *target, unsigned worker,
                                           struct used_targets *used);
void used_targets_add(struct used_targets *used, struct target *target);
// Control thread: those that have come since the last time, linked by use->next; NULL for none.
struct target *used_targets_take(struct used_targets *used);

// All counters and the sample. Control thread, when no worker uses the target any more.
void target_use_free(struct target *target);

// Sums over the first worker_count workers. Control thread.
void target_totals_read(const struct target *target, unsigned worker_count,
                        struct target_totals *totals);
