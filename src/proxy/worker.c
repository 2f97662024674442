// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/page.h"
#include "proxy/room.h"

enum {
    FREE_EXCHANGES_MAX = 1024, // about half a megabyte
    ACCEPTS_MAX = 64,
};

static void trim_exchanges(struct worker *worker, uint32_t max)
{
    struct list *node;
    while (worker->free_exchange_count > max &&
           (node = list_pop_front(&worker->free_exchanges)) != NULL) {
        mem_free(CONTAINER_OF(node, struct exchange, link));
        worker->free_exchange_count--;
    }
}

void worker_trim(struct worker *worker)
{
    trim_exchanges(worker, 0);
    block_pool_trim(&worker->loop.blocks);
}

// Between turns a worker holds no table.
static void on_idle(struct net_loop *loop)
{
    struct worker *worker = CONTAINER_OF(loop, struct worker, loop);
    counter_add(&worker->counters.turns, 1);
    if (worker->table) {
        worker->table = NULL;
        table_cell_leave(worker->cell, worker->id);
    }
    // Here nobody on the stack looks back at an exchange that has ended.
    if (UNLIKELY(worker->free_exchange_count > FREE_EXCHANGES_MAX))
        trim_exchanges(worker, FREE_EXCHANGES_MAX);
}

static void take_config(struct worker *worker, const struct proxy_config *config)
{
    unsigned workers = MAX(config->worker_count, 1u);
    worker->config = config;
    worker->client_max = MAX(config->max_connections / workers, 1u);
    worker->upstream_config = (struct upstream_config){
        .connect_timeout_ms = config->connect_timeout_ms,
        .idle_timeout_ms = config->upstream_idle_timeout_ms,
        .keepalive_ms = config->upstream_keepalive_ms,
        .max_idle = config->max_idle_per_endpoint,
        .tls_handshake_timeout_ms = config->upstream_handshake_timeout_ms,
        .write_timeout_ms = config->upstream_write_timeout_ms,
        .eject = config->eject,
    };
}

int worker_init(struct worker *worker, unsigned id, const struct proxy_config *config,
                struct table_cell *cell, struct page *page, struct verifiers *verifiers,
                struct htpasswd *const *users)
{
    worker->id = id;
    take_config(worker, config);
    worker->cell = cell;
    worker->page = page_ref(page);
    room_init(worker);
    rng_fill(&worker->address_counts.seed, sizeof worker->address_counts.seed);
    list_init(&worker->listeners);
    list_init(&worker->clients);
    list_init(&worker->free_exchanges);
    gzip_pool_init(&worker->gzip, config->gzip_types, config->gzip_max);
    gunzip_pool_init(&worker->gunzip, GUNZIP_MAX);
    list_init(&worker->unpacking);
    worker->unpack_message.run = response_on_next_turn;
    int rc = auth_init(&worker->auth, config, verifiers, users);
    if (rc == 0)
        rc = net_loop_init(&worker->loop, on_idle);
    if (rc != 0) {
        room_fini(worker);
        auth_fini(&worker->auth);
        page_unref(page);
        return rc;
    }
    splice_open(&worker->loop.splice);
    upstream_init(&worker->upstream, &worker->loop, id, &worker->upstream_config);
    return 0;
}

// One connection, without asking for a second: most come alone. When they come turn after turn, all
// that wait, up to a number after which others have their turn.
static void on_connection(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct worker_listener *listener = CONTAINER_OF(poll, struct worker_listener, poll);
    struct worker *worker = listener->worker;
    uint64_t turn = counter_get(&worker->counters.turns);
    int max = turn - listener->turn <= 1 ? ACCEPTS_MAX : 1;
    listener->turn = turn;
    if (status != 0) {
        log_error("listen on %.*s: %s", STR_FMT(listener->config.addr), uv_strerror(status));
        return;
    }
    for (int i = 0; i < max; i++) {
        int socket = listener_accept(listener->socket);
        if (socket < 0 && errno == EAGAIN)
            return;
        if (socket >= 0) {
            balance_client(listener, socket);
            continue;
        }
        if (errno == EMFILE || errno == ENFILE)
            room_free_descriptor(worker, listener->socket);
        else
            log_warn("accept: %s", strerror(errno));
        return;
    }
}

static void run(void *arg)
{
    struct worker *worker = arg;
    net_loop_run(&worker->loop);
}

int worker_start(struct worker *worker, struct err *err)
{
    // Signals are the control thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = uv_thread_create(&worker->thread, run, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(err, ERR_NOMEM, "worker thread: %s", uv_strerror(rc));
    return 0;
}

struct worker_listener *worker_listener_new(const struct listener_config *config)
{
    struct worker_listener *listener = mem_zalloc(sizeof *listener);
    if (!listener)
        return NULL;
    listener->config = *config;
    listener->refs = 1;
    list_init(&listener->link);
    return listener;
}

void worker_listener_unref(struct worker_listener *listener)
{
    if (--listener->refs == 0)
        mem_free(listener);
}

