// SPDX-License-Identifier: Apache-2.0
// The happy path:
//  1. start: problems, targets, feed, backend, then the admin listener, so that the process can
//     be asked from its first moment; then the backend begins to watch.
//  2. PHASE_WAITING until the feed has its first table and names are resolved (try_open): the
//     proxy's listeners open.
//  3. PHASE_SERVING until SIGINT or SIGTERM (leave): readiness off, deregistration, grace.
//  4. PHASE_DRAINING (drain): listeners close, running requests end or are cut.
//  5. PHASE_ENDING (end): admin, backend and feed close, the loop runs empty; then all is freed.
// SIGHUP is reload.c's, SIGUSR2 upgrade.c's: a process that has handed over goes on with step 4.
// A second signal shortens 3 and 4. An error takes the same way with exit status 1: at start from
// step 5, later from step 3 without waiting.
#include "app/lifecycle.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "app/cpus.h"
#include "auth_files.h"
#include "base/clock.h"
#include "discover/consul.h"
#include "discover/custom.h"
#include "discover/feed.h"
#include "discover/problems.h"
#include "discover/snapshot.h"
#include "discover/static.h"
#include "net/inherited.h"
#include "notify.h"
#include "process.h"
#include "root_warning.h"
#include "upstream/registry.h"

enum {
    WAITING_TICK_MS = 50,
    SERVING_TICK_MS = 1000,    // old tables are also collected after each publish
    RESOLVE_WAIT_MS = 2000,    // names of the first table; later they are a matter of single routes
    HAND_OVER_MS = 3000,       // connections of the admin listener are given this long to move over
    LOOKUP_PATIENCE_MS = 1000, // names that are still being looked up at the end
};

static const int SIGNALS[PROCESS_SIGNALS] = {SIGINT, SIGTERM, SIGHUP, SIGUSR2};

static void end(struct process *process);
static void drain(struct process *process);

// --- what the admin listener asks for ---

static void read_workers(void *ctx, struct worker_totals *totals)
{
    const struct process *process = ctx;
    *totals = (struct worker_totals){0};
    if (process->proxy)
        proxy_totals_read(process->proxy, totals);
}

static uint64_t read_refusals(void *ctx, unsigned refusal, bool is_response)
{
    const struct process *process = ctx;
    return process->proxy ? proxy_refusals(process->proxy, (enum http_refusal)refusal, is_response)
                          : 0;
}

static uint64_t read_answers(void *ctx, unsigned status, bool is_redirect)
{
    const struct process *process = ctx;
    return process->proxy ? proxy_answers(process->proxy, status, is_redirect) : 0;
}

static bool is_listening(void *ctx)
{
    const struct process *process = ctx;
    return process->proxy;
}

static uint64_t read_open_connections(void *ctx)
{
    const struct process *process = ctx;
    return process->proxy ? proxy_open_connections(process->proxy) : 0;
}

static bool read_worker_connections(void *ctx, unsigned worker, uint64_t *count)
{
    const struct process *process = ctx;
    if (!process->proxy || worker >= proxy_worker_count(process->proxy))
        return false;
    *count = proxy_worker_connections(process->proxy, worker);
    return true;
}

static struct admin_reloads read_reloads(void *ctx)
{
    const struct process *process = ctx;
    return process->reloads;
}

static void write_config_json(void *ctx, struct buf *out)
{
    const struct process *process = ctx;
    options_print_json(process->options, out);
}

// --- the way out ---

static void on_part_closed(void *ctx)
{
    struct process *process = ctx;
    if (--process->open_parts == 0)
        uv_stop(&process->loop); // names may still be looked up, for nobody
}

static void on_backend_stopped(void *ctx)
{
    struct process *process = ctx;
    process->backend->ops->free(process->backend->self);
    process->backend = NULL;
    on_part_closed(process);
    // Only now does nobody deliver to the feed any more.
    feed_close(process->feed, on_part_closed, process);
}

static void on_admin_closed(void *ctx)
{
    struct process *process = ctx;
    process->admin = NULL;
    on_part_closed(process);
    if (process->snapshot)
        snapshot_keeper_close(process->snapshot, on_part_closed, process);
    process->snapshot = NULL;
    // The admin's pages read the backend, so it goes first.
    if (process->backend)
        process->backend->ops->stop(process->backend->self, on_backend_stopped, process);
    else if (process->feed)
        feed_close(process->feed, on_part_closed, process);
}

