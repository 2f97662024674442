// SPDX-License-Identifier: Apache-2.0
// Pooled byte blocks of a few sizes, for bytes that must outlive the read that brought them: a
// partial head, a request held for replay, output the peer does not take yet. One pool per loop;
// blocks never change threads. Freed blocks are kept up to a small number per size, so steady
// traffic allocates nothing.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum { BLOCK_SIZES = 5, BLOCK_MAX = 70 << 10 };

struct block {
    struct block *next; // owner's chain, or the pool's free list
    uint32_t cap;       // bytes of room
    uint32_t from;      // first byte in use
    uint32_t to;        // behind the last byte in use
    char bytes[];
};

struct block_pool {
    struct block *free[BLOCK_SIZES];
    uint32_t free_count[BLOCK_SIZES];
    uint64_t in_use_bytes; // room of all blocks handed out
};

void block_pool_init(struct block_pool *pool);
void block_pool_fini(struct block_pool *pool);
// Frees what is kept for reuse.
void block_pool_trim(struct block_pool *pool);

// An empty block with room for at least `size` bytes (<= BLOCK_MAX); NULL when memory is short.
MUST_CHECK struct block *block_get(struct block_pool *pool, size_t size);
// Gives a block back; NULL is ignored.
void block_put(struct block_pool *pool, struct block *block);

static inline size_t block_len(const struct block *block)
{
    return block->to - block->from;
}

static inline char *block_start(struct block *block)
{
    return block->bytes + block->from;
}

// Appends to *block (NULL: a new one), moving to a larger block when needed. 0, ERR_NOMEM, or
// ERR_TOO_LARGE above `max` bytes in all; the block is unchanged on failure.
MUST_CHECK int block_append(struct block_pool *pool, struct block **block, const void *bytes,
                            size_t len, size_t max);

// A chain of blocks, for more than one block holds. Appends to it; 0, or ERR_NOMEM: then part of
// the bytes may be in the chain.
MUST_CHECK int block_chain_append(struct block_pool *pool, struct block **chain, const void *bytes,
                                  size_t len);
// Gives all its blocks back; the chain is empty then.
void block_chain_put(struct block_pool *pool, struct block **chain);
