// SPDX-License-Identifier: Apache-2.0
// Compression of response bodies for clients. Each response that is compressed holds a stream of
// about 270 KB; a worker has at most so many (proxy.gzip.maxstreams), further responses pass as
// they are. Streams are kept for reuse. All that the upstream has sent so far goes on at once: the
// stream is flushed with each piece. Owned by the worker, used on its thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/buf.h"
#include "base/list.h"
#include "net/block.h"

struct gzip;
struct regexp;
struct regexp_matcher;

enum {
    GZIP_INPUT_MAX = BLOCK_MAX, // bytes of one piece: a read, or what came with a head
    GZIP_OUT_ROOM = 80 << 10,   // what a piece of random bytes becomes, with room to spare
    GZIP_KEPT_MAX = 16,         // free streams that are kept
};

struct gzip_pool {
    const struct regexp *types;     // NULL: nothing is compressed
    struct regexp_matcher *matcher; // made when first needed, like out
    char *out;                      // GZIP_OUT_ROOM; of one piece at a time
    struct list kept;
    unsigned kept_count;
    unsigned in_use;
    unsigned max;
};

void gzip_pool_init(struct gzip_pool *pool, const struct regexp *types, unsigned max);
// Other types and bound from now on; streams in use go on.
void gzip_pool_set(struct gzip_pool *pool, const struct regexp *types, unsigned max);
void gzip_pool_fini(struct gzip_pool *pool);
// Whether the type is one to compress; false also when memory is short.
bool gzip_pool_matches(struct gzip_pool *pool, struct str content_type);

// A stream for one body; NULL: there are too many, or memory is short. is_chunked: the output is
// framed in chunks, else bare.
struct gzip *gzip_get(struct gzip_pool *pool, bool is_chunked);
// NULL is ignored.
void gzip_put(struct gzip_pool *pool, struct gzip *gzip);

// Compresses the parts (at most GZIP_INPUT_MAX bytes) and replaces them with at most three of the
// output, which lie in the pool's memory and stay until the next call. With is_last the stream and
// its framing are ended; trailers (field lines, or NULL) go behind it. Returns the number of parts,
// or ERR_NOMEM, after which the stream is of no use.
MUST_CHECK int gzip_pass(struct gzip_pool *pool, struct gzip *gzip, struct iovec *parts, int count,
                         bool is_last, const struct buf *trailers);
// Bytes put out so far, without framing.
uint64_t gzip_bytes_out(const struct gzip *gzip);
