// SPDX-License-Identifier: Apache-2.0
#include "proxy/gzip.h"

#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/regexp.h"
#include "proxy/piece.h"
#include "proxy/zlib_heap.h"

enum {
    GZIP_WINDOW = 15 + 16, // zlib: the largest window, and gzip's header and trailer
    GZIP_MEMORY = 8,       // zlib's default
};

// deflateBound for the default settings, and a byte of rest, a marker and an empty block more for
// the flushes.
_Static_assert(GZIP_INPUT_MAX + (GZIP_INPUT_MAX >> 12) + (GZIP_INPUT_MAX >> 14) + 25 + 16 +
                       2 * PIECE_ROOM <=
                   GZIP_OUT_ROOM,
               "a piece fits");

struct gzip {
    z_stream z;
    struct list link; // pool's kept ones
    bool is_chunked;
};

void gzip_pool_init(struct gzip_pool *pool, const struct regexp *types, unsigned max)
{
    *pool = (struct gzip_pool){.types = types, .max = max};
    list_init(&pool->kept);
}

static void gzip_free(struct gzip *gzip)
{
    deflateEnd(&gzip->z);
    mem_free(gzip);
}

void gzip_pool_fini(struct gzip_pool *pool)
{
    BUG_ON(pool->in_use > 0);
    while (!list_is_empty(&pool->kept))
        gzip_free(CONTAINER_OF(list_take_front(&pool->kept), struct gzip, link));
    regexp_matcher_free(pool->matcher);
    mem_free(pool->out);
}

bool gzip_pool_matches(struct gzip_pool *pool, struct str content_type)
{
    if (!pool->types)
        return false; // a reload has switched compression off while the request ran
    if (!pool->matcher)
        pool->matcher = regexp_matcher_new(pool->types);
    return pool->matcher && regexp_matcher_matches(pool->matcher, content_type);
}

void gzip_pool_set(struct gzip_pool *pool, const struct regexp *types, unsigned max)
{
    regexp_matcher_free(pool->matcher);
    pool->matcher = NULL;
    pool->types = types;
    pool->max = max;
}

static struct gzip *gzip_new(void)
{
    struct gzip *gzip = mem_zalloc(sizeof *gzip);
    if (!gzip)
        return NULL;
    list_init(&gzip->link);
    zlib_use_heap(&gzip->z);
    if (deflateInit2(&gzip->z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, GZIP_MEMORY,
                     Z_DEFAULT_STRATEGY) != Z_OK) {
        mem_free(gzip);
        return NULL;
    }
    return gzip;
}

struct gzip *gzip_get(struct gzip_pool *pool, bool is_chunked)
{
    if (pool->in_use >= pool->max)
        return NULL;
    if (!pool->out)
        pool->out = mem_alloc(GZIP_OUT_ROOM);
    if (!pool->out)
        return NULL;
    struct list *node = list_pop_front(&pool->kept);
    struct gzip *gzip = node ? CONTAINER_OF(node, struct gzip, link) : gzip_new();
    if (!gzip)
        return NULL;
    pool->kept_count -= node != NULL;
    pool->in_use++;
    gzip->is_chunked = is_chunked;
    return gzip;
}

void gzip_put(struct gzip_pool *pool, struct gzip *gzip)
{
    if (!gzip)
        return;
    pool->in_use--;
    if (pool->kept_count == GZIP_KEPT_MAX || deflateReset(&gzip->z) != Z_OK) {
        gzip_free(gzip);
        return;
    }
    list_push_front(&pool->kept, &gzip->link);
    pool->kept_count++;
}

// The output of the parts at `out`; its length, or ERR_NOMEM.
static ptrdiff_t deflate_parts(struct gzip *gzip, const struct iovec *parts, int count,
                               bool is_last, char *out, size_t room)
{
    z_stream *z = &gzip->z;
    z->next_out = (Bytef *)out;
    z->avail_out = (unsigned)room;
    int rc = Z_OK;
    for (int i = 0; i < count && rc == Z_OK; i++) {
        z->next_in = parts[i].iov_base;
        z->avail_in = (unsigned)parts[i].iov_len;
        rc = z->avail_in ? deflate(z, Z_NO_FLUSH) : Z_OK;
    }
    z->avail_in = 0;
    if (rc == Z_OK)
        rc = deflate(z, is_last ? Z_FINISH : Z_SYNC_FLUSH);
    bool is_whole = is_last ? rc == Z_STREAM_END : rc == Z_OK && z->avail_out > 0;
    return is_whole ? (ptrdiff_t)(room - z->avail_out) : ERR_NOMEM;
}

int gzip_pass(struct gzip_pool *pool, struct gzip *gzip, struct iovec *parts, int count,
              bool is_last, const struct buf *trailers)
{
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    if (len == 0 && !is_last)
        return 0; // a head alone: no reason to send the stream's
    if (len > GZIP_INPUT_MAX)
        return ERR_NOMEM;
    char *data = pool->out + PIECE_ROOM;
    ptrdiff_t out_len =
        deflate_parts(gzip, parts, count, is_last, data, GZIP_OUT_ROOM - 2 * PIECE_ROOM);
    if (out_len < 0)
        return ERR_NOMEM;
    return piece_frame(data, (size_t)out_len, gzip->is_chunked, is_last, trailers, parts);
}

uint64_t gzip_bytes_out(const struct gzip *gzip)
{
    return gzip->z.total_out;
}
