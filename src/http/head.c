// SPDX-License-Identifier: Apache-2.0
// How a head is read:
//   1. The start line is scanned here, byte by byte, so that every fault in it has its own reason
//   and
//      the versions, spaces and methods that llhttp lets through are refused.
//   2. llhttp scans the whole head and reports the spans of names and values. It stops at the end
//   of
//      the head: it never sees a byte of a body.
//   3. link_fields() proves that the spans and the separators between them account for every byte
//   of
//      the head. A fold, in whatever form, is a byte that belongs to no span.
//   4. inspect_fields() recognises the names and collects what the rules need; the rules then
//   decide
//      host, framing, persistence and upgrade.
// A head that is not complete is ERR_AGAIN and is scanned again from its start; a fault found in a
// part of a head is the same fault in the whole of it.
#include "http/head.h"

#include <llhttp.h>

#include "base/err.h"
#include "fields.h"
#include "http/target.h"

#if LLHTTP_VERSION_MAJOR < 9 && !LLHTTP_STRICT_MODE
#error \
    "llhttp 8 must be compiled with LLHTTP_STRICT_MODE=1: its loose parser lets smuggling through"
#endif

enum {
    METHOD_MAX = 32,             // longer tokens are no method anybody uses
    EMPTY_LINES_MAX = 2,         // CRLFs skipped in front of a request
    CONNECTION_OPTIONS_MAX = 64, // each one is compared with every field
};

const struct http_limits HTTP_REQUEST_LIMITS = {32 << 10, 16 << 10, HTTP_FIELDS_MAX};
const struct http_limits HTTP_RESPONSE_LIMITS = {64 << 10, 0, HTTP_FIELDS_MAX};

// --- start line

// Matches bytes[*at..] against a pattern in which 'D' stands for a digit. HTTP_ACCEPTED with *at
// behind it, ERR_AGAIN when the bytes end first, or `refusal`.
static int scan_pattern(const char *bytes, size_t len, size_t *at, const char *pattern, int refusal)
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
static int scan_version(const char *bytes, size_t len, size_t *at, const char *next, uint8_t *minor)
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
    while (at < limit && char_is(bytes[at], CHAR_TARGET))
        at++;
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
    if (head->path.len == 0)
        head->path = STR("/");
    return HTTP_ACCEPTED;
}

static int scan_status_line(struct http_head *head, const char *bytes, size_t len, size_t *line_len)
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

// --- spans

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
    case HPE_CR_EXPECTED: return HTTP_BAD_FIELD_VALUE; // 9.x: a bare LF ends it
    case HPE_INVALID_HEADER_TOKEN: {
        const char *at = llhttp_get_error_pos(parser);
        const char *start = at;
        if (start > line_end && start[-1] == '\n' && start[-2] != '\r')
            start--; // llhttp stops behind a bare LF
        while (start > line_end && start[-1] != '\n')
            start--;
        // What 9.x finds here, and 8.x leaves to on_header_value() and link_fields().
        if (collector->head->field_count > 0 && is_blank(*start))
            return HTTP_FOLDED_FIELD;
        if (*start == '\n')
            return HTTP_BAD_SYNTAX;
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

    if (type == HTTP_REQUEST) {
        switch (llhttp_get_method(&parser)) {
        case HTTP_GET: head->method = HTTP_METHOD_GET; break;
        case HTTP_HEAD: head->method = HTTP_METHOD_HEAD; break;
        case HTTP_POST: head->method = HTTP_METHOD_POST; break;
        case HTTP_PUT: head->method = HTTP_METHOD_PUT; break;
        case HTTP_DELETE: head->method = HTTP_METHOD_DELETE; break;
        case HTTP_OPTIONS: head->method = HTTP_METHOD_OPTIONS; break;
        case HTTP_PATCH: head->method = HTTP_METHOD_PATCH; break;
        default: head->method = HTTP_METHOD_OTHER; break;
        }
    }
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

// --- rules

// What the fields say, before it is judged.
struct facts {
    unsigned hosts;
    unsigned codings;
    unsigned upgrades;
    struct str host;
    struct str coding;
    struct str upgrade;
    bool says_close;
    bool says_keep_alive;
    bool says_upgrade;
};

// Marks the fields named by a Connection option. Framing, Host and forwarding fields stay: else a
// client could make the proxy delete what an origin relies on.
static void nominate(struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        struct http_field *field = &head->fields[i];
        if (field->name.len != name.len || !str_ieq(field->name, name))
            continue;
        if (http_field_is_protected(field->id))
            head->glitches++;
        else
            field->is_hop = true;
    }
}

static int apply_connection(struct http_head *head, struct facts *facts, unsigned *options,
                            struct str value)
{
    struct str option;

    while (http_list_next(&value, &option)) {
        if (option.len == 0)
            continue;
        if (++*options > CONNECTION_OPTIONS_MAX)
            return HTTP_BAD_FIELD_VALUE;
        if (IS_LOWER(option, "keep-alive"))
            facts->says_keep_alive = true;
        else if (IS_LOWER(option, "close"))
            facts->says_close = true;
        else if (IS_LOWER(option, "upgrade"))
            facts->says_upgrade = true;
        else
            nominate(head, option);
    }
    return HTTP_ACCEPTED;
}

