// SPDX-License-Identifier: Apache-2.0
// Shares of traffic: weights as fabio computes them (docs/routing.md, "Weights") and the rings that
// round robin and random picks index. Private to the route layer; control thread, but rings are
// read by workers.
#pragma once

#include <stdint.h>

#include "base/attr.h"
#include "base/map.h"

// One target's share while a route is built.
struct share {
    double fixed;  // > 0: fixed weight
    bool is_none;  // gets no traffic at all (proxy.weightzero=none); fixed is 0
    double weight; // result, 0..1
};

void weight_share_out(struct share *shares, size_t count);

// Slots of a target on a ring of about 10,000.
uint32_t weight_slots(double weight);

// An immutable ring. Equal rings are kept once: a canary rule of "5 %" repeats over thousands of
// routes.
struct ring {
    uint32_t refs;
    uint32_t len;
    size_t key_len;   // bytes
    uint32_t cells[]; // indexes of targets, then the key: the slot counts it was made for
};

struct ring_cache {
    struct map rings;
};

void ring_cache_init(struct ring_cache *cache);
// All rings must have been put back.
void ring_cache_fini(struct ring_cache *cache);

// The ring for these slot counts, with a reference for the caller; NULL when memory is short. The
// sum of slots must not be 0.
MUST_CHECK struct ring *ring_get(struct ring_cache *cache, const uint32_t *slots, size_t count);
void ring_put(struct ring_cache *cache, struct ring *ring);
