// SPDX-License-Identifier: Apache-2.0
// An upgrade (SIGUSR2):
//  1. upgrade_start: the program is started again as we were, with all listening sockets from
//     descriptor 3 on (LISTEN_FDS) and a pipe (TAGWAY_UPGRADE). Both processes have every socket,
//     so no queue is lost whoever goes.
//  2. The new one reads routes and serves; it says so on the pipe, and what it registers
//     (upgrade_tell_serving).
//  3. on_word: this one leaves; see process_hand_over.
// When the new one ends before that or takes too long, it is killed and this one goes on. It is
// never asked to end: a tidy end would withdraw the registration, which is ours.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "discover/problems.h"
#include "net/inherited.h"
#include "notify.h"
#include "process.h"

extern char **environ;

enum { SOCKETS_MAX = 4096, TEXT_MAX = UPGRADE_REASON_MAX };

static const struct str SERVING = STR_INIT("serving"); // and what is registered

static void close_pipe_and_timer(struct upgrade *upgrade)
{
    if (upgrade->has_pipe)
        uv_close((uv_handle_t *)&upgrade->pipe, NULL);
    if (upgrade->has_timer)
        uv_close((uv_handle_t *)&upgrade->timer, NULL);
    upgrade->has_pipe = upgrade->has_timer = false;
}

static void set_problem(struct process *process, const char *reason)
{
    problems_begin(process->problems, STR("upgrade"));
    if (reason)
        problems_add(process->problems, &(struct problem){.source = STR("upgrade"),
                                                          .text = STR("SIGUSR2"),
                                                          .reason = str_of(reason),
                                                          .is_lost = true});
    problems_end(process->problems);
}

// False: there is no process (any more).
static bool kill_child(struct upgrade *upgrade)
{
    return upgrade->has_child && !uv_is_closing((uv_handle_t *)&upgrade->child) &&
           uv_process_kill(&upgrade->child, SIGKILL) == 0;
}

static void give_up(struct process *process, const char *reason)
{
    struct upgrade *upgrade = &process->upgrade;
    if (!upgrade->is_running)
        return;
    close_pipe_and_timer(upgrade);
    if (kill_child(upgrade)) { // over, and told, when it is gone: so that the next may begin then
        snprintf(upgrade->reason, sizeof upgrade->reason, "%s", reason);
        return;
    }
    upgrade->is_running = false;
    log_error("Upgrade failed, this process goes on serving: %s", reason);
    set_problem(process, reason);
}

static void on_child_closed(uv_handle_t *handle)
{
    struct process *process = handle->data;
    process->upgrade.has_child = false;
}

static void on_child_exit(uv_process_t *child, int64_t status, int signal)
{
    struct process *process = child->data;
    char reason[TEXT_MAX];
    if (signal)
        snprintf(reason, sizeof reason, "the new process was ended by signal %d", signal);
    else
        snprintf(reason, sizeof reason,
                 "the new process ended with status %lld before it served; its log says why",
                 (long long)status);
    uv_close((uv_handle_t *)child, on_child_closed);
    give_up(process, process->upgrade.reason[0] ? process->upgrade.reason : reason);
}

static void on_timeout(uv_timer_t *timer)
{
    give_up(timer->data, "the new process did not serve in time (proxy.upgradetimeout)");
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct process *process = handle->data;
    *buf = uv_buf_init(process->upgrade.word, sizeof process->upgrade.word);
}

static void on_word(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct process *process = stream->data;
    struct upgrade *upgrade = &process->upgrade;
    (void)buf;
    if (len == 0)
        return;
    if (len < 0) { // its end is told by on_child_exit, with the reason
        uv_read_stop(stream);
        return;
    }
    if (!str_starts_with(str_make(upgrade->word, (size_t)len), SERVING)) {
        give_up(process, "the new process is no tagway: it does not say that it serves");
        return;
    }
    int pid = uv_process_get_pid(&upgrade->child);
    struct str registered = str_make(upgrade->word, (size_t)len);
    upgrade->is_running = false;
    close_pipe_and_timer(upgrade);
    uv_close((uv_handle_t *)&upgrade->child, on_child_closed); // from now on init's
    set_problem(process, NULL);
    log_info("Upgrade: process %d serves; this one finishes what it has begun", pid);
    notify_send("MAINPID=%d\nREADY=1", pid);
    process_hand_over(process, registered);
}

// --- starting ---

// What others opened without it (libcurl's sockets) must not live on in the successor.
static void close_on_exec(void)
{
    if (close_range(INHERITED_FIRST, ~0u, CLOSE_RANGE_CLOEXEC) == 0)
        return;
    for (int fd = INHERITED_FIRST; fd < 65536; fd++)
        fcntl(fd, F_SETFD, FD_CLOEXEC); // before Linux 5.11
}

// Our environment and the two variables; owned, but for the texts in between. NULL: no memory.
static char **new_environment(char *listen_fds, char *upgrade_fd)
{
    size_t count = 0;
    while (environ[count])
        count++;
    char **list = mem_zalloc_array(count + 3, sizeof *list);
    if (!list)
        return NULL;
    memcpy(list, environ, count * sizeof *list);
    list[count] = listen_fds;
    list[count + 1] = upgrade_fd;
    return list;
}

