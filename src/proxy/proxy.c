// SPDX-License-Identifier: Apache-2.0
//
// The control side of the data path. Start: bind every socket of every worker, then listen, so that
// an address in use is found before anything is served. Drain: a message to each worker; each tells
// when its last client is gone; when all are, or the time is up, the workers are stopped and
// on_drained is called.
#include "proxy/proxy.h"

#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/listener.h"
#include "proxy/access_log.h"
#include "proxy/page.h"
#include "proxy/verifier.h"
#include "proxy/worker.h"

struct proxy {
    const struct proxy_config *config;
    struct access_log *access_log; // NULL: off
    struct verifiers *verifiers;   // NULL: there are no schemes
    uv_loop_t *loop;
    unsigned worker_count;
    uint16_t ports[LISTENERS_MAX];

    uv_async_t empty_async; // a worker has no clients left
    uv_timer_t drain_timer;
    _Atomic unsigned empty_workers;
    bool is_draining;
    bool is_cut;
    bool is_drained;
    unsigned open_handles;
    void (*on_drained)(void *ctx);
    void *drained_ctx;

    struct worker workers[];
};

// A new no-route page on its way to a worker.
struct page_message {
    struct message message;
    struct worker *worker;
    struct page *page;
};

// New users of a scheme on their way to a worker.
struct users_message {
    struct message message;
    struct worker *worker;
    struct htpasswd *users;
    unsigned scheme;
};

// The five messages, on the worker's thread.
static void take_page(struct message *message)
{
    struct page_message *own = CONTAINER_OF(message, struct page_message, message);
    page_unref(own->worker->page);
    own->worker->page = own->page;
    mem_free(own);
}

static void take_users(struct message *message)
{
    struct users_message *own = CONTAINER_OF(message, struct users_message, message);
    auth_set_users(&own->worker->auth, own->scheme, own->users);
    mem_free(own);
}

static void begin_drain(struct message *message)
{
    worker_drain(CONTAINER_OF(message, struct worker, drain_message));
}

static void cut(struct message *message)
{
    worker_cut(CONTAINER_OF(message, struct worker, cut_message));
}

static void stop(struct message *message)
{
    worker_stop(CONTAINER_OF(message, struct worker, stop_message));
}

static struct proxy *proxy_of(struct worker *worker)
{
    return CONTAINER_OF(worker - worker->id, struct proxy, workers);
}

// On the worker's thread.
static void on_worker_empty(struct worker *worker)
{
    struct proxy *proxy = proxy_of(worker);
    worker_stop(worker);
    atomic_fetch_add(&proxy->empty_workers, 1);
    uv_async_send(&proxy->empty_async);
}

static void on_control_closed(uv_handle_t *handle)
{
    struct proxy *proxy = handle->data;
    if (--proxy->open_handles == 0)
        proxy->on_drained(proxy->drained_ctx);
}

static void finish_drain(struct proxy *proxy)
{
    if (proxy->is_drained)
        return;
    proxy->is_drained = true;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        uv_thread_join(&proxy->workers[i].thread);
    uv_close((uv_handle_t *)&proxy->drain_timer, on_control_closed);
    uv_close((uv_handle_t *)&proxy->empty_async, on_control_closed);
}

static void on_empty_async(uv_async_t *async)
{
    struct proxy *proxy = async->data;
    if (proxy->is_draining && atomic_load(&proxy->empty_workers) == proxy->worker_count)
        finish_drain(proxy);
}

static int bind_listener(const struct listener_config *listener,
                         const struct sockaddr_storage *addr, bool is_first, struct err *err)
{
    char name[128];
    snprintf(name, sizeof name, "%.*s", STR_FMT(listener->addr));
    return listener_bind(addr, is_first, name, err);
}

int proxy_check_listeners(const struct proxy_config *config, struct err *err)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        // Sockets that share their port would not mind.
        for (unsigned k = 0; k < i; k++) {
            if (str_eq(listener->addr, config->listeners[k].addr) &&
                addr_port((const struct sockaddr *)&listener->sockaddr) != 0)
                return err_set(err, ERR_INVALID, "listen on %.*s: the address is named twice",
                               STR_FMT(listener->addr));
        }
        if (listener->proto == LISTENER_PROMETHEUS)
            continue; // the admin has it
        int fd = bind_listener(listener, &listener->sockaddr, true, err);
        if (fd < 0)
            return err->code;
        close(fd);
    }
    return 0;
}

