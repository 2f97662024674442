// SPDX-License-Identifier: Apache-2.0
// Streams of requests that look like ones of the wire suite and are not: the techniques of hiding a
// message from one of two readers, as in tests/wire/mutate.py, fast enough for millions. Seeds and
// dictionary are a file that readers.py writes; the numbers drawn tell the whole run.
#pragma once

#include "base/rng.h"
#include "base/str.h"

enum {
    MUTATE_SEEDS_MAX = 2048,
    MUTATE_ROOM = 32 << 10, // a seed grows to no more
};

struct mutator {
    struct rng rng;
    char *file; // what the texts point into; owned
    struct str seeds[MUTATE_SEEDS_MAX];
    struct str tokens[MUTATE_SEEDS_MAX]; // inserted anywhere
    struct str lines[MUTATE_SEEDS_MAX];  // inserted as field lines
    uint32_t seed_count, token_count, line_count;
    char room[2][MUTATE_ROOM];
    char out[4 * MUTATE_ROOM];
};

// Exits with a message when the file is not what it should be.
void mutator_init(struct mutator *mutator, const char *path, uint64_t seed);
void mutator_fini(struct mutator *mutator);
// The next stream: one to three requests, one of them changed at least. Valid until the next call.
struct str mutator_next(struct mutator *mutator);
