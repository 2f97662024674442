// SPDX-License-Identifier: Apache-2.0
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINE_MAX = PIPE_BUF, BLOCK_MAX = 16 * 1024 }; // a pipe takes so much whole or not at all

static const char *const LEVEL_NAMES[] = {"TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"};

static atomic_int min_level = LOG_INFO;
static atomic_uint lost_untold; // messages since the last that was written

void log_set_level(enum log_level level)
{
    atomic_store_explicit(&min_level, (int)level, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
    return (int)level >= atomic_load_explicit(&min_level, memory_order_relaxed);
}

bool log_level_parse(struct str name, enum log_level *level)
{
    for (size_t i = 0; i < ARRAY_LEN(LEVEL_NAMES); i++) {
        if (str_ieq(name, str_of(LEVEL_NAMES[i]))) {
            *level = (enum log_level)i;
            return true;
        }
    }
    return false;
}

static size_t escape(char *out, size_t room, const char *text, size_t len)
{
    size_t used = 0;
    for (size_t i = 0; i < len && used + 4 < room; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 0x20 && c < 0x7f) || c == '\t')
            out[used++] = (char)c;
        else
            used += (size_t)snprintf(out + used, room - used, "\\x%02x", c);
    }
    return used;
}

static size_t write_prefix(char *out, size_t room, enum log_level level)
{
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    size_t used = strftime(out, room, "%Y/%m/%d %H:%M:%S ", &local);
    return used + (size_t)snprintf(out + used, room - used, "[%s] ", LEVEL_NAMES[level]);
}

// Without waiting. Pipes and sockets say so themselves where the kernel is new enough (Linux 6.4);
// else they are asked first, and a pipe that has room takes so much.
static ssize_t write_now(const char *bytes, size_t len)
{
    struct iovec piece = {(char *)bytes, len};
    ssize_t done = pwritev2(STDERR_FILENO, &piece, 1, -1, RWF_NOWAIT);
    if (done >= 0 || errno == EPIPE || errno == EBADF)
        return done;
    struct pollfd place = {.fd = STDERR_FILENO, .events = POLLOUT};
    if (poll(&place, 1, 0) != 1)
        return -1;
    return write(STDERR_FILENO, bytes, MIN(len, (size_t)PIPE_BUF));
}

// Whether all went out. A log that cannot be written is no reason to stop serving, and who reads it
// may have stopped: what finds no room is lost.
static bool put_out(const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t done = write_now(bytes, len);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        bytes += done;
        len -= (size_t)done;
    }
    return true;
}

static void note_lost(unsigned count)
{
    atomic_fetch_add_explicit(&lost_untold, count, memory_order_relaxed);
}

// Says how much is missing, once there is room again.
static void tell_lost(void)
{
    unsigned count = atomic_exchange_explicit(&lost_untold, 0, memory_order_relaxed);
    if (count == 0)
        return;
    char line[128];
    size_t used = write_prefix(line, sizeof line, LOG_WARN);
    used += (size_t)snprintf(line + used, sizeof line - used,
                             "%u messages are missing: nobody read the log\n", count);
    if (!put_out(line, used))
        note_lost(count);
}

void log_write(enum log_level level, const char *fmt, ...)
{
    if (!log_is_on(level))
        return;
    int saved_errno = errno;

    char text[LOG_LINE_MAX];
    va_list args;
    va_start(args, fmt);
    int len = vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (len < 0)
        len = 0;
    size_t text_len = MIN((size_t)len, sizeof text - 1);

    char line[LOG_LINE_MAX];
    size_t used = write_prefix(line, sizeof line, level);
    used += escape(line + used, sizeof line - used - 1, text, text_len);
    line[used++] = '\n';
    tell_lost();
    if (!put_out(line, used))
        note_lost(1);
    errno = saved_errno;
}

void log_block(enum log_level level, const char *heading, struct str text)
{
    if (!log_is_on(level))
        return;
    int saved_errno = errno;
    char out[BLOCK_MAX];
    tell_lost();
    bool is_out = true;
    size_t used = write_prefix(out, sizeof out, level);
    used += escape(out + used, sizeof out - used - 1, heading, strlen(heading));
    out[used++] = '\n';
    if (str_ends_with(text, STR("\n")))
        text.len--;
    struct str line;
    while (text.len > 0 && str_split_next(&text, '\n', &line)) {
        for (size_t at = 0; at == 0 || at < line.len; at += LOG_LINE_MAX / 4) {
            struct str piece = str_upto(str_from(line, at), LOG_LINE_MAX / 4);
            // Each byte may become four; a line that fits is not parted.
            if (used + MIN(line.len - at, (size_t)LOG_LINE_MAX / 4) * 4 + 8 > sizeof out) {
                is_out = is_out && put_out(out, used);
                used = 0;
            }
            used += escape(out + used, sizeof out - used - 1, piece.ptr, piece.len);
        }
        out[used++] = '\n';
    }
    if (!is_out || !put_out(out, used))
        note_lost(1);
    errno = saved_errno;
}
