// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"

#include <string.h>

static const uint64_t SECRET_A = 0xa0761d6478bd642fULL;
static const uint64_t SECRET_B = 0xe7037ed1a0b428dbULL;

static uint64_t mix(uint64_t a, uint64_t b)
{
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Up to seven bytes as one number, without a loop or a call; that their number is part of the state
// tells apart what reads alike.
static uint64_t read_tail(const unsigned char *p, size_t len)
{
    uint32_t low, high;
    if (len < 4)
        return (uint64_t)p[0] << 16 | (uint64_t)p[len / 2] << 8 | p[len - 1];
    memcpy(&low, p, 4);
    memcpy(&high, p + len - 4, 4);
    return (uint64_t)high << 32 | low;
}

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t state = mix(seed ^ SECRET_A, SECRET_B ^ len);
    uint64_t word;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        state = mix(state ^ word, SECRET_B);
    }
    if (len)
        state = mix(state ^ read_tail(p, len), SECRET_A);
    return mix(state ^ SECRET_A, SECRET_B);
}
