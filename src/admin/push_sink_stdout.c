// SPDX-License-Identifier: Apache-2.0
// Lines on stdout, which others write to as well: at most PIPE_BUF bytes at once, which a pipe
// takes whole or not at all, and only when it has room, so that nobody's lines are torn and the
// loop does not wait for a slow reader.
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "base/mem.h"
#include "push_sink_base.h"

enum { PAUSE_MS = 20, PIECES = 64 };

static void kick(struct sink *sink)
{
    for (unsigned i = 0; (i < PIECES || sink->is_closing) && sink_rest(sink).len > 0; i++) {
        struct pollfd stdout_fd = {.fd = STDOUT_FILENO, .events = POLLOUT};
        if (poll(&stdout_fd, 1, 0) != 1)
            break;
        struct str lines = sink_lines(sink, PIPE_BUF);
        ssize_t written = write(STDOUT_FILENO, lines.ptr, lines.len);
        if (written < 0 && (errno == EAGAIN || errno == EINTR))
            break;
        if (written < 0)
            sink_drop(sink, lines.len);
        else
            sink_consume(sink, (size_t)written);
    }
    if (sink_rest(sink).len > 0)
        sink_kick_later(sink, PAUSE_MS);
}

static void close_nothing(struct sink *sink)
{
    (void)sink;
}

struct sink *sink_stdout_new(struct uv_loop_s *loop)
{
    static const struct sink_ops OPS = {.kick = kick, .close = close_nothing};
    struct sink *sink = mem_zalloc(sizeof *sink);
    if (sink)
        sink_init(sink, loop, &OPS);
    return sink;
}
