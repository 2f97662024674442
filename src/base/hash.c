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

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed)
{
    const unsigned char *p = bytes;
    uint64_t state = mix(seed ^ SECRET_A, SECRET_B ^ len);
    uint64_t word;
    for (; len >= 8; p += 8, len -= 8) {
        memcpy(&word, p, 8);
        state = mix(state ^ word, SECRET_B);
    }
    if (len) {
        word = 0;
        memcpy(&word, p, len);
        state = mix(state ^ word, SECRET_A);
    }
    return mix(state ^ SECRET_A, SECRET_B);
}
