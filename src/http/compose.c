// SPDX-License-Identifier: Apache-2.0
// A request head is written in this order: request line, Host, the received fields that go on,
// ours, framing, the empty line. The received fields are copied in one pass that also remembers
// those we extend or replace; hop-by-hop fields are gone before ours are added, so that no
// Connection option can touch what we say.
#include "http/compose.h"

#include "base/err.h"
#include "fields.h"

// Appends to the caller's memory. Once something did not fit, nothing more is written.
struct writer {
    char *start;
    char *at;
    char *end;
    bool is_full;
};

static inline bool has_room(struct writer *writer, size_t len)
{
    if (LIKELY((size_t)(writer->end - writer->at) >= len))
        return true;
    writer->end = writer->at;
    writer->is_full = true;
    return false;
}

// Unchecked: the caller asked has_room for all of it.
static inline void append(struct writer *writer, const char *bytes, size_t len)
{
    memcpy(writer->at, bytes, len);
    writer->at += len;
}

static inline void put(struct writer *writer, struct str s)
{
    if (s.len && has_room(writer, s.len))
        append(writer, s.ptr, s.len);
}

#define PUT(writer, literal) put(writer, STR(literal))

static inline void put_field(struct writer *writer, struct str name, struct str value)
{
    if (!has_room(writer, name.len + value.len + 4))
        return;
    append(writer, name.ptr, name.len);
    append(writer, ": ", 2);
    if (value.len)
        append(writer, value.ptr, value.len);
    append(writer, "\r\n", 2);
}

// Received lines that stand next to each other and go on as they came: they are copied in one go.
struct run {
    const char *start;
    const char *end;
};

static inline void put_run(struct writer *writer, struct run *run)
{
    put(writer, str_make(run->start, (size_t)(run->end - run->start)));
    run->start = run->end;
}

// A field that goes on. Most are written just as we would write them.
static inline void put_received(struct writer *writer, struct run *run,
                                const struct http_field *field)
{
    const char *between = field->name.ptr + field->name.len;
    const char *end = field->value.ptr + field->value.len;

    if (UNLIKELY(field->value.ptr != between + 2 || memcmp(between, ": ", 2) != 0 ||
                 memcmp(end, "\r\n", 2) != 0)) {
        put_run(writer, run);
        put_field(writer, field->name, field->value);
        return;
    }
    if (field->name.ptr != run->end) {
        put_run(writer, run);
        run->start = field->name.ptr;
    }
    run->end = end + 2;
}

static void put_u64(struct writer *writer, uint64_t value)
{
    char digits[STR_U64_MAX];
    put(writer, str_from_u64(value, digits));
}

static void put_length(struct writer *writer, uint64_t length)
{
    char digits[STR_U64_MAX];
    put_field(writer, STR("Content-Length"), str_from_u64(length, digits));
}

static int finish(struct writer *writer)
{
    PUT(writer, "\r\n");
    return writer->is_full ? ERR_TOO_LARGE : (int)(writer->at - writer->start);
}

// --- requests

// The received fields that ours depend on; NULL ptr: not received, or not believed.
struct received {
    struct str forwarded;
    struct str proto;
    struct str port;
    struct str host;
    struct str real_ip;
    unsigned forwarded_count;
    unsigned forwarded_for_count;
};

static void put_request_line(struct writer *writer, const struct http_head *head,
                             const struct http_forward *forward)
{
    put(writer, forward->method_override.len ? forward->method_override : head->method_name);
    PUT(writer, " ");
    put(writer, forward->path);
    if (forward->dst_query.len && !str_eq(forward->path, STR("*"))) {
        PUT(writer, "?");
        put(writer, forward->dst_query);
        if (head->query.len)
            PUT(writer, "&");
    } else if (head->has_query) {
        PUT(writer, "?");
    }
    put(writer, head->query);
    PUT(writer, " HTTP/1.1\r\n");
}