// Requests only.
static int inspect_expect(struct http_head *head, struct http_field *field)
{
    // An HTTP/1.0 client does not wait and cannot be sent a 100 (RFC 9110 section 10.1.1).
    if (head->minor_version == 0) {
        field->is_hop = true;
        return HTTP_ACCEPTED;
    }
    if (!str_ieq(field->value, STR("100-continue")))
        return HTTP_BAD_EXPECT;
    head->expects_continue = true;
    return HTTP_ACCEPTED;
}

static int inspect_fields(struct http_head *head, struct facts *facts, bool is_request)
{
    bool has_connection = false;

    for (size_t i = 0; i < head->field_count; i++) {
        struct http_field *field = &head->fields[i];
        field->id = http_field_lookup(field->name);
        field->is_hop = http_field_is_hop(field->id);
        switch (field->id) {
        case HTTP_FIELD_HOST:
            facts->hosts++;
            facts->host = field->value;
            break;
        case HTTP_FIELD_CONTENT_LENGTH:
            if (head->has_content_length)
                return HTTP_LENGTH_REPEATED;
            if (!str_to_u64(field->value, &head->content_length) ||
                head->content_length > INT64_MAX)
                return HTTP_BAD_LENGTH;
            head->has_content_length = true;
            break;
        case HTTP_FIELD_TRANSFER_ENCODING:
            facts->codings++;
            facts->coding = field->value;
            break;
        case HTTP_FIELD_CONNECTION: has_connection = true; break;
        case HTTP_FIELD_UPGRADE:
            facts->upgrades++;
            facts->upgrade = field->value;
            break;
        case HTTP_FIELD_TE:
            if (head->minor_version == 1 && http_list_has(field->value, STR("trailers")))
                head->accepts_trailers = is_request;
            break;
        case HTTP_FIELD_EXPECT:
            if (is_request) {
                int rc = inspect_expect(head, field);
                if (rc)
                    return rc;
            }
            break;
        case HTTP_FIELD_OTHER:
        case HTTP_FIELD_X_FORWARDED_OTHER:
            if (is_request && http_field_is_shadow(field->name))
                return HTTP_SHADOWED_FIELD;
            break;
        default: break;
        }
    }

    unsigned options = 0;
    for (size_t i = 0; has_connection && i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_CONNECTION)
            continue;
        int rc = apply_connection(head, facts, &options, head->fields[i].value);
        if (rc)
            return rc;
    }
    return HTTP_ACCEPTED;
}

// Why a Transfer-Encoding that is not exactly "chunked" is refused: a list of sound codings that
// could be a message's is not implemented, anything else is broken.
static int explain_coding(struct str value)
{
    struct str member;
    bool is_chunked = false;

    while (http_list_next(&value, &member)) {
        if (is_chunked || member.len == 0 || !http_chars_are(member, CHAR_TOKEN))
            return HTTP_BAD_CODING;
        is_chunked = str_ieq(member, STR("chunked"));
    }
    return HTTP_UNKNOWN_CODING;
}

// RFC 9112 section 6, without any of its repairs. HTTP_BODY_CLOSE and HTTP_BODY_NONE are left to
// the caller: *framing stays.
static int decide_framing(struct http_head *head, const struct facts *facts)
{
    if (facts->codings == 0) {
        if (head->has_content_length)
            head->framing = HTTP_BODY_LENGTH;
        return HTTP_ACCEPTED;
    }
    if (head->minor_version == 0)
        return HTTP_CODING_IN_1_0;
    if (head->has_content_length)
        return HTTP_LENGTH_AND_CODING;
    if (facts->codings > 1)
        return HTTP_BAD_CODING;
    if (!str_ieq(facts->coding, STR("chunked")))
        return explain_coding(facts->coding);
    head->framing = HTTP_BODY_CHUNKED;
    return HTTP_ACCEPTED;
}

static int decide_host(struct http_head *head, const struct facts *facts)
{
    struct str name, port;

    if (facts->hosts > 1)
        return HTTP_HOST_REPEATED;
    if (facts->hosts == 0)
        return head->minor_version == 1 ? HTTP_HOST_MISSING : HTTP_ACCEPTED;
    if (!http_split_host(facts->host, &name, &port))
        return HTTP_BAD_HOST;
    if (!head->is_absolute_form)
        head->host = facts->host;
    return HTTP_ACCEPTED;
}

static int decide_request_upgrade(struct http_head *head, const struct facts *facts)
{
    if (head->minor_version == 0 || !facts->says_upgrade || facts->upgrades != 1 ||
        !str_ieq(facts->upgrade, STR("websocket")))
        return HTTP_ACCEPTED; // another protocol is stripped with the hop-by-hop fields
    bool has_body = head->framing == HTTP_BODY_CHUNKED ||
                    (head->framing == HTTP_BODY_LENGTH && head->content_length > 0);
    if (has_body || head->method != HTTP_METHOD_GET)
        return HTTP_BAD_UPGRADE;
    head->is_upgrade = true;
    head->upgrade = facts->upgrade;
    return HTTP_ACCEPTED;
}

