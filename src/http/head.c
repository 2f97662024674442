// SPDX-License-Identifier: Apache-2.0
// How a head is read:
//   1. head_line.c reads the start line.
//   2. head_plain.c reads the field lines, if all are of the plain shape. When the rules of 4 then
//      accept the head, that is it. Else all begins again, with 3 in place of 2:
//   3. head_spans.c has llhttp read the field lines. It stops at the end of the head: it never
//      sees a byte of a body.
//   4. inspect_fields() recognises the names and collects what the rules need; the rules then
//      decide host, framing, persistence and upgrade.
// So whatever is refused was read by llhttp, which knows why. What is accepted without it, it would
// accept as well, and in the same way: builds that are not release prove that of each head.
// A head that is not complete is ERR_AGAIN and is scanned again from its start; a fault found in a
// part of a head is the same fault in the whole of it.
#include "http/head.h"

#include "base/err.h"
#include "fields.h"
#include "head_line.h"
#include "head_plain.h"
#include "head_spans.h"
#include "http/target.h"

enum {
    EMPTY_LINES_MAX = 2,         // CRLFs skipped in front of a request
    CONNECTION_OPTIONS_MAX = 64, // each one is compared with every field
};

const struct http_limits HTTP_REQUEST_LIMITS = {32 << 10, 16 << 10, HTTP_FIELDS_MAX};
const struct http_limits HTTP_RESPONSE_LIMITS = {64 << 10, 0, HTTP_FIELDS_MAX};

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

// The others say nothing here, and are most.
#define BIT(id) (UINT64_C(1) << (id))
static const uint64_t TELLING =
    BIT(HTTP_FIELD_HOST) | BIT(HTTP_FIELD_CONTENT_LENGTH) | BIT(HTTP_FIELD_TRANSFER_ENCODING) |
    BIT(HTTP_FIELD_CONNECTION) | BIT(HTTP_FIELD_UPGRADE) | BIT(HTTP_FIELD_TE) |
    BIT(HTTP_FIELD_EXPECT) | BIT(HTTP_FIELD_OTHER) | BIT(HTTP_FIELD_X_FORWARDED_OTHER);

