// SPDX-License-Identifier: Apache-2.0
//
// The control side of the data path. Start: bind every socket of every worker, then listen, so that
// an address in use is found before anything is served; then each worker is told its sockets.
// Reload: a change (configuration, new sockets, a message for each worker) is made ready and told
// only when nothing can fail any more; the configuration before may be freed when each worker has
// taken the new one (proxy_config_is_adopted). Drain: a message to each worker; each tells
// when its last client is gone; when all are, or the time is up, the workers are stopped and
// on_drained is called.
#include "proxy/proxy.h"

#include <unistd.h>
#include <uv.h>

#include "auth/verdicts.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"
#include "net/inherited.h"
#include "net/listener.h"
#include "proxy/access_log.h"
#include "proxy/bound.h"
#include "proxy/page.h"
#include "proxy/verifier.h"
#include "proxy/worker.h"

struct proxy {
    const struct proxy_config *config;
    struct access_log *access_log; // NULL: off
    struct verifiers *verifiers;   // NULL: there are no schemes
    uv_loop_t *loop;
    unsigned worker_count;
    uint64_t config_version;
    struct bound bounds[LISTENERS_MAX]; // addresses that are open, in no order
    unsigned bound_count;

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

static bool is_workers(const struct listener_config *listener)
{
    return listener->proto != LISTENER_PROMETHEUS; // the admin serves those
}

// Sockets that share their port would not mind.
static int check_names(const struct proxy_config *config, struct err *err)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        for (unsigned k = 0; k < i; k++) {
            if (addr_eq((const struct sockaddr *)&listener->sockaddr,
                        (const struct sockaddr *)&config->listeners[k].sockaddr) &&
                addr_port((const struct sockaddr *)&listener->sockaddr) != 0)
                return err_set(err, ERR_INVALID, "listen on %.*s: the address is named twice",
                               STR_FMT(listener->addr));
        }
    }
    return 0;
}

int proxy_check_listeners(const struct proxy_config *config, const struct inherited *inherited,
                          struct err *err)
{
    int rc = check_names(config, err);
    for (unsigned i = 0; i < config->listener_count && rc == 0; i++) {
        const struct listener_config *listener = &config->listeners[i];
        struct bound bound;
        if (!is_workers(listener) ||
            inherited_count(inherited, (const struct sockaddr *)&listener->sockaddr) > 0)
            continue;
        rc = bound_open(&bound, listener, 1, NULL, err);
        if (rc == 0)
            bound_close(&bound);
    }
    return rc;
}

static struct bound *find_bound(struct proxy *proxy, const struct listener_config *listener)
{
    for (unsigned i = 0; i < proxy->bound_count; i++) {
        if (addr_eq((const struct sockaddr *)&proxy->bounds[i].sockaddr,
                    (const struct sockaddr *)&listener->sockaddr))
            return &proxy->bounds[i];
    }
    return NULL;
}

// --- a configuration on its way to the workers ---

// One of a change's new sockets.
struct opening {
    struct worker_listener *listener;
    int socket;
};

// What one worker is told. Its openings are those of the change that are its own.
struct config_message {
    struct message message;
    struct worker *worker;
    const struct proxy_config *config;
    uint64_t version;
    struct access_log *log;
    struct verifiers *verifiers;
    struct htpasswd *users[AUTH_SCHEMES_MAX]; // referenced
    struct verdicts *spare_verdicts;          // owned; see auth_set_schemes
    unsigned opening_count;
    struct opening openings[];
};

// Everything that can fail is done before anything is told.
struct change {
    const struct proxy_config *config;
    struct htpasswd *const *users;
    struct bound bounds[LISTENERS_MAX]; // new ones, all listening
    unsigned bound_count;
    struct config_message *messages[WORKERS_MAX];
    struct access_log *new_log;      // NULL: none is needed
    struct verifiers *new_verifiers; // likewise
};

static void take_config(struct message *message)
{
    struct config_message *own = CONTAINER_OF(message, struct config_message, message);
    worker_set_config(own->worker, own->config, own->log);
    auth_set_schemes(&own->worker->auth, own->config, own->verifiers, own->users,
                     own->spare_verdicts);
    for (unsigned i = 0; i < own->opening_count; i++)
        worker_listen(own->worker, own->openings[i].listener, own->openings[i].socket);
    atomic_store_explicit(&own->worker->config_version, own->version, memory_order_release);
    mem_free(own);
}

