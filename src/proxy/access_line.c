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

// The escape of the first character of s, which needs one, for a plain line: \xNN for all that is
// not printable ASCII.
static size_t escape_plain(struct str s, char *out, size_t *taken)
{
    unsigned char c = (unsigned char)*s.ptr;
    *taken = 1;
    if (c == '"' || c == '\\') {
        out[0] = '\\';
        out[1] = (char)c;
        return 2;
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

// High bits of bytes, little-endian: of eight, whether any is a control, a quote, a backslash, DEL
// or above ASCII.
static bool has_odd_byte(const char *at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), highs = ones << 7;
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    uint64_t quote = bytes ^ (ones * '"'), backslash = bytes ^ (ones * '\\');
    uint64_t below_space = (bytes - ones * ' ') & ~bytes;
    uint64_t is_quote = (quote - ones) & ~quote, is_backslash = (backslash - ones) & ~backslash;
    return ((bytes | (bytes + ones) | below_space | is_quote | is_backslash) & highs) != 0;
}

// How many bytes s begins with that stand for themselves in either form.
static size_t plain_len(struct str s)
{
    size_t len = 0;
    while (len + 8 <= s.len && !has_odd_byte(s.ptr + len))
        len += 8;
    for (; len < s.len; len++) {
        unsigned char c = (unsigned char)s.ptr[len];
        if (c < ' ' || c >= 0x7f || c == '"' || c == '\\')
            break;
    }
    return len;
}

void line_put_escaped(struct line *line, struct str s, size_t max)
{
    size_t end = line->len + max - 3;
    while (s.len) {
        char piece[8];
        size_t taken = plain_len(s);
        struct str text = str_upto(s, taken);
        bool is_escape = taken == 0;
        if (is_escape)
            text = str_make(piece, line->is_json ? escape_json(s, piece, &taken)
                                                 : escape_plain(s, piece, &taken));
        // Half an escape would say something else, half a run is what there is room for.
        if (line->len + text.len > end) {
            line_put(line, is_escape ? STR_NULL : str_upto(text, end - line->len));
            line_put_cstr(line, "...");
            return;
        }
        if (is_escape && text.len > line->max - line->len)
            return;
        line_put(line, text);
        s = str_from(s, taken);
    }
}

// Both forms of one second without its fraction: most lines are of the same one as the line before.
struct second {
    uint64_t at;
    char common[64];
    char rfc3339[64];
};

static const struct second *second_of(uint64_t wall_us)
{
    static _Thread_local struct second last = {.at = UINT64_MAX};
    time_t seconds = (time_t)(wall_us / 1000000);
    if (last.at != (uint64_t)seconds) {
        struct tm utc;
        gmtime_r(&seconds, &utc);
        last.at = (uint64_t)seconds;
        // The names are English whatever the locale: the process never sets one.
        strftime(last.common, sizeof last.common, "%d/%b/%Y:%H:%M:%S +0000", &utc);
        strftime(last.rfc3339, sizeof last.rfc3339, "%Y-%m-%dT%H:%M:%S", &utc);
    }
    return &last;
}

void line_put_time_common(struct line *line, uint64_t wall_us)
{
    line_put_cstr(line, second_of(wall_us)->common);
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
    line_put_cstr(line, second_of(wall_us)->rfc3339);
    if (decimals > 0)
        put_fraction(line, wall_us, decimals);
    line_put_cstr(line, "Z");
}

void line_put_seconds(struct line *line, uint64_t us, unsigned decimals)
{
    line_put_u64(line, us / 1000000);
    put_fraction(line, us, decimals);
}
