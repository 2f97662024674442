// SPDX-License-Identifier: Apache-2.0
// A borrowed run of bytes: pointer and length, not terminated, never owned. Used by every layer to
// pass spans of a parsed message or a configuration text without copying. The owner of the bytes
// must outlive the str. Pure; safe on any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/attr.h"

struct str {
    const char *ptr; // first byte; may be NULL only when len is 0
    size_t len;      // bytes
};

// A str of a string literal; STR_INIT is the same for static initialisers.
#define STR(literal) ((struct str)STR_INIT(literal))
#define STR_INIT(literal)              \
    {                                  \
        (literal), sizeof(literal) - 1 \
    }
#define STR_NULL ((struct str){NULL, 0})
// For printf: printf("%.*s", STR_FMT(s)).
#define STR_FMT(s) (int)(s).len, (s).ptr ? (s).ptr : ""

static inline struct str str_of(const char *cstr)
{
    return (struct str){cstr, cstr ? strlen(cstr) : 0};
}

static inline struct str str_make(const char *ptr, size_t len)
{
    return (struct str){ptr, len};
}

static inline bool str_eq(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool str_starts_with(struct str s, struct str prefix)
{
    return s.len >= prefix.len && (prefix.len == 0 || memcmp(s.ptr, prefix.ptr, prefix.len) == 0);
}

static inline bool str_ends_with(struct str s, struct str suffix)
{
    return s.len >= suffix.len &&
           (suffix.len == 0 || memcmp(s.ptr + s.len - suffix.len, suffix.ptr, suffix.len) == 0);
}

// The rest of s from byte `from` (clamped to its length).
static inline struct str str_from(struct str s, size_t from)
{
    if (from > s.len)
        from = s.len;
    if (from == 0)
        return s; // NULL + 0 is undefined
    return (struct str){s.ptr + from, s.len - from};
}

static inline struct str str_upto(struct str s, size_t len)
{
    return (struct str){s.ptr, MIN(len, s.len)};
}

// ASCII only, by table-free arithmetic; bytes >= 0x80 are left alone.
static inline char char_lower(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
}

// Equal without regard to ASCII case.
bool str_ieq(struct str a, struct str b);
bool str_istarts_with(struct str s, struct str prefix);

// Bytewise order like memcmp, a shorter prefix first. <0, 0, >0.
int str_cmp(struct str a, struct str b);

// Index of the first `c` / of the first occurrence of `needle`, or -1.
ptrdiff_t str_find_char(struct str s, char c);
ptrdiff_t str_rfind_char(struct str s, char c);
ptrdiff_t str_find(struct str s, struct str needle);

// Without leading and trailing ASCII white space (space, \t, \n, \v, \f, \r).
struct str str_trim(struct str s);

// Cuts the next piece off `*rest` at `sep` and moves `*rest` behind it. False when `rest` is used
// up. "a,,b" gives "a", "", "b"; "" gives one empty piece; a trailing separator gives a last empty
// piece. A used-up rest has a NULL ptr, so an empty text to split must not have one.
bool str_split_next(struct str *rest, char sep, struct str *piece);

// Next run of non-white-space bytes of `*rest`; false when none is left.
bool str_token_next(struct str *rest, struct str *token);

// Length of the UTF-8 sequence that s (not empty) begins with (RFC 3629 section 4), 0 when it is
// not valid.
size_t str_utf8_len(struct str s);

// Decimal digits only (no sign, no space), the whole of s, at least one digit, no overflow.
MUST_CHECK bool str_to_u64(struct str s, uint64_t *value);

enum { STR_U64_MAX = 20 }; // digits of the largest number

// The decimal digits of value; they lie at the end of room.
struct str str_from_u64(uint64_t value, char room[STR_U64_MAX]);

// A fresh terminated copy, to be given to mem_free; NULL when memory is short.
MUST_CHECK char *str_dup(struct str s);
