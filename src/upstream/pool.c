// SPDX-License-Identifier: Apache-2.0
//
// Happy path: (1) upstream_connect opens a socket and arms the connect timer; (2) on_sock_connected
// tells the borrower; (3) data, end and failure go to the borrower; (4) upstream_put makes it idle
// and arms the idle timer; (5) upstream_get_idle lends it again. Failure modes: connecting fails or
// times out -> the borrower hears on_connected(status) and the connection is closed for him; an
// idle connection sees anything -> closed; a borrowed one fails -> the borrower hears on_failed and
// discards it.
#include "upstream/pool.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum {
    KEEPALIVE_DEFAULT_MS = 15000,
    EVICT_SCAN_MAX = 256,   // connections looked at for an idle one to close
    PROBE_WATCH_MS = 60000, // an endpoint that nobody has asked for so long has its probe to come
    SETTLE_MS = 50,         // a body that follows its head at all is there by then
};

static struct upstream_conn *conn_of(struct sock *sock)
{
    return CONTAINER_OF(sock, struct upstream_conn, sock);
}

void upstream_init(struct upstream *upstream, struct net_loop *loop, unsigned worker,
                   const struct upstream_config *config)
{
    *upstream = (struct upstream){.loop = loop, .worker = worker, .config = config};
    list_init(&upstream->conns);
}

// The first worker's stays.
static _Atomic(struct endpoint_pool *) *pools_of(struct endpoint *endpoint)
{
    _Atomic(struct endpoint_pool *) *present =
        atomic_load_explicit(&endpoint->pools, memory_order_acquire);
    if (present)
        return present;
    _Atomic(struct endpoint_pool *) *pools =
        mem_zalloc_array(endpoint->worker_count, sizeof *pools);
    if (!pools || atomic_compare_exchange_strong(&endpoint->pools, &present, pools))
        return pools;
    mem_free(pools);
    return present;
}

static struct endpoint_pool *make_pool(struct upstream *upstream, struct endpoint *endpoint)
{
    _Atomic(struct endpoint_pool *) *pools = pools_of(endpoint);
    struct endpoint_pool *pool = pools ? mem_zalloc(sizeof *pool) : NULL;
    if (!pool)
        return NULL;
    pool->endpoint = endpoint;
    list_init(&pool->idle);
    atomic_store_explicit(&pools[upstream->worker], pool, memory_order_release);
    return pool;
}

struct endpoint_pool *upstream_pool_of(struct upstream *upstream, struct endpoint *endpoint)
{
    struct endpoint_pool *pool = endpoint_pool_of(endpoint, upstream->worker);
    return LIKELY(pool) ? pool : make_pool(upstream, endpoint);
}

void endpoint_pools_free(struct endpoint *endpoint)
{
    for (unsigned i = 0; i < endpoint->worker_count; i++) {
        struct endpoint_pool *pool = endpoint_pool_of(endpoint, i);
        if (pool)
            tls_session_free(pool->tls_session);
        mem_free(pool);
    }
    mem_free(atomic_load_explicit(&endpoint->pools, memory_order_acquire));
}

static void count_conn(struct endpoint_pool *pool, int change)
{
    uint32_t count = atomic_load_explicit(&pool->conn_count, memory_order_relaxed);
    atomic_store_explicit(&pool->conn_count, count + (uint32_t)change, memory_order_release);
}

bool endpoint_is_unused(const struct endpoint *endpoint, unsigned worker_count)
{
    for (unsigned i = 0; i < worker_count; i++) {
        struct endpoint_pool *pool = endpoint_pool_of(endpoint, i);
        if (pool && atomic_load_explicit(&pool->conn_count, memory_order_acquire) != 0)
            return false;
    }
    return true;
}

static void close_conn(struct upstream_conn *conn, bool with_reset)
{
    if (conn->sock.is_closing)
        return;
    conn->events = NULL;
    conn->user = NULL;
    net_loop_disarm(conn->upstream->loop, &conn->timer);
    if (list_is_linked(&conn->idle_link)) {
        list_remove(&conn->idle_link);
        conn->pool->idle_count--;
    }
    sock_close(&conn->sock, with_reset);
}

