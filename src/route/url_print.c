// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "url.h"

static bool is_unreserved(char c)
{
    char lower = char_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && strchr("-_.~$&+,/:;=@", c));
}

// Whether the path may be printed as it was written. What stands behind '%' was checked before.
static bool is_valid_path(struct str path)
{
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (!is_unreserved(c) && (c == '\0' || !strchr("!'()*[]%", c)))
            return false;
    }
    return true;
}

static char *print_byte(char *out, char c)
{
    static const char digits[] = "0123456789ABCDEF";
    unsigned char byte = (unsigned char)c;
    *out++ = '%';
    *out++ = digits[byte >> 4];
    *out++ = digits[byte & 15];
    return out;
}

static char *print_verbatim(char *out, const char *from, const char *to)
{
    memcpy(out, from, (size_t)(to - from));
    return out + (to - from);
}

static unsigned hex_value(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : char_lower(c) - 'a' + 10);
}

// Decoded and encoded anew, as a whole: that is net/url's way with a path that has to be escaped.
static char *print_path(char *out, struct str path)
{
    if (is_valid_path(path))
        return print_verbatim(out, path.ptr, path.ptr + path.len);
    for (size_t i = 0; i < path.len; i++) {
        char c = path.ptr[i];
        if (c == '%') {
            c = (char)(hex_value(path.ptr[i + 1]) << 4 | hex_value(path.ptr[i + 2]));
            i += 2;
        }
        if (is_unreserved(c))
            *out++ = c;
        else
            out = print_byte(out, c);
    }
    return out;
}

size_t url_print(struct str text, const struct url *url, char *out)
{
    char *begin = out;
    const char *at = text.ptr, *end = text.ptr + text.len;
    for (size_t i = 0; i < url->scheme.len; i++)
        *out++ = char_lower(*at++);
    for (size_t i = 0; i < url->host.len; i++) {
        if (i == 0) {
            out = print_verbatim(out, at, url->host.ptr);
            at = url->host.ptr;
        }
        char c = *at++;
        if ((signed char)c < 0)
            out = print_byte(out, c);
        else
            *out++ = c;
    }
    if (url->path.len > 0) {
        out = print_verbatim(out, at, url->path.ptr);
        bool is_first = out == begin;
        out = print_path(out, url->path);
        at = url->path.ptr + url->path.len;
        // What stands before a colon would be read as a scheme (RFC 3986 section 4.2). The colon
        // was three bytes in the text, so there is room.
        const char *colon = is_first ? memchr(begin, ':', (size_t)(out - begin)) : NULL;
        if (colon && !memchr(begin, '/', (size_t)(colon - begin))) {
            memmove(begin + 2, begin, (size_t)(out - begin));
            memcpy(begin, "./", 2);
            out += 2;
        }
    }
    const char *fragment = memchr(at, '#', (size_t)(end - at));
    bool has_empty_fragment = fragment && fragment == end - 1;
    out = print_verbatim(out, at, end - has_empty_fragment);
    return (size_t)(out - begin);
}
