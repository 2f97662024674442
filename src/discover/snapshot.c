// SPDX-License-Identifier: Apache-2.0
// 1. Loading: when the feed has no table wait_ms after the start, the file is read, the backend
//    restores what it has not heard about itself, and the feed is synced, partially.
// 2. Serving: once a second it is looked whether the backend has completed the table since.
// 3. Saving: a change is written SETTLE_MS later, not sooner than INTERVAL_MS after the last time;
//    while the registry is not heard, not at all: what is on disk is as good. References to the
//    definitions are taken here, the text is made and written on a pool thread, beside the old
//    file, and renamed over it.
// A file that cannot be read or written is a problem; writing is tried again after RETRY_MS.
#include "discover/snapshot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/snapshot_text.h"
#include "stats/prom.h"

enum {
    SETTLE_MS = 500,
    INTERVAL_MS = 3000,
    RETRY_MS = 30 * 1000,
    WATCH_MS = 1000,
    FROM_MAX = 4096,
};

struct snapshot_keeper {
    const struct snapshot_config *config; // borrowed
    struct feed *feed;                    // borrowed
    const struct backend *backend;        // borrowed
    struct problems *problems;            // borrowed
    struct buf from;                      // names the registry
    uv_timer_t timer;
    uint64_t load_at_ms; // 0: has been decided
    uint64_t serving_us; // saved_us of what was loaded; 0: nothing of it is served

    bool is_dirty;
    bool is_retired;
    bool is_writing;
    uint64_t next_save_ms;
    uint64_t saved_us; // of the file that stands; 0: none of this process
    uint64_t saved_total, failed_total;

    // The pool thread's while is_writing.
    uv_work_t work;
    struct snapshot copy;
    char failure[300]; // empty: written

    bool is_closing, is_timer_closed;
    void (*on_closed)(void *ctx);
    void *ctx;
};

static void report(struct snapshot_keeper *keeper, const char *scope, struct str reason)
{
    problems_begin(keeper->problems, str_of(scope));
    problems_add(keeper->problems, &(struct problem){.source = STR("snapshot"),
                                                     .text = keeper->config->path,
                                                     .reason = reason});
    problems_end(keeper->problems);
}

// --- loading ---

static int read_file(const char *path, struct buf *text, struct err *err)
{
    enum { STEP = 256 * 1024 };
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s", strerror(errno));
    ssize_t got = 0;
    int status = 0;
    struct stat stamp;
    if (fstat(fd, &stamp) < 0 || !S_ISREG(stamp.st_mode))
        status = err_set(err, ERR_INVALID, "it is no regular file");
    while (status == 0) {
        status = buf_reserve(text, STEP);
        if (status < 0) {
            err_set(err, status, "%s", err_text(status));
            break;
        }
        got = read(fd, text->ptr + text->len, STEP);
        if (got < 0)
            status = err_set(err, ERR_IO, "%s", strerror(errno));
        if (got <= 0)
            break;
        text->len += (size_t)got;
    }
    close(fd);
    return status;
}

static void announce(struct snapshot_keeper *keeper, const struct snapshot *snapshot)
{
    char when[40], reason[120];
    time_t seconds = (time_t)(snapshot->saved_us / 1000000);
    struct tm parts;
    if (!localtime_r(&seconds, &parts) ||
        strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &parts) == 0)
        snprintf(when, sizeof when, "an unknown time");
    snprintf(reason, sizeof reason, "the registry does not answer: serving routes of %s from disk",
             when);
    log_warn("snapshot: %s (%zu services, %s)", reason, snapshot->count, keeper->config->path.ptr);
    report(keeper, "snapshot/serving", str_of(reason));
}

static void load(struct snapshot_keeper *keeper)
{
    struct err err = {0};
    struct buf text;
    struct snapshot snapshot;
    buf_init(&text, SNAPSHOT_TEXT_MAX);
    int status = read_file(keeper->config->path.ptr, &text, &err);
    if (status == 0)
        status = snapshot_parse(&text, buf_str(&keeper->from), &snapshot, &err);
    if (status == 0) {
        const struct backend *backend = keeper->backend;
        status = backend->ops->restore(backend->self, &snapshot);
        if (status < 0)
            err_set(&err, status, "%s", err_text(status));
        // What was restored before memory ran out is good all the same.
        keeper->serving_us = MAX(snapshot.saved_us, (uint64_t)1);
        announce(keeper, &snapshot);
        feed_set_synced(keeper->feed, true);
        snapshot_fini(&snapshot);
    }
    buf_fini(&text);
    if (status == ERR_NOT_FOUND) {
        log_info("snapshot: none at %s", keeper->config->path.ptr);
    } else if (status < 0) {
        char reason[320];
        snprintf(reason, sizeof reason, "snapshot cannot be used: %s", err.text);
        log_warn("%s: %s", keeper->config->path.ptr, reason);
        report(keeper, "snapshot/load", str_of(reason));
    }
}

