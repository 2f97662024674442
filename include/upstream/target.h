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

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/list.h"
#include "base/str.h"
#include "route/def.h"
#include "stats/counters.h"

enum {
    WORKERS_MAX = 64,
    ENDPOINT_ADDRESSES_MAX = 4, // of a name with several; tried in order
};

struct endpoint_addresses {
    unsigned count;
    struct sockaddr_storage at[ENDPOINT_ADDRESSES_MAX];
};

struct tls_context;
struct endpoint_pool; // upstream/pool.h: one worker's connections to one endpoint

struct endpoint {
    struct str key;  // identity: address, port and TLS settings; owned with the endpoint
    struct str host; // as in dst, no brackets
    uint16_t port;
    const struct tls_context *tls; // NULL: plain
    bool skips_tls_verify;
    struct str tls_name; // name for SNI and verification; empty: host
    // Resolved addresses; NULL while a name is being looked up or does not resolve. Replaced whole
    // by the control thread; the value before stays valid until the next replacement.
    _Atomic(struct endpoint_addresses *) addresses;
    struct endpoint_addresses *previous_addresses;
    // Why the newest TLS handshake of any worker failed, a static text; NULL: it did not. For
    // people.
    _Atomic(const char *) tls_failure;
    atomic_bool is_retired; // workers stop pooling
    atomic_bool is_own;     // leads back to a listener of this process: not to be used
    // Counted up when the registry brings it up anew: what workers know against it is forgotten.
    _Atomic uint32_t life;
    uint32_t refs;              // targets; control thread
    struct list link;           // registry's
    struct name_lookup *lookup; // registry's; NULL for a literal address
    // One per worker, created by it on first use, freed with the endpoint.
    _Atomic(struct endpoint_pool *) pools[];
};

struct target {
    struct str key; // identity: all below that is borrowed from it
    struct str service, host, path, dst;
    struct str host_header; // Host to send with host=dst: "name[:port]" of dst
    struct endpoint
        *endpoint; // NULL for what cannot be proxied to (redirects, unsupported schemes)
    uint32_t refs; // bindings; control thread
    bool was_up;   // in the newest binding; control thread
    atomic_bool is_retired;
    void *sample;     // last totals, for rates; one allocation, the admin's, freed with the target
    struct list link; // registry's
    // Counter blocks, one per worker, created by it on first use, freed with the target.
    _Atomic(struct target_counters *) counters[];
};

static inline struct str endpoint_tls_name(const struct endpoint *endpoint)
{
    return endpoint->tls_name.len ? endpoint->tls_name : endpoint->host;
}

// The worker's own counter block for a target; NULL when memory is short (then the request is
// shed).
struct target_counters *target_counters_of(struct target *target, unsigned worker);

// Control thread, when no worker uses the target any more.
void target_counters_free(struct target_counters *counters);

// Sums over the first worker_count workers. Control thread.
void target_totals_read(const struct target *target, unsigned worker_count,
                        struct target_totals *totals);
