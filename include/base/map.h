// SPDX-License-Identifier: Apache-2.0
// Hash map from byte strings to pointers, for the control thread's registries. Keys are borrowed:
// they must live, unchanged, as long as their entry (usually inside the value). Iteration order is
// arbitrary. Open addressing, linear probing, deletion by back-shift. Not thread-safe.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct map_entry {
    struct str key; // ptr is NULL in a free slot
    void *value;
    uint64_t hash;
};

struct map {
    struct map_entry *slots; // owned
    size_t cap;              // a power of two, or 0
    size_t count;            // entries in use
};

void map_init(struct map *map);
// Frees the slots, not the keys or values.
void map_fini(struct map *map);

// The value under key, or NULL.
void *map_get(const struct map *map, struct str key);
// Adds or replaces. The stored key is `key` in both cases. value must not be NULL. 0 or ERR_NOMEM.
MUST_CHECK int map_put(struct map *map, struct str key, void *value);
// Removes and returns the value, or NULL when there is none.
void *map_remove(struct map *map, struct str key);

// Iterates: start with *at = 0; false at the end. The map must not change meanwhile.
bool map_next(const struct map *map, size_t *at, struct map_entry *entry);
