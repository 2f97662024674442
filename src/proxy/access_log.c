// SPDX-License-Identifier: Apache-2.0
// Formatting of access log lines; the way to the descriptor is in access_ring.c.
#include "proxy/access_log.h"

#include <stdio.h>
#include <time.h>

// Longest output of a field, escapes included; together with the punctuation below ACCESS_LINE_MAX.
enum {
    SHORT_MAX = 128,
    NAME_MAX_OUT = 256,
    TEXT_MAX = 1024,
    TARGET_MAX = 2048,
};

struct line {
    char *out;
    size_t len;
    enum access_log_format format;
};

static void put(struct line *line, const char *bytes, size_t len)
{
    memcpy(line->out + line->len, bytes, len);
    line->len += len;
}

static void put_cstr(struct line *line, const char *cstr)
{
    put(line, cstr, strlen(cstr));
}

static void put_u64(struct line *line, uint64_t value)
{
    char room[STR_U64_MAX];
    struct str digits = str_from_u64(value, room);
    put(line, digits.ptr, digits.len);
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

// At most `max` bytes; what is cut ends with "...".
static void put_escaped(struct line *line, struct str s, size_t max)
{
    size_t start = line->len;
    while (s.len) {
        char piece[8];
        size_t taken;
        size_t len = line->format == ACCESS_LOG_JSON ? escape_json(s, piece, &taken)
                                                     : escape_plain(s, piece, &taken);
        if (line->len - start + len > max - 3) {
            put_cstr(line, "...");
            return;
        }
        put(line, piece, len);
        s = str_from(s, taken);
    }
}

static void put_2(struct line *line, int value)
{
    char digits[2] = {(char)('0' + value / 10 % 10), (char)('0' + value % 10)};
    put(line, digits, 2);
}

// "23/Nov/2026:15:04:05 +0000"
static void put_time_common(struct line *line, uint64_t wall_us)
{
    static const char MONTHS[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    put_2(line, utc.tm_mday);
    put_cstr(line, "/");
    put(line, &MONTHS[3 * utc.tm_mon], 3);
    put_cstr(line, "/");
    put_u64(line, (uint64_t)utc.tm_year + 1900);
    put_cstr(line, ":");
    put_2(line, utc.tm_hour);
    put_cstr(line, ":");
    put_2(line, utc.tm_min);
    put_cstr(line, ":");
    put_2(line, utc.tm_sec);
    put_cstr(line, " +0000");
}

// "2026-11-23T15:04:05.678901Z"
static void put_time_rfc3339(struct line *line, uint64_t wall_us)
{
    time_t seconds = (time_t)(wall_us / 1000000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    put_u64(line, (uint64_t)utc.tm_year + 1900);
    put_cstr(line, "-");
    put_2(line, utc.tm_mon + 1);
    put_cstr(line, "-");
    put_2(line, utc.tm_mday);
    put_cstr(line, "T");
    put_2(line, utc.tm_hour);
    put_cstr(line, ":");
    put_2(line, utc.tm_min);
    put_cstr(line, ":");
    put_2(line, utc.tm_sec);
    put_cstr(line, ".");
    int micros = (int)(wall_us % 1000000);
    put_2(line, micros / 10000);
    put_2(line, micros / 100);
    put_2(line, micros);
    put_cstr(line, "Z");
}

static void put_common(struct line *line, const struct access_entry *entry)
{
    bool is_ipv6 = str_find_char(entry->client_ip, ':') >= 0;
    put_cstr(line, is_ipv6 ? "[" : "");
    put_escaped(line, entry->client_ip, SHORT_MAX);
    put_cstr(line, is_ipv6 ? "] - - [" : " - - [");
    put_time_common(line, entry->ended_at_us);
    put_cstr(line, "] \"");
    put_escaped(line, entry->method, SHORT_MAX);
    put_cstr(line, " ");
    put_escaped(line, entry->target, TARGET_MAX);
    put_cstr(line, entry->minor_version ? " HTTP/1.1\" " : " HTTP/1.0\" ");
    put_u64(line, (uint64_t)entry->status);
    put_cstr(line, " ");
    put_u64(line, entry->bytes_sent);
}

static void put_combined(struct line *line, const struct access_entry *entry)
{
    put_common(line, entry);
    put_cstr(line, " \"");
    put_escaped(line, entry->referer, TEXT_MAX);
    put_cstr(line, "\" \"");
    put_escaped(line, entry->user_agent, TEXT_MAX);
    put_cstr(line, "\"");
}

static void put_json_name(struct line *line, const char *name)
{
    put_cstr(line, line->len ? ",\"" : "{\"");
    put_cstr(line, name);
    put_cstr(line, "\":");
}

// Empty texts are left out.
static void put_json_text(struct line *line, const char *name, struct str text, size_t max)
{
    if (text.len == 0)
        return;
    put_json_name(line, name);
    put_cstr(line, "\"");
    put_escaped(line, text, max);
    put_cstr(line, "\"");
}

static void put_json_number(struct line *line, const char *name, uint64_t value)
{
    put_json_name(line, name);
    put_u64(line, value);
}

static void put_json(struct line *line, const struct access_entry *entry)
{
    put_json_name(line, "time");
    put_cstr(line, "\"");
    put_time_rfc3339(line, entry->ended_at_us);
    put_cstr(line, "\"");
    put_json_text(line, "client", entry->client_ip, SHORT_MAX);
    put_json_number(line, "client_port", entry->client_port);
    put_json_name(line, "tls");
    put_cstr(line, entry->is_tls ? "true" : "false");
    put_json_text(line, "method", entry->method, SHORT_MAX);
    put_json_text(line, "host", entry->host, NAME_MAX_OUT);
    put_json_text(line, "target", entry->target, TARGET_MAX);
    put_json_name(line, "proto");
    put_cstr(line, entry->minor_version ? "\"HTTP/1.1\"" : "\"HTTP/1.0\"");
    put_json_number(line, "status", (uint64_t)entry->status);
    put_json_number(line, "duration_us", entry->duration_us);
    put_json_number(line, "bytes_received", entry->bytes_received);
    put_json_number(line, "bytes_sent", entry->bytes_sent);
    put_json_text(line, "service", entry->service, NAME_MAX_OUT);
    put_json_text(line, "route", entry->route, TEXT_MAX);
    put_json_text(line, "upstream", entry->upstream, NAME_MAX_OUT);
    put_json_number(line, "upstream_us", entry->upstream_us);
    put_json_number(line, "attempts", entry->attempts);
    put_json_text(line, "reason", entry->reason, SHORT_MAX);
    put_json_text(line, "request_id", entry->request_id, SHORT_MAX);
    put_json_text(line, "referer", entry->referer, TEXT_MAX);
    put_json_text(line, "user_agent", entry->user_agent, TEXT_MAX);
    put_cstr(line, "}");
}

size_t access_log_format(enum access_log_format format, const struct access_entry *entry, char *out,
                         size_t room)
{
    if (room < ACCESS_LINE_MAX)
        return 0;
    struct line line = {.out = out, .format = format};
    switch (format) {
    case ACCESS_LOG_OFF: return 0;
    case ACCESS_LOG_COMMON: put_common(&line, entry); break;
    case ACCESS_LOG_COMBINED: put_combined(&line, entry); break;
    case ACCESS_LOG_JSON: put_json(&line, entry); break;
    }
    put_cstr(&line, "\n");
    return line.len;
}
