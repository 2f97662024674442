// SPDX-License-Identifier: Apache-2.0
#include "base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <string.h>

#include "base/mem.h"

enum { ARENA_FIRST_BLOCK = 512, ARENA_LAST_BLOCK = 64 * 1024 };

struct arena_block {
    struct arena_block *older;
    size_t used;
    size_t cap;
    alignas(max_align_t) unsigned char bytes[];
};

void arena_init(struct arena *arena)
{
    *arena = (struct arena){0};
}

void arena_fini(struct arena *arena)
{
    struct arena_block *block = arena->newest;
    while (block) {
        struct arena_block *older = block->older;
        mem_free(block);
        block = older;
    }
    arena_init(arena);
}

void *arena_alloc(struct arena *arena, size_t size)
{
    size_t unit = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        return NULL;
    size = (size + unit - 1) / unit * unit;
    struct arena_block *block = arena->newest;
    if (!block || block->cap - block->used < size) {
        // Blocks double, so that small arenas stay small and large ones need few of them.
        size_t cap = block ? MIN(block->cap * 2, (size_t)ARENA_LAST_BLOCK) : ARENA_FIRST_BLOCK;
        cap = MAX(cap, size);
        block = mem_zalloc(sizeof *block + cap);
        if (!block)
            return NULL;
        block->cap = cap;
        block->older = arena->newest;
        arena->newest = block;
        arena->total += sizeof *block + cap;
    }
    void *ptr = block->bytes + block->used;
    block->used += size;
    return ptr;
}

void *arena_alloc_array(struct arena *arena, size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;
    return arena_alloc(arena, count * size);
}

struct str arena_str(struct arena *arena, struct str s)
{
    char *copy = arena_alloc(arena, s.len + 1);
    if (!copy)
        return STR_NULL;
    if (s.len)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return str_make(copy, s.len);
}
