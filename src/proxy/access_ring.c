// SPDX-License-Identifier: Apache-2.0
// From the workers' rings to the descriptor. Each ring has one producer (the worker, moves `head`)
// and one consumer (the writer thread, moves `tail`), so a release store and an acquire load are
// all they share. The writer looks every PERIOD_MS and when a ring becomes half full; that is
// cheaper for the workers than waking it for each line. It never blocks in write(2) alone: it polls
// first and writes at most PIPE_BUF bytes, which a descriptor that polls writable takes, so that
// access_log_stop can always end it.
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/access_log.h"

enum { PERIOD_MS = 50, STOP_MS = 1000 };

struct ring {
    _Atomic size_t head;      // bytes ever put; worker
    _Atomic uint64_t dropped; // lines; worker
    char padding[64];         // the other side's line
    _Atomic size_t tail;      // bytes ever taken; writer
    char bytes[ACCESS_RING_SIZE];
};

struct access_log {
    int fd;
    int wake_fd;
    unsigned worker_count;
    pthread_t thread;
    atomic_bool is_stopping;
    _Atomic uint64_t unwritten; // lines that the descriptor refused
    struct ring *rings[];
};

static bool ring_put(struct ring *ring, struct str line, bool *is_half_full)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    size_t used = head - atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (line.len > ACCESS_RING_SIZE - used)
        return false;
    size_t at = head % ACCESS_RING_SIZE;
    size_t first = MIN(line.len, ACCESS_RING_SIZE - at);
    memcpy(ring->bytes + at, line.ptr, first);
    memcpy(ring->bytes, line.ptr + first, line.len - first);
    atomic_store_explicit(&ring->head, head + line.len, memory_order_release);
    *is_half_full = used < ACCESS_RING_SIZE / 2 && used + line.len >= ACCESS_RING_SIZE / 2;
    return true;
}

static void wake(struct access_log *log)
{
    uint64_t one = 1;
    // A full counter wakes as well.
    ssize_t ignored = write(log->wake_fd, &one, sizeof one);
    (void)ignored;
}

bool access_log_put(struct access_log *log, unsigned worker, struct str line)
{
    struct ring *ring = log->rings[worker];
    bool is_half_full;
    if (!ring_put(ring, line, &is_half_full)) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return false;
    }
    if (is_half_full)
        wake(log);
    return true;
}

uint64_t access_log_dropped(const struct access_log *log)
{
    uint64_t sum =
        atomic_load_explicit(&((struct access_log *)log)->unwritten, memory_order_relaxed);
    for (unsigned i = 0; i < log->worker_count; i++)
        sum += atomic_load_explicit(&log->rings[i]->dropped, memory_order_relaxed);
    return sum;
}

static bool is_stopping(const struct access_log *log)
{
    return atomic_load_explicit(&((struct access_log *)log)->is_stopping, memory_order_acquire);
}

// Waits until the descriptor takes bytes; false when the log ends first. `*give_up_ms` is set with
// the first look after the log was told to end.
static bool wait_writable(struct access_log *log, uint64_t *give_up_ms)
{
    for (;;) {
        if (is_stopping(log)) {
            uint64_t now_ms = clock_now_ms();
            if (*give_up_ms == 0)
                *give_up_ms = now_ms + STOP_MS;
            if (now_ms >= *give_up_ms)
                return false;
        }
        struct pollfd wait = {.fd = log->fd, .events = POLLOUT};
        if (poll(&wait, 1, PERIOD_MS) > 0)
            return true; // also on an error, which write(2) then names
    }
}

static uint64_t count_lines(const char *bytes, size_t len)
{
    uint64_t lines = 0;
    for (size_t i = 0; i < len; i++)
        lines += bytes[i] == '\n';
    return lines;
}

// Takes everything that the ring held at the call; false when the log ends first. Whole lines,
// because head moves by lines.
static bool drain_ring(struct access_log *log, struct ring *ring, uint64_t *give_up_ms)
{
    size_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    size_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    while (tail != head) {
        if (!wait_writable(log, give_up_ms))
            return false;
        const char *from = ring->bytes + tail % ACCESS_RING_SIZE;
        size_t len = MIN(head - tail, ACCESS_RING_SIZE - tail % ACCESS_RING_SIZE);
        len = MIN(len, (size_t)PIPE_BUF);
        ssize_t written = write(log->fd, from, len);
        if (written < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (written < 0) { // closed pipe, full disk: these bytes are lost
            atomic_fetch_add_explicit(&log->unwritten, count_lines(from, len),
                                      memory_order_relaxed);
            written = (ssize_t)len;
        }
        tail += (size_t)written;
        atomic_store_explicit(&ring->tail, tail, memory_order_release);
    }
    return true;
}

static void *run_writer(void *arg)
{
    struct access_log *log = arg;
    uint64_t give_up_ms = 0;
    for (bool is_last = false; !is_last;) {
        struct pollfd wait = {.fd = log->wake_fd, .events = POLLIN};
        uint64_t count;
        if (!is_stopping(log) && poll(&wait, 1, PERIOD_MS) > 0 &&
            read(log->wake_fd, &count, sizeof count) < 0)
            count = 0; // woken for nothing
        is_last = is_stopping(log);
        for (unsigned i = 0; i < log->worker_count; i++) {
            if (!drain_ring(log, log->rings[i], &give_up_ms))
                return NULL;
        }
    }
    return NULL;
}

static void free_log(struct access_log *log)
{
    for (unsigned i = 0; i < log->worker_count; i++)
        mem_free(log->rings[i]);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    mem_free(log);
}

// All signals are the control thread's.
static int start_thread(struct access_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failure = pthread_create(&log->thread, NULL, run_writer, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failure;
}

struct access_log *access_log_start(int fd, unsigned worker_count, struct err *err)
{
    struct access_log *log = mem_zalloc(sizeof *log + worker_count * sizeof log->rings[0]);
    if (!log) {
        err_set(err, ERR_NOMEM, "out of memory");
        return NULL;
    }
    log->fd = fd;
    log->worker_count = worker_count;
    log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    bool is_complete = log->wake_fd >= 0;
    for (unsigned i = 0; i < worker_count; i++) {
        log->rings[i] = mem_zalloc(sizeof *log->rings[i]);
        is_complete &= log->rings[i] != NULL;
    }
    if (!is_complete || start_thread(log) != 0) {
        err_set(err, ERR_NOMEM, "access log: out of memory, descriptors or threads");
        free_log(log);
        return NULL;
    }
    return log;
}

void access_log_stop(struct access_log *log)
{
    atomic_store_explicit(&log->is_stopping, true, memory_order_release);
    wake(log);
    pthread_join(log->thread, NULL);
    free_log(log);
}