static void decide_keep_alive(struct http_head *head, const struct facts *facts)
{
    head->is_keep_alive = !facts->says_close && head->framing != HTTP_BODY_CLOSE &&
                          (head->minor_version == 1 || facts->says_keep_alive);
}

// --- the two entries

// Everything but the field array, which is written as far as it is used.
static void clear_head(struct http_head *head)
{
    memset(head, 0, offsetof(struct http_head, fields));
}

static int judge_request(struct http_head *head)
{
    struct facts facts = {0};

    int rc = inspect_fields(head, &facts, true);
    if (!rc)
        rc = decide_framing(head, &facts);
    if (!rc)
        rc = decide_host(head, &facts);
    if (!rc)
        rc = decide_request_upgrade(head, &facts);
    decide_keep_alive(head, &facts);
    return rc;
}

int http_parse_request(struct http_head *head, const char *bytes, size_t len,
                       const struct http_limits *limits)
{
    size_t skipped = 0;
    size_t line_len = 0;

    clear_head(head);
    bool is_too_large = len > limits->head_max;
    if (is_too_large)
        len = limits->head_max;

    for (int i = 0; i < EMPTY_LINES_MAX; i++) {
        if (len - skipped == 1 && bytes[skipped] == '\r')
            return ERR_AGAIN;
        if (len - skipped >= 2 && bytes[skipped] == '\r' && bytes[skipped + 1] == '\n')
            skipped += 2;
    }
    bytes += skipped;
    len -= skipped;
    head->glitches = (uint16_t)(skipped / 2);

    int rc = scan_request_line(head, bytes, len, limits->target_max, &line_len);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_TARGET_TOO_LONG;
    if (!rc)
        rc = split_target(head);
    if (!rc)
        rc = collect_fields(head, HTTP_REQUEST, bytes, len, line_len, limits->fields_max);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_HEAD_TOO_LARGE;
    if (!rc)
        rc = link_fields(head, bytes, len, line_len);
    if (!rc)
        rc = judge_request(head);
    head->head_len += skipped;
    return rc;
}

static int judge_response(struct http_head *head, enum http_method request)
{
    struct facts facts = {0};

    head->framing = HTTP_BODY_CLOSE;
    int rc = inspect_fields(head, &facts, false);
    if (!rc)
        rc = decide_framing(head, &facts);
    if (rc)
        return rc;
    // RFC 9112 section 6.3: these have no body, whatever their fields say.
    bool is_bare = head->status < 200 || head->status == 204;
    if (is_bare || head->status == 304 || request == HTTP_METHOD_HEAD) {
        head->announces_body = head->framing == HTTP_BODY_CHUNKED || head->content_length > 0 ||
                               (head->framing == HTTP_BODY_CLOSE && request == HTTP_METHOD_HEAD);
        head->framing = HTTP_BODY_NONE;
    }
    if (is_bare) {
        head->has_content_length = false;
        head->content_length = 0;
    }
    if (head->status == 101 && head->minor_version == 1 && facts.says_upgrade &&
        facts.upgrades == 1) {
        head->is_upgrade = true;
        head->upgrade = facts.upgrade;
    }
    decide_keep_alive(head, &facts);
    return HTTP_ACCEPTED;
}

int http_parse_response(struct http_head *head, const char *bytes, size_t len,
                        const struct http_limits *limits, enum http_method request)
{
    size_t line_len = 0;

    clear_head(head);
    bool is_too_large = len > limits->head_max;
    if (is_too_large)
        len = limits->head_max;
    int rc = scan_status_line(head, bytes, len, &line_len);
    if (!rc)
        rc = collect_fields(head, HTTP_RESPONSE, bytes, len, line_len, limits->fields_max);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_HEAD_TOO_LARGE;
    if (!rc)
        rc = link_fields(head, bytes, len, line_len);
    if (!rc)
        rc = judge_response(head, request);
    return rc;
}

// --- queries

const struct http_field *http_find(const struct http_head *head, enum http_field_id id)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id == id)
            return &head->fields[i];
    }
    return NULL;
}

const struct http_field *http_find_name(const struct http_head *head, struct str name)
{
    for (size_t i = 0; i < head->field_count; i++) {
        if (str_ieq(head->fields[i].name, name))
            return &head->fields[i];
    }
    return NULL;
}

bool http_list_has(struct str value, struct str token)
{
    struct str member;

    while (http_list_next(&value, &member)) {
        ptrdiff_t parameters = str_find_char(member, ';');
        if (parameters >= 0)
            member = str_trim(str_upto(member, (size_t)parameters));
        if (str_ieq(member, token))
            return true;
    }
    return false;
}

bool http_method_is_idempotent(const struct http_head *head)
{
    switch (head->method) {
    case HTTP_METHOD_GET:
    case HTTP_METHOD_HEAD:
    case HTTP_METHOD_PUT:
    case HTTP_METHOD_DELETE:
    case HTTP_METHOD_OPTIONS: return true;
    default: return false;
    }
}