static int bind_sockets(struct proxy *proxy, int (*sockets)[LISTENERS_MAX], struct err *err)
{
    for (unsigned l = 0; l < proxy->config->listener_count; l++) {
        const struct listener_config *listener = &proxy->config->listeners[l];
        if (listener->proto == LISTENER_PROMETHEUS)
            continue; // the admin serves it
        struct sockaddr_storage addr = listener->sockaddr;
        for (unsigned w = 0; w < proxy->worker_count; w++) {
            sockets[w][l] = bind_listener(listener, &addr, w == 0, err);
            if (sockets[w][l] < 0)
                return err->code;
            if (w > 0)
                continue;
            // ":0": the first socket has chosen the port for all.
            proxy->ports[l] = listener_port(sockets[w][l]);
            listener_set_port(&addr, proxy->ports[l]);
        }
    }
    return 0;
}

static void stop_workers(struct proxy *proxy, unsigned initialised, unsigned started)
{
    for (unsigned i = 0; i < initialised; i++) {
        struct worker *worker = &proxy->workers[i];
        if (i < started) {
            net_loop_post(&worker->loop, &worker->stop_message);
            uv_thread_join(&worker->thread);
        } else {
            worker_stop(worker);
            net_loop_run(&worker->loop);
        }
        worker_fini(worker);
    }
}

struct proxy *proxy_start(uv_loop_t *control_loop, const struct proxy_config *config,
                          struct targets *targets, struct htpasswd *const *users, struct err *err)
{
    unsigned count = targets_worker_count(targets);
    int sockets[WORKERS_MAX][LISTENERS_MAX];
    struct proxy *proxy = mem_zalloc(sizeof *proxy + count * sizeof proxy->workers[0]);
    struct page *page = page_new(STR_NULL);
    if (!proxy || !page) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        goto fail;
    }
    proxy->config = config;
    proxy->loop = control_loop;
    proxy->worker_count = count;
    for (unsigned w = 0; w < count; w++) {
        for (unsigned l = 0; l < LISTENERS_MAX; l++)
            sockets[w][l] = -1;
    }
    if (bind_sockets(proxy, sockets, err) != 0)
        goto fail_sockets;
    if (config->access_log) {
        proxy->access_log = access_log_start(STDOUT_FILENO, count, err);
        if (!proxy->access_log)
            goto fail_sockets;
    }
    if (config->auth_count > 0) {
        proxy->verifiers = verifiers_start(count, err);
        if (!proxy->verifiers)
            goto fail_threads;
    }
    unsigned initialised = 0;
    unsigned started = 0;
    for (; initialised < count; initialised++) {
        struct worker *worker = &proxy->workers[initialised];
        int rc = worker_init(worker, initialised, config, targets_cell(targets), page,
                             proxy->verifiers, users, sockets[initialised]);
        if (rc != 0) {
            err_set(err, rc, "worker: %s", err_text(rc));
            goto fail_workers;
        }
        worker->on_empty = on_worker_empty;
        worker->access_log = proxy->access_log;
        worker->drain_message.run = begin_drain;
        worker->cut_message.run = cut;
        worker->stop_message.run = stop;
        worker->client_max = MAX(config->max_connections / count, 1u);
        for (unsigned l = 0; l < LISTENERS_MAX; l++)
            sockets[initialised][l] = -1; // the worker's now
    }
    for (; started < count; started++) {
        if (worker_start(&proxy->workers[started], err) != 0)
            goto fail_workers;
    }
    proxy->empty_async.data = proxy;
    proxy->drain_timer.data = proxy;
    if (uv_async_init(control_loop, &proxy->empty_async, on_empty_async) != 0) {
        err_set(err, ERR_IO, "cannot watch the workers");
        goto fail_workers;
    }
    uv_timer_init(control_loop, &proxy->drain_timer);
    proxy->open_handles = 2;
    page_unref(page);
    return proxy;

