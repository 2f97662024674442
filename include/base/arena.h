// SPDX-License-Identifier: Apache-2.0
// Bump allocator for objects that die together: one host node of the routing table, one decoded
// answer. Single objects cannot be freed. Not thread-safe.
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"

struct arena_block;

struct arena {
    struct arena_block *newest; // owned chain
    size_t total;               // bytes taken from the heap
};

void arena_init(struct arena *arena);
// Frees everything that was allocated from it.
void arena_fini(struct arena *arena);

// Zeroed, aligned for any type; NULL when memory is short.
MUST_CHECK void *arena_alloc(struct arena *arena, size_t size);
// As arena_alloc for count * size; NULL also when the product overflows.
MUST_CHECK void *arena_alloc_array(struct arena *arena, size_t count, size_t size);
// A terminated copy of s in the arena; its ptr is NULL when memory is short.
MUST_CHECK struct str arena_str(struct arena *arena, struct str s);