// Whether there may be fields, other than those of forwarding, whose values only we give.
static bool has_own_fields(const struct http_compose_config *config)
{
    return config->client_ip_header.len || config->tls_header.len || config->request_id_header.len;
}

bool http_name_is_own(struct str name, const struct http_compose_config *config)
{
    return (config->client_ip_header.len && http_name_resembles(name, config->client_ip_header)) ||
           (config->tls_header.len && http_name_resembles(name, config->tls_header)) ||
           (config->request_id_header.len && http_name_resembles(name, config->request_id_header));
}

// RFC 9110 section 7.6.2; who answers at 0 is the caller.
static void put_max_forwards(struct writer *writer, struct run *run, const struct http_field *field)
{
    uint64_t left;

    if (!str_to_u64(field->value, &left) || left == 0) {
        put_received(writer, run, field);
        return;
    }
    put_run(writer, run);
    put(writer, field->name);
    PUT(writer, ": ");
    put_u64(writer, left - 1);
    PUT(writer, "\r\n");
}

static void put_request_fields(struct writer *writer, const struct http_head *head,
                               const struct http_forward *forward,
                               const struct http_compose_config *config, struct received *received)
{
    bool is_trusted = forward->is_peer_trusted;
    bool has_own = has_own_fields(config);
    struct run run = {0};

    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->is_hop)
            continue;
        switch (field->id) {
        case HTTP_FIELD_HOST:
        case HTTP_FIELD_CONTENT_LENGTH: continue;
        case HTTP_FIELD_FORWARDED:
            if (is_trusted && field->value.len && received->forwarded_count++ == 0)
                received->forwarded = field->value;
            continue;
        case HTTP_FIELD_X_FORWARDED_FOR: received->forwarded_for_count++; continue;
        case HTTP_FIELD_X_FORWARDED_PROTO:
            if (is_trusted && !received->proto.len)
                received->proto = field->value;
            continue;
        case HTTP_FIELD_X_FORWARDED_PORT:
            if (is_trusted && !received->port.len)
                received->port = field->value;
            continue;
        case HTTP_FIELD_X_FORWARDED_HOST:
            if (is_trusted && !received->host.len)
                received->host = field->value;
            continue;
        case HTTP_FIELD_X_REAL_IP:
            if (is_trusted && !received->real_ip.len)
                received->real_ip = field->value;
            continue;
        case HTTP_FIELD_X_FORWARDED_PREFIX:
            if (!is_trusted || forward->strip.len)
                continue;
            break;
        case HTTP_FIELD_X_FORWARDED_OTHER:
            if (!is_trusted)
                continue;
            break;
        case HTTP_FIELD_MAX_FORWARDS:
            if (head->method == HTTP_METHOD_OPTIONS) {
                put_max_forwards(writer, &run, field);
                continue;
            }
            break;
        default: break;
        }
        if (!has_own || !http_name_is_own(field->name, config))
            put_received(writer, &run, field);
    }
    put_run(writer, &run);
}

// How often a request has been forwarded by proxies that say httpproto=, as we do.
static unsigned count_hops(const struct http_head *head)
{
    unsigned count = 0;

    for (size_t i = 0; i < head->field_count; i++) {
        struct str rest = head->fields[i].value;
        ptrdiff_t at;
        if (head->fields[i].id != HTTP_FIELD_FORWARDED)
            continue;
        while ((at = str_find(rest, STR("httpproto="))) >= 0) {
            rest = str_from(rest, (size_t)at + 10);
            count++;
        }
    }
    return count;
}

// `proto=` of a Forwarded value (RFC 7239 section 5.4) when it is a token; else empty.
static struct str forwarded_proto(struct str forwarded)
{
    for (size_t at = 0; at + 6 <= forwarded.len; at++) {
        bool is_start = at == 0 || !char_is(forwarded.ptr[at - 1], CHAR_TOKEN);
        if (!is_start || !str_istarts_with(str_from(forwarded, at), STR("proto=")))
            continue;
        size_t end = at + 6;
        while (end < forwarded.len && char_is(forwarded.ptr[end], CHAR_TOKEN))
            end++;
        return str_make(forwarded.ptr + at + 6, end - at - 6);
    }
    return STR_NULL;
}