static void close_handles(struct process *process)
{
    // Closing the handles brings the default actions back: one more SIGTERM must not turn a clean
    // end into a kill.
    sigset_t ours;
    sigemptyset(&ours);
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++)
        sigaddset(&ours, SIGNALS[i]);
    pthread_sigmask(SIG_BLOCK, &ours, NULL);
    uv_close((uv_handle_t *)&process->tick, NULL);
    uv_close((uv_handle_t *)&process->grace, NULL);
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++) {
        uv_close((uv_handle_t *)&process->signals[i], NULL);
        signal(SIGNALS[i], SIG_IGN); // for the threads of libuv's pool, which block nothing
    }
}

static void end(struct process *process)
{
    process->phase = PHASE_ENDING;
    upgrade_cancel(process);
    if (process->admin)
        admin_push_metrics(process->admin);
    if (process->proxy)
        proxy_free(process->proxy);
    process->proxy = NULL;
    close_handles(process);
    process->open_parts =
        1 + (process->backend != NULL) + (process->feed != NULL) + (process->snapshot != NULL);
    if (process->admin)
        admin_close(process->admin, on_admin_closed, process);
    else
        on_admin_closed(process);
}

static void on_drained(void *ctx)
{
    end(ctx);
}

static void drain(struct process *process)
{
    process->phase = PHASE_DRAINING;
    uint32_t drain_ms = process->is_hurried ? 0 : process->options->shutdown_wait_ms;
    if (process->proxy)
        proxy_drain(process->proxy, drain_ms, on_drained, process);
    else
        end(process);
}

static void on_grace_over(uv_timer_t *timer)
{
    drain(timer->data);
}

static void on_deregistered(void *ctx)
{
    struct process *process = ctx;
    if (process->phase != PHASE_LEAVING) // a second signal did not wait for it
        return;
    uint32_t grace_ms = process->is_hurried ? 0 : process->options->deregister_grace_ms;
    uv_timer_start(&process->grace, on_grace_over, grace_ms, 0);
}

static void leave(struct process *process)
{
    process->phase = PHASE_LEAVING;
    upgrade_cancel(process);
    notify_send("STOPPING=1");
    admin_set_draining(process->admin);
    // While another process serves, the registration is its own.
    if (process->predecessor_pipe >= 0)
        on_deregistered(process);
    else
        process->backend->ops->deregister(process->backend->self, on_deregistered, process);
}

void process_hand_over(struct process *process, struct str registered)
{
    const struct backend *backend = process->backend;
    process->phase = PHASE_LEAVING;
    // Whoever still asks us about readiness means the sockets, which are served: not draining.
    admin_retire(process->admin);
    if (process->snapshot)
        snapshot_keeper_retire(process->snapshot);
    // The registration stays: it is the successor's now.
    if (backend->ops->hand_over)
        backend->ops->hand_over(backend->self, registered);
    uv_timer_start(&process->grace, on_grace_over, HAND_OVER_MS, 0);
}

static void fail(struct process *process, const char *what)
{
    log_fatal("%.*s. %s", STR_FMT(process->options->admin.version), what);
    process->exit_status = 1;
    process->is_hurried = true;
    leave(process);
}

// A second signal: what is waited for is cut.
static void hurry(struct process *process)
{
    process->is_hurried = true;
    if (process->phase == PHASE_LEAVING) {
        uv_timer_stop(&process->grace);
        drain(process);
    } else if (process->phase == PHASE_DRAINING) {
        proxy_drain(process->proxy, 0, on_drained, process);
    }
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct process *process = handle->data;
    if (number == SIGHUP) {
        reload_start(process);
    } else if (number == SIGUSR2) {
        upgrade_start(process);
    } else if (process->phase == PHASE_WAITING || process->phase == PHASE_SERVING) {
        log_info("Caught %s. Exiting", number == SIGINT ? "SIGINT" : "SIGTERM");
        leave(process);
    } else {
        hurry(process);
    }
}

// --- the way in ---

static void warn_of_root(struct process *process)
{
    root_warning_log(process->options->is_insecure);
    process->warned_at_ms = clock_now_ms();
}

static void log_listeners(const struct process *process)
{
    const struct proxy_config *config = &process->options->proxy;
    for (unsigned i = 0; i < config->listener_count; i++) {
        if (config->listeners[i].proto == LISTENER_PROMETHEUS)
            continue; // the admin's
        struct str addr = config->listeners[i].addr;
        struct str host = str_upto(addr, (size_t)str_rfind_char(addr, ':'));
        log_info("HTTP proxy listening on %.*s:%u", STR_FMT(host), proxy_port(process->proxy, i));
    }
}

void process_note_listeners(struct process *process)
{
    struct sockaddr_storage addresses[LISTENERS_MAX];
    unsigned count = proxy_addresses(process->proxy, addresses, LISTENERS_MAX);
    targets_set_own(process->targets, addresses, count);
    own_targets_report(&process->own_targets, process->targets, process->problems);
}