static void on_sock_closed(struct sock *sock)
{
    struct upstream_conn *conn = conn_of(sock);
    list_remove(&conn->link);
    conn->upstream->conn_count--;
    count_conn(conn->pool, -1);
    mem_free(conn);
}

// Stored only when it is another one: all workers read the endpoint.
static void note_tls_failure(struct endpoint *endpoint, const char *failure)
{
    struct endpoint_tls *tls = endpoint_tls(endpoint);
    if (tls && atomic_load_explicit(&tls->failure, memory_order_relaxed) != failure)
        atomic_store_explicit(&tls->failure, failure, memory_order_relaxed);
}

static void log_tls_failure(struct upstream_conn *conn)
{
    struct endpoint_pool *pool = conn->pool;
    struct endpoint *endpoint = pool->endpoint;
    const char *failure = tls_failure(&conn->sock);
    uint64_t now_ms = net_loop_now_ms(conn->upstream->loop);
    if (!failure)
        return;
    note_tls_failure(endpoint, failure);
    if (pool->tls_logged_ms && now_ms - pool->tls_logged_ms < TLS_LOG_MS)
        return;
    pool->tls_logged_ms = now_ms;
    struct str name = endpoint_tls_name(endpoint);
    log_error("TLS to %.*s:%u (%.*s): %s", STR_FMT(endpoint_host(endpoint)), endpoint->port,
              STR_FMT(name), failure);
}

static void connect_failed(struct upstream_conn *conn, int status)
{
    log_tls_failure(conn);
    const struct upstream_conn_events *events = conn->events;
    if (!events) {
        close_conn(conn, false);
        return;
    }
    // The borrower still finds himself in conn->user; afterwards the connection is gone for him.
    conn->events = NULL;
    events->on_connected(conn, status);
    close_conn(conn, false);
}

static void on_timer(struct timer *timer)
{
    struct upstream_conn *conn = CONTAINER_OF(timer, struct upstream_conn, timer);
    if (!conn->is_connected)
        connect_failed(conn, UV_ETIMEDOUT);
    else if (!conn->events)
        close_conn(conn, false); // idle for too long
    else if (sock_unsent_bytes(&conn->sock) < conn->unsent_bytes)
        upstream_await_drain(conn); // slow, but not dead
    else
        conn->events->on_stalled(conn);
}

void upstream_await_drain(struct upstream_conn *conn)
{
    if (!conn->is_connected)
        return; // on_sock_connected does it
    conn->unsent_bytes = sock_unsent_bytes(&conn->sock);
    net_loop_arm(conn->upstream->loop, &conn->timer, conn->upstream->config->write_timeout_ms);
}

static void on_sock_connected(struct sock *sock, int status)
{
    struct upstream_conn *conn = conn_of(sock);
    if (status != 0) {
        connect_failed(conn, status);
        return;
    }
    conn->is_connected = true;
    note_tls_failure(conn->pool->endpoint, NULL);
    net_loop_disarm(conn->upstream->loop, &conn->timer);
    uint32_t keepalive_ms = conn->upstream->config->keepalive_ms;
    if (!keepalive_ms)
        keepalive_ms = KEEPALIVE_DEFAULT_MS;
    uv_tcp_keepalive(&sock->uv.tcp, 1, keepalive_ms / 1000 + (keepalive_ms % 1000 != 0));
    if (sock_has_pending(sock))
        upstream_await_drain(conn);
    status = sock_read_start(sock);
    if (status != 0)
        connect_failed(conn, status);
    else if (conn->events)
        conn->events->on_connected(conn, 0);
}

static void on_sock_data(struct sock *sock, char *bytes, size_t len)
{
    struct upstream_conn *conn = conn_of(sock);
    if (conn->events)
        conn->events->on_data(conn, bytes, len);
    else
        close_conn(conn, false); // a byte nobody asked for
}

static void on_sock_piped(struct sock *sock, size_t len)
{
    struct upstream_conn *conn = conn_of(sock);
    if (conn->events)
        conn->events->on_piped(conn, len);
    else
        close_conn(conn, false);
}

static void on_sock_end(struct sock *sock)
{
    struct upstream_conn *conn = conn_of(sock);
    if (conn->events)
        conn->events->on_end(conn);
    else
        close_conn(conn, false);
}

