// SPDX-License-Identifier: Apache-2.0
// One worker: a thread with its loop, its listeners, its clients and its upstream connections.
// Shares with others only the table cell, targets (through its own counter blocks) and its inbox.
// Everything here is used on the worker's thread unless said otherwise.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/list.h"
#include "http/head.h"
#include "http/refusal.h"
#include "net/loop.h"
#include "proxy/address_counts.h"
#include "proxy/auth.h"
#include "proxy/balance.h"
#include "proxy/config.h"
#include "proxy/gunzip.h"
#include "proxy/gzip.h"
#include "proxy/request_id.h"
#include "stats/counters.h"
#include "upstream/pool.h"
#include "upstream/registry.h"

enum { DATE_LEN = 29 }; // "Sun, 06 Nov 1994 08:49:37 GMT"

struct access_log;
struct page; // proxy/page.h: the no-route page, shared by all workers

// One listening socket of a worker. Outlives its closing until the last client that came through it
// is gone.
struct worker_listener {
    // Watched, and accepted from by ourselves: without a descriptor libuv throws away what waits.
    uv_poll_t poll;
    int socket;
    uint64_t turn;    // of the loop, in which it last had a connection
    struct list link; // in worker.listeners, while it is open
    struct worker *worker;
    // What the address is served with; replaced by a reload. Its strings are those of the newest
    // configuration while it is open, and not to be read after that.
    struct listener_config config;
    uint32_t refs; // the open handle, clients
};

struct worker {
    struct net_loop loop;
    unsigned id;
    uv_thread_t thread;
    // Read anew at each use: it is replaced between two callbacks (worker_set_config). Nothing of
    // it may be kept from one callback to the next.
    const struct proxy_config *config;
    _Atomic uint64_t config_version; // the version that is in use; older ones are not read any more
    struct table_cell *cell;
    struct table *table; // NULL between turns; see worker_table
    struct upstream_config upstream_config;
    struct upstream upstream;
    struct worker_counters counters;
    _Atomic uint64_t refusals[2][HTTP_REFUSAL_COUNT]; // [is_response]
    // Answers of our own to requests that no target was chosen for [is_redirect].
    _Atomic uint64_t answers[2][STATUS_CODES];
    _Atomic uint64_t open_clients;
    struct arrivals arrivals; // clients that others have handed over
    struct worker *siblings;  // all workers, this one among them
    unsigned sibling_count;

    struct list listeners; // owned
    struct list clients;
    uint32_t client_count;
    uint32_t client_max;
    struct address_counts address_counts;
    uint32_t descriptor_max; // of clients and upstream connections together
    uint8_t pressure;        // enum memory_pressure
    struct timer memory_timer;
    uint64_t shortage_logged_ms;
    int spare_descriptor; // given up to take a connection that is to be refused; -1: it is gone
    struct list free_exchanges; // kept for reuse
    uint32_t free_exchange_count;

    // Scratch of one parse at a time.
    struct http_head request_head;
    struct http_head response_head;

    struct request_ids request_ids;
    struct gzip_pool gzip;
    struct gunzip_pool gunzip;
    struct list unpacking; // exchanges that go on with their answer in the next turn
    struct message unpack_message;
    bool is_unpack_posted;
    struct auth auth;
    struct page *page; // of the requests without a route; never NULL
    char date[DATE_LEN + 1];
    uint64_t date_ms; // loop time the date was written at

    bool is_draining;
    bool is_stopped;
    // Draining and no client left: proxy.c stops the worker then.
    void (*on_empty)(struct worker *worker);
    struct message drain_message;
    struct message cut_message;
    struct message stop_message;
    struct access_log *access_log; // NULL: off
};

// Initialises loop and state; users are the sets of the schemes of config->auth. 0 or a negative
// err_code. Control thread, before worker_start.
MUST_CHECK int worker_init(struct worker *worker, unsigned id, const struct proxy_config *config,
                           struct table_cell *cell, struct page *page, struct verifiers *verifiers,
                           struct htpasswd *const *users);
// Starts the thread. 0 or a negative err_code.
MUST_CHECK int worker_start(struct worker *worker, struct err *err);

// Room for a listener, for worker_listen; freed with mem_free when it is not used. NULL when memory
// is short. Any thread.
struct worker_listener *worker_listener_new(const struct listener_config *config);
// On the worker's thread or before it runs: accepts from the socket from now on. Takes both over.
void worker_listen(struct worker *worker, struct worker_listener *listener, int socket);
// Takes what waits at it, then closes it. Its clients stay.
void worker_unlisten(struct worker_listener *listener);
void worker_listener_unref(struct worker_listener *listener);
// On the worker's thread: what is configured from now on. `log` is NULL when the configuration has
// no access log.
void worker_set_config(struct worker *worker, const struct proxy_config *config,
                       struct access_log *log);

// On the worker's thread, by message: stop accepting, say Connection: close, close idle clients;
// on_empty is called when the last client is gone.
void worker_drain(struct worker *worker);
// As worker_drain, and cuts what is running.
void worker_cut(struct worker *worker);
// Cuts everything and ends the loop.
void worker_stop(struct worker *worker);
// After the thread was joined. Control thread.
void worker_fini(struct worker *worker);

// The table of this turn: one table from the first lookup of a turn to its end.
static inline struct table *worker_table(struct worker *worker)
{
    if (!worker->table)
        worker->table = table_cell_enter(worker->cell, worker->id);
    return worker->table;
}

// Books of the answers of our own.
static inline void worker_note_answer(struct worker *worker, int status, bool is_redirect)
{
    unsigned at = (unsigned)status - STATUS_MIN;
    if (at < STATUS_CODES)
        counter_add(&worker->answers[is_redirect][at], 1);
}

// Most client connections from one address.
static inline uint32_t worker_max_per_address(const struct worker *worker)
{
    uint32_t max = worker->config->max_per_address;
    uint32_t workers = MAX(worker->config->worker_count, 1u);
    return max ? (max + workers - 1) / workers : worker->client_max / 4 + 1;
}

// Current date for a Date field.
struct str worker_date(struct worker *worker);

// Gives memory back that is kept for reuse; between two callbacks only.
void worker_trim(struct worker *worker);

// Called by clients.
void worker_client_gone(struct worker *worker);
// Called when a client that was handed over is here, or refused.
void worker_arrival_taken(struct worker *worker);
// Called when a verification has come back.
void worker_job_gone(struct worker *worker);
