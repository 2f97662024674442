// SPDX-License-Identifier: Apache-2.0
// Runs of bytes of a class, sixteen at a time where every CPU of the architecture can do that
// (SSE2). Included by the parsers of this folder, on whose threads it runs. Never reads a byte at
// or behind `end`. Pure.
#pragma once

#include "fields.h"

#ifdef __SSE2__
#include <emmintrin.h>

enum { SCAN_STEP = 16 };

static inline __m128i scan_load(const char *at)
{
    return _mm_loadu_si128((const __m128i *)(const void *)at);
}

// The place of the lowest of some bits.
static inline size_t scan_first(unsigned bits)
{
    return (unsigned)__builtin_ctz(bits);
}

// All letters with bit 5 set lie between 'a' and 'z'; the sum moves these to the lowest signed
// numbers.
static inline __m128i scan_letters(__m128i bytes)
{
    __m128i lower = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    __m128i moved = _mm_add_epi8(lower, _mm_set1_epi8((char)(0x80 - 'a')));
    return _mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + 26));
}

// These give a bit for each of the sixteen bytes that must be looked at singly.

// Neither a letter nor '-'.
static inline unsigned scan_odd_in_name(const char *at)
{
    __m128i bytes = scan_load(at);
    __m128i is_dash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('-'));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(scan_letters(bytes), is_dash)) ^ 0xffff;
}

// Neither a letter nor a digit, '-' or '.', which with '/' stand in one row.
static inline unsigned scan_odd_in_host(const char *at)
{
    __m128i bytes = scan_load(at);
    __m128i moved = _mm_add_epi8(bytes, _mm_set1_epi8((char)(0x80 - '-')));
    __m128i is_in_row = _mm_cmplt_epi8(moved, _mm_set1_epi8(-128 + '9' - '-' + 1));
    __m128i is_slash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('/'));
    __m128i is_good = _mm_or_si128(scan_letters(bytes), _mm_andnot_si128(is_slash, is_in_row));
    return (unsigned)_mm_movemask_epi8(is_good) ^ 0xffff;
}

// No printable ASCII. All of it moved up by one, its greatest is 0x7f, and what lies above it is
// below it when compared with signs.
static inline unsigned scan_odd_in_ascii(const char *at)
{
    __m128i moved = _mm_add_epi8(scan_load(at), _mm_set1_epi8(1));
    return (unsigned)_mm_movemask_epi8(_mm_cmpgt_epi8(moved, _mm_set1_epi8(' '))) ^ 0xffff;
}

// No CHAR_TEXT, or a tab.
static inline unsigned scan_odd_in_text(const char *at)
{
    __m128i bytes = scan_load(at);
    __m128i space = _mm_set1_epi8(' ');
    __m128i is_above = _mm_cmpeq_epi8(_mm_max_epu8(bytes, space), bytes);
    __m128i is_delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(is_delete, is_above)) ^ 0xffff;
}

// No CHAR_TARGET. Compared with signs, bytes above 0x7f are below ' '.
static inline unsigned scan_odd_in_target(const char *at)
{
    __m128i bytes = scan_load(at);
    __m128i is_above = _mm_cmpgt_epi8(bytes, _mm_set1_epi8(' '));
    __m128i is_delete = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    __m128i is_hash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('#'));
    __m128i is_bad = _mm_or_si128(is_delete, is_hash);
    return (unsigned)_mm_movemask_epi8(_mm_andnot_si128(is_bad, is_above)) ^ 0xffff;
}

// The first such byte, or where fewer than sixteen are left.
#define SCAN_STEPS(at, end, odd_in) scan_steps(at, end, odd_in)

static inline const char *scan_steps(const char *at, const char *end,
                                     unsigned (*odd_in)(const char *at))
{
    if (end - at < SCAN_STEP)
        return at;
    const char *last = end - SCAN_STEP;
    do {
        unsigned bits = odd_in(at);
        if (bits)
            return at + scan_first(bits);
        at += SCAN_STEP;
    } while (at <= last);
    return at;
}
#else
#define SCAN_STEPS(at, end, odd_in) scan_no_steps(at)

static inline const char *scan_no_steps(const char *at)
{
    return at;
}
#endif

// Each returns the first byte at or behind `at` that is not of the class, or `end`.

static inline const char *scan_token(const char *at, const char *end)
{
    at = SCAN_STEPS(at, end, scan_odd_in_name);
    while (at < end && char_is(*at, CHAR_TOKEN))
        at++;
    return at;
}

// Without tabs.
static inline const char *scan_text(const char *at, const char *end)
{
    at = SCAN_STEPS(at, end, scan_odd_in_text);
    while (at < end && char_is(*at, CHAR_TEXT) && *at != '\t')
        at++;
    return at;
}

static inline const char *scan_target(const char *at, const char *end)
{
    at = SCAN_STEPS(at, end, scan_odd_in_target);
    while (at < end && char_is(*at, CHAR_TARGET))
        at++;
    return at;
}

static inline const char *scan_host(const char *at, const char *end)
{
    at = SCAN_STEPS(at, end, scan_odd_in_host);
    while (at < end && char_is(*at, CHAR_HOST))
        at++;
    return at;
}
