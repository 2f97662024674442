// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <math.h>
#include <stdlib.h>

#include "base/ip.h"

enum { HOST_LEN_MAX = 255 }; // no longer name can be resolved

// Bytes of the white-space character that s begins with (Unicode's White_Space in UTF-8), or 0.
static size_t space_len(struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (s.len == 0)
        return 0;
    if (p[0] == ' ' || (p[0] >= '\t' && p[0] <= '\r'))
        return 1;
    if (s.len >= 2 && p[0] == 0xc2 && (p[1] == 0x85 || p[1] == 0xa0)) // U+0085, U+00A0
        return 2;
    if (s.len < 3 || p[0] < 0xe1 || p[0] > 0xe3)
        return 0;
    unsigned code = (p[0] & 0x0fU) << 12 | (p[1] & 0x3fU) << 6 | (p[2] & 0x3fU);
    bool is_space = code == 0x1680 || (code >= 0x2000 && code <= 0x200a) || code == 0x2028 ||
                    code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
    return is_space && (p[1] & 0xc0) == 0x80 && (p[2] & 0xc0) == 0x80 ? 3 : 0;
}

bool text_field_next(struct str *rest, struct str *field)
{
    size_t len;
    while ((len = space_len(*rest)) > 0)
        *rest = str_from(*rest, len);
    struct str s = *rest;
    while (s.len > 0 && space_len(s) == 0)
        s = str_from(s, 1);
    *field = str_upto(*rest, rest->len - s.len);
    *rest = s;
    return field->len > 0;
}

struct str text_trim(struct str s)
{
    size_t len;
    while ((len = space_len(s)) > 0)
        s = str_from(s, len);
    for (size_t back = 1; back <= 3 && back <= s.len; back++) {
        if (space_len(str_from(s, s.len - back)) == back) {
            s.len -= back;
            back = 0;
        }
    }
    return s;
}

bool text_has_control(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= 0x20 || c == 0x7f)
            return true;
    }
    return false;
}

bool text_breaks_target(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c <= 0x20 || c >= 0x7f || c == '#')
            return true;
    }
    return false;
}

// RFC 3986 section 3.2.2, unreserved and sub-delims; nobody can resolve what is escaped.
static bool is_reg_name(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        bool is_alnum = (c >= '0' && c <= '9') || (char_lower(c) >= 'a' && char_lower(c) <= 'z');
        if (!is_alnum && (c == '\0' || !strchr("-._~!$&'()*+,;=", c)))
            return false;
    }
    return s.len > 0 && s.len <= HOST_LEN_MAX;
}

bool text_is_host(struct str s)
{
    uint8_t address[IP_LEN];
    return is_reg_name(s) || (str_find_char(s, ':') >= 0 && ip_parse(s, address));
}

bool text_is_authority(struct str s)
{
    bool has_brackets = s.len > 0 && s.ptr[0] == '[';
    ptrdiff_t end = str_find_char(s, has_brackets ? ']' : ':');
    if (has_brackets && end < 0)
        return false;
    struct str host = end < 0 ? s : str_upto(s, (size_t)end);
    struct str port = str_from(s, host.len + has_brackets);
    uint64_t number;
    if (has_brackets)
        host = str_from(host, 1);
    if (!text_is_host(host) || has_brackets != (str_find_char(host, ':') >= 0))
        return false;
    if (port.len <= 1)
        return port.len == 0 || port.ptr[0] == ':';
    return port.ptr[0] == ':' && port.len <= 6 && str_to_u64(str_from(port, 1), &number) &&
           number <= UINT16_MAX;
}

bool text_to_weight(struct str s, double *weight)
{
    char text[64];
    if (s.len == 0 || s.len >= sizeof text || text_has_control(s))
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    char *end;
    double value = strtod(text, &end);
    // strtod takes two forms that Go does not: "0x10" without exponent, and "nan(...)".
    bool is_foreign = strchr(text, '(') || (strpbrk(text, "xX") && !strpbrk(text, "pP"));
    if (end != text + s.len || is_foreign)
        return false;
    if (isnan(value))
        value = 0;
    // Weights are shares; the bound keeps sums of them exact enough and finite.
    if (fabs(value) > 1e9)
        return false;
    *weight = value;
    return true;
}