// The scheme the client used, as fabio tells it: what exactly one of the two fields of a trusted
// peer says, else that of the connection.
static struct str client_scheme(const struct http_forward *forward, const struct received *received)
{
    struct str scheme = STR_NULL;

    if (received->proto.len && !received->forwarded.len)
        scheme = received->proto;
    else if (received->forwarded.len && !received->proto.len)
        scheme = forwarded_proto(received->forwarded);
    if (scheme.len && http_chars_are(scheme, CHAR_TOKEN))
        return scheme;
    if (forward->is_websocket)
        return forward->is_tls ? STR("wss") : STR("ws");
    return forward->is_tls ? STR("https") : STR("http");
}

static struct str first_value(const struct http_head *head, enum http_field_id id)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->id == id && !field->is_hop && field->value.len)
            return field->value;
    }
    return STR_NULL;
}

struct str http_client_scheme(const struct http_head *head, const struct http_forward *forward)
{
    struct received received = {0};

    if (forward->is_peer_trusted) {
        received.proto = first_value(head, HTTP_FIELD_X_FORWARDED_PROTO);
        received.forwarded = first_value(head, HTTP_FIELD_FORWARDED);
    }
    return client_scheme(forward, &received);
}

// An address as RFC 7239 section 6 wants it: IPv6 in brackets and quotes.
static void put_node(struct writer *writer, struct str ip)
{
    bool is_v6 = str_find_char(ip, ':') >= 0;

    if (is_v6)
        PUT(writer, "\"[");
    put(writer, ip);
    if (is_v6)
        PUT(writer, "]\"");
}

// The values of all fields with that id, joined.
static void put_joined(struct writer *writer, const struct http_head *head, enum http_field_id id)
{
    bool is_first = true;

    for (size_t i = 0; i < head->field_count; i++) {
        struct str value = head->fields[i].value;
        if (head->fields[i].id != id || value.len == 0)
            continue;
        if (!is_first)
            PUT(writer, ", ");
        put(writer, value);
        is_first = false;
    }
}

static void put_forwarded(struct writer *writer, const struct http_head *head,
                          const struct http_forward *forward,
                          const struct http_compose_config *config, const struct received *received,
                          struct str scheme)
{
    PUT(writer, "Forwarded: ");
    if (received->forwarded_count) {
        put_joined(writer, head, HTTP_FIELD_FORWARDED);
    } else {
        PUT(writer, "for=");
        put_node(writer, forward->client_ip);
        PUT(writer, "; proto=");
        put(writer, scheme);
    }
    if (config->local_ip.len) {
        PUT(writer, "; by=");
        put_node(writer, config->local_ip);
    }
    put(writer, head->minor_version ? STR("; httpproto=http/1.1") : STR("; httpproto=http/1.0"));
    put(writer, forward->tls_details);
    PUT(writer, "\r\n");
}

static void put_forwarded_for(struct writer *writer, const struct http_head *head,
                              const struct http_forward *forward, const struct received *received)
{
    PUT(writer, "X-Forwarded-For: ");
    if (forward->is_peer_trusted && received->forwarded_for_count) {
        char *start = writer->at;
        put_joined(writer, head, HTTP_FIELD_X_FORWARDED_FOR);
        if (writer->at != start)
            PUT(writer, ", ");
    }
    put(writer, forward->client_ip);
    PUT(writer, "\r\n");
}

// The port of a valid host; empty when it has none.
static struct str port_of(struct str host)
{
    ptrdiff_t colon = str_rfind_char(host, ':');

    if (colon < 0 || host.ptr[host.len - 1] == ']')
        return STR_NULL;
    return str_from(host, (size_t)colon + 1);
}