static void change_abort(struct proxy *proxy, struct change *change)
{
    for (unsigned w = 0; w < proxy->worker_count; w++) {
        struct config_message *own = change->messages[w];
        for (unsigned i = 0; own && i < own->opening_count; i++)
            mem_free(own->openings[i].listener);
        for (unsigned i = 0; own && i < AUTH_SCHEMES_MAX; i++)
            htpasswd_unref(own->users[i]);
        if (own)
            verdicts_free(own->spare_verdicts);
        mem_free(own);
    }
    for (unsigned i = 0; i < change->bound_count; i++)
        bound_close(&change->bounds[i]);
    if (change->new_log)
        access_log_stop(change->new_log);
    verifiers_stop(change->new_verifiers);
}

static int open_bounds(struct proxy *proxy, struct change *change, struct inherited *inherited,
                       struct err *err)
{
    const struct proxy_config *config = change->config;
    const struct listener_config *opened[LISTENERS_MAX];
    int rc = check_names(config, err);
    for (unsigned i = 0; i < config->listener_count && rc == 0; i++) {
        const struct listener_config *listener = &config->listeners[i];
        if (!is_workers(listener) || find_bound(proxy, listener))
            continue;
        rc = bound_open(&change->bounds[change->bound_count], listener, proxy->worker_count,
                        inherited, err);
        if (rc == 0)
            opened[change->bound_count++] = listener;
    }
    for (unsigned i = 0; i < change->bound_count && rc == 0; i++)
        rc = bound_listen(&change->bounds[i], opened[i], err);
    return rc;
}

static struct config_message *new_message(struct proxy *proxy, struct change *change, unsigned id)
{
    unsigned max = 0;
    for (unsigned i = 0; i < change->bound_count; i++)
        max += change->bounds[i].count / proxy->worker_count + 1;
    struct config_message *own = mem_zalloc(sizeof *own + max * sizeof own->openings[0]);
    if (!own)
        return NULL;
    change->messages[id] = own; // whose listeners are freed with it
    own->message.run = take_config;
    own->worker = &proxy->workers[id];
    own->config = change->config;
    if (change->config->auth_count > 0 && !(own->spare_verdicts = verdicts_new()))
        return NULL;
    for (unsigned i = 0; i < change->config->auth_count; i++)
        own->users[i] = htpasswd_ref(change->users[i]);
    for (unsigned i = 0; i < change->bound_count; i++) {
        const struct bound *bound = &change->bounds[i];
        struct listener_config config = {.sockaddr = bound->sockaddr};
        for (unsigned k = 0; k < change->config->listener_count; k++) {
            const struct listener_config *listener = &change->config->listeners[k];
            if (is_workers(listener) && addr_eq((const struct sockaddr *)&listener->sockaddr,
                                                (const struct sockaddr *)&bound->sockaddr))
                config = *listener;
        }
        for (unsigned s = id; s < bound->count; s += proxy->worker_count) {
            struct worker_listener *listener = worker_listener_new(&config);
            if (!listener)
                return NULL;
            own->openings[own->opening_count++] = (struct opening){listener, bound->sockets[s]};
        }
    }
    return own;
}

static int change_prepare(struct proxy *proxy, struct change *change, struct inherited *inherited,
                          struct err *err)
{
    int rc = open_bounds(proxy, change, inherited, err);
    if (rc == 0 && change->config->access_log && !proxy->access_log) {
        change->new_log = access_log_start(STDOUT_FILENO, proxy->worker_count, err);
        rc = change->new_log ? 0 : err->code;
    }
    if (rc == 0 && change->config->auth_count > 0 && !proxy->verifiers) {
        change->new_verifiers = verifiers_start(proxy->worker_count, err);
        rc = change->new_verifiers ? 0 : err->code;
    }
    for (unsigned w = 0; w < proxy->worker_count && rc == 0; w++) {
        if (!new_message(proxy, change, w))
            rc = err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    }
    if (rc != 0)
        change_abort(proxy, change);
    return rc;
}

static bool is_configured(const struct proxy_config *config, const struct bound *bound)
{
    for (unsigned i = 0; i < config->listener_count; i++) {
        const struct listener_config *listener = &config->listeners[i];
        if (is_workers(listener) && addr_eq((const struct sockaddr *)&listener->sockaddr,
                                            (const struct sockaddr *)&bound->sockaddr))
            return true;
    }
    return false;
}

