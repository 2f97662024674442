// SPDX-License-Identifier: Apache-2.0
// The first line is a format of the access log, the rest a request head. A format is refused with a
// reason, or every line it makes is one line of printable ASCII but for the format's own text, and
// no text from outside gets a quote into it.
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "proxy/access_log.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void check_line(const struct access_format *format, struct str text,
                       const struct access_entry *entry)
{
    char line[ACCESS_LINE_MAX];
    require(access_log_format(format, entry, line, sizeof line - 1) == 0);
    size_t len = access_log_format(format, entry, line, sizeof line);
    require(len != 1 && len <= sizeof line);
    bool is_json = str_eq(text, STR("json"));
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)line[i];
        require((c == '\n') == (i == len - 1));
        require(i == len - 1 || c >= 0x20 || str_find_char(text, (char)c) >= 0);
        require(is_json || c < 0x7f || str_find_char(text, (char)c) >= 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = str_make(size ? (const char *)data : "", size), text;
    str_split_next(&rest, '\n', &text);
    struct arena arena;
    arena_init(&arena);
    const struct access_format *format = NULL;
    struct err err = {0};
    int rc = access_format_compile(&arena, text, &format, &err);
    if (rc != 0) {
        require(rc == ERR_INVALID && err.text[0] != '\0');
        arena_fini(&arena);
        return 0;
    }
    static struct http_head head;
    struct access_entry entry = {.status = 200, .client_ip = STR("::1"), .request_id = rest};
    check_line(format, text, &entry);
    entry.method = entry.target = entry.host = entry.scheme = rest;
    entry.service = entry.upstream = entry.upstream_scheme = entry.route = rest;
    entry.reason = entry.request_id = rest;
    if (http_parse_request(&head, rest.ptr ? rest.ptr : "", rest.len, &HTTP_REQUEST_LIMITS) ==
        HTTP_ACCEPTED) {
        entry.received = &head;
        check_line(format, text, &entry);
        entry.sent = &head;
    }
    check_line(format, text, &entry);
    arena_fini(&arena);
    return 0;
}
