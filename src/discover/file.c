// SPDX-License-Identifier: Apache-2.0
// 1. start: both files are read; bad lines of the routes are reported and lost, the others used.
// 2. The directory of each file is watched (an editor replaces files by renaming) and, as inotify
// is
//    silent on some file systems, the files' stamps are looked at every two seconds.
// 3. A changed file is read again. A version with any bad line is rejected: the routes before stay
// and
//    the bad lines are listed as problems until a good version comes.
#include "discover/static.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "base/log.h"
#include "base/mem.h"
#include "discover/feed.h"
#include "discover/unregistered.h"
#include "route/command.h"

enum {
    FILE_MAX = 256 * 1024 * 1024,
    POLL_MS = 2000,
    SETTLE_MS = 20, // a writer that truncates and writes is given this long
};

struct watched {
    const char *path; // borrowed; NULL: none
    int64_t stamp[4]; // mtime seconds and nanoseconds, inode, size of the version taken in
    uv_fs_event_t event;
    bool has_event;
};

struct file_backend {
    struct backend backend;
    const struct file_config *config; // borrowed
    struct feed *feed;                // borrowed
    struct problems *problems;        // borrowed
    uv_loop_t *loop;
    struct watched routes, page;
    uv_timer_t poll_timer;
    uv_timer_t settle_timer;
    unsigned open_handles;
    bool is_rejected;
    void (*on_stopped)(void *ctx);
    void *ctx;
};

static bool stamp_of(const char *path, int64_t stamp[4])
{
    struct stat now;
    if (stat(path, &now) < 0)
        return false;
    stamp[0] = now.st_mtim.tv_sec;
    stamp[1] = now.st_mtim.tv_nsec;
    stamp[2] = (int64_t)now.st_ino;
    stamp[3] = now.st_size;
    return true;
}

static int read_file(const char *path, struct buf *content, struct err *err)
{
    buf_init(content, FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
                       strerror(errno));
    ssize_t got = 0;
    int status;
    while ((status = buf_reserve(content, 64 * 1024)) == 0 &&
           (got = read(fd, content->ptr + content->len, 64 * 1024)) > 0)
        content->len += (size_t)got;
    if (status == 0 && got < 0)
        status = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
    else if (status < 0)
        err_set(err, status, "%s: %s", path, err_text(status));
    close(fd);
    return status;
}

struct verdict {
    struct file_backend *file;
    unsigned bad_lines;
};

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    struct verdict *verdict = ctx;
    char instance[300];
    verdict->bad_lines++;
    int len = snprintf(instance, sizeof instance, "%.*s line %u", STR_FMT(origin), line);
    problems_add(
        verdict->file->problems,
        &(struct problem){.source = STR("file"),
                          .instance = str_make(instance, MIN((size_t)len, sizeof instance - 1)),
                          .text = text,
                          .reason = str_of(reason),
                          .is_lost = true});
}

// Number of bad lines, which are listed as problems; negative when memory is short.
static int count_bad_lines(struct file_backend *file, struct str text)
{
    struct verdict verdict = {.file = file};
    problems_begin(file->problems, STR("file"));
    struct command_list *commands =
        command_list_parse(text, str_of(file->routes.path), on_bad_line, &verdict);
    problems_end(file->problems);
    if (!commands)
        return ERR_NOMEM;
    command_list_free(commands);
    return (int)MIN(verdict.bad_lines, 1000000u);
}

