// SPDX-License-Identifier: Apache-2.0
#include "base/index.h"

#include "base/err.h"
#include "base/mem.h"

enum { INDEX_FIRST_SIZE = 16, LARGE_SIZE = 64 << 10 };

void index_init(struct index *index)
{
    *index = (struct index){0};
}

void index_fini(struct index *index)
{
    mem_free(index->buckets);
    index_init(index);
}

static struct index_link **bucket_of(const struct index *index, uint32_t hash)
{
    return &index->buckets[hash & (index->size - 1)];
}

void index_expect(const struct index *index, uint64_t hash, unsigned step)
{
    if (index->size == 0)
        return;
    struct index_link *const *bucket = bucket_of(index, (uint32_t)hash);
    if (step == 0) {
        __builtin_prefetch(bucket);
        return;
    }
    const struct index_link *link = *bucket;
    while (link && --step > 0)
        link = link->next;
    __builtin_prefetch(link);
}

static struct index_link *with_hash(struct index_link *link, uint32_t hash)
{
    while (link && link->hash != hash)
        link = link->next;
    return link;
}

struct index_link *index_first(const struct index *index, uint64_t hash)
{
    return index->size ? with_hash(*bucket_of(index, (uint32_t)hash), (uint32_t)hash) : NULL;
}

struct index_link *index_again(const struct index_link *link)
{
    return with_hash(link->next, link->hash);
}

static void push(struct index *index, struct index_link *link)
{
    struct index_link **bucket = bucket_of(index, link->hash);
    link->next = *bucket;
    *bucket = link;
}

static void resize(struct index *index, size_t size)
{
    struct index bigger = {.size = size, .count = index->count};
    bigger.buckets = mem_zalloc_array(size, sizeof(struct index_link *));
    if (!bigger.buckets)
        return;
    if (size >= LARGE_SIZE)
        mem_populate(bigger.buckets, size * sizeof(struct index_link *));
    for (size_t i = 0; i < index->size; i++) {
        struct index_link *link = index->buckets[i];
        while (link) {
            struct index_link *next = link->next;
            push(&bigger, link);
            link = next;
        }
    }
    mem_free(index->buckets);
    *index = bigger;
}

void index_reserve(struct index *index, size_t count)
{
    size_t size = index->size ? index->size : INDEX_FIRST_SIZE;
    while (size < count && size <= SIZE_MAX / 2)
        size *= 2;
    if (size > index->size)
        resize(index, size);
}

int index_add(struct index *index, struct index_link *link, uint64_t hash)
{
    if (index->count == index->size)
        index_reserve(index, index->count + 1);
    if (!index->size)
        return ERR_NOMEM;
    link->hash = (uint32_t)hash;
    push(index, link);
    index->count++;
    return 0;
}

void index_remove(struct index *index, struct index_link *link)
{
    struct index_link **at = bucket_of(index, link->hash);
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    link->next = NULL;
    index->count--;
}

struct index_link *index_next(const struct index *index, const struct index_link *link)
{
    if (link && link->next)
        return link->next;
    size_t at = link ? (link->hash & (index->size - 1)) + 1 : 0;
    while (at < index->size && !index->buckets[at])
        at++;
    return at < index->size ? index->buckets[at] : NULL;
}
