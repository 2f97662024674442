// SPDX-License-Identifier: Apache-2.0
#include "base/slab.h"

#include <stdbool.h>
#include <string.h>

#include "base/mem.h"

enum { FIRST_CHUNK = 4096, LAST_CHUNK = 1024 * 1024 };

struct slab_chunk {
    struct slab_chunk *older;
    size_t size;
};

struct slab_item {
    struct slab_item *next;
};

void slab_init(struct slab *slab)
{
    *slab = (struct slab){0};
}

void slab_fini(struct slab *slab)
{
    struct slab_chunk *chunk = slab->newest;
    while (chunk) {
        struct slab_chunk *older = chunk->older;
        mem_free(chunk);
        chunk = older;
    }
    slab_init(slab);
}

static size_t rounded(size_t size)
{
    size_t units = (size + SLAB_UNIT - 1) / SLAB_UNIT;
    return (units ? units : 1) * SLAB_UNIT;
}

static struct slab_item **spare_of(struct slab *slab, size_t size)
{
    return &slab->spare[size / SLAB_UNIT - 1];
}

static void keep(struct slab *slab, void *ptr, size_t size)
{
    struct slab_item *item = ptr;
    item->next = *spare_of(slab, size);
    *spare_of(slab, size) = item;
}

static bool add_chunk(struct slab *slab)
{
    size_t size = slab->newest ? MIN(2 * slab->newest->size, (size_t)LAST_CHUNK) : FIRST_CHUNK;
    struct slab_chunk *chunk = mem_zalloc(size);
    if (!chunk)
        return false;
    if (size == LAST_CHUNK)
        mem_populate(chunk, size);
    size_t rest = (size_t)(slab->end - slab->next);
    if (rest > 0)
        keep(slab, slab->next, rest);
    chunk->older = slab->newest;
    chunk->size = size;
    slab->newest = chunk;
    slab->next = (char *)(chunk + 1);
    slab->end = (char *)chunk + size;
    return true;
}

void *slab_alloc(struct slab *slab, size_t size)
{
    if (size > SLAB_ITEM_MAX || IS_SANITIZED) // which see what was freed only if it is
        return mem_zalloc(size);
    if (mem_is_denied())
        return NULL;
    size = rounded(size);
    struct slab_item *item = *spare_of(slab, size);
    if (item) {
        *spare_of(slab, size) = item->next;
        return memset(item, 0, size);
    }
    if ((size_t)(slab->end - slab->next) < size && !add_chunk(slab))
        return NULL;
    void *fresh = slab->next;
    slab->next += size;
    return fresh;
}

void slab_free(struct slab *slab, void *ptr, size_t size)
{
    if (size > SLAB_ITEM_MAX || IS_SANITIZED)
        mem_free(ptr);
    else if (ptr)
        keep(slab, ptr, rounded(size));
}