// X-Forwarded-* speak of what the client asked for, so the received Host is used, not the one sent.
static void put_forwarding_fields(struct writer *writer, const struct http_head *head,
                                  const struct http_forward *forward,
                                  const struct http_compose_config *config,
                                  const struct received *received)
{
    struct str scheme = client_scheme(forward, received);
    struct str proto = received->proto;
    struct str port = received->port;
    struct str host = received->host.len ? received->host : head->host;

    put_forwarded(writer, head, forward, config, received, scheme);
    put_forwarded_for(writer, head, forward, received);
    if (host.len)
        put_field(writer, STR("X-Forwarded-Host"), host);
    if (!port.len)
        port = port_of(head->host);
    if (!port.len)
        port = forward->is_tls ? STR("443") : STR("80");
    put_field(writer, STR("X-Forwarded-Port"), port);
    if (!proto.len)
        proto = str_ieq(scheme, STR("wss"))  ? STR("https")
                : str_ieq(scheme, STR("ws")) ? STR("http")
                                             : scheme;
    put_field(writer, STR("X-Forwarded-Proto"), proto);
    put_field(writer, STR("X-Real-Ip"),
              received->real_ip.len ? received->real_ip : forward->client_ip);
    if (forward->strip.len)
        put_field(writer, STR("X-Forwarded-Prefix"), forward->strip);
}

static void put_configured_fields(struct writer *writer, const struct http_forward *forward,
                                  const struct http_compose_config *config)
{
    if (config->client_ip_header.len &&
        !http_field_is_forwarding(http_field_lookup(config->client_ip_header)))
        put_field(writer, config->client_ip_header, forward->client_ip);
    if (config->tls_header.len && forward->is_tls)
        put_field(writer, config->tls_header, config->tls_header_value);
    if (config->request_id_header.len && forward->request_id.len)
        put_field(writer, config->request_id_header, forward->request_id);
}

int http_compose_request(const struct http_head *head, const struct http_forward *forward,
                         const struct http_compose_config *config, char *out, size_t room)
{
    struct writer writer = {out, out, out + room, false};
    struct received received = {0};

    put_request_line(&writer, head, forward);
    put_field(&writer, STR("Host"), forward->host);
    put_request_fields(&writer, head, forward, config, &received);
    if (received.forwarded_count && count_hops(head) >= HTTP_HOPS_MAX)
        return ERR_LIMIT;
    put_forwarding_fields(&writer, head, forward, config, &received);
    put_configured_fields(&writer, forward, config);
    if (forward->asks_gzip)
        PUT(&writer, "Accept-Encoding: gzip\r\n");
    if (head->accepts_trailers)
        PUT(&writer, "TE: trailers\r\n");
    if (forward->is_websocket) {
        PUT(&writer, "Connection: Upgrade\r\n");
        put_field(&writer, STR("Upgrade"), head->upgrade);
    }
    if (head->framing == HTTP_BODY_LENGTH)
        put_length(&writer, head->content_length);
    else if (head->framing == HTTP_BODY_CHUNKED)
        PUT(&writer, "Transfer-Encoding: chunked\r\n");
    return finish(&writer);
}

// --- responses

static void put_status_line(struct writer *writer, int status, struct str reason)
{
    char line[] = "HTTP/1.1 000 ";

    line[9] = (char)('0' + status / 100);
    line[10] = (char)('0' + status / 10 % 10);
    line[11] = (char)('0' + status % 10);
    if (!has_room(writer, sizeof line - 1 + reason.len + 2))
        return;
    append(writer, line, sizeof line - 1);
    if (reason.len)
        append(writer, reason.ptr, reason.len);
    append(writer, "\r\n", 2);
}