static int load_routes(struct file_backend *file, bool is_first, struct err *err)
{
    struct buf content;
    int64_t stamp[4] = {0};
    stamp_of(file->routes.path, stamp);
    int status = read_file(file->routes.path, &content, err);
    if (status < 0)
        goto done;
    memcpy(file->routes.stamp, stamp, sizeof stamp);
    if (!is_first) {
        int bad = count_bad_lines(file, buf_str(&content));
        file->is_rejected = bad > 0;
        if (bad > 0)
            status = err_set(err, ERR_INVALID, "%s: %d bad lines; the version before stays",
                             file->routes.path, bad);
        else if (bad < 0)
            status = err_set(err, bad, "%s: %s", file->routes.path, err_text(bad));
    }
    if (status == 0) {
        status = feed_set_manual(file->feed, str_of(file->routes.path), buf_str(&content));
        if (status < 0)
            err_set(err, status, "%s: %s", file->routes.path, err_text(status));
    }
    // Shortage is no verdict on the file: it is read again with the next look at its stamp.
    if (status == ERR_NOMEM)
        memset(file->routes.stamp, 0, sizeof file->routes.stamp);
done:
    buf_fini(&content);
    return status;
}

static int load_page(struct file_backend *file, struct err *err)
{
    if (!file->page.path)
        return 0;
    struct buf content;
    stamp_of(file->page.path, file->page.stamp);
    int status = read_file(file->page.path, &content, err);
    if (status == 0)
        status = feed_set_noroute_html(file->feed, buf_str(&content));
    buf_fini(&content);
    return status;
}

static void check(struct file_backend *file)
{
    int64_t stamp[4];
    struct err err = {0};
    if (stamp_of(file->routes.path, stamp) &&
        memcmp(stamp, file->routes.stamp, sizeof stamp) != 0) {
        if (load_routes(file, false, &err) < 0)
            log_error("%s", err.text);
    }
    if (file->page.path && stamp_of(file->page.path, stamp) &&
        memcmp(stamp, file->page.stamp, sizeof stamp) != 0) {
        if (load_page(file, &err) < 0)
            log_error("%s", err.text);
    }
}

static void on_timer(uv_timer_t *timer)
{
    check(timer->data);
}

static void on_directory_event(uv_fs_event_t *event, const char *name, int events, int status)
{
    (void)name;
    (void)events;
    (void)status;
    struct file_backend *file = event->data;
    uv_timer_start(&file->settle_timer, on_timer, SETTLE_MS, 0);
}

static void watch_directory(struct file_backend *file, struct watched *watched)
{
    char directory[4096];
    ptrdiff_t slash = str_rfind_char(str_of(watched->path), '/');
    snprintf(directory, sizeof directory, "%.*s", slash > 0 ? (int)slash : 1,
             slash < 0 ? "." : watched->path);
    if (!watched->has_event) {
        uv_fs_event_init(file->loop, &watched->event);
        watched->event.data = file;
        watched->has_event = true;
        file->open_handles++;
    }
    // Without inotify the poll of the stamps is left.
    if (uv_fs_event_start(&watched->event, on_directory_event, directory, 0) < 0)
        log_warn("%s: cannot be watched; changes are noticed within %d s", directory,
                 POLL_MS / 1000);
}

static int start(void *self, struct err *err)
{
    struct file_backend *file = self;
    int status = load_routes(file, true, err);
    if (status == 0)
        status = load_page(file, err);
    if (status < 0)
        return status;
    watch_directory(file, &file->routes);
    if (file->page.path)
        watch_directory(file, &file->page);
    uv_timer_start(&file->poll_timer, on_timer, POLL_MS, POLL_MS);
    feed_set_synced(file->feed, false);
    return 0;
}

// A file with another path is read at once, one with the same when it has changed.
static bool move(struct file_backend *file, struct watched *watched, const char *path)
{
    bool is_moved = !path != !watched->path || (path && strcmp(path, watched->path) != 0);
    watched->path = path; // the text of the configuration before goes with it
    if (!is_moved)
        return false;
    memset(watched->stamp, 0, sizeof watched->stamp);
    if (watched->has_event)
        uv_fs_event_stop(&watched->event);
    if (path)
        watch_directory(file, watched);
    return true;
}