// --- saving ---

static int write_all(int fd, struct str text)
{
    while (text.len > 0) {
        ssize_t put = write(fd, text.ptr, text.len);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -1;
        text = str_from(text, (size_t)put);
    }
    return 0;
}

// The rename is on disk once its directory is.
static void sync_directory(const char *path)
{
    char *copy = str_dup(str_of(path));
    if (!copy)
        return;
    char *slash = strrchr(copy, '/');
    if (slash)
        slash[slash == copy] = '\0';
    int fd = open(slash ? copy : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    mem_free(copy);
}

static int write_file(const char *path, struct str text, char *failure, size_t size)
{
    char beside[4096];
    int len = snprintf(beside, sizeof beside, "%s.%ld.tmp", path, (long)getpid());
    if (len < 0 || (size_t)len >= sizeof beside) {
        snprintf(failure, size, "the path is too long");
        return -1;
    }
    unlink(beside); // of an earlier process with this number
    int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
    bool is_written = fd >= 0 && write_all(fd, text) == 0 && fsync(fd) == 0;
    int code = errno;
    if (fd >= 0 && close(fd) < 0 && is_written) {
        is_written = false;
        code = errno;
    }
    if (is_written && rename(beside, path) == 0) {
        sync_directory(path);
        return 0;
    }
    if (is_written)
        code = errno;
    if (fd >= 0)
        unlink(beside);
    snprintf(failure, size, "%s", strerror(code));
    return -1;
}

static void on_work(uv_work_t *work)
{
    struct snapshot_keeper *keeper = CONTAINER_OF(work, struct snapshot_keeper, work);
    struct buf text;
    buf_init(&text, SNAPSHOT_TEXT_MAX);
    snapshot_print(&keeper->copy, buf_str(&keeper->from), &text);
    keeper->failure[0] = '\0';
    if (buf_status(&text) < 0)
        snprintf(keeper->failure, sizeof keeper->failure, "%s", err_text(buf_status(&text)));
    else
        write_file(keeper->config->path.ptr, buf_str(&text), keeper->failure,
                   sizeof keeper->failure);
    buf_fini(&text);
}

static void finish_close(struct snapshot_keeper *keeper)
{
    if (!keeper->is_timer_closed || keeper->is_writing)
        return;
    void (*on_closed)(void *ctx) = keeper->on_closed;
    void *ctx = keeper->ctx;
    buf_fini(&keeper->from);
    mem_free(keeper);
    on_closed(ctx);
}

static void schedule(struct snapshot_keeper *keeper);

static void note_failure(struct snapshot_keeper *keeper, const char *failure)
{
    char reason[400];
    keeper->failed_total++;
    keeper->is_dirty = true;
    keeper->next_save_ms = clock_now_ms() + RETRY_MS;
    snprintf(reason, sizeof reason, "snapshot cannot be written: %s", failure);
    log_warn("%s: %s", keeper->config->path.ptr, reason);
    report(keeper, "snapshot/save", str_of(reason));
}

static void on_work_done(uv_work_t *work, int status)
{
    struct snapshot_keeper *keeper = CONTAINER_OF(work, struct snapshot_keeper, work);
    keeper->is_writing = false;
    uint64_t saved_us = keeper->copy.saved_us;
    snapshot_fini(&keeper->copy);
    if (keeper->is_closing) {
        finish_close(keeper);
        return;
    }
    if (status < 0 || keeper->failure[0]) {
        note_failure(keeper, status < 0 ? uv_strerror(status) : keeper->failure);
    } else {
        if (keeper->saved_us == 0)
            log_info("snapshot: routes are kept in %s", keeper->config->path.ptr);
        keeper->saved_us = saved_us;
        keeper->saved_total++;
        keeper->next_save_ms = clock_now_ms() + INTERVAL_MS;
        problems_clear(keeper->problems, STR("snapshot/save"));
        problems_clear(keeper->problems, STR("snapshot/load"));
    }
    schedule(keeper);
}

static void save(struct snapshot_keeper *keeper)
{
    snapshot_init(&keeper->copy);
    keeper->copy.saved_us = clock_wall_us();
    int status = feed_copy(keeper->feed, &keeper->copy);
    if (status == 0 &&
        uv_queue_work(keeper->timer.loop, &keeper->work, on_work, on_work_done) == 0) {
        keeper->is_dirty = false;
        keeper->is_writing = true;
        return;
    }
    snapshot_fini(&keeper->copy);
    note_failure(keeper, err_text(status < 0 ? status : ERR_NOMEM));
}

// --- when ---

static bool is_heard(const struct snapshot_keeper *keeper)
{
    return keeper->backend->ops->data_age_ms(keeper->backend->self) == 0;
}

static void look_after_serving(struct snapshot_keeper *keeper)
{
    struct feed_totals totals;
    feed_totals_read(keeper->feed, &totals);
    if (totals.is_partial)
        return;
    keeper->serving_us = 0;
    log_info("snapshot: the registry has confirmed or replaced all routes from disk");
    problems_clear(keeper->problems, STR("snapshot/serving"));
}

static bool wants_save(const struct snapshot_keeper *keeper)
{
    return keeper->is_dirty && !keeper->is_writing && !keeper->is_retired;
}

static void on_timer(uv_timer_t *timer)
{
    struct snapshot_keeper *keeper = timer->data;
    uint64_t now_ms = clock_now_ms();
    if (keeper->load_at_ms && now_ms >= keeper->load_at_ms) {
        keeper->load_at_ms = 0;
        if (!feed_is_synced(keeper->feed))
            load(keeper);
    }
    if (keeper->serving_us)
        look_after_serving(keeper);
    if (wants_save(keeper) && now_ms >= keeper->next_save_ms && is_heard(keeper))
        save(keeper);
    schedule(keeper);
}

static void schedule(struct snapshot_keeper *keeper)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t due_ms = UINT64_MAX;
    if (keeper->load_at_ms)
        due_ms = keeper->load_at_ms;
    if (keeper->serving_us)
        due_ms = MIN(due_ms, now_ms + WATCH_MS);
    if (wants_save(keeper)) {
        bool is_late = now_ms >= keeper->next_save_ms; // it waits for the registry
        due_ms = MIN(due_ms, is_late ? now_ms + WATCH_MS : keeper->next_save_ms);
    }
    if (due_ms == UINT64_MAX)
        uv_timer_stop(&keeper->timer);
    else
        uv_timer_start(&keeper->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0);
}