static int spawn(struct process *process, int *sockets, unsigned count, int pipe_end)
{
    struct upgrade *upgrade = &process->upgrade;
    char listen_fds[40], upgrade_fd[40];
    unsigned total = INHERITED_FIRST + count + 1;
    snprintf(listen_fds, sizeof listen_fds, "LISTEN_FDS=%u", count);
    snprintf(upgrade_fd, sizeof upgrade_fd, "TAGWAY_UPGRADE=%u", INHERITED_FIRST + count);
    uv_stdio_container_t *stdio = mem_zalloc_array(total, sizeof *stdio);
    char **environment = new_environment(listen_fds, upgrade_fd);
    int rc = UV_ENOMEM;
    if (stdio && environment) {
        for (unsigned i = 0; i < total; i++) {
            stdio[i].flags = UV_INHERIT_FD;
            stdio[i].data.fd = i < INHERITED_FIRST           ? (int)i
                               : i < INHERITED_FIRST + count ? sockets[i - INHERITED_FIRST]
                                                             : pipe_end;
        }
        uv_process_options_t options = {
            .exit_cb = on_child_exit,
            .file = process->argv[0],
            .args = process->argv,
            .env = environment,
            .stdio = stdio,
            .stdio_count = (int)total,
        };
        close_on_exec();
        upgrade->child = (uv_process_t){.data = process};
        upgrade->has_child = true; // also when it fails
        rc = uv_spawn(&process->loop, &upgrade->child, &options);
    }
    mem_free(stdio);
    mem_free(environment);
    return rc;
}

static int watch(struct process *process, int pipe_end)
{
    struct upgrade *upgrade = &process->upgrade;
    int rc = uv_pipe_init(&process->loop, &upgrade->pipe, 0);
    if (rc == 0) {
        upgrade->has_pipe = true;
        upgrade->pipe.data = process;
        rc = uv_pipe_open(&upgrade->pipe, pipe_end);
    }
    if (rc != 0) {
        close(pipe_end);
        return rc;
    }
    uv_timer_init(&process->loop, &upgrade->timer);
    upgrade->has_timer = true;
    upgrade->timer.data = process;
    if (process->options->upgrade_timeout_ms)
        uv_timer_start(&upgrade->timer, on_timeout, process->options->upgrade_timeout_ms, 0);
    return uv_read_start((uv_stream_t *)&upgrade->pipe, on_alloc, on_word);
}

void upgrade_start(struct process *process)
{
    struct upgrade *upgrade = &process->upgrade;
    int ends[2];
    if (process->phase != PHASE_SERVING || upgrade->is_running || upgrade->has_child ||
        process->is_reloading) {
        log_warn("Caught SIGUSR2. Ignored: %s",
                 process->phase == PHASE_WAITING   ? "the process does not serve yet"
                 : process->phase != PHASE_SERVING ? "the process is ending"
                 : process->is_reloading           ? "a reload is under way"
                                                   : "an upgrade is under way");
        return;
    }
    int *sockets = mem_alloc(SOCKETS_MAX * sizeof *sockets);
    if (!sockets || uv_pipe(ends, 0, 0) != 0) {
        mem_free(sockets);
        log_error("Upgrade failed, this process goes on serving: out of memory or descriptors");
        return;
    }
    unsigned count = proxy_sockets(process->proxy, sockets, SOCKETS_MAX);
    count += admin_sockets(process->admin, sockets + count, SOCKETS_MAX - count);
    log_info("Caught SIGUSR2. Starting %s to take over %u sockets", process->argv[0], count);
    upgrade->is_running = true;
    upgrade->reason[0] = '\0';
    int rc = watch(process, ends[0]);
    if (rc == 0)
        rc = spawn(process, sockets, count, ends[1]);
    close(ends[1]);
    mem_free(sockets);
    if (rc == 0)
        return;
    char reason[TEXT_MAX];
    snprintf(reason, sizeof reason, "%.80s: %s", process->argv[0], uv_strerror(rc));
    if (upgrade->has_child)
        uv_close((uv_handle_t *)&upgrade->child, on_child_closed);
    give_up(process, reason);
}

void upgrade_cancel(struct process *process)
{
    struct upgrade *upgrade = &process->upgrade;
    if (upgrade->is_running)
        log_warn("The upgrade under way is given up");
    upgrade->is_running = false;
    close_pipe_and_timer(upgrade);
    if (!upgrade->has_child || uv_is_closing((uv_handle_t *)&upgrade->child))
        return;
    (void)kill_child(upgrade);
    uv_close((uv_handle_t *)&upgrade->child, on_child_closed);
}

void upgrade_tell_serving(struct process *process)
{
    const struct backend *backend = process->backend;
    struct buf word;
    if (process->predecessor_pipe < 0)
        return;
    buf_init(&word, sizeof process->upgrade.word - 1);
    buf_append_str(&word, SERVING);
    if (backend->ops->write_registered)
        backend->ops->write_registered(backend->self, &word);
    buf_append_char(&word, '\n');
    struct str text = buf_status(&word) == 0 ? buf_str(&word) : SERVING;
    if (write(process->predecessor_pipe, text.ptr, text.len) < 0)
        log_warn("The process before could not be told that this one serves; it may have ended");
    buf_fini(&word);
    close(process->predecessor_pipe);
    process->predecessor_pipe = -1;
}
