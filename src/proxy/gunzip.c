// SPDX-License-Identifier: Apache-2.0
//
// A body is one gzip member after the other (RFC 1952 section 2.2), or nothing at all; anything
// else is an error, as for Go's reader. zlib reads one member, so it is set back between two.
#include "proxy/gunzip.h"

#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "proxy/piece.h"
#include "proxy/zlib_heap.h"

enum { GZIP_WINDOW = 15 + 16 }; // zlib: the largest window, and gzip's header and trailer

struct gunzip {
    z_stream z;
    struct list link; // pool's kept ones
    bool is_chunked;
    bool is_in_member; // has begun and not ended
    uint64_t bytes_out;
};

void gunzip_pool_init(struct gunzip_pool *pool, unsigned max)
{
    *pool = (struct gunzip_pool){.max = max};
    list_init(&pool->kept);
}

static void gunzip_free(struct gunzip *gunzip)
{
    inflateEnd(&gunzip->z);
    mem_free(gunzip);
}

void gunzip_pool_fini(struct gunzip_pool *pool)
{
    BUG_ON(pool->reserved > 0);
    while (!list_is_empty(&pool->kept))
        gunzip_free(CONTAINER_OF(list_take_front(&pool->kept), struct gunzip, link));
    mem_free(pool->out);
}

bool gunzip_reserve(struct gunzip_pool *pool)
{
    if (pool->reserved == pool->max)
        return false;
    pool->reserved++;
    return true;
}

void gunzip_release(struct gunzip_pool *pool)
{
    BUG_ON(pool->reserved == 0);
    pool->reserved--;
}

static struct gunzip *gunzip_new(void)
{
    struct gunzip *gunzip = mem_zalloc(sizeof *gunzip);
    if (!gunzip)
        return NULL;
    list_init(&gunzip->link);
    zlib_use_heap(&gunzip->z);
    if (inflateInit2(&gunzip->z, GZIP_WINDOW) != Z_OK) {
        mem_free(gunzip);
        return NULL;
    }
    return gunzip;
}

struct gunzip *gunzip_get(struct gunzip_pool *pool, bool is_chunked)
{
    if (!pool->out)
        pool->out = mem_alloc(PIECE_ROOM + GUNZIP_PIECE_MAX + PIECE_ROOM);
    if (!pool->out)
        return NULL;
    struct list *node = list_pop_front(&pool->kept);
    struct gunzip *gunzip = node ? CONTAINER_OF(node, struct gunzip, link) : gunzip_new();
    if (!gunzip)
        return NULL;
    pool->kept_count -= node != NULL;
    gunzip->is_chunked = is_chunked;
    gunzip->is_in_member = false;
    gunzip->bytes_out = 0;
    return gunzip;
}

void gunzip_put(struct gunzip_pool *pool, struct gunzip *gunzip)
{
    if (!gunzip)
        return;
    if (pool->kept_count == GUNZIP_KEPT_MAX || inflateReset(&gunzip->z) != Z_OK) {
        gunzip_free(gunzip);
        return;
    }
    list_push_front(&pool->kept, &gunzip->link);
    pool->kept_count++;
}

// Fills z's output as far as its input goes. 0, ERR_NOMEM or ERR_INVALID.
static int inflate_some(struct gunzip *gunzip)
{
    z_stream *z = &gunzip->z;
    while (z->avail_out > 0 && (z->avail_in > 0 || gunzip->is_in_member)) {
        gunzip->is_in_member = true;
        switch (inflate(z, Z_NO_FLUSH)) {
        case Z_OK: break;
        case Z_BUF_ERROR: return 0; // the input is used up
        case Z_STREAM_END:
            gunzip->is_in_member = false;
            if (inflateReset(z) != Z_OK)
                return ERR_INVALID;
            break;
        case Z_MEM_ERROR: return ERR_NOMEM;
        default: return ERR_INVALID;
        }
    }
    return 0;
}

int gunzip_pass(struct gunzip_pool *pool, struct gunzip *gunzip, struct iovec *input, bool is_last,
                const struct buf *trailers, struct iovec *parts, bool *has_more)
{
    char *data = pool->out + PIECE_ROOM;
    z_stream *z = &gunzip->z;
    z->next_in = input->iov_base;
    z->avail_in = (unsigned)input->iov_len;
    z->next_out = (Bytef *)data;
    z->avail_out = GUNZIP_PIECE_MAX;
    int rc = inflate_some(gunzip);
    if (rc < 0)
        return rc;
    size_t used = input->iov_len - z->avail_in;
    if (used > 0)
        *input = (struct iovec){.iov_base = (char *)input->iov_base + used, .iov_len = z->avail_in};
    size_t len = GUNZIP_PIECE_MAX - z->avail_out;
    gunzip->bytes_out += len;
    // zlib may hold back what did not fit.
    *has_more = z->avail_out == 0 && (z->avail_in > 0 || gunzip->is_in_member);
    bool ends_here = is_last && !*has_more;
    if (ends_here && gunzip->is_in_member)
        return ERR_INVALID;
    return piece_frame(data, len, gunzip->is_chunked, ends_here, trailers, parts);
}

uint64_t gunzip_bytes_out(const struct gunzip *gunzip)
{
    return gunzip->bytes_out;
}
