// SPDX-License-Identifier: Apache-2.0
// The framing of a piece of a body that the proxy has coded itself, compressed or unpacked: as a
// chunk, or bare for clients that know no chunks. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/uio.h>

#include "base/buf.h"

enum {
    PIECE_ROOM = 16, // bytes that are free before the data and behind it
    PIECE_PARTS = 3,
};

// Sets parts to what is to be sent for len bytes at data; returns their number, at most
// PIECE_PARTS. Nothing is sent for no data, unless is_last: then the body is ended, with trailers
// (field lines, or NULL).
int piece_frame(char *data, size_t len, bool is_chunked, bool is_last, const struct buf *trailers,
                struct iovec *parts);