fail_workers:
    stop_workers(proxy, initialised, started);
    verifiers_stop(proxy->verifiers);
fail_threads:
    if (proxy->access_log)
        access_log_stop(proxy->access_log);
fail_sockets:
    for (unsigned w = 0; w < count; w++) {
        for (unsigned l = 0; l < LISTENERS_MAX; l++) {
            if (sockets[w][l] >= 0)
                close(sockets[w][l]);
        }
    }
fail:
    page_unref(page);
    mem_free(proxy);
    return NULL;
}

uint16_t proxy_port(const struct proxy *proxy, unsigned listener)
{
    return listener < proxy->config->listener_count ? proxy->ports[listener] : 0;
}

void proxy_set_noroute_html(struct proxy *proxy, struct str html)
{
    if (proxy->is_draining)
        return;
    struct page *page = page_new(html);
    if (!page) {
        log_error("no-route page not updated: %s", err_text(ERR_NOMEM));
        return;
    }
    for (unsigned i = 0; i < proxy->worker_count; i++) {
        struct page_message *own = mem_zalloc(sizeof *own);
        if (!own)
            break; // this worker keeps the old page until the next change
        own->message.run = take_page;
        own->worker = &proxy->workers[i];
        own->page = page_ref(page);
        net_loop_post(&own->worker->loop, &own->message);
    }
    page_unref(page);
}

bool proxy_set_users(struct proxy *proxy, unsigned scheme, struct htpasswd *users)
{
    bool is_everywhere = true;
    for (unsigned i = 0; i < proxy->worker_count && !proxy->is_draining; i++) {
        struct users_message *own = mem_zalloc(sizeof *own);
        if (!own) {
            is_everywhere = false;
            continue;
        }
        own->message.run = take_users;
        own->worker = &proxy->workers[i];
        own->users = htpasswd_ref(users);
        own->scheme = scheme;
        net_loop_post(&own->worker->loop, &own->message);
    }
    return is_everywhere;
}

void proxy_totals_read(const struct proxy *proxy, struct worker_totals *totals)
{
    *totals = (struct worker_totals){0};
    for (unsigned i = 0; i < proxy->worker_count; i++)
        worker_totals_add(totals, &proxy->workers[i].counters);
}

uint64_t proxy_refusals(const struct proxy *proxy, enum http_refusal refusal, bool is_response)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        sum += counter_get(&proxy->workers[i].refusals[is_response][refusal]);
    return sum;
}

uint64_t proxy_answers(const struct proxy *proxy, unsigned status, bool is_redirect)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        sum += counter_get(&proxy->workers[i].answers[is_redirect][status - STATUS_MIN]);
    return sum;
}

uint64_t proxy_open_connections(const struct proxy *proxy)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        sum += counter_get(&proxy->workers[i].open_clients);
    return sum;
}

// The time is up: what is still open is cut.
static void on_drain_timeout(uv_timer_t *timer)
{
    struct proxy *proxy = timer->data;
    if (proxy->is_cut) // the message may still be on its way
        return;
    proxy->is_cut = true;
    for (unsigned i = 0; i < proxy->worker_count; i++)
        net_loop_post(&proxy->workers[i].loop, &proxy->workers[i].cut_message);
}

void proxy_drain(struct proxy *proxy, uint32_t drain_ms, void (*on_drained)(void *ctx), void *ctx)
{
    proxy->on_drained = on_drained;
    proxy->drained_ctx = ctx;
    if (!proxy->is_draining) {
        proxy->is_draining = true;
        for (unsigned i = 0; i < proxy->worker_count; i++)
            net_loop_post(&proxy->workers[i].loop, &proxy->workers[i].drain_message);
    }
    if (!proxy->is_drained)
        uv_timer_start(&proxy->drain_timer, on_drain_timeout, drain_ms, 0);
}

void proxy_free(struct proxy *proxy)
{
    for (unsigned i = 0; i < proxy->worker_count; i++)
        worker_fini(&proxy->workers[i]);
    verifiers_stop(proxy->verifiers);
    if (proxy->access_log)
        access_log_stop(proxy->access_log);
    mem_free(proxy);
}
