// SPDX-License-Identifier: Apache-2.0
// Fast pseudo-random numbers for load balancing and jitter: xoshiro256** (Blackman and Vigna,
// public domain). Not for secrets: those come
// from rng_fill. One state per thread; not thread-safe.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

// Seeds from a number (tests) or, with rng_init_random, from the kernel.
void rng_init(struct rng *rng, uint64_t seed);
void rng_init_random(struct rng *rng);

// Bytes nobody can foretell, straight from the kernel; any thread.
void rng_fill(void *bytes, size_t len);

uint64_t rng_next(struct rng *rng);
// Uniform in [0, bound); 0 when bound is 0. Bias is below 2^-32.
uint32_t rng_below(struct rng *rng, uint32_t bound);
