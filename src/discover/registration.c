// SPDX-License-Identifier: Apache-2.0
#include "discover/registration.h"

#include <stdio.h>
#include <string.h>

// A duration as Go's programs write it, so that the registration reads as fabio's: "500ms", "1.5s",
// "1m0s".
static void write_duration(struct buf *out, const char *name, uint32_t ms)
{
    uint32_t seconds = ms / 1000, rest = ms % 1000;
    buf_printf(out, "\"%s\":\"", name);
    if (seconds >= 3600)
        buf_printf(out, "%uh", seconds / 3600);
    if (seconds >= 60)
        buf_printf(out, "%um", seconds / 60 % 60);
    if (seconds == 0 && rest > 0) {
        buf_printf(out, "%ums\"", rest);
        return;
    }
    buf_printf(out, "%u", seconds % 60);
    if (rest > 0) {
        char digits[8];
        int len = snprintf(digits, sizeof digits, ".%03u", rest);
        while (digits[len - 1] == '0')
            len--;
        buf_append(out, digits, (size_t)len);
    }
    buf_append_cstr(out, "s\"");
}

void registration_write(const struct registration *registration, struct buf *out)
{
    const struct consul_config *config = registration->config;
    bool is_ipv6 = strchr(registration->address, ':') != NULL;
    buf_append_cstr(out, "{\"ID\":");
    buf_append_json(out, registration->id);
    buf_append_cstr(out, ",\"Name\":");
    buf_append_json(out, registration->name);
    struct str rest = config->register_tags, tag;
    bool is_first = true;
    while (rest.len > 0 && str_split_next(&rest, ',', &tag)) {
        buf_append_cstr(out, is_first ? ",\"Tags\":[" : ",");
        buf_append_json(out, str_trim(tag));
        is_first = false;
    }
    buf_append_cstr(out, is_first ? "" : "]");
    buf_printf(out, ",\"Port\":%u,\"Address\":\"%s\"", registration->port, registration->address);
    buf_append_cstr(out, ",\"Check\":null,\"Checks\":[{\"CheckID\":");
    char check_id[1200];
    snprintf(check_id, sizeof check_id, "%.*s-ttl", STR_FMT(registration->id));
    buf_append_json(out, str_of(check_id));
    buf_append_cstr(out, ",\"TTL\":\"15s\",\"DeregisterCriticalServiceAfter\":\"1m0s\"},{");
    write_duration(out, "Interval", config->check_interval_ms);
    buf_append_char(out, ',');
    write_duration(out, "Timeout", config->check_timeout_ms);
    buf_printf(out, ",\"HTTP\":\"%s://%s%s%s:%u/health\"",
               config->register_check_is_https ? "https" : "http", is_ipv6 ? "[" : "",
               registration->address, is_ipv6 ? "]" : "", registration->port);
    if (config->register_check_skips_tls_verify)
        buf_append_cstr(out, ",\"TLSSkipVerify\":true");
    if (config->check_deregister_after.len > 0) {
        buf_append_cstr(out, ",\"DeregisterCriticalServiceAfter\":");
        buf_append_json(out, config->check_deregister_after);
    }
    buf_append_cstr(out, "}]");
    if (config->namespace_name.len > 0) {
        buf_append_cstr(out, ",\"Namespace\":");
        buf_append_json(out, config->namespace_name);
    }
    buf_append_char(out, '}');
}