static void on_sock_failed(struct sock *sock, int status)
{
    struct upstream_conn *conn = conn_of(sock);
    if (!conn->events)
        close_conn(conn, false);
    else
        conn->events->on_failed(conn, status);
}

static void on_sock_drained(struct sock *sock)
{
    struct upstream_conn *conn = conn_of(sock);
    if (!conn->events)
        return;
    net_loop_disarm(conn->upstream->loop, &conn->timer);
    conn->events->on_drained(conn);
}

static const struct sock_events SOCK_EVENTS = {
    .on_connected = on_sock_connected,
    .on_data = on_sock_data,
    .on_piped = on_sock_piped,
    .on_end = on_sock_end,
    .on_failed = on_sock_failed,
    .on_drained = on_sock_drained,
    .on_closed = on_sock_closed,
};

struct upstream_conn *upstream_get_idle(struct upstream *upstream, struct endpoint_pool *pool,
                                        bool can_repeat, const struct upstream_conn_events *events,
                                        void *user)
{
    if (UNLIKELY(!can_repeat) && net_loop_now_ms(upstream->loop) < pool->distrusted_until_ms)
        return NULL;
    while (!list_is_empty(&pool->idle)) {
        struct upstream_conn *conn = CONTAINER_OF(pool->idle.next, struct upstream_conn, idle_link);
        if (conn->settled_ms > net_loop_now_ms(upstream->loop))
            return NULL; // and those behind it are younger
        if (UNLIKELY(!can_repeat) && sock_is_readable_now(&conn->sock)) {
            close_conn(conn, false);
            continue;
        }
        list_remove(&conn->idle_link);
        pool->idle_count--;
        net_loop_disarm(upstream->loop, &conn->timer);
        conn->is_reused = true;
        conn->events = events;
        conn->user = user;
        return conn;
    }
    return NULL;
}

static int start_tls(struct upstream_conn *conn, const struct endpoint_tls *tls)
{
    const struct upstream_config *config = conn->upstream->config;
    struct endpoint_pool *pool = conn->pool;
    struct tls_peer peer = {
        .name = endpoint_tls_name(pool->endpoint),
        .skips_verify = tls->skips_verify,
        .handshake_timeout_ms = config->tls_handshake_timeout_ms,
        .session = &pool->tls_session,
    };
    return tls_start_client(&conn->sock, tls->context, &peer);
}

struct upstream_conn *upstream_connect(struct upstream *upstream, struct endpoint_pool *pool,
                                       const struct upstream_conn_events *events, void *user,
                                       int *status)
{
    const struct endpoint_addresses *addresses =
        atomic_load_explicit(&pool->endpoint->addresses, memory_order_acquire);
    if (!addresses || addresses->count == 0) {
        *status = UV_EAI_NONAME;
        return NULL;
    }
    *status = UV_ENOMEM;
    struct upstream_conn *conn = mem_zalloc(sizeof *conn);
    if (!conn)
        return NULL;
    conn->upstream = upstream;
    conn->pool = pool;
    conn->events = events;
    conn->user = user;
    list_init(&conn->link);
    list_init(&conn->idle_link);
    timer_init(&conn->timer, on_timer);
    if (sock_init(&conn->sock, upstream->loop, &SOCK_EVENTS) != 0) {
        mem_free(conn);
        return NULL;
    }
    list_push_back(&upstream->conns, &conn->link);
    upstream->conn_count++;
    count_conn(pool, 1);
    const struct endpoint_tls *tls = endpoint_tls(pool->endpoint);
    if (tls && start_tls(conn, tls) != 0) {
        close_conn(conn, false);
        return NULL;
    }
    // Names with several addresses: another one for each connection that follows a failure.
    unsigned at = pool->ejection.failures % addresses->count;
    *status = sock_connect(&conn->sock, &addresses->at[at].any);
    if (*status != 0) {
        close_conn(conn, false);
        return NULL;
    }
    net_loop_arm(upstream->loop, &conn->timer, upstream->config->connect_timeout_ms);
    return conn;
}

