// SPDX-License-Identifier: Apache-2.0
#include "discover/gate.h"

enum {
    BURST = 3,
    // With the registration's retries (one in five seconds) at most one request a second.
    SLOT_MS = 1250,
    SLOT_JITTER_MS = 100,
    BORROWED_MS = 900, // of slots that are a little longer than needed
    CLOSING_STREAK = 8,
    EARNED = 2,
    CREDIT_MAX = 8, // as many as run side by side
    WAVE_MS = 2000,
    WAVES_BURST = 5,
    WAVE_INTERVAL_MS = 30 * 1000,
};

void gate_init(struct gate *gate)
{
    *gate = (struct gate){.credit = BURST};
    bucket_init(&gate->waves, WAVES_BURST, WAVE_INTERVAL_MS, WAVE_INTERVAL_MS);
}

uint64_t gate_take(struct gate *gate, uint64_t now_ms, struct rng *rng)
{
    if (gate->credit > 0)
        gate->credit--;
    else if (now_ms < gate->next_ms)
        return gate->next_ms - now_ms;
    gate->next_ms = now_ms + SLOT_MS + rng_below(rng, SLOT_JITTER_MS + 1);
    return 0;
}

void gate_borrow(struct gate *gate, uint64_t now_ms)
{
    gate->next_ms = MAX(gate->next_ms, now_ms) + BORROWED_MS;
}

bool gate_is_closed(const struct gate *gate)
{
    return gate->bad_streak >= CLOSING_STREAK;
}

void gate_note_bad(struct gate *gate)
{
    if (!gate_is_closed(gate))
        gate->bad_streak++;
}

void gate_close(struct gate *gate)
{
    gate->bad_streak = CLOSING_STREAK;
}

static bool is_wave(struct gate *gate, uint64_t now_ms)
{
    if (now_ms < gate->wave_end_ms)
        return true;
    if (bucket_delay_ms(&gate->waves, now_ms) > 0)
        return false;
    (void)bucket_take(&gate->waves, now_ms);
    gate->wave_end_ms = now_ms + WAVE_MS;
    return true;
}

bool gate_note_good(struct gate *gate, uint64_t now_ms, bool was_gated, unsigned others)
{
    gate->bad_streak = 0;
    if (!was_gated || others == 0 || !is_wave(gate, now_ms))
        return false;
    gate->credit = MIN(gate->credit + EARNED, (unsigned)CREDIT_MAX);
    return true;
}

void gate_note_calm(struct gate *gate)
{
    gate->credit = BURST;
}
