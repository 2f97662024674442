// SPDX-License-Identifier: Apache-2.0
// Writes the heads that go out. A head is composed from parsed parts, never copied as bytes, so
// that what leaves the proxy always parses strictly to the same message. Hop-by-hop
// fields are dropped before ours are added. Pure; writes into the caller's memory.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"
#include "http/head.h"

// A trusted peer's request that has come through so many proxies like this one goes in circles.
enum { HTTP_HOPS_MAX = 10 };

// What the operator configured; the same for every request. Borrowed strings.
struct http_compose_config {
    struct str local_ip;          // by= of Forwarded; empty: left out
    struct str client_ip_header;  // proxy.header.clientip; empty: none
    struct str tls_header;        // proxy.header.tls; empty: none
    struct str tls_header_value;  // proxy.header.tls.value
    struct str request_id_header; // proxy.header.requestid; empty: none
};

// Whether only the proxy may give a field of that name, or of one that resembles it.
bool http_name_is_own(struct str name, const struct http_compose_config *config);

// What the proxy knows of this request.
struct http_forward {
    struct str client_ip;       // text form, no brackets
    bool is_peer_trusted;       // incoming forwarding fields are believed (proxy.trusted)
    bool is_tls;                // client side
    bool is_websocket;          // a websocket upgrade: forwarded with Connection: Upgrade
    bool asks_gzip;             // Accept-Encoding: gzip is added; the client said nothing of it
    struct str method_override; // empty: as received
    struct str path;            // to send; "*" allowed for OPTIONS
    struct str dst_query;       // query of the route's destination, put before the request's own
    struct str host;            // Host to send upstream
    struct str strip;       // option strip: sent as X-Forwarded-Prefix; empty: that field untouched
    struct str request_id;  // value for request_id_header
    struct str tls_details; // "; tlsver=tls13; tlscipher=0x1301" for Forwarded; empty without TLS
};

// Request head for the upstream, HTTP/1.1, through the empty line. The framing fields are written
// from head->framing. Returns the length, ERR_TOO_LARGE, or ERR_LIMIT after HTTP_HOPS_MAX hops.
MUST_CHECK int http_compose_request(const struct http_head *head,
                                    const struct http_forward *forward,
                                    const struct http_compose_config *config, char *out,
                                    size_t room);

// The scheme the client used, as fabio tells it: what exactly one of X-Forwarded-Proto and
// Forwarded of a trusted peer says, else that of the connection ("ws" for a websocket).
struct str http_client_scheme(const struct http_head *head, const struct http_forward *forward);

struct http_answer {
    uint8_t client_minor;      // version the client speaks: 0 or 1
    bool closes;               // write Connection: close
    bool says_keep_alive;      // write Connection: keep-alive (HTTP/1.0 clients)
    enum http_framing framing; // as sent to the client; CHUNKED never to a 1.0 client
    struct str sts;            // Strict-Transport-Security value to add; empty: none
    struct str extra; // field lines to add, of Vary, Content-Encoding and ETag; empty: none
    struct str date;  // IMF-fixdate, written when upstream sent no Date
};

// Response head for the client, through the empty line; also for 1xx (framing NONE). For a 101 the
// Upgrade field and Connection: Upgrade are kept. Returns the length or ERR_TOO_LARGE.
MUST_CHECK int http_compose_response(const struct http_head *head, const struct http_answer *answer,
                                     char *out, size_t room);

// A complete response of our own (head and short text body "<status> <reason>\n", text/plain,
// nosniff); extra is field lines "Name: value\r\n" or empty. A HEAD request gets the head alone,
// and so does who is answered 204 or 304. The status is a final one. body may be given (then with
// content_type), else the short text. Returns the length or ERR_TOO_LARGE.
MUST_CHECK int http_compose_error(int status, bool closes, bool is_head, uint8_t client_minor,
                                  struct str date, struct str extra, struct str content_type,
                                  struct str body, char *out, size_t room);

// Standard reason phrase (RFC 9110 section 15), "" when unknown.
const char *http_reason(int status);
