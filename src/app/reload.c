// SPDX-License-Identifier: Apache-2.0
// A reload (SIGHUP):
//  1. reload_start: everything is read anew, by a thread of libuv's pool, as a URL may take its
//  time.
//  2. on_read, prepare: what can fail is done aside - users are read, new addresses bound.
//  3. commit: workers, admin, feed and backend get the new configuration. Workers take it between
//     two callbacks; the one before is kept until all have (reload_collect).
// A failure in 1 or 2 changes nothing; it is logged and listed as a problem until a reload
// succeeds.
#include <unistd.h>

#include "auth_files.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/backend.h"
#include "discover/problems.h"
#include "discover/static.h"
#include "notify.h"
#include "process.h"
#include "route/command.h"

extern char **environ;

enum { CHANGES_MAX = 64 * 1024 };

struct job {
    uv_work_t work;
    struct process *process;
    struct options *next; // owned
    struct err err;
    int rc;
};

static void free_options(struct options *options)
{
    options_fini(options);
    mem_free(options);
}

void reload_collect(struct process *process)
{
    if (!process->old_options || (process->proxy && !proxy_config_is_adopted(process->proxy)))
        return;
    while (process->old_options) {
        struct old_options *old = process->old_options;
        process->old_options = old->next;
        free_options(old->options);
        mem_free(old);
    }
}

void reload_free(struct process *process)
{
    process->proxy = NULL; // which has been freed
    reload_collect(process);
    if (process->options != process->first)
        free_options(process->options);
    process->options = process->first;
}

static void add_problem(struct process *process, struct str reason, bool is_lost)
{
    problems_add(process->problems, &(struct problem){.source = STR("config"),
                                                      .text = STR("SIGHUP"),
                                                      .reason = reason,
                                                      .is_lost = is_lost});
}

static void report_failure(struct process *process, const struct err *err)
{
    process->reloads.failed++;
    log_error("Configuration not reloaded, the one before stays: %s", err->text);
    problems_begin(process->problems, STR("config"));
    add_problem(process, str_of(err->text), true);
    problems_end(process->problems);
}

struct bad_lines {
    unsigned count;
    struct err first; // where and why
};

static void note_line(void *ctx, struct str origin, uint32_t line, struct str text,
                      const char *reason)
{
    struct bad_lines *bad = ctx;
    if (bad->count++ == 0)
        err_set(&bad->first, ERR_INVALID, "%.*s line %u: %s: %.*s", (int)MIN(origin.len, 100),
                origin.ptr, line, reason, (int)MIN(text.len, 80), text.ptr ? text.ptr : "");
}

static int fail_lines(const struct bad_lines *bad, struct err *err)
{
    if (bad->count == 0)
        return 0;
    if (bad->count == 1)
        return err_set(err, ERR_INVALID, "%s", bad->first.text);
    return err_set(err, ERR_INVALID, "%s (and %u more)", bad->first.text, bad->count - 1);
}

// Other routes than before must be good ones: those of before stay better than a part of them.
static int check_routes(const struct options *before, const struct options *next, struct err *err)
{
    struct bad_lines bad = {0};
    if (next->backend == BACKEND_FILE &&
        !(str_eq(before->file.path, next->file.path) &&
          str_eq(before->file.noroute_html_path, next->file.noroute_html_path))) {
        int rc = file_config_check(&next->file, note_line, &bad, err);
        return rc == 0 ? fail_lines(&bad, err) : rc;
    }
    if (next->backend == BACKEND_STATIC &&
        !str_eq(before->static_routes.routes, next->static_routes.routes)) {
        struct command_list *list = command_list_parse(
            next->static_routes.routes, STR("registry.static.routes"), note_line, &bad);
        if (!list)
            return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        command_list_free(list);
        return fail_lines(&bad, err);
    }
    return 0;
}

static bool has_scrape(const struct metrics_config *metrics, struct str addr)
{
    for (unsigned i = 0; i < metrics->listener_count; i++) {
        if (str_eq(metrics->listeners[i], addr))
            return true;
    }
    return false;
}

static int check_scrape(const struct options *first, const struct options *next, struct err *err)
{
    const struct metrics_config *old = &first->admin.metrics, *new = &next->admin.metrics;
    bool is_same = old->listener_count == new->listener_count;
    for (unsigned i = 0; i < new->listener_count &&is_same; i++)
        is_same = has_scrape(old, new->listeners[i]);
    return is_same ? 0
                   : err_set(err, ERR_UNSUPPORTED,
                             "proxy.addr: listeners with proto=prometheus come and go only with a "
                             "restart or an upgrade");
}

static bool has_warning(const struct options *options, struct str text)
{
    for (size_t i = 0; i < options_warning_count(options); i++) {
        if (str_eq(options_warning_at(options, i), text))
            return true;
    }
    return false;
}