void snapshot_keeper_changed(struct snapshot_keeper *keeper)
{
    if (keeper->is_closing)
        return;
    if (!keeper->is_dirty)
        keeper->next_save_ms = MAX(keeper->next_save_ms, clock_now_ms() + SETTLE_MS);
    keeper->is_dirty = true;
    schedule(keeper);
}

void snapshot_keeper_retire(struct snapshot_keeper *keeper)
{
    keeper->is_retired = true;
}

struct snapshot_keeper *snapshot_keeper_new(struct uv_loop_s *loop,
                                            const struct snapshot_config *config, struct feed *feed,
                                            const struct backend *backend,
                                            struct problems *problems)
{
    struct snapshot_keeper *keeper = mem_zalloc(sizeof *keeper);
    if (!keeper)
        return NULL;
    keeper->config = config;
    keeper->feed = feed;
    keeper->backend = backend;
    keeper->problems = problems;
    buf_init(&keeper->from, FROM_MAX);
    backend->ops->write_identity(backend->self, &keeper->from);
    if (buf_status(&keeper->from) < 0) {
        buf_fini(&keeper->from);
        mem_free(keeper);
        return NULL;
    }
    uv_timer_init(loop, &keeper->timer);
    keeper->timer.data = keeper;
    keeper->load_at_ms = clock_now_ms() + config->wait_ms;
    schedule(keeper);
    return keeper;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct snapshot_keeper *keeper = handle->data;
    keeper->is_timer_closed = true;
    finish_close(keeper);
}

void snapshot_keeper_close(struct snapshot_keeper *keeper, void (*on_closed)(void *ctx), void *ctx)
{
    keeper->is_closing = true;
    keeper->on_closed = on_closed;
    keeper->ctx = ctx;
    uv_close((uv_handle_t *)&keeper->timer, on_timer_closed);
}

uint64_t snapshot_keeper_serving_us(const struct snapshot_keeper *keeper)
{
    return keeper ? keeper->serving_us : 0;
}

void snapshot_keeper_write_metrics(const struct snapshot_keeper *keeper, struct buf *out)
{
    const struct {
        const char *result;
        uint64_t value;
    } saves[] = {{"saved", keeper->saved_total}, {"failed", keeper->failed_total}};
    prom_family(out, "tagway_snapshot_saves_total", "counter",
                "Times the routes were to be written to disk, by result.");
    for (size_t i = 0; i < ARRAY_LEN(saves); i++) {
        const struct prom_label label = {"result", str_of(saves[i].result)};
        prom_sample_u64(out, "tagway_snapshot_saves_total", &label, 1, saves[i].value);
    }
    prom_family(out, "tagway_snapshot_serving", "gauge",
                "1 while routes from disk are served that the registry has not confirmed.");
    prom_sample_u64(out, "tagway_snapshot_serving", NULL, 0, keeper->serving_us != 0);
    if (keeper->saved_us == 0 && keeper->serving_us == 0)
        return;
    prom_family(out, "tagway_snapshot_timestamp_seconds", "gauge",
                "When the routes on disk were saved, since the epoch.");
    uint64_t saved_us = keeper->saved_us ? keeper->saved_us : keeper->serving_us;
    prom_sample_f64(out, "tagway_snapshot_timestamp_seconds", NULL, 0, (double)saved_us / 1e6);
}
