// SPDX-License-Identifier: Apache-2.0
// How often a Consul in trouble is asked: everything that failed or returns at once for no reason
// shares one slot after the other, less than one request a second, and after a row of bad answers
// so does everything else. What answers well again earns more requests, so that a sound Consul is
// read by all within moments and a broken one by nobody. Pure: the caller brings clock and random
// numbers. Embedded in the agent; control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "discover/pace.h"

struct gate {
    unsigned bad_streak; // bad answers since the last good one
    unsigned credit;     // requests that need no slot
    uint64_t next_ms;    // the next slot
    struct bucket waves; // how often recoveries make the others try
    uint64_t wave_end_ms;
};

void gate_init(struct gate *gate);
// Takes the slot that is due and returns 0, or takes nothing and returns the milliseconds until it
// is.
uint64_t gate_take(struct gate *gate, uint64_t now_ms, struct rng *rng);
// One more request now, at the expense of later ones.
void gate_borrow(struct gate *gate, uint64_t now_ms);
// Whether nothing good has come for so long that all requests need a slot.
bool gate_is_closed(const struct gate *gate);

void gate_note_bad(struct gate *gate);
// No connection: all of them, at once.
void gate_close(struct gate *gate);
// A good answer. was_gated: of a request that took a slot; others: how many wait for one. Whether
// these may try again now, in as far as there is credit: each such answer earns two more.
bool gate_note_good(struct gate *gate, uint64_t now_ms, bool was_gated, unsigned others);
// Nothing is wrong any more: the next trouble begins with its burst.
void gate_note_calm(struct gate *gate);