static void open_proxy(struct process *process)
{
    const struct proxy_config *config = &process->options->proxy;
    struct err err = {0};
    process->proxy = proxy_start(&process->loop, config, process->targets,
                                 auth_files_users(process->auth_files), process->inherited, &err);
    if (!process->proxy) {
        fail(process, err.text);
        return;
    }
    process->phase = PHASE_SERVING;
    uv_timer_set_repeat(&process->tick, SERVING_TICK_MS);
    proxy_set_noroute_html(process->proxy, feed_noroute_html(process->feed));
    process_note_listeners(process);
    log_listeners(process);
    admin_listen(process->admin);
    upgrade_tell_serving(process);
    notify_send("READY=1\nMAINPID=%d", (int)getpid());
    inherited_close_rest(process->inherited);
    warn_of_root(process); // once more, where it can be seen
}

static void try_open(struct process *process)
{
    uint64_t now_ms = clock_now_ms();
    if (process->synced_at_ms == 0) {
        if (!feed_is_synced(process->feed))
            return;
        process->synced_at_ms = now_ms;
    }
    if (targets_are_resolved(process->targets) || now_ms - process->synced_at_ms >= RESOLVE_WAIT_MS)
        open_proxy(process);
}

static bool on_users(void *ctx, unsigned scheme, struct htpasswd *users)
{
    struct process *process = ctx;
    // Before it has begun the proxy has had none: it is given all then.
    return !process->proxy || proxy_set_users(process->proxy, scheme, users);
}

static void on_tick(uv_timer_t *timer)
{
    struct process *process = timer->data;
    auth_files_refresh(process->auth_files, clock_now_ms(), on_users, process);
    targets_collect(process->targets);
    targets_refresh_names(process->targets);
    own_targets_report(&process->own_targets, process->targets, process->problems);
    reload_collect(process);
    if (clock_now_ms() - process->warned_at_ms >= ROOT_WARNING_INTERVAL_MS)
        warn_of_root(process);
    if (process->phase != PHASE_WAITING)
        return;
    uint32_t timeout_ms = process->options->registry_timeout_ms;
    try_open(process);
    if (process->phase == PHASE_WAITING && process->synced_at_ms == 0 && timeout_ms &&
        clock_now_ms() - process->started_at_ms >= timeout_ms)
        fail(process, "Timeout registering backend.");
}

static void on_published(void *ctx, const struct table *table)
{
    struct process *process = ctx;
    const struct backend *backend = process->backend;
    (void)table;
    if (backend && backend->ops->on_published)
        backend->ops->on_published(backend->self);
    if (process->snapshot)
        snapshot_keeper_changed(process->snapshot);
    own_targets_report(&process->own_targets, process->targets, process->problems);
    if (process->proxy) {
        proxy_set_noroute_html(process->proxy, feed_noroute_html(process->feed));
        targets_collect(process->targets);
    } else if (process->phase == PHASE_WAITING) {
        uv_timer_start(&process->tick, on_tick, 0, WAITING_TICK_MS); // outside of the feed's call
    }
}

static struct backend *new_backend(struct process *process, struct err *err)
{
    struct options *options = process->options;
    switch (options->backend) {
    case BACKEND_STATIC: return static_backend_new(&options->static_routes, process->feed, err);
    case BACKEND_FILE:
        return file_backend_new(&process->loop, &options->file, process->feed, process->problems,
                                err);
    case BACKEND_CUSTOM:
        return custom_backend_new(&process->loop, &options->custom, process->feed,
                                  process->problems, err);
    case BACKEND_CONSUL:
        return consul_backend_new(&process->loop, &options->consul, process->feed,
                                  process->problems, err);
    }
    return NULL;
}

static void init_handles(struct process *process)
{
    // None of these can fail with correct arguments, but for signals when memory is short.
    uv_timer_init(&process->loop, &process->tick);
    uv_timer_init(&process->loop, &process->grace);
    process->tick.data = process;
    process->grace.data = process;
    for (size_t i = 0; i < ARRAY_LEN(SIGNALS); i++) {
        uv_signal_init(&process->loop, &process->signals[i]);
        process->signals[i].data = process;
        if (uv_signal_start(&process->signals[i], on_signal, SIGNALS[i]) != 0)
            log_warn("no handler for signal %d", SIGNALS[i]);
    }
}

