// SPDX-License-Identifier: Apache-2.0
// Seeded 64-bit hash for in-memory tables, in the manner of wyhash (Wang Yi, public domain): eight
// bytes at a time through a 64x64->128 multiply. Not for anything that must resist forgery or that
// leaves the process. Pure.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

uint64_t hash_bytes(const void *bytes, size_t len, uint64_t seed);

// For one text after the other: where they end counts.
static inline uint64_t hash_str(struct str s, uint64_t seed)
{
    return hash_bytes(s.ptr, s.len, seed + s.len);
}
