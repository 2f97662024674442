// SPDX-License-Identifier: Apache-2.0
#include "net/block.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

// A head of usual size, a long head or a paced read (SOCK_PACE_MIN) with its framing, and on to one
// read scratch with a head in front.
static const uint32_t SIZES[BLOCK_SIZES] = {1 << 10, (4 << 10) + 256, 16 << 10, 33 << 10,
                                            BLOCK_MAX};
// At most about 1 MiB of memory in each size is kept for reuse, of the largest 2 MiB.
static const uint32_t KEEP[BLOCK_SIZES] = {1024, 256, 64, 32, 32};

void block_pool_init(struct block_pool *pool)
{
    *pool = (struct block_pool){0};
}

void block_pool_trim(struct block_pool *pool)
{
    for (int i = 0; i < BLOCK_SIZES; i++) {
        while (pool->free[i]) {
            struct block *block = pool->free[i];
            pool->free[i] = block->next;
            mem_free(block);
        }
        pool->free_count[i] = 0;
    }
}

void block_pool_fini(struct block_pool *pool)
{
    block_pool_trim(pool);
    block_pool_init(pool);
}

static int size_class(size_t size)
{
    int i = 0;
    while (i < BLOCK_SIZES - 1 && SIZES[i] < size)
        i++;
    return i;
}

struct block *block_get(struct block_pool *pool, size_t size)
{
    BUG_ON(size > BLOCK_MAX);
    int i = size_class(size);
    struct block *block = pool->free[i];
    if (block) {
        pool->free[i] = block->next;
        pool->free_count[i]--;
    } else {
        block = mem_alloc(sizeof *block + SIZES[i]);
        if (!block)
            return NULL;
    }
    pool->in_use_bytes += SIZES[i];
    block->next = NULL;
    block->cap = SIZES[i];
    block->from = 0;
    block->to = 0;
    return block;
}

void block_put(struct block_pool *pool, struct block *block)
{
    if (!block)
        return;
    int i = size_class(block->cap);
    pool->in_use_bytes -= block->cap;
    if (pool->free_count[i] >= KEEP[i]) {
        mem_free(block);
        return;
    }
    block->next = pool->free[i];
    pool->free[i] = block;
    pool->free_count[i]++;
}

int block_append(struct block_pool *pool, struct block **block, const void *bytes, size_t len,
                 size_t max)
{
    struct block *old = *block;
    size_t have = old ? block_len(old) : 0;
    if (len > max || have > max - len || have + len > BLOCK_MAX)
        return ERR_TOO_LARGE;
    if (!old || old->cap - old->to < len) {
        struct block *bigger = block_get(pool, have + len);
        if (!bigger)
            return ERR_NOMEM;
        if (old)
            memcpy(bigger->bytes, block_start(old), have);
        bigger->to = (uint32_t)have;
        block_put(pool, old);
        *block = bigger;
    }
    memcpy((*block)->bytes + (*block)->to, bytes, len);
    (*block)->to += (uint32_t)len;
    return 0;
}

int block_chain_append(struct block_pool *pool, struct block **chain, const void *bytes, size_t len)
{
    const char *from = bytes;
    struct block **last = chain;
    while (*last && (*last)->next)
        last = &(*last)->next;
    while (len > 0) {
        struct block *block = *last;
        if (!block || block->cap == block->to) {
            block = block_get(pool, MIN(len, (size_t)BLOCK_MAX));
            if (!block)
                return ERR_NOMEM;
            if (*last)
                last = &(*last)->next;
            *last = block;
        }
        size_t piece = MIN(len, (size_t)(block->cap - block->to));
        memcpy(block->bytes + block->to, from, piece);
        block->to += (uint32_t)piece;
        from += piece;
        len -= piece;
    }
    return 0;
}

void block_chain_put(struct block_pool *pool, struct block **chain)
{
    while (*chain) {
        struct block *next = (*chain)->next;
        block_put(pool, *chain);
        *chain = next;
    }
}