static int inspect_fields(struct http_head *head, struct facts *facts, bool is_request)
{
    size_t first_connection = 0;
    size_t connections = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        struct http_field *field = &head->fields[i];
        field->id = http_field_lookup(field->name);
        field->is_hop = http_field_is_hop(field->id);
        if (!(TELLING & BIT(field->id)))
            continue;
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
        case HTTP_FIELD_CONNECTION:
            if (connections++ == 0)
                first_connection = i;
            break;
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
            if (is_request && !field->has_plain_name && http_field_is_shadow(field->name))
                return HTTP_SHADOWED_FIELD;
            break;
        default: break;
        }
    }

    unsigned options = 0;
    for (size_t i = first_connection; connections > 0; i++) {
        if (head->fields[i].id != HTTP_FIELD_CONNECTION)
            continue;
        connections--;
        if (IS_LOWER(head->fields[i].value, "keep-alive")) {
            facts->says_keep_alive = true; // nearly always all there is
            continue;
        }
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

#ifndef NDEBUG
static bool is_same_span(struct str a, struct str b)
{
    return a.len == b.len && (a.len == 0 || a.ptr == b.ptr);
}

// Whether two readings of the same bytes say the same.
static bool is_same_head(const struct http_head *a, const struct http_head *b)
{
    for (size_t i = 0; i < a->field_count && i < b->field_count; i++) {
        const struct http_field *mine = &a->fields[i];
        const struct http_field *other = &b->fields[i];
        if (!is_same_span(mine->name, other->name) || !is_same_span(mine->value, other->value) ||
            mine->id != other->id || mine->is_hop != other->is_hop)
            return false;
    }
    return a->field_count == b->field_count && a->head_len == b->head_len &&
           a->method == b->method && is_same_span(a->method_name, b->method_name) &&
           is_same_span(a->target, b->target) && is_same_span(a->path, b->path) &&
           is_same_span(a->query, b->query) && a->has_query == b->has_query &&
           is_same_span(a->host, b->host) && a->is_absolute_form == b->is_absolute_form &&
           a->status == b->status && is_same_span(a->reason, b->reason) &&
           a->announces_body == b->announces_body && a->minor_version == b->minor_version &&
           a->framing == b->framing && a->content_length == b->content_length &&
           a->has_content_length == b->has_content_length && a->is_keep_alive == b->is_keep_alive &&
           a->is_upgrade == b->is_upgrade && is_same_span(a->upgrade, b->upgrade) &&
           a->expects_continue == b->expects_continue && a->accepts_trailers == b->accepts_trailers;
}
#endif

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

// Whether the field lines are all plain; then they are read.
static bool read_plain_fields(struct http_head *head, const char *bytes, size_t len,
                              size_t line_len, size_t fields_max)
{
    const char *end = http_read_plain_fields(head, bytes + line_len, bytes + len,
                                             MIN(fields_max, (size_t)HTTP_FIELDS_MAX));
    if (!end)
        return false;
    head->head_len = (size_t)(end - bytes);
    return true;
}

// Whether the request is plain, complete and accepted; else nothing is said of it.
static bool parse_plain_request(struct http_head *head, const char *bytes, size_t len,
                                const struct http_limits *limits)
{
    size_t line_len;

    clear_head(head);
    len = MIN(len, limits->head_max);
    return http_read_request_line(head, bytes, len, limits->target_max, &line_len) ==
               HTTP_ACCEPTED &&
           // Other methods and targets have rules of llhttp's.
           head->method != HTTP_METHOD_OTHER && head->target.ptr[0] == '/' &&
           read_plain_fields(head, bytes, len, line_len, limits->fields_max) &&
           judge_request(head) == HTTP_ACCEPTED;
}

static int parse_any_request(struct http_head *head, const char *bytes, size_t len,
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

    int rc = http_read_request_line(head, bytes, len, limits->target_max, &line_len);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_TARGET_TOO_LONG;
    if (!rc)
        rc = http_read_any_fields(head, true, bytes, len, line_len, limits->fields_max);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_HEAD_TOO_LARGE;
    if (!rc)
        rc = judge_request(head);
    head->head_len += skipped;
    return rc;
}

int http_parse_request(struct http_head *head, const char *bytes, size_t len,
                       const struct http_limits *limits)
{
    if (!parse_plain_request(head, bytes, len, limits))
        return parse_any_request(head, bytes, len, limits);
#ifndef NDEBUG
    struct http_head other;
    BUG_ON(parse_any_request(&other, bytes, len, limits) != HTTP_ACCEPTED ||
           !is_same_head(head, &other));
#endif
    return HTTP_ACCEPTED;
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

// Whether the response is plain, complete and accepted; else nothing is said of it.
static bool parse_plain_response(struct http_head *head, const char *bytes, size_t len,
                                 const struct http_limits *limits, enum http_method request)
{
    size_t line_len;

    clear_head(head);
    len = MIN(len, limits->head_max);
    return http_read_status_line(head, bytes, len, &line_len) == HTTP_ACCEPTED &&
           read_plain_fields(head, bytes, len, line_len, limits->fields_max) &&
           judge_response(head, request) == HTTP_ACCEPTED;
}

static int parse_any_response(struct http_head *head, const char *bytes, size_t len,
                              const struct http_limits *limits, enum http_method request)
{
    size_t line_len = 0;

    clear_head(head);
    bool is_too_large = len > limits->head_max;
    if (is_too_large)
        len = limits->head_max;
    int rc = http_read_status_line(head, bytes, len, &line_len);
    if (!rc)
        rc = http_read_any_fields(head, false, bytes, len, line_len, limits->fields_max);
    if (rc == ERR_AGAIN && is_too_large)
        return HTTP_HEAD_TOO_LARGE;
    if (!rc)
        rc = judge_response(head, request);
    return rc;
}

int http_parse_response(struct http_head *head, const char *bytes, size_t len,
                        const struct http_limits *limits, enum http_method request)
{
    if (!parse_plain_response(head, bytes, len, limits, request))
        return parse_any_response(head, bytes, len, limits, request);
#ifndef NDEBUG
    struct http_head other;
    BUG_ON(parse_any_response(&other, bytes, len, limits, request) != HTTP_ACCEPTED ||
           !is_same_head(head, &other));
#endif
    return HTTP_ACCEPTED;
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
