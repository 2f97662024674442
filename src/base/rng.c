// SPDX-License-Identifier: Apache-2.0
#include "base/rng.h"

#include <sys/random.h>

#include "base/clock.h"

void rng_init(struct rng *rng, uint64_t seed)
{
    // splitmix64, as the authors of xoshiro recommend for seeding.
    for (int i = 0; i < 4; i++) {
        uint64_t z = seed += 0x9e3779b97f4a7c15ULL;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
        rng->state[i] = z ^ (z >> 31);
    }
}

void rng_init_random(struct rng *rng)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = clock_now_us() ^ (uint64_t)(uintptr_t)rng;
    rng_init(rng, seed);
}

void rng_fill(void *bytes, size_t len)
{
    for (size_t at = 0; at < len;) {
        ssize_t got = getrandom((char *)bytes + at, len - at, 0);
        if (got > 0)
            at += (size_t)got; // else interrupted by a signal: there is no other failure
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotl(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

uint32_t rng_below(struct rng *rng, uint32_t bound)
{
    return (uint32_t)(((rng_next(rng) >> 32) * bound) >> 32);
}
