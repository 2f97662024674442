// SPDX-License-Identifier: Apache-2.0
// What the other files of this folder share: the classes of bytes and the recognition of field
// names. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/head.h"

enum char_class {
    CHAR_TOKEN = 1,  // tchar, RFC 9110 section 5.6.2
    CHAR_TARGET = 2, // what a request target may hold: visible ASCII without '#'
    CHAR_HOST = 4,   // reg-name without percent-encoding, RFC 3986 section 3.2.2
    CHAR_TEXT = 8,   // field value: HTAB, SP, visible ASCII, 0x80-0xff
    CHAR_PATH = 16,  // written as it is when a path is encoded again
};

extern const uint8_t HTTP_CHAR_CLASS[256];

static inline bool char_is(char c, enum char_class char_class)
{
    return HTTP_CHAR_CLASS[(uint8_t)c] & char_class;
}

// Whether all bytes are of the class; true for an empty s.
bool http_chars_are(struct str s, enum char_class char_class);

// 0-15, or -1 when c is no hex digit.
static inline int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static inline bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

// One step of is_lower: 4 or 8 bytes.
static ALWAYS_INLINE bool is_lower_word(const char *text, const char *lower, size_t len)
{
    uint64_t a = 0;
    uint64_t b = 0;

    memcpy(&a, text, len);
    memcpy(&b, lower, len);
    return (a | (len == 8 ? 0x2020202020202020 : 0x20202020)) == b;
}

// Compares a name or other text without controls with a literal in lower case of the same length.
// Setting bit 5 lowers letters and leaves '-' and digits alone; no other byte that can be in such
// text becomes a letter, digit or '-' by it. The length is a constant, so that this comes down to
// one or two comparisons of words; the last word may overlap the one before.
static ALWAYS_INLINE bool is_lower(const char *text, const char *lower, size_t len)
{
    if (len >= 8) {
        for (size_t i = 0; i + 8 < len; i += 8) {
            if (!is_lower_word(text + i, lower + i, 8))
                return false;
        }
        size_t last = len - 8;
        return is_lower_word(text + last, lower + last, 8);
    }
    if (len >= 4) {
        size_t last = len - 4;
        return is_lower_word(text, lower, 4) && is_lower_word(text + last, lower + last, 4);
    }
    for (size_t i = 0; i < len; i++) {
        if ((text[i] | 0x20) != lower[i])
            return false;
    }
    return true;
}

#define IS_LOWER(s, literal) \
    ((s).len == sizeof(literal) - 1 && is_lower((s).ptr, literal, sizeof(literal) - 1))

// The field with that name, any case; names that begin with X-Forwarded- and are not in the list
// are HTTP_FIELD_X_FORWARDED_OTHER.
enum http_field_id http_field_lookup(struct str name);

// Whether the name, with '_' read as '-', is one of framing, routing or forwarding while it is not
// that name itself. Many origins (CGI, WSGI) cannot tell the two apart.
bool http_field_is_shadow(struct str name);

// Equal without regard to case and to the difference of '_' and '-'.
bool http_name_resembles(struct str a, struct str b);

// Hop-by-hop whatever Connection says (RFC 9110 section 7.6.1).
bool http_field_is_hop(enum http_field_id id);

// Forwarding information: X-Forwarded-*, X-Real-Ip, Forwarded.
bool http_field_is_forwarding(enum http_field_id id);

// Fields a peer cannot delete by naming them in Connection.
bool http_field_is_protected(enum http_field_id id);

// Moves *rest behind its next comma and gives the trimmed member before it, empty members included.
// False when the list is used up.
bool http_list_next(struct str *rest, struct str *member);