int file_backend_set_config(struct backend *backend, const struct file_config *config,
                            struct err *err)
{
    struct file_backend *file = backend->self;
    struct str page = config->noroute_html_path;
    int status = 0;
    file->config = config;
    bool has_new_routes = move(file, &file->routes, config->path.ptr);
    bool has_new_page = move(file, &file->page, page.len > 0 ? page.ptr : NULL);
    if (has_new_routes)
        status = load_routes(file, false, err);
    if (has_new_page && file->page.path && status == 0)
        status = load_page(file, err);
    else if (has_new_page && !file->page.path && status == 0)
        status = feed_set_noroute_html(file->feed, STR_NULL);
    if (status == ERR_NOMEM)
        err_set(err, status, "routes file: %s", err_text(status));
    check(file); // what lies there may be newer than the last look
    return status;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct file_backend *file = handle->data;
    if (--file->open_handles == 0)
        file->on_stopped(file->ctx);
}

static void stop(void *self, void (*on_stopped)(void *ctx), void *ctx)
{
    struct file_backend *file = self;
    file->on_stopped = on_stopped;
    file->ctx = ctx;
    struct watched *both[] = {&file->routes, &file->page};
    for (size_t i = 0; i < ARRAY_LEN(both); i++) {
        if (both[i]->has_event)
            uv_close((uv_handle_t *)&both[i]->event, on_handle_closed);
    }
    uv_close((uv_handle_t *)&file->poll_timer, on_handle_closed);
    uv_close((uv_handle_t *)&file->settle_timer, on_handle_closed);
}

static void write_json(void *self, struct buf *out)
{
    const struct file_backend *file = self;
    buf_append_cstr(out, "{\"backend\":\"file\",\"path\":");
    buf_append_json(out, str_of(file->routes.path));
    buf_printf(out, ",\"is_rejected\":%s}", file->is_rejected ? "true" : "false");
}

static const struct backend_ops OPS = {
    .name = "file",
    .start = start,
    .stop = stop,
    .free = mem_free,
    .deregister = unregistered_deregister,
    .data_age_ms = unregistered_data_age_ms,
    .write_metrics = unregistered_write_metrics,
    .write_json = write_json,
};

struct backend *file_backend_new(struct uv_loop_s *loop, const struct file_config *config,
                                 struct feed *feed, struct problems *problems, struct err *err)
{
    if (config->path.len == 0) {
        err_set(err, ERR_INVALID, "registry.file.path is not set");
        return NULL;
    }
    struct file_backend *file = mem_zalloc(sizeof *file);
    if (!file) {
        err_set(err, ERR_NOMEM, "routes file: %s", err_text(ERR_NOMEM));
        return NULL;
    }
    file->backend = (struct backend){.ops = &OPS, .self = file};
    file->config = config;
    file->feed = feed;
    file->problems = problems;
    file->loop = loop;
    file->routes.path = config->path.ptr;
    file->page.path = config->noroute_html_path.len > 0 ? config->noroute_html_path.ptr : NULL;
    file->open_handles = 2;
    uv_timer_init(loop, &file->poll_timer);
    uv_timer_init(loop, &file->settle_timer);
    file->poll_timer.data = file;
    file->settle_timer.data = file;
    return &file->backend;
}

int file_config_check(const struct file_config *config, command_problem_fn on_problem, void *ctx,
                      struct err *err)
{
    struct buf content;
    int status = read_file(config->path.ptr, &content, err);
    struct command_list *commands =
        status == 0 ? command_list_parse(buf_str(&content), config->path, on_problem, ctx) : NULL;
    if (status == 0 && !commands)
        status = err_set(err, ERR_NOMEM, "%s: %s", config->path.ptr, err_text(ERR_NOMEM));
    if (commands)
        command_list_free(commands);
    buf_fini(&content);
    if (status == 0 && config->noroute_html_path.len) {
        status = read_file(config->noroute_html_path.ptr, &content, err);
        buf_fini(&content);
    }
    return status;
}
