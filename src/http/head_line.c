// SPDX-License-Identifier: Apache-2.0
#include "head_line.h"

#include "base/err.h"
#include "http/target.h"
#include "scan.h"

enum { METHOD_MAX = 32 }; // longer tokens are no method anybody uses

// Matches bytes[*at..] against a pattern in which 'D' stands for a digit. HTTP_ACCEPTED with *at
// behind it, ERR_AGAIN when the bytes end first, or `refusal`.
static ALWAYS_INLINE int scan_pattern(const char *bytes, size_t len, size_t *at,
                                      const char *pattern, int refusal)
{
    for (; *pattern; pattern++, (*at)++) {
        if (*at == len)
            return ERR_AGAIN;
        char c = bytes[*at];
        if (*pattern == 'D' ? c < '0' || c > '9' : c != *pattern)
            return refusal;
    }
    return HTTP_ACCEPTED;
}

// Scans "HTTP/x.y" followed by `next`.
static ALWAYS_INLINE int scan_version(const char *bytes, size_t len, size_t *at, const char *next,
                                      uint8_t *minor)
{
    size_t start = *at;
    int rc = HTTP_ACCEPTED;
    if (len - start >= 8 && memcmp(bytes + start, "HTTP/1.1", 8) == 0)
        *at += 8;
    else
        rc = scan_pattern(bytes, len, at, "HTTP/D.D", HTTP_BAD_SYNTAX);
    if (!rc)
        rc = scan_pattern(bytes, len, at, next, HTTP_BAD_SYNTAX);
    if (rc)
        return rc;
    if (bytes[start + 5] != '1' || bytes[start + 7] > '1')
        return HTTP_BAD_VERSION;
    *minor = (uint8_t)(bytes[start + 7] - '0');
    return HTTP_ACCEPTED;
}

// The methods that have a rule of ours.
static enum http_method find_method(struct str name)
{
    switch (name.len) {
    case 3:
        if (str_eq(name, STR("GET")))
            return HTTP_METHOD_GET;
        return str_eq(name, STR("PUT")) ? HTTP_METHOD_PUT : HTTP_METHOD_OTHER;
    case 4:
        if (str_eq(name, STR("HEAD")))
            return HTTP_METHOD_HEAD;
        return str_eq(name, STR("POST")) ? HTTP_METHOD_POST : HTTP_METHOD_OTHER;
    case 5: return str_eq(name, STR("PATCH")) ? HTTP_METHOD_PATCH : HTTP_METHOD_OTHER;
    case 6: return str_eq(name, STR("DELETE")) ? HTTP_METHOD_DELETE : HTTP_METHOD_OTHER;
    case 7: return str_eq(name, STR("OPTIONS")) ? HTTP_METHOD_OPTIONS : HTTP_METHOD_OTHER;
    default: return HTTP_METHOD_OTHER;
    }
}

static int scan_request_line(struct http_head *head, const char *bytes, size_t len,
                             size_t target_max, size_t *line_len)
{
    size_t at = 0;

    while (at < len && at <= METHOD_MAX && char_is(bytes[at], CHAR_TOKEN))
        at++;
    if (at > METHOD_MAX)
        return HTTP_UNKNOWN_METHOD;
    if (at == len)
        return ERR_AGAIN;
    if (at == 0 || bytes[at] != ' ')
        return HTTP_BAD_METHOD;
    head->method_name = str_make(bytes, at);
    if (str_eq(head->method_name, STR("CONNECT")) || str_eq(head->method_name, STR("TRACE")))
        return HTTP_METHOD_REFUSED;

    size_t start = ++at;
    size_t limit = len - at > target_max ? at + target_max : len;
    at = (size_t)(scan_target(bytes + at, bytes + limit) - bytes);
    if (at == len)
        return ERR_AGAIN;
    if (at == limit && char_is(bytes[at], CHAR_TARGET))
        return HTTP_TARGET_TOO_LONG;
    head->target = str_make(bytes + start, at - start);
    if (bytes[at] == '\r' || bytes[at] == '\n')
        return HTTP_BAD_SYNTAX; // HTTP/0.9
    if (bytes[at] != ' ')
        return HTTP_BAD_TARGET;
    if (at == start)
        return HTTP_BAD_SYNTAX; // several spaces
    at++;

    int rc = scan_version(bytes, len, &at, "\r\n", &head->minor_version);
    *line_len = at;
    return rc;
}

// Takes the target apart; of the four forms CONNECT's is not known here.
static int split_target(struct http_head *head)
{
    struct str target = head->target;

    if (str_eq(target, STR("*"))) {
        if (!str_eq(head->method_name, STR("OPTIONS")))
            return HTTP_BAD_TARGET;
        head->path = target;
        return HTTP_ACCEPTED;
    }
    if (target.ptr[0] != '/') {
        size_t scheme = str_istarts_with(target, STR("http://"))    ? 7
                        : str_istarts_with(target, STR("https://")) ? 8
                                                                    : 0;
        if (!scheme)
            return HTTP_BAD_TARGET;
        struct str rest = str_from(target, scheme);
        size_t at = 0;
        while (at < rest.len && rest.ptr[at] != '/' && rest.ptr[at] != '?')
            at++;
        struct str name, port;
        head->host = str_upto(rest, at);
        head->is_absolute_form = true;
        if (!http_split_host(head->host, &name, &port))
            return HTTP_BAD_TARGET;
        target = str_from(rest, at);
    }
    head->path = target;
    ptrdiff_t mark = str_find_char(target, '?');
    if (mark >= 0) {
        head->has_query = true;
        head->path = str_upto(target, (size_t)mark);
        head->query = str_from(target, (size_t)mark + 1);
    }
    // An OPTIONS of a server without a path is that of its "*" (RFC 9112 section 3.2.4).
    if (head->path.len == 0)
        head->path = head->method == HTTP_METHOD_OPTIONS && !head->has_query ? STR("*") : STR("/");
    return HTTP_ACCEPTED;
}

int http_read_request_line(struct http_head *head, const char *bytes, size_t len, size_t target_max,
                           size_t *line_len)
{
    int rc = scan_request_line(head, bytes, len, target_max, line_len);
    if (rc)
        return rc;
    head->method = find_method(head->method_name);
    return split_target(head);
}

int http_read_status_line(struct http_head *head, const char *bytes, size_t len, size_t *line_len)
{
    size_t at = 0;

    int rc = scan_version(bytes, len, &at, " ", &head->minor_version);
    if (rc)
        return rc;
    rc = scan_pattern(bytes, len, &at, "DDD", HTTP_BAD_STATUS);
    if (rc)
        return rc;
    const char *digits = bytes + at - 3;
    head->status = (uint16_t)((digits[0] - '0') * 100 + (digits[1] - '0') * 10 + (digits[2] - '0'));
    if (head->status < 100 || head->status > 599)
        return HTTP_BAD_STATUS;
    if (at == len)
        return ERR_AGAIN;
    // The space before an absent reason is required, but often missing; it changes nothing.
    if (bytes[at] == ' ') {
        size_t start = ++at;
        while (at < len && char_is(bytes[at], CHAR_TEXT))
            at++;
        head->reason = str_make(bytes + start, at - start);
    } else if (bytes[at] != '\r') {
        return HTTP_BAD_STATUS;
    }
    rc = scan_pattern(bytes, len, &at, "\r\n", HTTP_BAD_SYNTAX);
    *line_len = at;
    return rc;
}
