// SPDX-License-Identifier: Apache-2.0
#include "base/map.h"

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"

enum { MAP_FIRST_CAP = 16 };

// An empty key needs a pointer that is not NULL, which marks a free slot.
static const char EMPTY_KEY[1] = "";

void map_init(struct map *map)
{
    *map = (struct map){0};
}

void map_fini(struct map *map)
{
    mem_free(map->slots);
    map_init(map);
}

// The slot that holds key, or the free slot where it would go. cap must not be 0.
static size_t find_slot(const struct map *map, struct str key, uint64_t hash)
{
    size_t mask = map->cap - 1;
    size_t at = hash & mask;
    while (map->slots[at].key.ptr &&
           !(map->slots[at].hash == hash && str_eq(map->slots[at].key, key)))
        at = (at + 1) & mask;
    return at;
}

static int grow(struct map *map)
{
    struct map bigger = {.cap = map->cap ? map->cap * 2 : MAP_FIRST_CAP, .count = map->count};
    bigger.slots = mem_zalloc_array(bigger.cap, sizeof *bigger.slots);
    if (!bigger.slots)
        return ERR_NOMEM;
    for (size_t i = 0; i < map->cap; i++) {
        const struct map_entry *old = &map->slots[i];
        if (old->key.ptr)
            bigger.slots[find_slot(&bigger, old->key, old->hash)] = *old;
    }
    mem_free(map->slots);
    *map = bigger;
    return 0;
}

void *map_get(const struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    const struct map_entry *slot =
        &map->slots[find_slot(map, key, hash_bytes(key.ptr, key.len, 0))];
    return slot->key.ptr ? slot->value : NULL;
}

int map_put(struct map *map, struct str key, void *value)
{
    BUG_ON(!value);
    // At most 3/4 full, so that probe runs stay short.
    if (map->count + 1 > map->cap / 4 * 3) {
        int rc = grow(map);
        if (rc != 0)
            return rc;
    }
    uint64_t hash = hash_bytes(key.ptr, key.len, 0);
    struct map_entry *slot = &map->slots[find_slot(map, key, hash)];
    if (!slot->key.ptr)
        map->count++;
    if (!key.ptr)
        key.ptr = EMPTY_KEY;
    *slot = (struct map_entry){.key = key, .value = value, .hash = hash};
    return 0;
}

void *map_remove(struct map *map, struct str key)
{
    if (map->count == 0)
        return NULL;
    size_t mask = map->cap - 1;
    size_t hole = find_slot(map, key, hash_bytes(key.ptr, key.len, 0));
    if (!map->slots[hole].key.ptr)
        return NULL;
    void *value = map->slots[hole].value;
    // Close the gap: an entry may move into the hole unless its home lies behind the hole.
    for (size_t at = (hole + 1) & mask; map->slots[at].key.ptr; at = (at + 1) & mask) {
        size_t home = map->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            map->slots[hole] = map->slots[at];
            hole = at;
        }
    }
    map->slots[hole] = (struct map_entry){0};
    map->count--;
    return value;
}

bool map_next(const struct map *map, size_t *at, struct map_entry *entry)
{
    while (*at < map->cap) {
        const struct map_entry *slot = &map->slots[(*at)++];
        if (slot->key.ptr) {
            *entry = *slot;
            return true;
        }
    }
    return false;
}
