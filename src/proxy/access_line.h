// SPDX-License-Identifier: Apache-2.0
// One access log line while it is written: bounded, and closed to what comes from outside. Used by
// the two forms of a line, access_format.c and access_json.c, on the worker's thread; the memory is
// the caller's. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"
#include "proxy/access_log.h"

// Longest output of a field, escapes included.
enum {
    LINE_SHORT_MAX = 128,
    LINE_NAME_MAX = 256,
    LINE_TEXT_MAX = 1024,
    LINE_TARGET_MAX = 2048,
};

struct line {
    char *out;
    size_t len;
    size_t max; // what does not fit is left out
    bool is_json;
};

void line_put(struct line *line, struct str s);
void line_put_cstr(struct line *line, const char *cstr);
void line_put_u64(struct line *line, uint64_t value);
// With zeros in front, `digits` (at most STR_U64_MAX) of them.
void line_put_padded(struct line *line, uint64_t value, unsigned digits);
// Text from outside: controls, quotes, backslashes, DEL and C1 controls are escaped, and in a plain
// line everything above ASCII. At most `max` bytes; what is cut ends with "...".
void line_put_escaped(struct line *line, struct str s, size_t max);

// "23/Nov/2026:15:04:05 +0000", UTC.
void line_put_time_common(struct line *line, uint64_t wall_us);
// "2026-11-23T15:04:05.678901Z", UTC, with so many decimals (0 to 9).
void line_put_time_rfc3339(struct line *line, uint64_t wall_us, unsigned decimals);
// "1.500": seconds with 3, 6 or 9 decimals, cut.
void line_put_seconds(struct line *line, uint64_t us, unsigned decimals);

// access_format.c and access_json.c: the line without its newline.
struct access_format;
void line_put_format(struct line *line, const struct access_format *format,
                     const struct access_entry *entry);
void line_put_json(struct line *line, const struct access_entry *entry);

// The value that the field with this name had when the request was sent on, or else as it came.
struct str access_entry_field(const struct access_entry *entry, struct str name);