// New warnings only: those of the start are known.
static void tell_warnings(struct process *process, const struct options *before,
                          const struct options *next)
{
    problems_begin(process->problems, STR("config"));
    for (size_t i = 0; i < options_warning_count(next); i++) {
        struct str text = options_warning_at(next, i);
        if (has_warning(process->first, text))
            continue;
        if (!has_warning(before, text))
            log_warn("%.*s", STR_FMT(text));
        add_problem(process, text, false);
    }
    problems_end(process->problems);
}

static void tell_changes(const struct options *before, const struct options *next)
{
    struct buf text;
    buf_init(&text, CHANGES_MAX);
    unsigned count = options_print_changes(before, next, &text);
    if (count == 0)
        log_info("Configuration reloaded: nothing has changed");
    else
        log_info("Configuration reloaded: %.*s", STR_FMT(buf_str(&text)));
    buf_fini(&text);
}

// Nothing of this fails but for want of memory, which costs that part and is logged.
static void commit(struct process *process, struct options *next, struct auth_files *auth_files,
                   struct login *login)
{
    const struct options *before = process->options;
    struct err err = {0};
    int rc = 0;
    process->options = next;
    auth_files_replace(process->auth_files, auth_files);
    process->auth_files = auth_files;
    log_set_level(next->log_level);
    admin_set_config(process->admin, &next->admin, login);
    feed_set_config(process->feed, &next->feed);
    if (next->backend == BACKEND_STATIC)
        rc = static_backend_set_config(process->backend, &next->static_routes, &err);
    else if (next->backend == BACKEND_FILE)
        rc = file_backend_set_config(process->backend, &next->file, &err);
    if (rc != 0)
        log_error("%s", err.text);
    process->reloads.succeeded++;
    process->reloads.last_success_us = clock_wall_us();
    tell_changes(before, next);
    tell_warnings(process, before, next);
}

static int apply(struct process *process, struct options *next, struct err *err)
{
    struct login *login = NULL;
    struct auth_files *auth_files = NULL;
    struct old_options *old = mem_zalloc(sizeof *old);
    if (!old)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    process_fill_limits(next);
    int rc = check_routes(process->options, next, err);
    if (rc == 0)
        rc = check_scrape(process->first, next, err);
    if (rc == 0)
        rc = admin_prepare_config(process->admin, &next->admin, &login, err);
    if (rc == 0) {
        auth_files = auth_files_new(&next->proxy, process->problems, err);
        rc = auth_files ? 0 : err->code;
    }
    if (rc == 0 && !process->proxy) // else it would end the process with the first table
        rc = proxy_check_listeners(&next->proxy, process->inherited, err);
    if (rc == 0 && process->proxy)
        rc = proxy_set_config(process->proxy, &next->proxy, auth_files_users(auth_files), err);
    if (rc != 0) {
        auth_files_free(auth_files);
        admin_drop_config(login);
        mem_free(old);
        return rc;
    }
    struct options *before = process->options;
    commit(process, next, auth_files, login);
    if (process->proxy)
        process_note_listeners(process);
    if (before == process->first) {
        mem_free(old);
        return 0;
    }
    *old = (struct old_options){.next = process->old_options, .options = before};
    process->old_options = old;
    reload_collect(process);
    return 0;
}

static void read_options(uv_work_t *work) // on a thread of the pool
{
    struct job *job = work->data;
    const struct process *process = job->process;
    job->rc = options_read_again(job->next, process->options, process->argc, process->argv, environ,
                                 &job->err);
}

static void on_read(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct process *process = job->process;
    process->is_reloading = false;
    bool is_leaving = process->phase > PHASE_SERVING;
    if (status == 0 && job->rc == 0 && !is_leaving)
        job->rc = apply(process, job->next, &job->err);
    if (status == 0 && job->rc != 0 && !is_leaving)
        report_failure(process, &job->err);
    if (status != 0 || job->rc != 0 || is_leaving)
        free_options(job->next);
    mem_free(job);
    if (is_leaving)
        return;
    if (process->phase == PHASE_SERVING)
        notify_send("READY=1");
    if (process->must_reload_again)
        reload_start(process);
}

void reload_start(struct process *process)
{
    if (process->phase > PHASE_SERVING || process->upgrade.is_running) {
        log_warn("Caught SIGHUP. Ignored: the process is %s",
                 process->upgrade.is_running ? "being replaced" : "ending");
        return;
    }
    process->must_reload_again = process->is_reloading;
    if (process->is_reloading)
        return;
    log_info("Caught SIGHUP. Reloading the configuration");
    struct job *job = mem_zalloc(sizeof *job);
    struct options *next = mem_zalloc(sizeof *next);
    if (job && next) {
        *job = (struct job){.work.data = job, .process = process, .next = next};
        process->is_reloading =
            uv_queue_work(&process->loop, &job->work, read_options, on_read) == 0;
    }
    if (process->is_reloading) {
        notify_reloading();
        return;
    }
    mem_free(job);
    mem_free(next);
    struct err err;
    err_set(&err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    report_failure(process, &err);
}
