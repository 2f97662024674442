// SPDX-License-Identifier: Apache-2.0
// Durations of requests by their exact status code, as one worker keeps them for one target: a few
// slots, taken in the order in which codes are first seen, so that the usual one is found at once.
// The first slot's histogram lies inside, the others are allocated when their code first comes.
// Codes beyond the last free slot share one. Written by one worker, read by the control thread at
// any time; the bounds hold whatever a target answers.
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "stats/hist.h"

enum {
    CODE_SLOTS = 16,
    CODE_NONE = 0,           // a free slot
    CODE_OTHER = 1,          // the last slot: codes for which there was no slot
    CODE_TUNNEL = 101,       // the duration is that of a session
    CODE_CLIENT_ABORT = 499, // the client went away before the answer began
};

struct code_hists {
    _Atomic uint16_t codes[CODE_SLOTS];
    alignas(8) _Atomic uint64_t sums_us[CODE_SLOTS];
    _Atomic(struct hist *) more[CODE_SLOTS - 1]; // owned; of the slots behind the first
    struct hist first;
};

// The one writer. When memory is short for a code's first time, the duration is not recorded.
void code_hists_record(struct code_hists *hists, unsigned code, uint64_t value_us);
// Frees what the slots hold; nobody records or reads any more.
void code_hists_fini(struct code_hists *hists);

// The slot's code and histogram; NULL when it is free, and so are all behind it.
const struct hist *code_hists_at(const struct code_hists *hists, unsigned slot, unsigned *code);
// Read before the histogram: a sum that was seen has its bucket counted.
uint64_t code_hists_sum_us(const struct code_hists *hists, unsigned slot);
// Whether the code stands for a complete response rather than a session or an abort.
static inline int code_is_response(unsigned code)
{
    return code != CODE_TUNNEL && code != CODE_CLIENT_ABORT;
}
// sum += all complete responses.
void code_hists_add(struct hist_sum *sum, const struct code_hists *hists);
