// SPDX-License-Identifier: Apache-2.0
// Unpacking of response bodies that a target has compressed because the proxy asked for it, on
// behalf of a client that did not. Who asks reserves a place first; a worker has a bounded number
// of them, so that no answer comes that cannot be unpacked, but for shortage of memory. A stream
// takes about 40 KB and is made when the answer turns out to be compressed. Output comes in pieces:
// whoever cannot send one on simply does not ask for the next, so that a body of zeros costs no
// more memory than any other. Owned by the worker, used on its thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/list.h"

struct gunzip;

enum {
    GUNZIP_MAX = 1024,           // places of a worker
    GUNZIP_KEPT_MAX = 16,        // free streams that are kept
    GUNZIP_PIECE_MAX = 32 << 10, // bytes of body in one piece
};

struct gunzip_pool {
    char *out; // of one piece at a time; made when first needed
    struct list kept;
    unsigned kept_count;
    unsigned reserved;
    unsigned max;
};

void gunzip_pool_init(struct gunzip_pool *pool, unsigned max);
void gunzip_pool_fini(struct gunzip_pool *pool);

// A place: false when there is none.
MUST_CHECK bool gunzip_reserve(struct gunzip_pool *pool);
void gunzip_release(struct gunzip_pool *pool);

// A stream for one body, for who holds a place; NULL: memory is short. is_chunked: the output is
// framed in chunks, else bare.
MUST_CHECK struct gunzip *gunzip_get(struct gunzip_pool *pool, bool is_chunked);
// NULL is ignored.
void gunzip_put(struct gunzip_pool *pool, struct gunzip *gunzip);

// The next piece of what `input` unpacks to, which is moved on behind what was used. Sets parts
// (PIECE_PARTS), which lie in the pool's memory and stay until the next call, and *has_more: there
// is another piece, without more input than is left.
// is_last: nothing comes behind this input; the framing is then ended with the last piece, and
// trailers (field lines, or NULL) go behind it. Returns the number of parts; ERR_NOMEM;
// ERR_INVALID: this is not gzip, or it ends too early.
MUST_CHECK int gunzip_pass(struct gunzip_pool *pool, struct gunzip *gunzip, struct iovec *input,
                           bool is_last, const struct buf *trailers, struct iovec *parts,
                           bool *has_more);
// Bytes put out so far, without framing.
uint64_t gunzip_bytes_out(const struct gunzip *gunzip);
