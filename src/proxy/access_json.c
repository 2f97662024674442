// SPDX-License-Identifier: Apache-2.0
// The access log line as a JSON object. Empty texts are left out.
#include "proxy/access_line.h"

static void put_name(struct line *line, const char *name)
{
    line_put_cstr(line, line->len ? ",\"" : "{\"");
    line_put_cstr(line, name);
    line_put_cstr(line, "\":");
}

static void put_text(struct line *line, const char *name, struct str text, size_t max)
{
    if (text.len == 0)
        return;
    put_name(line, name);
    line_put_cstr(line, "\"");
    line_put_escaped(line, text, max);
    line_put_cstr(line, "\"");
}

static void put_number(struct line *line, const char *name, uint64_t value)
{
    put_name(line, name);
    line_put_u64(line, value);
}

// All fields at their longest fit into ACCESS_LINE_MAX, so nothing is ever cut but a field.
void line_put_json(struct line *line, const struct access_entry *entry)
{
    line->is_json = true;
    put_name(line, "time");
    line_put_cstr(line, "\"");
    line_put_time_rfc3339(line, entry->ended_at_us, 6);
    line_put_cstr(line, "\"");
    put_text(line, "client", entry->client_ip, LINE_SHORT_MAX);
    put_number(line, "client_port", entry->client_port);
    put_name(line, "tls");
    line_put_cstr(line, entry->is_tls ? "true" : "false");
    put_text(line, "method", entry->method, LINE_SHORT_MAX);
    put_text(line, "host", entry->host, LINE_NAME_MAX);
    put_text(line, "target", entry->target, LINE_TARGET_MAX);
    put_name(line, "proto");
    line_put_cstr(line, entry->minor_version ? "\"HTTP/1.1\"" : "\"HTTP/1.0\"");
    put_number(line, "status", (uint64_t)entry->status);
    put_number(line, "duration_us", entry->duration_us);
    put_number(line, "bytes_received", entry->bytes_received);
    put_number(line, "bytes_sent", entry->bytes_sent);
    put_text(line, "service", entry->service, LINE_NAME_MAX);
    put_text(line, "route", entry->route, LINE_TEXT_MAX);
    put_text(line, "upstream", entry->upstream, LINE_NAME_MAX);
    put_number(line, "upstream_us", entry->upstream_us);
    put_number(line, "attempts", entry->attempts);
    put_text(line, "reason", entry->reason, LINE_SHORT_MAX);
    put_text(line, "request_id", entry->request_id, LINE_SHORT_MAX);
    put_text(line, "referer", access_entry_field(entry, STR("Referer")), LINE_TEXT_MAX);
    put_text(line, "user_agent", access_entry_field(entry, STR("User-Agent")), LINE_TEXT_MAX);
    line_put_cstr(line, "}");
}
