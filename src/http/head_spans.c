// SPDX-License-Identifier: Apache-2.0
#include "head_spans.h"

#include <llhttp.h>

#include "base/err.h"
#include "fields.h"

#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error \
    "llhttp 8 must be compiled with LLHTTP_STRICT_MODE=1: its loose parser lets smuggling through"
#endif

struct collector {
    struct http_head *head;
    size_t fields_max;
    bool has_value;   // the newest field has its value
    bool is_complete; // the end of the head was seen
    int refusal;
};

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct collector *collector = parser->data;
    struct http_head *head = collector->head;

    if (head->field_count == collector->fields_max) {
        collector->refusal = HTTP_TOO_MANY_FIELDS;
        return -1;
    }
    struct http_field *field = &head->fields[head->field_count++];
    field->name = str_make(at, len);
    field->value = STR_NULL;
    field->has_plain_name = false;
    collector->has_value = false;
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    struct collector *collector = parser->data;
    struct http_head *head = collector->head;

    // llhttp gives each line of a folded value as a span of its own.
    if (collector->has_value || head->field_count == 0) {
        collector->refusal = HTTP_FOLDED_FIELD;
        return -1;
    }
    head->fields[head->field_count - 1].value = str_make(at, len);
    collector->has_value = true;
    return 0;
}

static int on_headers_complete(llhttp_t *parser)
{
    struct collector *collector = parser->data;
    collector->is_complete = true;
    return HPE_PAUSED;
}

static const llhttp_settings_t SETTINGS = {
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
};

// The reason for what llhttp stopped at, behind the start line.
static int explain_error(const llhttp_t *parser, llhttp_errno_t error, const char *line_end)
{
    const struct collector *collector = parser->data;

    switch (error) {
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return parser->flags & F_TRANSFER_ENCODING ? HTTP_LENGTH_AND_CODING : HTTP_LENGTH_REPEATED;
    case HPE_INVALID_CONTENT_LENGTH:
        return parser->flags & F_TRANSFER_ENCODING ? HTTP_LENGTH_AND_CODING : HTTP_BAD_LENGTH;
    case HPE_UNEXPECTED_SPACE: return HTTP_BAD_FIELD_NAME;
    case HPE_INVALID_TRANSFER_ENCODING:
        return parser->flags & F_CONTENT_LENGTH ? HTTP_LENGTH_AND_CODING : HTTP_BAD_CODING;
#if LLHTTP_VERSION_MAJOR >= 9
    case HPE_CR_EXPECTED: return HTTP_BAD_FIELD_VALUE; // a bare LF ends it
#endif
    case HPE_INVALID_HEADER_TOKEN: {
        const char *at = llhttp_get_error_pos(parser);
        const char *start = at;
        if (start > line_end && start[-1] == '\n' && start[-2] != '\r')
            start--; // llhttp stops behind a bare LF
        while (start > line_end && start[-1] != '\n')
            start--;
#if LLHTTP_VERSION_MAJOR >= 9
        // 8.x leaves it to on_header_value() and link_fields().
        if (collector->head->field_count > 0 && is_blank(*start))
            return HTTP_FOLDED_FIELD;
        if (*start == '\n')
            return HTTP_BAD_SYNTAX;
#endif
        if (memchr(start, ':', (size_t)(at - start)))
            return HTTP_BAD_FIELD_VALUE;
        // A name that is one too many, of which llhttp reported no span.
        return collector->has_value && collector->head->field_count == collector->fields_max
                   ? HTTP_TOO_MANY_FIELDS
                   : HTTP_BAD_FIELD_NAME;
    }
    default: return HTTP_BAD_SYNTAX;
    }
}

// Methods of ICE, HTTP/2's preface and RTSP.
static bool is_foreign_method(uint8_t method)
{
    return method >= HTTP_SOURCE && method <= HTTP_FLUSH;
}

// Lets llhttp collect the spans. ERR_AGAIN when the head is not complete.
static int collect_fields(struct http_head *head, llhttp_type_t type, const char *bytes, size_t len,
                          size_t line_len, size_t fields_max)
{
    llhttp_t parser;
    struct collector collector = {.head = head,
                                  .fields_max = MIN(fields_max, (size_t)HTTP_FIELDS_MAX)};

    llhttp_init(&parser, type, &SETTINGS);
    parser.data = &collector;
    llhttp_errno_t error = llhttp_execute(&parser, bytes, len);
    if (type == HTTP_REQUEST && is_foreign_method(llhttp_get_method(&parser)))
        return HTTP_UNKNOWN_METHOD;
    if (collector.refusal)
        return collector.refusal;
    if (error != HPE_OK && !collector.is_complete &&
        llhttp_get_error_pos(&parser) < bytes + line_len) {
        // All else in the line was checked before.
        return error == HPE_INVALID_URL ? HTTP_BAD_TARGET : HTTP_UNKNOWN_METHOD;
    }
    if (error == HPE_OK)
        return ERR_AGAIN;
    if (!collector.is_complete)
        return explain_error(&parser, error, bytes + line_len);

    return HTTP_ACCEPTED;
}

// Bytes where a line should begin that are in no span: a fold that was blank, or a bare LF, which
// llhttp takes for the end of a head.
static int explain_gap(const char *at)
{
    return is_blank(*at) ? HTTP_FOLDED_FIELD : HTTP_BAD_SYNTAX;
}

// Walks from the end of the start line over all spans and trims the values.
static int link_fields(struct http_head *head, const char *bytes, size_t len, size_t line_len)
{
    const char *at = bytes + line_len;
    const char *end = bytes + len;

    for (size_t i = 0; i < head->field_count; i++) {
        struct http_field *field = &head->fields[i];
        if (field->name.ptr != at)
            return explain_gap(at);
        if (field->name.len == 0)
            return HTTP_BAD_FIELD_NAME;
        if (field->name.len > HTTP_NAME_MAX)
            return HTTP_HEAD_TOO_LARGE;
        at += field->name.len;
        if (at == end || *at++ != ':')
            return HTTP_BAD_FIELD_NAME;
        while (at < end && is_blank(*at))
            at++;
        // The span of an empty value lies behind the line.
        if (field->value.len == 0)
            field->value.ptr = at;
        if (field->value.ptr != at)
            return HTTP_FOLDED_FIELD; // begun on the next line
        at += field->value.len;
        if (UNLIKELY(at < end && *at != '\r')) {
            while (at < end && is_blank(*at))
                at++; // llhttp leaves those behind a Content-Length out
        }
        while (field->value.len && is_blank(field->value.ptr[field->value.len - 1]))
            field->value.len--;
        if (end - at < 2 || memcmp(at, "\r\n", 2) != 0)
            return HTTP_BAD_SYNTAX;
        at += 2;
    }
    if (end - at < 2 || memcmp(at, "\r\n", 2) != 0)
        return explain_gap(at);
    head->head_len = (size_t)(at + 2 - bytes);
    return HTTP_ACCEPTED;
}

int http_read_any_fields(struct http_head *head, bool is_request, const char *bytes, size_t len,
                         size_t line_len, size_t fields_max)
{
    int rc = collect_fields(head, is_request ? HTTP_REQUEST : HTTP_RESPONSE, bytes, len, line_len,
                            fields_max);
    return rc ? rc : link_fields(head, bytes, len, line_len);
}
