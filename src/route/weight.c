// SPDX-License-Identifier: Apache-2.0
#include "weight.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { RING_UNITS = 10000 };

void weight_share_out(struct share *shares, size_t count)
{
    size_t fixed_count = 0, none_count = 0;
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        none_count += shares[i].is_none;
        if (shares[i].fixed > 0) {
            fixed_count++;
            sum += shares[i].fixed;
        }
    }
    size_t dynamic_count = count - none_count - fixed_count;
    double scale = sum > 1 || (dynamic_count == 0 && sum < 1) ? sum : 1;
    double dynamic = 0;
    if (dynamic_count > 0 && sum < 1)
        dynamic = (1 - sum) / (double)dynamic_count;
    for (size_t i = 0; i < count; i++) {
        if (shares[i].is_none)
            shares[i].weight = 0;
        else
            shares[i].weight = shares[i].fixed > 0 ? shares[i].fixed / scale : dynamic;
    }
}

uint32_t weight_slots(double weight)
{
    uint32_t slots = (uint32_t)(RING_UNITS * weight);
    return slots == 0 && weight > 0 ? 1 : slots;
}

// The next free cell at or behind `at`, or len. next[i] is i while cell i is free.
static uint32_t find_free(uint32_t *next, uint32_t at)
{
    uint32_t free = at;
    while (next[free] != free)
        free = next[free];
    while (next[at] != free) { // shorten the way for the next search
        uint32_t step = next[at];
        next[at] = free;
        at = step;
    }
    return free;
}

static void lay_out(uint32_t *cells, uint32_t *next, uint32_t len, const uint32_t *slots,
                    const uint32_t *order, size_t count)
{
    for (uint32_t i = 0; i <= len; i++)
        next[i] = i;
    for (size_t k = 0; k < count; k++) {
        uint32_t target = order[k];
        uint32_t step = slots[target] ? len / slots[target] : 0;
        uint32_t at = 0;
        for (uint32_t i = 0; i < slots[target]; i++) {
            at = find_free(next, at);
            if (at == len)
                at = find_free(next, 0);
            cells[at] = target;
            next[at] = at + 1;
            at = (at + step) % len;
        }
    }
}

struct slot_order {
    uint32_t slots;
    uint32_t target;
};

static int compare_slots(const void *a, const void *b)
{
    const struct slot_order *left = a, *right = b;
    if (left->slots != right->slots)
        return left->slots < right->slots ? -1 : 1;
    return left->target < right->target ? -1 : 1;
}

// Length of the shortest run of cells that, repeated, gives the same ring: usual weights need few
// cells.
static uint32_t shortest_period(const uint32_t *cells, uint32_t len, uint32_t divisor)
{
    for (; divisor > 1; divisor--) {
        if (len % divisor != 0)
            continue;
        uint32_t period = len / divisor;
        if (memcmp(cells, cells + period, (len - period) * sizeof *cells) == 0)
            return period;
    }
    return len;
}

static uint32_t common_divisor(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static struct ring *build(const uint32_t *slots, size_t count)
{
    uint32_t len = 0, divisor = 0;
    for (size_t i = 0; i < count; i++) {
        len += slots[i];
        divisor = common_divisor(divisor, slots[i]);
    }
    struct ring *ring = mem_alloc(sizeof *ring + (len + count) * sizeof ring->cells[0]);
    uint32_t *scratch = mem_zalloc_array(len + 1 + count, sizeof *scratch);
    struct slot_order *sorted = mem_zalloc_array(count, sizeof *sorted);
    if (!ring || !scratch || !sorted) {
        mem_free(ring);
        ring = NULL;
        goto done;
    }
    for (size_t i = 0; i < count; i++)
        sorted[i] = (struct slot_order){slots[i], (uint32_t)i};
    qsort(sorted, count, sizeof *sorted, compare_slots);
    uint32_t *order = scratch + len + 1;
    for (size_t i = 0; i < count; i++)
        order[i] = sorted[i].target;
    lay_out(ring->cells, scratch, len, slots, order, count);
    ring->refs = 0;
    ring->len = shortest_period(ring->cells, len, divisor);
    memcpy(ring->cells + ring->len, slots, count * sizeof *slots);
    struct ring *fitted =
        mem_realloc(ring, sizeof *ring + (ring->len + count) * sizeof ring->cells[0]);
    if (fitted)
        ring = fitted;
done:
    mem_free(scratch);
    mem_free(sorted);
    return ring;
}

void ring_cache_init(struct ring_cache *cache)
{
    map_init(&cache->rings);
}

void ring_cache_fini(struct ring_cache *cache)
{
    BUG_ON(cache->rings.count != 0);
    map_fini(&cache->rings);
}

struct ring *ring_get(struct ring_cache *cache, const uint32_t *slots, size_t count)
{
    struct str key = str_make((const char *)slots, count * sizeof *slots);
    struct ring *ring = map_get(&cache->rings, key);
    if (!ring) {
        ring = build(slots, count);
        if (!ring)
            return NULL;
        ring->key_len = key.len;
        if (map_put(&cache->rings, str_make((char *)(ring->cells + ring->len), key.len), ring) !=
            0) {
            mem_free(ring);
            return NULL;
        }
    }
    ring->refs++;
    return ring;
}

void ring_put(struct ring_cache *cache, struct ring *ring)
{
    if (!ring || --ring->refs > 0)
        return;
    map_remove(&cache->rings, str_make((char *)(ring->cells + ring->len), ring->key_len));
    mem_free(ring);
}
