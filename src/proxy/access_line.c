// SPDX-License-Identifier: Apache-2.0
#include "proxy/access_line.h"

#include <string.h>
#include <time.h>

void line_put(struct line *line, struct str s)
{
    size_t len = MIN(s.len, line->max - line->len);
    if (len == 0)
        return;
    memcpy(line->out + line->len, s.ptr, len);
    line->len += len;
}

void line_put_cstr(struct line *line, const char *cstr)
{
    line_put(line, str_of(cstr));
}

void line_put_u64(struct line *line, uint64_t value)
{
    char room[STR_U64_MAX];
    line_put(line, str_from_u64(value, room));
}

void line_put_padded(struct line *line, uint64_t value, unsigned digits)
{
    char room[STR_U64_MAX];
    struct str text = str_from_u64(value, room);
    for (size_t i = text.len; i < digits; i++)
        line_put_cstr(line, "0");
    line_put(line, text);
}

static size_t hex_escape(char *out, const char *prefix, unsigned char c)
{
    static const char HEX[] = "0123456789abcdef";
    size_t len = strlen(prefix);
    memcpy(out, prefix, len);
    out[len] = HEX[c >> 4];
    out[len + 1] = HEX[c & 15];
    return len + 2;
}

// The escape of the first character of s for a plain line: all but printable ASCII as \xNN.
static size_t escape_plain(struct str s, char *out, size_t *taken)
{
    unsigned char c = (unsigned char)*s.ptr;
    *taken = 1;
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
    }
    if (c >= 0x20 && c < 0x7f) {
        out[0] = (char)c;
        return 1;
    }
    return hex_escape(out, "\\x", c);
}

// For a JSON string (RFC 8259 section 7): UTF-8 passes, but for the C1 controls; other bytes above
// ASCII become U+FFFD.
static size_t escape_json(struct str s, char *out, size_t *taken)
{
    unsigned char c = (unsigned char)*s.ptr;
    *taken = 1;
    if (c < 0x80)
        return c >= 0x20 && c < 0x7f ? escape_plain(s, out, taken) : hex_escape(out, "\\u00", c);
    size_t len = str_utf8_len(s);
    if (len == 0) {
        memcpy(out, "\\ufffd", 6);
        return 6;
    }
    *taken = len;
    if (len == 2 && c == 0xc2 && (unsigned char)s.ptr[1] < 0xa0)
        return hex_escape(out, "\\u00", (unsigned char)s.ptr[1]);
    memcpy(out, s.ptr, len);
    return len;
}

void line_put_escaped(struct line *line, struct str s, size_t max)
{
    size_t start = line->len;
    while (s.len) {
        char piece[8];
        size_t taken;
        size_t len = line->is_json ? escape_json(s, piece, &taken) : escape_plain(s, piece, &taken);
        if (line->len - start + len > max - 3) {
            line_put_cstr(line, "...");
            return;
        }
        if (len > line->max - line->len)
            return; // half an escape would say something else
        line_put(line, str_make(piece, len));
        s = str_from(s, taken);
    }
}

static void split_time(uint64_t wall_us, struct tm *utc)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    gmtime_r(&seconds, utc);
}

static void put_clock(struct line *line, const struct tm *utc)
{
    line_put_padded(line, (uint64_t)utc->tm_hour, 2);
    line_put_cstr(line, ":");
    line_put_padded(line, (uint64_t)utc->tm_min, 2);
    line_put_cstr(line, ":");
    line_put_padded(line, (uint64_t)utc->tm_sec, 2);
}

void line_put_time_common(struct line *line, uint64_t wall_us)
{
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm utc;
    split_time(wall_us, &utc);
    line_put_padded(line, (uint64_t)utc.tm_mday, 2);
    line_put_cstr(line, "/");
    line_put(line, str_make(&MONTHS[3 * utc.tm_mon], 3));
    line_put_cstr(line, "/");
    line_put_padded(line, (uint64_t)utc.tm_year + 1900, 4);
    line_put_cstr(line, ":");
    put_clock(line, &utc);
    line_put_cstr(line, " +0000");
}

// The decimals of a second.
static void put_fraction(struct line *line, uint64_t us, unsigned decimals)
{
    uint64_t ns = us % 1000000 * 1000;
    for (unsigned i = decimals; i < 9; i++)
        ns /= 10;
    line_put_cstr(line, ".");
    line_put_padded(line, ns, decimals);
}

void line_put_time_rfc3339(struct line *line, uint64_t wall_us, unsigned decimals)
{
    struct tm utc;
    split_time(wall_us, &utc);
    line_put_padded(line, (uint64_t)utc.tm_year + 1900, 4);
    line_put_cstr(line, "-");
    line_put_padded(line, (uint64_t)utc.tm_mon + 1, 2);
    line_put_cstr(line, "-");
    line_put_padded(line, (uint64_t)utc.tm_mday, 2);
    line_put_cstr(line, "T");
    put_clock(line, &utc);
    if (decimals > 0)
        put_fraction(line, wall_us, decimals);
    line_put_cstr(line, "Z");
}

void line_put_seconds(struct line *line, uint64_t us, unsigned decimals)
{
    line_put_u64(line, us / 1000000);
    put_fraction(line, us, decimals);
}
