// SPDX-License-Identifier: Apache-2.0
// A growable byte buffer with a hard maximum, for text that is built up: JSON, metrics, log lines,
// pages. Appending never fails visibly in the middle; the first failure (shortage or maximum) is
// remembered and every later append is dropped, so callers check once, at the end. Owns its bytes.
// Not thread-safe.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct buf {
    char *ptr;   // owned; NULL while nothing was appended
    size_t len;  // bytes in use
    size_t cap;  // bytes allocated
    size_t max;  // hard maximum of len
    int failure; // 0, ERR_NOMEM or ERR_TOO_LARGE
};

// An empty buffer that may grow to `max` bytes. Allocates nothing.
void buf_init(struct buf *buf, size_t max);
// Frees the bytes; the buffer is empty and usable again with the same maximum.
void buf_fini(struct buf *buf);
// Forgets content and failure, keeps the memory.
void buf_clear(struct buf *buf);
// 0 or the first failure.
MUST_CHECK int buf_status(const struct buf *buf);

// Room for `more` bytes behind len; 0, ERR_NOMEM or ERR_TOO_LARGE (also remembered).
int buf_reserve(struct buf *buf, size_t more);

void buf_append(struct buf *buf, const void *bytes, size_t len);
void buf_append_str(struct buf *buf, struct str s);
void buf_append_cstr(struct buf *buf, const char *cstr);
void buf_append_char(struct buf *buf, char c);
void buf_append_u64(struct buf *buf, uint64_t value);
void buf_printf(struct buf *buf, const char *fmt, ...) PRINTF_LIKE(2, 3);

// Appends s as a quoted JSON string (RFC 8259 section 7). Control bytes, `<`, `>`, `&`, U+2028/2029
// and DEL are written as \u escapes so that the text is also safe inside a page; bytes that are not
// UTF-8 become U+FFFD.
void buf_append_json(struct buf *buf, struct str s);

// Drops the first n bytes (n <= len).
void buf_consume(struct buf *buf, size_t n);

static inline struct str buf_str(const struct buf *buf)
{
    return (struct str){buf->ptr, buf->len};
}