// What the control side keeps of it; the messages are the caller's to send.
static void change_commit(struct proxy *proxy, struct change *change)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < proxy->bound_count; i++) {
        if (is_configured(change->config, &proxy->bounds[i]))
            proxy->bounds[kept++] = proxy->bounds[i];
        else
            bound_forget(&proxy->bounds[i]); // its sockets are closed by the workers
    }
    for (unsigned i = 0; i < change->bound_count; i++)
        proxy->bounds[kept++] = change->bounds[i];
    proxy->bound_count = kept;
    proxy->config = change->config;
    if (change->new_log)
        proxy->access_log = change->new_log;
    if (change->new_verifiers)
        proxy->verifiers = change->new_verifiers;
    for (unsigned w = 0; w < proxy->worker_count; w++) {
        struct config_message *message = change->messages[w];
        BUG_ON(!message); // change_prepare has made one for each worker
        message->version = proxy->config_version;
        message->verifiers = proxy->verifiers;
        message->log = change->config->access_log ? proxy->access_log : NULL;
    }
}

int proxy_set_config(struct proxy *proxy, const struct proxy_config *config,
                     struct htpasswd *const *users, struct err *err)
{
    struct change change = {.config = config, .users = users};
    if (change_prepare(proxy, &change, NULL, err) != 0)
        return err->code;
    proxy->config_version++;
    change_commit(proxy, &change);
    for (unsigned w = 0; w < proxy->worker_count; w++)
        net_loop_post(&proxy->workers[w].loop, &change.messages[w]->message);
    return 0;
}

bool proxy_config_is_adopted(const struct proxy *proxy)
{
    for (unsigned w = 0; w < proxy->worker_count; w++) {
        if (atomic_load_explicit(&proxy->workers[w].config_version, memory_order_acquire) !=
            proxy->config_version)
            return false;
    }
    return true;
}

unsigned proxy_sockets(const struct proxy *proxy, int *sockets, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i < proxy->bound_count; i++) {
        for (unsigned s = 0; s < proxy->bounds[i].count && count < max; s++)
            sockets[count++] = proxy->bounds[i].sockets[s];
    }
    return count;
}

unsigned proxy_addresses(const struct proxy *proxy, struct sockaddr_storage *addresses,
                         unsigned max)
{
    unsigned count = MIN(proxy->bound_count, max);
    for (unsigned i = 0; i < count; i++) {
        addresses[i] = proxy->bounds[i].sockaddr;
        listener_set_port(&addresses[i], proxy->bounds[i].port);
    }
    return count;
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
                          struct targets *targets, struct htpasswd *const *users,
                          struct inherited *inherited, struct err *err)
{
    unsigned count = targets_worker_count(targets);
    struct proxy *proxy = mem_zalloc(sizeof *proxy + count * sizeof proxy->workers[0]);
    struct page *page = page_new(STR_NULL);
    struct change change = {.config = config, .users = users};
    if (!proxy || !page) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        goto fail;
    }
    proxy->loop = control_loop;
    proxy->worker_count = count;
    if (change_prepare(proxy, &change, inherited, err) != 0)
        goto fail;
    unsigned initialised = 0;
    unsigned started = 0;
    for (; initialised < count; initialised++) {
        struct worker *worker = &proxy->workers[initialised];
        int rc = worker_init(worker, initialised, config, targets_cell(targets), page,
                             change.new_verifiers, users);
        if (rc != 0) {
            err_set(err, rc, "worker: %s", err_text(rc));
            goto fail_workers;
        }
        worker->siblings = proxy->workers;
        worker->sibling_count = count;
        worker->on_empty = on_worker_empty;
        worker->drain_message.run = begin_drain;
        worker->cut_message.run = cut;
        worker->stop_message.run = stop;
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
    change_commit(proxy, &change);
    for (unsigned w = 0; w < count; w++)
        net_loop_post(&proxy->workers[w].loop, &change.messages[w]->message);
    return proxy;

fail_workers:
    stop_workers(proxy, initialised, started);
    change_abort(proxy, &change);
fail:
    page_unref(page);
    mem_free(proxy);
    return NULL;
}

uint16_t proxy_port(const struct proxy *proxy, unsigned listener)
{
    const struct bound *bound =
        listener < proxy->config->listener_count
            ? find_bound((struct proxy *)proxy, &proxy->config->listeners[listener])
            : NULL;
    return bound ? bound->port : 0;
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

unsigned proxy_worker_count(const struct proxy *proxy)
{
    return proxy->worker_count;
}

uint64_t proxy_worker_connections(const struct proxy *proxy, unsigned worker)
{
    return counter_get(&proxy->workers[worker].open_clients);
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
    for (unsigned i = 0; i < proxy->bound_count; i++)
        bound_forget(&proxy->bounds[i]);
    mem_free(proxy);
}
