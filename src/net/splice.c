// SPDX-License-Identifier: Apache-2.0
#include "net/splice.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <uv.h>

// A slot of the pipe holds what came in one packet, which may be no more than 1.4 KiB.
enum { SLOTS_BYTES = 1 << 20, SLOTS_BYTES_MIN = SPLICE_MAX, DISCARD_PIECE = 4 << 10 };

void splice_init(struct splice *pipe)
{
    *pipe = (struct splice){.ends = {-1, -1}};
}

void splice_open(struct splice *pipe)
{
    splice_init(pipe);
    if (pipe2(pipe->ends, O_NONBLOCK | O_CLOEXEC) != 0) {
        splice_init(pipe);
        return;
    }
    // The pages of all pipes of a user have a limit; half of what is wanted does, too.
    if (fcntl(pipe->ends[1], F_SETPIPE_SZ, SLOTS_BYTES) < 0 &&
        fcntl(pipe->ends[1], F_SETPIPE_SZ, SLOTS_BYTES_MIN) < 0)
        splice_close(pipe);
}

void splice_close(struct splice *pipe)
{
    if (!splice_is_open(pipe))
        return;
    close(pipe->ends[0]);
    close(pipe->ends[1]);
    splice_init(pipe);
}

ssize_t splice_fill(struct splice *pipe, int socket, size_t max)
{
    if (!splice_is_open(pipe))
        return 0;
    ssize_t got = splice(socket, NULL, pipe->ends[1], NULL, max, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (got > 0)
        pipe->held += (uint32_t)got;
    if (got >= 0)
        return got;
    switch (errno) {
    case EAGAIN:
    case EINTR:
    case ENOMEM:
    case ENOBUFS: return 0;
    case EINVAL: // a kernel, or a filter of its calls, that does not have it
    case ENOSYS:
    case EPERM: splice_close(pipe); return 0;
    default: return uv_translate_sys_error(errno);
    }
}

int splice_pour(struct splice *pipe, int socket)
{
    while (pipe->held > 0) {
        ssize_t sent = splice(pipe->ends[0], NULL, socket, NULL, pipe->held,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN && errno != ENOMEM && errno != ENOBUFS)
            return uv_translate_sys_error(errno);
        if (sent <= 0)
            return 0;
        pipe->held -= (uint32_t)sent;
    }
    return 0;
}

size_t splice_read(struct splice *pipe, char *bytes, size_t len)
{
    ssize_t got;
    do {
        got = read(pipe->ends[0], bytes, len);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return 0;
    pipe->held -= (uint32_t)got;
    return (size_t)got;
}

void splice_discard(struct splice *pipe)
{
    char bytes[DISCARD_PIECE];
    while (pipe->held > 0 && splice_read(pipe, bytes, sizeof bytes) > 0) {
    }
    // Another connection's bytes must never meet these.
    if (pipe->held > 0) {
        splice_close(pipe);
        splice_open(pipe);
    }
}
