// SPDX-License-Identifier: Apache-2.0
#include "stats/metric_name.h"

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    char low = char_lower(c);
    return (low >= 'a' && low <= 'z') || is_digit(c) || c == '_';
}

void metric_clean(struct buf *out, struct str text)
{
    if (text.len == 0)
        buf_append_char(out, '_');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        buf_append_char(out, (char)(c == '.' || c == ':' ? '_' : char_lower(c)));
    }
}

void metric_tidy(struct buf *out, struct str text)
{
    if (text.len == 0)
        buf_append_char(out, '_');
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        buf_append_char(out, (char)(is_word(c) || c == '-' ? char_lower(c) : '_'));
    }
}

void metric_escape(struct buf *out, struct str text, const char *breaking)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool breaks = (unsigned char)c <= ' ' || c == 0x7f || strchr(breaking, c);
        buf_append_char(out, (char)(breaks ? '_' : c));
    }
}

void metric_prometheus(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool is_allowed = is_word(c) || c == ':';
        // Go counts characters: the bytes behind the first of one give nothing.
        if (((unsigned char)c & 0xc0) == 0x80)
            continue;
        buf_append_char(out, (char)(is_allowed && !(out->len == 0 && is_digit(c)) ? c : '_'));
    }
}
