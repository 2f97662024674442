// SPDX-License-Identifier: Apache-2.0
// Request heads: what is accepted is sound by an independent reading of its bytes, and every part
// of an input is "more is needed" or has the fate of the whole.
#include <stdint.h>
#include <stdlib.h>

#include "base/err.h"
#include "http/head.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void check_span(struct str span, const char *bytes, size_t len)
{
    require(span.len == 0 || (span.ptr >= bytes && span.ptr + span.len <= bytes + len));
    for (size_t i = 0; i < span.len; i++)
        require((uint8_t)span.ptr[i] >= 0x20 ? span.ptr[i] != 0x7f : span.ptr[i] == '\t');
}

// The head holds exactly the lines that its fields are, split at CRLF and nowhere else.
static void check_lines(const struct http_head *head, const char *bytes)
{
    size_t lines = 0;
    const char *at = bytes;
    const char *end = bytes + head->head_len;

    while (end - at > 2 && at[0] == '\r' && at[1] == '\n')
        at += 2; // empty lines in front
    while (at < end) {
        const char *lf = memchr(at, '\n', (size_t)(end - at));
        require(lf && lf > at && lf[-1] == '\r');
        require(!memchr(at, '\r', (size_t)(lf - 1 - at)) && !memchr(at, '\0', (size_t)(lf - at)));
        if (lf - 1 == at)
            require(lf + 1 == end);
        require(*at != ' ' && *at != '\t');
        lines++;
        at = lf + 1;
    }
    require(lines == head->field_count + 2);
}

static void check_accepted(const struct http_head *head, const char *bytes, size_t len)
{
    unsigned hosts = 0;
    unsigned lengths = 0;
    unsigned codings = 0;

    require(head->head_len <= len && head->field_count <= HTTP_FIELDS_MAX);
    check_lines(head, bytes);
    check_span(head->method_name, bytes, len);
    check_span(head->target, bytes, len);
    check_span(head->query, bytes, len);
    check_span(head->host, bytes, len);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        check_span(field->name, bytes, len);
        check_span(field->value, bytes, len);
        require(field->name.len > 0 && field->name.len <= HTTP_NAME_MAX);
        hosts += str_ieq(field->name, STR("host"));
        lengths += str_ieq(field->name, STR("content-length"));
        codings += str_ieq(field->name, STR("transfer-encoding"));
    }
    require((http_find(head, HTTP_FIELD_HOST) != NULL) == (hosts == 1));
    require((http_find_name(head, STR("hOST")) != NULL) == (hosts == 1));
    require(http_method_is_idempotent(head) || head->method != HTTP_METHOD_GET);
    require(hosts == 1 || (hosts == 0 && head->minor_version == 0));
    require(lengths + codings <= 1 && (codings == 0 || head->minor_version == 1));
    require((head->framing == HTTP_BODY_LENGTH) == (lengths == 1));
    require((head->framing == HTTP_BODY_CHUNKED) == (codings == 1));
    require(head->framing != HTTP_BODY_CLOSE && head->content_length <= INT64_MAX);
    require(head->path.len > 0 && (head->path.ptr[0] == '/' || str_eq(head->path, STR("*"))));
    require(!head->is_upgrade || (head->minor_version == 1 && head->content_length == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct http_limits limits = {2048, 512, 40};
    static struct http_head head;
    const char *bytes = (const char *)data;

    int whole = http_parse_request(&head, bytes, size, &limits);
    require(whole == ERR_AGAIN || (whole >= 0 && whole < HTTP_REFUSAL_COUNT));
    if (whole == HTTP_ACCEPTED)
        check_accepted(&head, bytes, size);
    size_t head_len = whole == HTTP_ACCEPTED ? head.head_len : size;
    for (size_t i = 0; i < 4 && head_len > 0; i++) {
        size_t part = (i * 2654435761u + size * 31) % head_len;
        int rc = http_parse_request(&head, bytes, part, &limits);
        require(rc == ERR_AGAIN || (rc == whole && rc != HTTP_ACCEPTED));
    }
    return 0;
}
