// SPDX-License-Identifier: Apache-2.0
#include "http/verify.h"

#include "fields.h"

// Fields we add at most; a head that was full can be over the parser's maximum with them.
enum { ADDED_MAX = 20 };

// Whether a request field is written by us instead of passed on.
static bool is_rewritten(const struct http_field *field, const struct http_compose_config *config)
{
    switch (field->id) {
    case HTTP_FIELD_HOST:
    case HTTP_FIELD_CONTENT_LENGTH:
    case HTTP_FIELD_MAX_FORWARDS: return true;
    default: return http_field_is_forwarding(field->id) || http_name_is_own(field->name, config);
    }
}

// Whether a hop-by-hop field of an outgoing head is one that we may have written.
static bool is_own_hop(const struct http_field *field, bool is_upgrade)
{
    switch (field->id) {
    case HTTP_FIELD_TRANSFER_ENCODING: return str_eq(field->value, STR("chunked"));
    case HTTP_FIELD_TE: return str_eq(field->value, STR("trailers"));
    case HTTP_FIELD_CONNECTION:
        return is_upgrade
                   ? str_eq(field->value, STR("Upgrade"))
                   : str_eq(field->value, STR("close")) || str_eq(field->value, STR("keep-alive"));
    case HTTP_FIELD_UPGRADE: return is_upgrade;
    default: return false;
    }
}

static bool same_field(const struct http_field *a, const struct http_field *b)
{
    return str_eq(a->name, b->name) && str_eq(a->value, b->value);
}

// Whether target is path, '?' and the queries.
static bool is_target(struct str target, const struct http_head *head,
                      const struct http_forward *forward)
{
    bool has_query = head->has_query || forward->dst_query.len;
    struct str rest = target;

    if (str_eq(forward->path, STR("*")))
        return str_eq(target, forward->path);
    if (!str_starts_with(rest, forward->path))
        return false;
    rest = str_from(rest, forward->path.len);
    if (!has_query)
        return rest.len == 0;
    if (!str_starts_with(rest, STR("?")))
        return false;
    rest = str_from(rest, 1);
    if (!str_starts_with(rest, forward->dst_query))
        return false;
    rest = str_from(rest, forward->dst_query.len);
    if (forward->dst_query.len && head->query.len) {
        if (!str_starts_with(rest, STR("&")))
            return false;
        rest = str_from(rest, 1);
    }
    return str_eq(rest, head->query);
}

bool http_verify_request(const struct http_head *head, const struct http_forward *forward,
                         const struct http_compose_config *config, const char *out, size_t len)
{
    const struct http_limits limits = {len, len, HTTP_FIELDS_MAX};
    struct http_head sent;
    size_t next = 0;
    bool has_asked_gzip = false;

    int rc = http_parse_request(&sent, out, len, &limits);
    if (rc == HTTP_TOO_MANY_FIELDS)
        return head->field_count + ADDED_MAX > HTTP_FIELDS_MAX;
    if (rc || sent.head_len != len || sent.minor_version != 1)
        return false;
    struct str method = forward->method_override.len ? forward->method_override : head->method_name;
    if (!str_eq(sent.method_name, method) || !is_target(sent.target, head, forward) ||
        !str_eq(sent.host, forward->host) || sent.framing != head->framing ||
        sent.content_length != head->content_length || sent.is_upgrade != forward->is_websocket ||
        sent.accepts_trailers != head->accepts_trailers)
        return false;

    for (size_t i = 0; i < sent.field_count; i++) {
        const struct http_field *field = &sent.fields[i];
        if (field->is_hop) {
            if (!is_own_hop(field, forward->is_websocket))
                return false;
            continue;
        }
        if (is_rewritten(field, config))
            continue;
        if (forward->asks_gzip && !has_asked_gzip && field->id == HTTP_FIELD_ACCEPT_ENCODING) {
            has_asked_gzip = str_eq(field->value, STR("gzip"));
            continue;
        }
        while (next < head->field_count &&
               (head->fields[next].is_hop || is_rewritten(&head->fields[next], config)))
            next++;
        if (next == head->field_count || !same_field(field, &head->fields[next++]))
            return false;
    }
    while (next < head->field_count &&
           (head->fields[next].is_hop || is_rewritten(&head->fields[next], config)))
        next++;
    return next == head->field_count && has_asked_gzip == forward->asks_gzip;
}

// Whether a response field is dropped or may have been added by us.
static bool is_replaced(const struct http_field *field, const struct http_answer *answer)
{
    return field->id == HTTP_FIELD_CONTENT_LENGTH ||
           (field->id == HTTP_FIELD_STRICT_TRANSPORT_SECURITY && answer->sts.len) ||
           (field->id == HTTP_FIELD_DATE && answer->date.len) ||
           (answer->extra.len &&
            (field->id == HTTP_FIELD_VARY || field->id == HTTP_FIELD_CONTENT_ENCODING ||
             str_ieq(field->name, STR("ETag"))));
}

bool http_verify_response(const struct http_head *head, const struct http_answer *answer,
                          enum http_method request, const char *out, size_t len)
{
    const struct http_limits limits = {len, 0, HTTP_FIELDS_MAX};
    struct http_head sent;
    size_t next = 0;

    int rc = http_parse_response(&sent, out, len, &limits, request);
    if (rc == HTTP_TOO_MANY_FIELDS)
        return head->field_count + ADDED_MAX > HTTP_FIELDS_MAX;
    if (rc || sent.head_len != len || sent.minor_version != 1)
        return false;
    if (sent.status != head->status || !str_eq(sent.reason, head->reason) ||
        sent.framing != answer->framing || sent.is_upgrade != head->is_upgrade)
        return false;
    if (sent.framing == HTTP_BODY_LENGTH && sent.content_length != head->content_length)
        return false;
    if (sent.status >= 200 && answer->closes && sent.is_keep_alive)
        return false;

    for (size_t i = 0; i < sent.field_count; i++) {
        const struct http_field *field = &sent.fields[i];
        if (field->is_hop) {
            if (!is_own_hop(field, head->is_upgrade))
                return false;
            continue;
        }
        if (is_replaced(field, answer))
            continue;
        while (next < head->field_count &&
               (head->fields[next].is_hop || is_replaced(&head->fields[next], answer)))
            next++;
        if (next == head->field_count || !same_field(field, &head->fields[next++]))
            return false;
    }
    while (next < head->field_count &&
           (head->fields[next].is_hop || is_replaced(&head->fields[next], answer)))
        next++;
    return next == head->field_count;
}
