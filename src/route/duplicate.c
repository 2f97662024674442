// SPDX-License-Identifier: Apache-2.0
// Candidates in chains by the hash of what duplicates agree in: destination, service and tags. The
// weight is not in it, because `route weight` changes it.
#include "duplicate.h"

#include "base/hash.h"
#include "base/mem.h"

enum { FEW = 8 };

static uint64_t hash_of(const struct route_def *def)
{
    uint64_t hash = hash_str(route_def_dst(def), hash_str(def->rule->service, 0));
    for (size_t i = 0; i < def->rule->tag_count; i++)
        hash = hash_str(def->rule->tags[i], hash);
    return hash;
}

static uint32_t *chain_of(const struct workspace *work, const struct route_def *def)
{
    return &work->chains[hash_of(def) & (work->chain_count - 1)];
}

void duplicate_forget(struct workspace *work)
{
    work->chained = 0;
}

static int reserve_chains(struct workspace *work)
{
    if (work->chain_count >= work->count)
        return 0;
    size_t size = work->chain_count ? work->chain_count : FEW;
    while (size < work->cap)
        size *= 2;
    uint32_t *chains = mem_realloc(work->chains, size * sizeof *chains);
    if (!chains)
        return ERR_NOMEM;
    work->chains = chains;
    work->chain_count = size;
    work->chained = 0;
    return 0;
}

// Those that have come since the last time.
static void chain_new_ones(struct workspace *work)
{
    if (work->chained == 0)
        memset(work->chains, 0, work->chain_count * sizeof work->chains[0]);
    while (work->chained < work->count) {
        struct candidate *candidate = &work->candidates[work->chained++];
        uint32_t *chain = chain_of(work, candidate->def);
        candidate->before = *chain;
        *chain = (uint32_t)work->chained;
    }
}

static bool is_duplicate(struct workspace *work, const struct route_def *def,
                         const struct candidate *of)
{
    work->compared++;
    return of->def->health == ROUTE_UP && route_def_is_duplicate(def, of->def, of->fixed);
}

int duplicate_find(struct workspace *work, const struct route_def *def,
                   const struct candidate **found)
{
    *found = NULL;
    if (work->count <= FEW) {
        for (size_t i = work->count; i > 0; i--) {
            if (is_duplicate(work, def, &work->candidates[i - 1]))
                *found = &work->candidates[i - 1];
        }
        return 0;
    }
    int rc = reserve_chains(work);
    if (rc != 0)
        return rc;
    chain_new_ones(work);
    for (uint32_t at = *chain_of(work, def); at != 0; at = work->candidates[at - 1].before) {
        if (is_duplicate(work, def, &work->candidates[at - 1]))
            *found = &work->candidates[at - 1];
    }
    return 0;
}
