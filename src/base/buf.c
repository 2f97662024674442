// SPDX-License-Identifier: Apache-2.0
#include "base/buf.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum { BUF_FIRST_CAP = 256 };

void buf_init(struct buf *buf, size_t max)
{
    *buf = (struct buf){.max = max};
}

void buf_fini(struct buf *buf)
{
    mem_free(buf->ptr);
    buf_init(buf, buf->max);
}

void buf_clear(struct buf *buf)
{
    buf->len = 0;
    buf->failure = 0;
}

int buf_status(const struct buf *buf)
{
    return buf->failure;
}

int buf_reserve(struct buf *buf, size_t more)
{
    if (buf->failure)
        return buf->failure;
    if (more > buf->max - buf->len)
        return buf->failure = ERR_TOO_LARGE;
    size_t need = buf->len + more;
    if (need <= buf->cap)
        return 0;
    size_t cap = MAX(buf->cap, (size_t)BUF_FIRST_CAP);
    while (cap < need)
        cap = cap > buf->max / 2 ? buf->max : cap * 2;
    cap = MAX(cap, need);
    char *ptr = mem_realloc(buf->ptr, cap);
    if (!ptr)
        return buf->failure = ERR_NOMEM;
    buf->ptr = ptr;
    buf->cap = cap;
    return 0;
}

void buf_append(struct buf *buf, const void *bytes, size_t len)
{
    if (len == 0 || buf_reserve(buf, len) != 0)
        return;
    memcpy(buf->ptr + buf->len, bytes, len);
    buf->len += len;
}

void buf_append_str(struct buf *buf, struct str s)
{
    buf_append(buf, s.ptr, s.len);
}

void buf_append_cstr(struct buf *buf, const char *cstr)
{
    buf_append(buf, cstr, strlen(cstr));
}

void buf_append_char(struct buf *buf, char c)
{
    buf_append(buf, &c, 1);
}

void buf_append_u64(struct buf *buf, uint64_t value)
{
    char digits[STR_U64_MAX];
    buf_append_str(buf, str_from_u64(value, digits));
}

void buf_printf(struct buf *buf, const char *fmt, ...)
{
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    // One byte more than the text: vsnprintf terminates, len does not count it.
    if (len > 0 && buf_reserve(buf, (size_t)len + 1) == 0) {
        vsnprintf(buf->ptr + buf->len, (size_t)len + 1, fmt, again);
        buf->len += (size_t)len;
    }
    va_end(again);
}

void buf_append_json(struct buf *buf, struct str s)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t at = 0;
    size_t plain_from = 0;

    buf_append_char(buf, '"');
    while (at < s.len) {
        unsigned char c = p[at];
        size_t len = str_utf8_len(str_from(s, at));
        bool is_line_separator =
            len == 3 && c == 0xe2 && p[at + 1] == 0x80 && (p[at + 2] | 1) == 0xa9;
        bool is_plain = len > 1 ? !is_line_separator
                                : len == 1 && c >= 0x20 && c != '"' && c != '\\' && c != '<' &&
                                      c != '>' && c != '&' && c != 0x7f;
        if (is_plain) {
            at += len;
            continue;
        }
        buf_append(buf, s.ptr + plain_from, at - plain_from);
        switch (c) {
        case '"': buf_append_cstr(buf, "\\\""); break;
        case '\\': buf_append_cstr(buf, "\\\\"); break;
        case '\n': buf_append_cstr(buf, "\\n"); break;
        case '\r': buf_append_cstr(buf, "\\r"); break;
        case '\t': buf_append_cstr(buf, "\\t"); break;
        default:
            if (len == 0)
                buf_append_cstr(buf, "\\ufffd");
            else if (is_line_separator)
                buf_append_cstr(buf, p[at + 2] == 0xa8 ? "\\u2028" : "\\u2029");
            else
                buf_printf(buf, "\\u%04x", c);
        }
        at += len ? len : 1;
        plain_from = at;
    }
    buf_append_str(buf, str_from(s, plain_from));
    buf_append_char(buf, '"');
}

void buf_consume(struct buf *buf, size_t n)
{
    BUG_ON(n > buf->len);
    if (n == 0)
        return;
    buf->len -= n;
    memmove(buf->ptr, buf->ptr + n, buf->len);
}
