// SPDX-License-Identifier: Apache-2.0
#include "proxy/worker.h"

#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "proxy/client.h"
#include "proxy/exchange.h"
#include "proxy/page.h"

// Between turns a worker holds no table.
static void on_idle(struct net_loop *loop)
{
    struct worker *worker = CONTAINER_OF(loop, struct worker, loop);
    counter_add(&worker->counters.turns, 1);
    if (worker->table) {
        worker->table = NULL;
        table_cell_leave(worker->cell, worker->id);
    }
}

int worker_init(struct worker *worker, unsigned id, const struct proxy_config *config,
                struct table_cell *cell, struct page *page, struct verifiers *verifiers,
                struct htpasswd *const *users, const int *sockets)
{
    worker->id = id;
    worker->config = config;
    worker->cell = cell;
    worker->page = page_ref(page);
    rng_fill(&worker->address_counts.seed, sizeof worker->address_counts.seed);
    list_init(&worker->clients);
    list_init(&worker->free_exchanges);
    gzip_pool_init(&worker->gzip, config->gzip_types, config->gzip_max);
    int rc = auth_init(&worker->auth, config, verifiers, users);
    if (rc == 0)
        rc = net_loop_init(&worker->loop, on_idle);
    if (rc != 0) {
        auth_fini(&worker->auth);
        page_unref(page);
        return rc;
    }
    worker->upstream_config = (struct upstream_config){
        .connect_timeout_ms = config->connect_timeout_ms,
        .idle_timeout_ms = config->upstream_idle_timeout_ms,
        .keepalive_ms = config->upstream_keepalive_ms,
        .max_idle = config->max_idle_per_endpoint,
        .tls_handshake_timeout_ms = config->upstream_handshake_timeout_ms,
        .write_timeout_ms = config->upstream_write_timeout_ms,
    };
    upstream_init(&worker->upstream, &worker->loop, id, &worker->upstream_config);
    for (unsigned i = 0; i < config->listener_count; i++) {
        if (sockets[i] < 0)
            continue; // not the workers'
        struct worker_listener *listener = &worker->listeners[worker->listener_count++];
        listener->worker = worker;
        listener->config = &config->listeners[i];
        uv_tcp_init(&worker->loop.uv, &listener->tcp);
        BUG_ON(uv_tcp_open(&listener->tcp, sockets[i]) != 0);
    }
    return 0;
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct worker_listener *listener = CONTAINER_OF(stream, struct worker_listener, tcp);
    if (status == 0)
        client_accept(listener);
    else
        log_warn("accept: %s", uv_strerror(status));
}

static void run(void *arg)
{
    struct worker *worker = arg;
    net_loop_run(&worker->loop);
}

int worker_start(struct worker *worker, struct err *err)
{
    for (unsigned i = 0; i < worker->listener_count; i++) {
        int rc =
            uv_listen((uv_stream_t *)&worker->listeners[i].tcp, LISTENER_BACKLOG, on_connection);
        if (rc != 0)
            return err_set(err, ERR_IO, "listen on %.*s: %s",
                           STR_FMT(worker->listeners[i].config->addr), uv_strerror(rc));
    }
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

static void close_listeners(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        uv_close((uv_handle_t *)&worker->listeners[i].tcp, NULL);
    worker->listener_count = 0;
}

static void tell_if_empty(struct worker *worker)
{
    if (worker->is_draining && !worker->is_stopped && worker->client_count == 0)
        worker->on_empty(worker);
}

void worker_drain(struct worker *worker)
{
    if (worker->is_draining)
        return;
    worker->is_draining = true;
    close_listeners(worker);
    upstream_drain(&worker->upstream);
    LIST_FOREACH_SAFE (node, &worker->clients) {
        client_drain(CONTAINER_OF(node, struct client, link));
    }
    tell_if_empty(worker);
}

static void maybe_stop_loop(struct worker *worker)
{
    if (worker->is_stopped && worker->client_count == 0 && worker->auth.job_count == 0)
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

void worker_job_gone(struct worker *worker)
{
    maybe_stop_loop(worker);
}

void worker_fini(struct worker *worker)
{
    table_cell_leave(worker->cell, worker->id);
    while (!list_is_empty(&worker->free_exchanges))
        mem_free(CONTAINER_OF(list_pop_front(&worker->free_exchanges), struct exchange, link));
    gzip_pool_fini(&worker->gzip);
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