void worker_listen(struct worker *worker, struct worker_listener *listener, int socket)
{
    listener->worker = worker;
    list_push_back(&worker->listeners, &listener->link);
    listener->socket = socket;
    BUG_ON(uv_poll_init(&worker->loop.uv, &listener->poll, socket) != 0);
    int rc = uv_poll_start(&listener->poll, UV_READABLE, on_connection);
    if (rc != 0)
        log_error("listen on %.*s: %s", STR_FMT(listener->config.addr), uv_strerror(rc));
}

static void on_listener_closed(uv_handle_t *handle)
{
    worker_listener_unref(CONTAINER_OF(handle, struct worker_listener, poll));
}

void worker_unlisten(struct worker_listener *listener)
{
    int socket;
    // Closing resets what waits in the socket's own queue, unless another process has it too: all
    // of it is taken first.
    while ((socket = listener_accept(listener->socket)) >= 0)
        client_accept(listener, socket);
    list_remove(&listener->link);
    uv_close((uv_handle_t *)&listener->poll, on_listener_closed);
    close(listener->socket);
}

static const struct listener_config *find_listener(const struct proxy_config *config,
                                                   const struct listener_config *like)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        if (listener->proto != LISTENER_PROMETHEUS &&
            addr_eq((const struct sockaddr *)&listener->sockaddr,
                    (const struct sockaddr *)&like->sockaddr))
            return listener;
    }
    return NULL;
}

void worker_set_config(struct worker *worker, const struct proxy_config *config,
                       struct access_log *log)
{
    take_config(worker, config);
    gzip_pool_set(&worker->gzip, config->gzip_types, config->gzip_max);
    worker->access_log = log;
    LIST_FOREACH_SAFE (node, &worker->listeners) {
        struct worker_listener *listener = CONTAINER_OF(node, struct worker_listener, link);
        const struct listener_config *found = find_listener(config, &listener->config);
        if (found)
            listener->config = *found;
        else
            worker_unlisten(listener);
    }
}

static void close_listeners(struct worker *worker)
{
    LIST_FOREACH_SAFE (node, &worker->listeners) {
        worker_unlisten(CONTAINER_OF(node, struct worker_listener, link));
    }
}

static void tell_if_empty(struct worker *worker)
{
    if (worker->is_draining && !worker->is_stopped && worker->client_count == 0 &&
        !arrivals_are_awaited(&worker->arrivals))
        worker->on_empty(worker);
}

void worker_drain(struct worker *worker)
{
    if (worker->is_draining)
        return;
    close_listeners(worker); // what waits there becomes clients, which are drained with the others
    worker->is_draining = true;
    arrivals_close(&worker->arrivals);
    upstream_drain(&worker->upstream);
    LIST_FOREACH_SAFE (node, &worker->clients) {
        client_drain(CONTAINER_OF(node, struct client, link));
    }
    tell_if_empty(worker);
}

static void maybe_stop_loop(struct worker *worker)
{
    if (worker->is_stopped && worker->client_count == 0 && worker->auth.job_count == 0 &&
        !arrivals_are_awaited(&worker->arrivals))
        net_loop_stop(&worker->loop);
}

void worker_cut(struct worker *worker)
{
    worker_drain(worker);
    LIST_FOREACH_SAFE (node, &worker->clients) {
        client_cut(CONTAINER_OF(node, struct client, link));
    }
}

void worker_stop(struct worker *worker)
{
    if (worker->is_stopped)
        return;
    worker->is_stopped = true;
    worker_cut(worker);
    LIST_FOREACH_SAFE (node, &worker->upstream.conns) {
        upstream_discard(CONTAINER_OF(node, struct upstream_conn, link), false);
    }
    maybe_stop_loop(worker);
}

void worker_client_gone(struct worker *worker)
{
    worker->client_count--;
    counter_add(&worker->counters.closed, 1);
    atomic_store_explicit(&worker->open_clients, worker->client_count, memory_order_relaxed);
    maybe_stop_loop(worker);
    tell_if_empty(worker);
}

void worker_arrival_taken(struct worker *worker)
{
    maybe_stop_loop(worker);
    tell_if_empty(worker);
}

void worker_job_gone(struct worker *worker)
{
    maybe_stop_loop(worker);
}

void worker_fini(struct worker *worker)
{
    table_cell_leave(worker->cell, worker->id);
    room_fini(worker);
    trim_exchanges(worker, 0);
    gzip_pool_fini(&worker->gzip);
    gunzip_pool_fini(&worker->gunzip);
    net_loop_fini(&worker->loop);
    auth_fini(&worker->auth);
    page_unref(worker->page);
}

struct str worker_date(struct worker *worker)
{
    uint64_t now_ms = net_loop_now_ms(&worker->loop);
    if (worker->date[0] == '\0' || now_ms - worker->date_ms >= 500) {
        time_t now = (time_t)(clock_wall_us() / 1000000);
        struct tm utc;
        gmtime_r(&now, &utc);
        // RFC 9110 section 5.6.7; names are English whatever the locale: the process never sets
        // one.
        strftime(worker->date, sizeof worker->date, "%a, %d %b %Y %H:%M:%S GMT", &utc);
        worker->date_ms = now_ms;
    }
    return str_make(worker->date, DATE_LEN);
}
