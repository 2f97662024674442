// SPDX-License-Identifier: Apache-2.0
// A scratch of the kernel's: a pipe through which bytes go from one socket to another without being
// copied (splice(2)). It is filled and emptied within one callback, what a socket does not take is
// copied out of it; so one pipe serves all connections of a loop, and a peer that does not read
// holds none of it. Where there is no pipe everything is copied. Embedded in struct net_loop, used
// on its thread; sock.c alone fills and empties it.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/attr.h"

enum {
    // Below, the two calls cost as much as copying.
    SPLICE_MIN = 32 << 10,
    // What the peer's window takes is mostly more. No multiple of 64 KiB: the kernel sends in about
    // such pieces, and a packet of a few bytes behind each would cost as much as a whole one.
    SPLICE_MAX = 480 << 10,
};

struct splice {
    int ends[2];   // to read from, to write to; -1: there is no pipe
    uint32_t held; // bytes in it
};

// Without a pipe.
void splice_init(struct splice *pipe);
// Makes the pipe; when that fails there is none.
void splice_open(struct splice *pipe);
void splice_close(struct splice *pipe);

static inline bool splice_is_open(const struct splice *pipe)
{
    return pipe->ends[0] >= 0;
}

// Takes up to `max` bytes from the socket, when that needs no waiting. Returns their number; 0: it
// is to be read, which tells why; a negative libuv error code: the connection has failed, and
// reading may not tell any more.
MUST_CHECK ssize_t splice_fill(struct splice *pipe, int socket, size_t max);
// Gives the socket what it takes. 0, or a negative libuv error code.
MUST_CHECK int splice_pour(struct splice *pipe, int socket);
// Copies up to `len` bytes out. Returns their number; 0 for none, or when they cannot be had.
MUST_CHECK size_t splice_read(struct splice *pipe, char *bytes, size_t len);
// Empties it.
void splice_discard(struct splice *pipe);