void upstream_put(struct upstream_conn *conn)
{
    struct upstream *upstream = conn->upstream;
    struct endpoint_pool *pool = conn->pool;
    if (conn->sock.is_closing || conn->sock.is_broken || upstream->is_draining ||
        sock_has_pending(&conn->sock) || conn->sock.holds_input ||
        pool->idle_count >= upstream->config->max_idle ||
        atomic_load_explicit(&pool->endpoint->is_retired, memory_order_relaxed) ||
        sock_read_start(&conn->sock) != 0) {
        close_conn(conn, false);
        return;
    }
    conn->events = NULL;
    conn->user = NULL;
    sock_await_head(&conn->sock);
    conn->settled_ms = conn->is_doubtful ? net_loop_now_ms(upstream->loop) + SETTLE_MS : 0;
    if (conn->is_doubtful)
        list_push_back(&pool->idle, &conn->idle_link);
    else
        list_push_front(&pool->idle, &conn->idle_link);
    pool->idle_count++;
    net_loop_arm(upstream->loop, &conn->timer, upstream->config->idle_timeout_ms);
}

void upstream_discard(struct upstream_conn *conn, bool with_reset)
{
    close_conn(conn, with_reset);
}

bool upstream_evict(struct upstream *upstream)
{
    // In the manner of a clock's hand: those that were looked at go to the back.
    uint32_t count = MIN(upstream->conn_count, (uint32_t)EVICT_SCAN_MAX);
    for (uint32_t i = 0; i < count && !list_is_empty(&upstream->conns); i++) {
        struct upstream_conn *conn = CONTAINER_OF(upstream->conns.next, struct upstream_conn, link);
        list_remove(&conn->link);
        list_push_back(&upstream->conns, &conn->link);
        if (!list_is_linked(&conn->idle_link))
            continue;
        close_conn(conn, false);
        return true;
    }
    return false;
}

void upstream_drain(struct upstream *upstream)
{
    upstream->is_draining = true;
    LIST_FOREACH_SAFE (node, &upstream->conns) {
        struct upstream_conn *conn = CONTAINER_OF(node, struct upstream_conn, link);
        if (list_is_linked(&conn->idle_link))
            close_conn(conn, false);
    }
}

void endpoint_pool_succeeded(struct endpoint_pool *pool)
{
    ejection_succeed(&pool->ejection);
}

bool endpoint_pool_failed(struct endpoint_pool *pool, struct upstream *upstream,
                          enum eject_cause cause, bool was_probe, bool may_eject)
{
    const struct eject_config *config = &upstream->config->eject;
    uint64_t now_ms = net_loop_now_ms(upstream->loop);
    if (!ejection_fail(&pool->ejection, config, &upstream->loop->rng, now_ms, cause, was_probe,
                       may_eject))
        return false;
    uint32_t life = atomic_load_explicit(&pool->endpoint->life, memory_order_relaxed);
    atomic_store_explicit(&pool->life, life, memory_order_relaxed);
    uint64_t matters_until_ms = ejection_until_ms(&pool->ejection) + PROBE_WATCH_MS;
    upstream->ejections_until_ms = MAX(upstream->ejections_until_ms, matters_until_ms);
    return true;
}

static bool is_of_this_life(const struct endpoint_pool *pool)
{
    return atomic_load_explicit(&pool->life, memory_order_relaxed) ==
           atomic_load_explicit(&pool->endpoint->life, memory_order_relaxed);
}

bool endpoint_pool_admits_ejected(struct endpoint_pool *pool, uint64_t now_ms, bool can_repeat)
{
    if (!is_of_this_life(pool))
        ejection_succeed(&pool->ejection);
    return ejection_admits(&pool->ejection, now_ms, can_repeat);
}

struct endpoint_ejection endpoint_ejection_read(const struct endpoint *endpoint,
                                                unsigned worker_count, uint64_t now_ms)
{
    struct endpoint_ejection told = {0};
    for (unsigned i = 0; endpoint && i < worker_count; i++) {
        const struct endpoint_pool *pool = endpoint_pool_of(endpoint, i);
        uint64_t until_ms = pool ? ejection_until_ms(&pool->ejection) : 0;
        if (until_ms <= now_ms || !is_of_this_life(pool))
            continue;
        told.workers++;
        told.until_ms = MAX(told.until_ms, until_ms);
        told.cause = atomic_load_explicit(&pool->ejection.cause, memory_order_relaxed);
    }
    return told;
}