// What the final response says about its connection and, with a body, its framing.
static void put_response_framing(struct writer *writer, const struct http_head *head,
                                 const struct http_answer *answer)
{
    if (answer->framing == HTTP_BODY_CHUNKED)
        PUT(writer, "Transfer-Encoding: chunked\r\n");
    else if (answer->framing == HTTP_BODY_LENGTH)
        put_length(writer, head->content_length);
    else if (answer->framing == HTTP_BODY_NONE && head->has_content_length)
        put_length(writer, head->content_length); // HEAD and 304 announce the length of a GET
    if (answer->closes)
        PUT(writer, "Connection: close\r\n");
    else if (answer->says_keep_alive)
        PUT(writer, "Connection: keep-alive\r\n");
}

int http_compose_response(const struct http_head *head, const struct http_answer *answer, char *out,
                          size_t room)
{
    struct writer writer = {out, out, out + room, false};
    bool is_final = head->status >= 200;
    bool has_date = false;
    struct run run = {0};

    put_status_line(&writer, head->status, head->reason);
    if (is_final && answer->sts.len)
        put_field(&writer, STR("Strict-Transport-Security"), answer->sts);
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        if (field->is_hop || field->id == HTTP_FIELD_CONTENT_LENGTH ||
            (field->id == HTTP_FIELD_STRICT_TRANSPORT_SECURITY && answer->sts.len))
            continue;
        has_date |= field->id == HTTP_FIELD_DATE;
        put_received(&writer, &run, field);
    }
    put_run(&writer, &run);
    if (is_final) {
        if (!has_date && answer->date.len)
            put_field(&writer, STR("Date"), answer->date);
        put(&writer, answer->extra);
        put_response_framing(&writer, head, answer);
    } else if (head->is_upgrade) {
        PUT(&writer, "Connection: Upgrade\r\n");
        put_field(&writer, STR("Upgrade"), head->upgrade);
    }
    return finish(&writer);
}

// --- our own responses

int http_compose_error(int status, bool closes, bool is_head, uint8_t client_minor, struct str date,
                       struct str extra, struct str content_type, struct str body, char *out,
                       size_t room)
{
    struct writer writer = {out, out, out + room, false};
    struct str reason = str_of(http_reason(status));
    bool may_have_body = status != 204 && status != 304; // else nobody would read it as one
    char text[64];

    if (!body.ptr) {
        int len = snprintf(text, sizeof(text), reason.len ? "%d %s\n" : "%d\n", status, reason.ptr);
        body = str_make(text, (size_t)len);
        content_type = STR("text/plain; charset=utf-8");
    }
    put_status_line(&writer, status, reason);
    if (date.len)
        put_field(&writer, STR("Date"), date);
    if (content_type.len && may_have_body) {
        put_field(&writer, STR("Content-Type"), content_type);
        PUT(&writer, "X-Content-Type-Options: nosniff\r\n");
    }
    put(&writer, extra);
    if (may_have_body)
        put_length(&writer, body.len);
    if (closes)
        PUT(&writer, "Connection: close\r\n");
    else if (client_minor == 0)
        PUT(&writer, "Connection: keep-alive\r\n");
    PUT(&writer, "\r\n");
    if (!is_head && may_have_body)
        put(&writer, body);
    return writer.is_full ? ERR_TOO_LARGE : (int)(writer.at - writer.start);
}

const char *http_reason(int status)
{
    switch (status) {
    case 100: return "Continue";
    case 101: return "Switching Protocols";
    case 103: return "Early Hints";
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 203: return "Non-Authoritative Information";
    case 204: return "No Content";
    case 205: return "Reset Content";
    case 206: return "Partial Content";
    case 300: return "Multiple Choices";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 402: return "Payment Required";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 407: return "Proxy Authentication Required";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 414: return "URI Too Long";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 417: return "Expectation Failed";
    case 421: return "Misdirected Request";
    case 422: return "Unprocessable Content";
    case 425: return "Too Early";
    case 426: return "Upgrade Required";
    case 428: return "Precondition Required";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 499: return "Client Closed Request";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    case 508: return "Loop Detected";
    default: return "";
    }
}
