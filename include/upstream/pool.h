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
#include "upstream/target.h"

enum {
    EJECT_AFTER_FAILURES = 3, // consecutive connect, timeout or gateway failures
    EJECT_FIRST_MS = 5000,    // doubled each time, with jitter
    EJECT_MAX_MS = 60000,
    TLS_LOG_MS = 10000, // how often an endpoint's failing handshakes are logged
};

struct upstream_config {
    uint32_t connect_timeout_ms;
    uint32_t idle_timeout_ms; // idle connections are closed after this
    uint32_t keepalive_ms;    // TCP keep-alive period; 0: 15 s
    uint32_t max_idle;        // per pool
    uint32_t tls_handshake_timeout_ms;
    uint32_t write_timeout_ms; // for a borrowed one that takes nothing; 0: none
};

// One worker's side: passed to every call.
struct upstream {
    struct net_loop *loop;
    unsigned worker;
    const struct upstream_config *config;
    struct list conns; // all connections of the worker, for shutdown
    uint32_t conn_count;
    bool is_draining; // pool nothing any more
};

struct endpoint_pool {
    struct endpoint *endpoint;
    struct list idle; // newest first
    uint32_t idle_count;
    _Atomic uint32_t conn_count; // all connections to it; single writer, read by the control thread
    // Passive health, of this worker's experience.
    uint32_t failures;         // consecutive
    uint32_t ejections;        // consecutive, exponent of the hold-down
    uint64_t ejected_until_ms; // 0: in use
    bool is_probing;           // a request was let through after the hold-down
    uint64_t tls_logged_ms;    // when a failed handshake was last logged
    // Newest, to begin the next connection with; NULL: none. Owned.
    struct tls_session *tls_session;
};

struct upstream_conn;

struct upstream_conn_events {
    // 0, or a libuv error: already closing (tls_failure tells whether it was TLS).
    void (*on_connected)(struct upstream_conn *conn, int status);
    void (*on_data)(struct upstream_conn *conn, char *bytes, size_t len);
    void (*on_end)(struct upstream_conn *conn);
    void (*on_failed)(struct upstream_conn *conn, int status);
    void (*on_drained)(struct upstream_conn *conn);
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
    bool is_connected;
    bool is_reused; // carried a request before this one
};

void upstream_init(struct upstream *upstream, struct net_loop *loop, unsigned worker,
                   const struct upstream_config *config);
// Closes all idle connections; borrowed ones are closed when given back.
void upstream_drain(struct upstream *upstream);

// This worker's pool of the endpoint; NULL when memory is short.
struct endpoint_pool *upstream_pool_of(struct upstream *upstream, struct endpoint *endpoint);

// An idle connection, or NULL when there is none. checks_liveness: look (one system call) whether
// it has died meanwhile, for requests that cannot be replayed.
struct upstream_conn *upstream_get_idle(struct upstream *upstream, struct endpoint_pool *pool,
                                        bool checks_liveness,
                                        const struct upstream_conn_events *events, void *user);
// A new connection, connecting; may be written to at once. NULL when the endpoint has no address or
// memory or descriptors are short (*status says which, a libuv error code).
struct upstream_conn *upstream_connect(struct upstream *upstream, struct endpoint_pool *pool,
                                       const struct upstream_conn_events *events, void *user,
                                       int *status);
// After a write that left some pending: the borrower hears on_failed(UV_ETIMEDOUT) when nothing of
// it is taken for write_timeout_ms.
void upstream_await_drain(struct upstream_conn *conn);
// Gives a connection back after a complete exchange. Pools it or, when that is not wanted, closes
// it.
void upstream_put(struct upstream_conn *conn);
// Closes a borrowed connection; no further event.
void upstream_discard(struct upstream_conn *conn, bool with_reset);

// Passive ejection. A success clears everything. A failure returns true when it ejected the
// endpoint.
void endpoint_pool_succeeded(struct endpoint_pool *pool);
bool endpoint_pool_failed(struct endpoint_pool *pool, struct upstream *upstream);
// Whether requests may be sent: in use, or its hold-down is over and it may be probed.
static inline bool endpoint_pool_is_usable(const struct endpoint_pool *pool, uint64_t now_ms)
{
    return pool->ejected_until_ms == 0 || now_ms >= pool->ejected_until_ms;
}
// Called with each request sent: if it is a probe, the others are held for another while.
void endpoint_pool_begin_request(struct endpoint_pool *pool, uint64_t now_ms);

// Control thread, once no connection belongs to it; NULL is ignored.
void endpoint_pool_free(struct endpoint_pool *pool);
// Control thread: no worker has a connection to the endpoint.
bool endpoint_is_unused(const struct endpoint *endpoint, unsigned worker_count);
