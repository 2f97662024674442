// SPDX-License-Identifier: Apache-2.0
// Upstream connections of one worker, pooled per endpoint, and what the worker has learnt of the
// endpoint's health. A pool is created by its worker on first use and freed with the endpoint by
// the control thread, once no connection belongs to it. All functions but endpoint_is_unused are
// for the pool's worker.
//
// A connection is connecting, then borrowed by one exchange, then idle in its pool (newest first),
// and so on. Idle connections stay read-armed: a byte or FIN from the peer closes them, so a dead
// one is found before it is used. One to an https endpoint is connected when TLS stands.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/sock.h"
#include "net/tls.h"
#include "upstream/eject.h"
#include "upstream/target.h"

enum {
    TLS_LOG_MS = 10000, // how often an endpoint's failing handshakes are logged
    POOL_DISTRUST_MS = 60000,
};

struct upstream_config {
    uint32_t connect_timeout_ms;
    uint32_t idle_timeout_ms; // idle connections are closed after this
    uint32_t keepalive_ms;    // TCP keep-alive period; 0: 15 s
    uint32_t max_idle;        // per pool
    uint32_t tls_handshake_timeout_ms;
    uint32_t write_timeout_ms; // for a borrowed one that takes nothing; 0: none
    struct eject_config eject;
};

// One worker's side: passed to every call.
struct upstream {
    struct net_loop *loop;
    unsigned worker;
    const struct upstream_config *config;
    struct list conns; // all connections of the worker, for shutdown
    uint32_t conn_count;
    bool is_draining; // pool nothing any more
    // Until then some endpoint may be ejected, due for its probe or probed. Past that nobody looks,
    // and requests that come at once may all be probes.
    uint64_t ejections_until_ms;
};

struct endpoint_pool {
    struct endpoint *endpoint;
    struct list idle; // newest first, behind them the doubtful ones, oldest first
    uint32_t idle_count;
    _Atomic uint32_t conn_count; // all connections to it; single writer, read by the control thread
    struct ejection ejection;    // of this worker's experience
    _Atomic uint32_t life;       // endpoint.life when it was ejected
    // Its idle connections have died under requests: until then only requests that can be repeated
    // are put on them.
    uint64_t distrusted_until_ms;
    uint64_t tls_logged_ms; // when a failed handshake was last logged
    // Newest, to begin the next connection with; NULL: none. Owned.
    struct tls_session *tls_session;
};

struct upstream_conn;

struct upstream_conn_events {
    // 0, or a libuv error: already closing (tls_failure tells whether it was TLS).
    void (*on_connected)(struct upstream_conn *conn, int status);
    void (*on_data)(struct upstream_conn *conn, char *bytes, size_t len);
    void (*on_piped)(struct upstream_conn *conn, size_t len); // see net/sock.h
    void (*on_end)(struct upstream_conn *conn);
    void (*on_failed)(struct upstream_conn *conn, int status);
    void (*on_drained)(struct upstream_conn *conn);
    // Nothing of what is pending was taken for write_timeout_ms; the connection is as it was.
    void (*on_stalled)(struct upstream_conn *conn);
};

struct upstream_conn {
    struct sock sock;
    struct upstream *upstream;
    struct endpoint_pool *pool;
    const struct upstream_conn_events *events; // NULL while idle
    void *user;                                // the borrower
    struct list link;                          // upstream.conns
    struct list idle_link;                     // pool.idle
    struct timer timer;                        // connecting: deadline; writing: the same; idle: age
    uint64_t unsent_bytes;                     // when the timer was armed for writing
    uint32_t glitches;                         // counted by the borrowers
    bool is_connected;
    bool is_reused;      // carried a request before this one
    bool is_doubtful;    // set by the borrower: more may come than the answer's end tells
    uint64_t settled_ms; // doubtful and idle: not lent before
};

void upstream_init(struct upstream *upstream, struct net_loop *loop, unsigned worker,
                   const struct upstream_config *config);
// Closes all idle connections; borrowed ones are closed when given back.
void upstream_drain(struct upstream *upstream);

// This worker's pool of the endpoint; NULL when memory is short.
struct endpoint_pool *upstream_pool_of(struct upstream *upstream, struct endpoint *endpoint);

// An idle connection, or NULL when there is none. For requests that cannot be repeated it is looked
// (one system call) whether it has died meanwhile, and none is given where they have of late.
struct upstream_conn *upstream_get_idle(struct upstream *upstream, struct endpoint_pool *pool,
                                        bool can_repeat, const struct upstream_conn_events *events,
                                        void *user);
// A new connection, connecting; may be written to at once. NULL when the endpoint has no address or
// memory or descriptors are short (*status says which, a libuv error code).
struct upstream_conn *upstream_connect(struct upstream *upstream, struct endpoint_pool *pool,
                                       const struct upstream_conn_events *events, void *user,
                                       int *status);
// After a write that left some pending: the borrower hears on_stalled when nothing of it is taken
// for write_timeout_ms.
void upstream_await_drain(struct upstream_conn *conn);
// Gives a connection back after a complete exchange. Pools it or, when that is not wanted, closes
// it. A doubtful one is lent again only when nothing has come for a while; whatever comes closes
// it.
void upstream_put(struct upstream_conn *conn);
// Closes an idle connection of any pool. False: there is none among those looked at.
bool upstream_evict(struct upstream *upstream);
// Closes a borrowed connection; no further event.
void upstream_discard(struct upstream_conn *conn, bool with_reset);

// Passive ejection, see upstream/eject.h. A failure returns true when it took the endpoint out.
void endpoint_pool_succeeded(struct endpoint_pool *pool);
bool endpoint_pool_failed(struct endpoint_pool *pool, struct upstream *upstream,
                          enum eject_cause cause, bool was_probe, bool may_eject);
bool endpoint_pool_admits_ejected(struct endpoint_pool *pool, uint64_t now_ms, bool can_repeat);
// Whether a request may be sent. What the registry has brought up anew since it was ejected is in
// use again.
static inline bool endpoint_pool_admits(struct endpoint_pool *pool, uint64_t now_ms,
                                        bool can_repeat)
{
    return ejection_until_ms(&pool->ejection) == 0 ||
           endpoint_pool_admits_ejected(pool, now_ms, can_repeat);
}
// Called with each request sent. True: it is the probe.
static inline bool endpoint_pool_begin_request(struct endpoint_pool *pool, uint64_t now_ms)
{
    return UNLIKELY(ejection_until_ms(&pool->ejection) != 0) &&
           ejection_begin(&pool->ejection, now_ms);
}

// An idle connection has died under a request.
static inline void endpoint_pool_distrust(struct endpoint_pool *pool, uint64_t now_ms)
{
    pool->distrusted_until_ms = now_ms + POOL_DISTRUST_MS;
}

// What is told of an endpoint's ejection, over all workers. Control thread.
struct endpoint_ejection {
    unsigned workers;       // that hold it out now
    uint64_t until_ms;      // the latest of them
    enum eject_cause cause; // theirs
};
struct endpoint_ejection endpoint_ejection_read(const struct endpoint *endpoint,
                                                unsigned worker_count, uint64_t now_ms);

// All workers' pools of it. Control thread, once no connection belongs to them.
void endpoint_pools_free(struct endpoint *endpoint);
// Control thread: no worker has a connection to the endpoint.
bool endpoint_is_unused(const struct endpoint *endpoint, unsigned worker_count);
