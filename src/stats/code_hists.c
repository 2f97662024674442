// SPDX-License-Identifier: Apache-2.0
#include "stats/code_hists.h"

#include "base/attr.h"
#include "base/mem.h"

// The slot of the code, taken now if need be.
static unsigned find_slot(struct code_hists *hists, unsigned code)
{
    unsigned slot = 0;
    for (; slot < CODE_SLOTS - 1; slot++) {
        unsigned taken = atomic_load_explicit(&hists->codes[slot], memory_order_relaxed);
        if (LIKELY(taken == code) || taken == CODE_NONE)
            break;
    }
    return slot;
}

static struct hist *take_slot(struct code_hists *hists, unsigned slot, unsigned code)
{
    struct hist *hist = &hists->first;
    if (slot > 0) {
        hist = mem_zalloc(sizeof *hist);
        if (!hist)
            return NULL;
        atomic_store_explicit(&hists->more[slot - 1], hist, memory_order_relaxed);
    }
    if (slot == CODE_SLOTS - 1)
        code = CODE_OTHER;
    // The control thread reads the histogram as soon as it sees the code.
    atomic_store_explicit(&hists->codes[slot], (uint16_t)code, memory_order_release);
    return hist;
}

void code_hists_record(struct code_hists *hists, unsigned code, uint64_t value_us)
{
    unsigned slot = find_slot(hists, code);
    struct hist *hist;
    if (UNLIKELY(atomic_load_explicit(&hists->codes[slot], memory_order_relaxed) == CODE_NONE)) {
        hist = take_slot(hists, slot, code);
        if (!hist)
            return;
    } else {
        hist = slot == 0 ? &hists->first
                         : atomic_load_explicit(&hists->more[slot - 1], memory_order_relaxed);
    }
    hist_record(hist, value_us);
    _Atomic uint64_t *sum_us = &hists->sums_us[slot];
    atomic_store_explicit(sum_us, atomic_load_explicit(sum_us, memory_order_relaxed) + value_us,
                          memory_order_release);
}

void code_hists_fini(struct code_hists *hists)
{
    for (unsigned i = 0; i < CODE_SLOTS - 1; i++)
        mem_free(atomic_load_explicit(&hists->more[i], memory_order_acquire));
}

const struct hist *code_hists_at(const struct code_hists *hists, unsigned slot, unsigned *code)
{
    // C11 has no const atomic_load; the object is only read.
    struct code_hists *own = (struct code_hists *)hists;
    *code = atomic_load_explicit(&own->codes[slot], memory_order_acquire);
    if (*code == CODE_NONE)
        return NULL;
    return slot == 0 ? &hists->first
                     : atomic_load_explicit(&own->more[slot - 1], memory_order_relaxed);
}

uint64_t code_hists_sum_us(const struct code_hists *hists, unsigned slot)
{
    return atomic_load_explicit((_Atomic uint64_t *)&hists->sums_us[slot], memory_order_acquire);
}

void code_hists_add(struct hist_sum *sum, const struct code_hists *hists)
{
    for (unsigned slot = 0; slot < CODE_SLOTS; slot++) {
        unsigned code;
        const struct hist *hist = code_hists_at(hists, slot, &code);
        if (hist && code_is_response(code))
            hist_add(sum, hist);
    }
}
