// SPDX-License-Identifier: Apache-2.0
// Finds things by their content through a link that lies in each of them: half the memory of
// base/map.h, which matters where there are 100,000. The caller hashes and compares; the things are
// his. For things that are shared, the link has room for a count of references. Iteration order is
// arbitrary. Not thread-safe.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

struct index_link {
    struct index_link *next;
    uint32_t hash;
    uint32_t refs; // the owner's to use
};

struct index {
    struct index_link **buckets; // owned; NULL while nothing was ever in it
    size_t size;                 // a power of two, or 0
    size_t count;
};

void index_init(struct index *index);
// Frees the buckets, not the things.
void index_fini(struct index *index);

// The first link with this hash, and the next one behind it; NULL at the end.
struct index_link *index_first(const struct index *index, uint64_t hash);
struct index_link *index_again(const struct index_link *link);

// To be looked up soon: has the processor fetch the bucket (step 0), then its first link (step 1),
// and so on, each when the one before has come, so that many lookups wait for memory together.
void index_expect(const struct index *index, uint64_t hash, unsigned step);

// Room for so many, where it can be had, so that it need not grow step by step.
void index_reserve(struct index *index, size_t count);
// 0, or ERR_NOMEM when there is no memory for the very first one; later it only becomes slower.
MUST_CHECK int index_add(struct index *index, struct index_link *link, uint64_t hash);
// Must be in it.
void index_remove(struct index *index, struct index_link *link);

// Iterates: start with NULL; NULL at the end. Nothing may come or go meanwhile.
struct index_link *index_next(const struct index *index, const struct index_link *link);