static int start(struct process *process, struct err *err)
{
    const struct options *options = process->options;
    process->problems = problems_new();
    process->targets = targets_new(&process->loop, options->proxy.worker_count);
    if (!process->problems || !process->targets)
        return err_set(err, ERR_NOMEM, "out of memory");
    targets_set_trust(process->targets, options->proxy.upstream_ca_file,
                      options->proxy.upstream_ca_path);
    process->auth_files = auth_files_new(&options->proxy, process->problems, err);
    if (!process->auth_files)
        return err->code;
    process->feed = feed_new(&process->loop, &options->feed, process->targets, process->problems,
                             on_published, process);
    if (!process->feed)
        return err_set(err, ERR_NOMEM, "out of memory");
    process->backend = new_backend(process, err);
    if (!process->backend)
        return err->code;
    if (options->snapshot.path.len > 0 && process->backend->ops->restore) {
        process->snapshot = snapshot_keeper_new(&process->loop, &options->snapshot, process->feed,
                                                process->backend, process->problems);
        if (!process->snapshot)
            return err_set(err, ERR_NOMEM, "out of memory");
    }
    const struct admin_sources sources = {
        .feed = process->feed,
        .snapshot = process->snapshot,
        .targets = process->targets,
        .problems = process->problems,
        .backend = process->backend,
        .read_workers = read_workers,
        .read_refusals = read_refusals,
        .read_answers = read_answers,
        .is_listening = is_listening,
        .read_open_connections = read_open_connections,
        .read_worker_connections = read_worker_connections,
        .read_reloads = read_reloads,
        .write_config_json = write_config_json,
        .ctx = process,
    };
    process->admin = admin_start(&process->loop, &options->admin, &sources, process->inherited,
                                 process->predecessor_pipe >= 0, err);
    if (!process->admin)
        return err->code;
    struct str host =
        str_upto(options->admin.addr, (size_t)str_rfind_char(options->admin.addr, ':'));
    log_info("Admin server listening on %.*s:%u", STR_FMT(host), admin_port(process->admin));
    // An address that is taken ends the process before the registry hears of it.
    if (proxy_check_listeners(&options->proxy, process->inherited, err) != 0)
        return err->code;
    uv_timer_start(&process->tick, on_tick, WAITING_TICK_MS, WAITING_TICK_MS);
    log_info("Waiting for first routing table");
    return process->backend->ops->start(process->backend->self, err);
}

void process_fill_limits(struct options *options)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        log_warn("cannot raise the limit of open files");
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || options->proxy.max_connections)
        return;
    // Each client may need a connection to a target.
    options->proxy.max_connections = proxy_usable_descriptors() / 2;
}

static void on_patience_over(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

// Lets closing handles and cancelled lookups of names end. A lookup that is being made cannot be
// cancelled and may take the resolver minutes: false when one is left.
static bool close_loop(uv_loop_t *loop)
{
    uv_timer_t patience;
    uv_timer_init(loop, &patience);
    uv_timer_start(&patience, on_patience_over, LOOKUP_PATIENCE_MS, 0);
    uv_unref((uv_handle_t *)&patience);
    uv_run(loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&patience, NULL);
    uv_run(loop, UV_RUN_NOWAIT);
    return uv_loop_close(loop) == 0;
}

int lifecycle_run(struct options *options, int argc, char **argv)
{
    struct process process = {.argc = argc,
                              .argv = argv,
                              .first = options,
                              .options = options,
                              .reloads.last_success_us = clock_wall_us(),
                              .started_at_ms = clock_now_ms()};
    process.inherited = inherited_new();
    if (!process.inherited) {
        log_fatal("%.*s. out of memory", STR_FMT(options->admin.version));
        return 1;
    }
    process.predecessor_pipe = inherited_take_successor_pipe(process.inherited);
    warn_of_root(&process);
    signal(SIGPIPE, SIG_IGN);
    process_fill_limits(options);
    if (options->proxy.worker_count == 0)
        options->proxy.worker_count = MIN(cpus_allowed(), (unsigned)WORKERS_MAX);
    log_info("Workers: %u, from %.*s", options->proxy.worker_count,
             STR_FMT(options->worker_source));
    if (uv_loop_init(&process.loop) != 0) {
        log_fatal("%.*s. cannot create an event loop", STR_FMT(options->admin.version));
        return 1;
    }
    init_handles(&process);
    struct err err = {0};
    if (start(&process, &err) != 0) {
        log_fatal("%.*s. %s", STR_FMT(options->admin.version), err.text);
        process.exit_status = 1;
        end(&process);
    }
    uv_run(&process.loop, UV_RUN_DEFAULT);
    BUG_ON(process.open_parts != 0);
    if (process.targets)
        targets_free(process.targets);
    auth_files_free(process.auth_files);
    problems_free(process.problems);
    bool is_closed = close_loop(&process.loop);
    reload_free(&process);
    inherited_free(process.inherited);
    if (process.predecessor_pipe >= 0)
        close(process.predecessor_pipe);
    log_info("Down");
    if (!is_closed)
        _exit(process.exit_status); // exit would wait for the lookup
    return process.exit_status;
}
