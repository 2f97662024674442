// SPDX-License-Identifier: Apache-2.0
// What goes out, byte for byte. Every composed head also passes http_verify_*, and none is written
// when there is one byte too little room.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/compose.h"
#include "http/verify.h"

static struct http_forward plain(void)
{
    return (struct http_forward){
        .client_ip = STR("192.0.2.7"), .path = STR("/x"), .host = STR("up:8080")};
}

static const struct http_compose_config NO_CONFIG;

static void check_request(const char *received, const struct http_forward *forward,
                          const struct http_compose_config *config, const char *want)
{
    struct http_head head;
    size_t want_len = strlen(want);

    int rc = http_parse_request(&head, received, strlen(received), &HTTP_REQUEST_LIMITS);
    assert_int_equal(rc, HTTP_ACCEPTED);
    for (size_t room = 0; room <= want_len; room++) {
        char *out = malloc(room ? room : 1);
        assert_non_null(out);
        int len = http_compose_request(&head, forward, config, out, room);
        if (room < want_len) {
            assert_int_equal(len, ERR_TOO_LARGE);
        } else {
            if (len != (int)want_len || memcmp(out, want, want_len) != 0)
                fail_msg("got %d:\n%.*s\nwant %zu:\n%s", len, len < 0 ? 0 : len, out, want_len,
                         want);
            assert_true(http_verify_request(&head, forward, config, out, want_len));
        }
        free(out);
    }
    // More than enough is the same; this also shows a `want` that is too short.
    char *out = malloc(want_len + 100);
    assert_non_null(out);
    assert_int_equal(http_compose_request(&head, forward, config, out, want_len + 100), want_len);
    free(out);
}

#define FORWARDED                                                  \
    "Forwarded: for=192.0.2.7; proto=http; httpproto=http/1.1\r\n" \
    "X-Forwarded-For: 192.0.2.7\r\n"

static void forwards_a_plain_request(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    check_request("GET /y?a=1 HTTP/1.1\r\nhost: Foo.com:81\r\nx-WEIRD-case:  v \r\n"
                  "Accept: */*\r\nCookie: a\r\nCookie: b\r\nEmpty:\r\n\r\n",
                  &forward, &NO_CONFIG,
                  "GET /x?a=1 HTTP/1.1\r\nHost: up:8080\r\nx-WEIRD-case: v\r\n"
                  "Accept: */*\r\nCookie: a\r\nCookie: b\r\nEmpty: \r\n" FORWARDED
                  "X-Forwarded-Host: Foo.com:81\r\nX-Forwarded-Port: 81\r\n"
                  "X-Forwarded-Proto: http\r\nX-Real-Ip: 192.0.2.7\r\n\r\n");
}

#define TAIL                                                                               \
    FORWARDED "X-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\nX-Forwarded-Proto: http\r\n" \
              "X-Real-Ip: 192.0.2.7\r\n"

static void writes_the_target(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    check_request("GET /y HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    check_request("GET /y? HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x? HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    forward.dst_query = STR("d=1");
    check_request("GET /y HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x?d=1 HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    check_request("GET /y? HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x?d=1 HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    check_request("GET /y?q HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x?d=1&q HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    forward.dst_query = STR_NULL;
    forward.method_override = STR("PUT");
    check_request("GET /y HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "PUT /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    forward.method_override = STR_NULL;
    forward.path = STR("*");
    check_request("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n", &forward, &NO_CONFIG,
                  "OPTIONS * HTTP/1.1\r\nHost: up:8080\r\nMax-Forwards: 4\r\n" TAIL "\r\n");
    check_request("OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: x\r\n\r\n", &forward, &NO_CONFIG,
                  "OPTIONS * HTTP/1.1\r\nHost: up:8080\r\nMax-Forwards: x\r\n" TAIL "\r\n");
    forward.dst_query = STR("d=1");
    check_request("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "OPTIONS * HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    forward.dst_query = STR_NULL;
    forward.path = STR("/x");
    check_request("GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 5\r\n\r\n", &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\nMax-Forwards: 5\r\n" TAIL "\r\n");
}

static void writes_the_framing(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    check_request("POST /y HTTP/1.1\r\nContent-Length: 0\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
                  "POST /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "Content-Length: 0\r\n\r\n");
    check_request("POST /y HTTP/1.1\r\ncontent-length: 0012\r\nHost: a\r\nExpect: 100-continue\r\n"
                  "\r\n",
                  &forward, &NO_CONFIG,
                  "POST /x HTTP/1.1\r\nHost: up:8080\r\nExpect: 100-continue\r\n" TAIL
                  "Content-Length: 12\r\n\r\n");
    check_request(
        "POST /y HTTP/1.1\r\nTransfer-Encoding: CHUNKED\r\nHost: a\r\n\r\n", &forward, &NO_CONFIG,
        "POST /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "Transfer-Encoding: chunked\r\n\r\n");
    check_request("POST /y HTTP/1.1\r\nContent-Length: 9223372036854775807\r\nHost: a\r\n\r\n",
                  &forward, &NO_CONFIG,
                  "POST /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL
                  "Content-Length: 9223372036854775807\r\n\r\n");
}

static void drops_hop_by_hop_fields(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    check_request("GET /y HTTP/1.1\r\nHost: a\r\nConnection: x-a, upgrade, HTTP2-Settings\r\n"
                  "X-A: 1\r\nX-B: 2\r\nKeep-Alive: 1\r\nProxy-Connection: 1\r\nUpgrade: h2c\r\n"
                  "HTTP2-Settings: x\r\nTrailer: x\r\nTE: trailers, gzip\r\n"
                  "Proxy-Authorization: x\r\nAuthorization: y\r\n\r\n",
                  &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\nX-B: 2\r\nAuthorization: y\r\n" TAIL
                  "TE: trailers\r\n\r\n");
}

static void forwards_a_websocket(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    forward.is_websocket = true;
    check_request("GET /y HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n"
                  "Upgrade: WebSocket\r\nSec-WebSocket-Key: k\r\n\r\n",
                  &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\nSec-WebSocket-Key: k\r\n"
                  "Forwarded: for=192.0.2.7; proto=ws; httpproto=http/1.1\r\n"
                  "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\n"
                  "X-Forwarded-Proto: http\r\nX-Real-Ip: 192.0.2.7\r\n"
                  "Connection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    forward.is_tls = true;
    check_request("GET /y HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
                  &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n"
                  "Forwarded: for=192.0.2.7; proto=wss; httpproto=http/1.1\r\n"
                  "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 443\r\n"
                  "X-Forwarded-Proto: https\r\nX-Real-Ip: 192.0.2.7\r\n"
                  "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

static const char SPOOF[] =
    "GET /y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.1.1.1\r\nx-forwarded-for: 2.2.2.2, "
    "3.3.3.3\r\n"
    "X-Forwarded-Proto: https\r\nX-Forwarded-Port: 99\r\nX-Forwarded-Host: evil\r\n"
    "X-Forwarded-Prefix: /p\r\nX-Forwarded-Ssl: on\r\nX-Real-Ip: 4.4.4.4\r\n"
    "Forwarded: for=5.5.5.5\r\nForwarded: for=6.6.6.6\r\n\r\n";

static void believes_only_trusted_peers(void **state)
{
    struct http_forward forward = plain();

    (void)state;
    check_request(SPOOF, &forward, &NO_CONFIG, "GET /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    forward.is_peer_trusted = true;
    check_request(SPOOF, &forward, &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n"
                  "X-Forwarded-Prefix: /p\r\nX-Forwarded-Ssl: on\r\n"
                  "Forwarded: for=5.5.5.5, for=6.6.6.6; httpproto=http/1.1\r\n"
                  "X-Forwarded-For: 1.1.1.1, 2.2.2.2, 3.3.3.3, 192.0.2.7\r\n"
                  "X-Forwarded-Host: evil\r\nX-Forwarded-Port: 99\r\n"
                  "X-Forwarded-Proto: https\r\nX-Real-Ip: 4.4.4.4\r\n\r\n");
    // Present but empty counts as absent.
    check_request("GET /y HTTP/1.1\r\nHost: a\r\nX-Forwarded-For:\r\nX-Forwarded-Proto:\r\n"
                  "X-Real-Ip: \r\nForwarded:\r\nX-Forwarded-Host:\r\nX-Forwarded-Port:\r\n\r\n",
                  &forward, &NO_CONFIG, "GET /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
}

static void tells_the_scheme_of_a_trusted_peer(void **state)
{
    static const struct {
        const char *fields;
        const char *forwarded;
        const char *proto;
    } rows[] = {
        {"X-Forwarded-Proto: https\r\n", "for=192.0.2.7; proto=https", "https"},
        {"Forwarded: for=1;proto=https;by=2\r\n", "for=1;proto=https;by=2", "https"},
        {"Forwarded: for=1; Proto=wss\r\n", "for=1; Proto=wss", "https"},
        {"Forwarded: for=1; httpproto=https\r\n", "for=1; httpproto=https", "http"},
        {"Forwarded: for=1; proto=\"https\"\r\n", "for=1; proto=\"https\"", "http"},
        {"Forwarded: proto\r\n", "proto", "http"},
        {"Forwarded: proto=https\r\nX-Forwarded-Proto: foo\r\n", "proto=https", "foo"},
        {"X-Forwarded-Proto: https, http\r\n", "for=192.0.2.7; proto=http", "https, http"},
    };
    struct http_forward forward = plain();
    char received[256];
    char want[512];

    (void)state;
    forward.is_peer_trusted = true;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(received, sizeof(received), "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", rows[i].fields);
        snprintf(want, sizeof(want),
                 "GET /x HTTP/1.1\r\nHost: up:8080\r\nForwarded: %s; httpproto=http/1.1\r\n"
                 "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Host: a\r\nX-Forwarded-Port: 80\r\n"
                 "X-Forwarded-Proto: %s\r\nX-Real-Ip: 192.0.2.7\r\n\r\n",
                 rows[i].forwarded, rows[i].proto);
        check_request(received, &forward, &NO_CONFIG, want);
    }
}

static void knows_ipv6_tls_and_the_configuration(void **state)
{
    const struct http_compose_config config = {.local_ip = STR("2001:db8::9"),
                                               .client_ip_header = STR("X-Cip"),
                                               .tls_header = STR("X-Tls"),
                                               .tls_header_value = STR("yes"),
                                               .request_id_header = STR("X-Request-Id")};
    const struct http_compose_config doubled = {.client_ip_header = STR("x-forwarded-for")};
    static const char received[] = "GET /y HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\nx-cip: 1\r\n"
                                   "X_Cip: 1\r\nX-Tls: no\r\nX-Request_Id: mine\r\n\r\n";
    struct http_forward forward = plain();

    (void)state;
    forward.client_ip = STR("2001:db8::7");
    forward.is_tls = true;
    forward.strip = STR("/s");
    forward.request_id = STR("id-1");
    forward.tls_details = STR("; tlsver=tls13; tlscipher=0x1301");
    check_request(received, &forward, &config,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n"
                  "Forwarded: for=\"[2001:db8::7]\"; proto=https; by=\"[2001:db8::9]\"; "
                  "httpproto=http/1.1; tlsver=tls13; tlscipher=0x1301\r\n"
                  "X-Forwarded-For: 2001:db8::7\r\nX-Forwarded-Host: [2001:db8::1]:8443\r\n"
                  "X-Forwarded-Port: 8443\r\nX-Forwarded-Proto: https\r\n"
                  "X-Real-Ip: 2001:db8::7\r\nX-Forwarded-Prefix: /s\r\n"
                  "X-Cip: 2001:db8::7\r\nX-Tls: yes\r\nX-Request-Id: id-1\r\n\r\n");
    forward.is_tls = false;
    forward.request_id = STR_NULL;
    forward.strip = STR_NULL;
    forward.tls_details = STR_NULL;
    check_request("GET /y HTTP/1.0\r\nX-Tls: yes\r\nX-Request-Id: mine\r\nExpect: x\r\n\r\n",
                  &forward, &config,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n"
                  "Forwarded: for=\"[2001:db8::7]\"; proto=http; by=\"[2001:db8::9]\"; "
                  "httpproto=http/1.0\r\n"
                  "X-Forwarded-For: 2001:db8::7\r\nX-Forwarded-Port: 80\r\n"
                  "X-Forwarded-Proto: http\r\nX-Real-Ip: 2001:db8::7\r\n"
                  "X-Cip: 2001:db8::7\r\n\r\n");
    forward = plain();
    check_request("GET /y HTTP/1.1\r\nHost: a\r\n\r\n", &forward, &doubled,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "\r\n");
    // strip replaces the prefix a trusted peer sent.
    forward.is_peer_trusted = true;
    forward.strip = STR("/s");
    check_request("GET /y HTTP/1.1\r\nHost: a\r\nX-Forwarded-Prefix: /p\r\n\r\n", &forward,
                  &NO_CONFIG,
                  "GET /x HTTP/1.1\r\nHost: up:8080\r\n" TAIL "X-Forwarded-Prefix: /s\r\n\r\n");
}

static void check_response(const char *received, enum http_method method,
                           const struct http_answer *answer, const char *want)
{
    struct http_head head;
    size_t want_len = strlen(want);

    int rc = http_parse_response(&head, received, strlen(received), &HTTP_RESPONSE_LIMITS, method);
    assert_int_equal(rc, HTTP_ACCEPTED);
    for (size_t room = 0; room <= want_len + 1; room++) {
        char *out = malloc(room ? room : 1);
        assert_non_null(out);
        int len = http_compose_response(&head, answer, out, room);
        if (room < want_len) {
            assert_int_equal(len, ERR_TOO_LARGE);
        } else {
            if (len != (int)want_len || memcmp(out, want, want_len) != 0)
                fail_msg("got %d:\n%.*s\nwant %zu:\n%s", len, len < 0 ? 0 : len, out, want_len,
                         want);
            assert_true(http_verify_response(&head, answer, method, out, want_len));
        }
        free(out);
    }
}

static void composes_responses(void **state)
{
    struct http_answer answer = {.client_minor = 1, .framing = HTTP_BODY_LENGTH};

    (void)state;
    check_response("HTTP/1.0 200 Fine\r\nServer: s\r\nConnection: x-a\r\nX-A: 1\r\n"
                   "Keep-Alive: 1\r\nProxy-Authenticate: x\r\nTrailer: x\r\nUpgrade: h2\r\n"
                   "content-length: 3\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n\r\n",
                   HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 200 Fine\r\nServer: s\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n"
                   "Content-Length: 3\r\n\r\n");
    answer.closes = true;
    answer.date = STR("D");
    answer.sts = STR("max-age=1");
    check_response("HTTP/1.1 200\r\nContent-Length: 3\r\nStrict-Transport-Security: x\r\n\r\n",
                   HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 200 \r\nStrict-Transport-Security: max-age=1\r\nDate: D\r\n"
                   "Content-Length: 3\r\nConnection: close\r\n\r\n");
    answer = (struct http_answer){
        .client_minor = 0, .says_keep_alive = true, .framing = HTTP_BODY_LENGTH, .date = STR("D")};
    check_response("HTTP/1.1 200 OK\r\nDate: Mine\r\nContent-Length: 3\r\n"
                   "Strict-Transport-Security: x\r\n\r\n",
                   HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 200 OK\r\nDate: Mine\r\nStrict-Transport-Security: x\r\n"
                   "Content-Length: 3\r\nConnection: keep-alive\r\n\r\n");
    answer = (struct http_answer){.client_minor = 1, .framing = HTTP_BODY_CHUNKED};
    check_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_GET,
                   &answer, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    // A body of unknown length becomes chunked for those who understand it.
    check_response("HTTP/1.1 200 OK\r\n\r\n", HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    answer = (struct http_answer){.client_minor = 0, .closes = true, .framing = HTTP_BODY_CLOSE};
    check_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_GET,
                   &answer, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n");
}

static void composes_responses_without_body(void **state)
{
    struct http_answer answer = {.client_minor = 1, .framing = HTTP_BODY_NONE, .sts = STR("s")};

    (void)state;
    check_response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", HTTP_METHOD_HEAD, &answer,
                   "HTTP/1.1 200 OK\r\nStrict-Transport-Security: s\r\nContent-Length: 3\r\n\r\n");
    answer.sts = STR_NULL;
    check_response("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_HEAD,
                   &answer, "HTTP/1.1 200 OK\r\n\r\n");
    check_response("HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n", HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 304 x\r\nContent-Length: 3\r\n\r\n");
    check_response("HTTP/1.1 204 x\r\nContent-Length: 3\r\n\r\n", HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 204 x\r\n\r\n");
    check_response("HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 204 x\r\n\r\n");
    answer.closes = true;
    answer.date = STR("D");
    answer.sts = STR("s");
    check_response("HTTP/1.1 103 x\r\nLink: y\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
                   HTTP_METHOD_GET, &answer, "HTTP/1.1 103 x\r\nLink: y\r\n\r\n");
    check_response("HTTP/1.1 101 x\r\nConnection: upgrade, x-a\r\nUpgrade: WebSocket\r\nX-A: 1\r\n"
                   "Sec-WebSocket-Accept: y\r\n\r\n",
                   HTTP_METHOD_GET, &answer,
                   "HTTP/1.1 101 x\r\nSec-WebSocket-Accept: y\r\nConnection: Upgrade\r\n"
                   "Upgrade: WebSocket\r\n\r\n");
}

static void verification_sees_changes(void **state)
{
    static const char received[] = "POST /y?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-B: 2\r\n"
                                   "Connection: x-b\r\nContent-Length: 7\r\n\r\n";
    static const char *const requests[] = {
        "GET /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /y?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /x HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /x?r HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.0\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 8\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 2\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nX-B: 2\r\nContent-Length: 7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nTE: trailers\r\nContent-Length: "
        "7\r\n\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nKeep-Alive: 1\r\nContent-Length: 7\r\n"
        "\r\n",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n.",
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n",
    };
    static const char good[] =
        "POST /x?q HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n";
    static const char good_response[] = "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n";
    static const char *const responses[] = {
        "HTTP/1.1 201 OK\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.0 200 OK\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 Ok\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 8\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nX-B: 1\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nKeep-Alive: 1\r\nContent-Length: 7\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n.",
    };
    const struct http_answer answer = {.client_minor = 1, .framing = HTTP_BODY_LENGTH};
    struct http_answer closing = answer;
    struct http_forward forward = plain();
    struct http_head head;

    (void)state;
    assert_int_equal(http_parse_request(&head, received, strlen(received), &HTTP_REQUEST_LIMITS),
                     HTTP_ACCEPTED);
    assert_true(http_verify_request(&head, &forward, &NO_CONFIG, good, strlen(good)));
    for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
        if (http_verify_request(&head, &forward, &NO_CONFIG, requests[i], strlen(requests[i])))
            fail_msg("%s", requests[i]);
    }
    forward.dst_query = STR("d");
    assert_false(http_verify_request(&head, &forward, &NO_CONFIG, good, strlen(good)));
    static const char glued[] =
        "POST /x?dq HTTP/1.1\r\nHost: up:8080\r\nX-A: 1\r\nContent-Length: 7\r\n\r\n";
    assert_false(http_verify_request(&head, &forward, &NO_CONFIG, glued, strlen(glued)));
    assert_int_equal(http_parse_response(&head, good_response, strlen(good_response),
                                         &HTTP_RESPONSE_LIMITS, HTTP_METHOD_GET),
                     HTTP_ACCEPTED);
    assert_true(http_verify_response(&head, &answer, HTTP_METHOD_GET, good_response,
                                     strlen(good_response)));
    for (size_t i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
        if (http_verify_response(&head, &answer, HTTP_METHOD_GET, responses[i],
                                 strlen(responses[i])))
            fail_msg("%s", responses[i]);
    }
    closing.closes = true;
    assert_false(http_verify_response(&head, &closing, HTTP_METHOD_GET, good_response,
                                      strlen(good_response)));
}

// A head with as many fields as may be gets more by ours; that must not break the proof.
static void forwards_a_full_head(void **state)
{
    static char received[4096];
    static char out[8192];
    struct http_forward forward = plain();
    struct http_answer answer = {.client_minor = 1, .closes = true, .framing = HTTP_BODY_NONE};
    struct http_head head;

    (void)state;
    strcpy(received, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 1; i < HTTP_FIELDS_MAX; i++)
        strcat(received, "X: y\r\n");
    strcat(received, "\r\n");
    assert_int_equal(http_parse_request(&head, received, strlen(received), &HTTP_REQUEST_LIMITS),
                     HTTP_ACCEPTED);
    int len = http_compose_request(&head, &forward, &NO_CONFIG, out, sizeof(out));
    assert_true(len > 0);
    assert_true(http_verify_request(&head, &forward, &NO_CONFIG, out, (size_t)len));
    strcpy(received, "HTTP/1.1 204 x\r\n");
    for (int i = 0; i < HTTP_FIELDS_MAX; i++)
        strcat(received, "X: y\r\n");
    strcat(received, "\r\n");
    assert_int_equal(http_parse_response(&head, received, strlen(received), &HTTP_RESPONSE_LIMITS,
                                         HTTP_METHOD_GET),
                     HTTP_ACCEPTED);
    len = http_compose_response(&head, &answer, out, sizeof(out));
    assert_true(len > 0);
    assert_true(http_verify_response(&head, &answer, HTTP_METHOD_GET, out, (size_t)len));
}

static void check_error(int len, const char *out, const char *want)
{
    assert_int_equal(len, strlen(want));
    assert_memory_equal(out, want, strlen(want));
}

static void composes_own_responses(void **state)
{
    char out[512];
    static const char not_found[] =
        "HTTP/1.1 404 Not Found\r\nDate: D\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "X-Content-Type-Options: nosniff\r\nContent-Length: 14\r\n\r\n404 Not Found\n";

    (void)state;
    check_error(http_compose_error(404, false, false, 1, STR("D"), STR_NULL, STR_NULL, STR_NULL,
                                   out, sizeof(out)),
                out, not_found);
    for (size_t room = 0; room < strlen(not_found); room++)
        assert_int_equal(http_compose_error(404, false, false, 1, STR("D"), STR_NULL, STR_NULL,
                                            STR_NULL, out, room),
                         ERR_TOO_LARGE);
    check_error(http_compose_error(400, true, true, 1, STR_NULL, STR("Allow: GET\r\n"), STR_NULL,
                                   STR_NULL, out, sizeof(out)),
                out,
                "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
                "X-Content-Type-Options: nosniff\r\nAllow: GET\r\nContent-Length: 16\r\n"
                "Connection: close\r\n\r\n");
    check_error(http_compose_error(200, false, false, 0, STR_NULL, STR_NULL, STR("text/html"),
                                   STR("<p>"), out, sizeof(out)),
                out,
                "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
                "X-Content-Type-Options: nosniff\r\nContent-Length: 3\r\n"
                "Connection: keep-alive\r\n\r\n<p>");
    check_error(http_compose_error(599, false, false, 1, STR_NULL, STR_NULL, STR_NULL, STR_NULL,
                                   out, sizeof(out)),
                out,
                "HTTP/1.1 599 \r\nContent-Type: text/plain; charset=utf-8\r\n"
                "X-Content-Type-Options: nosniff\r\nContent-Length: 4\r\n\r\n599\n");
    // A body that is given and empty stays so.
    check_error(http_compose_error(200, false, false, 1, STR_NULL, STR_NULL, STR_NULL, STR(""), out,
                                   sizeof(out)),
                out, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    // What stands behind these is the next response to who reads it.
    check_error(http_compose_error(204, false, false, 1, STR_NULL, STR_NULL, STR("text/html"),
                                   STR("<p>"), out, sizeof(out)),
                out, "HTTP/1.1 204 No Content\r\n\r\n");
    check_error(http_compose_error(304, true, false, 1, STR_NULL, STR("A: b\r\n"), STR_NULL,
                                   STR_NULL, out, sizeof(out)),
                out, "HTTP/1.1 304 Not Modified\r\nA: b\r\nConnection: close\r\n\r\n");
}

static void knows_reasons(void **state)
{
    static const int known[] = {100, 101, 103, 200, 201, 202, 203, 204, 205, 206, 300, 301, 302,
                                303, 304, 307, 308, 400, 401, 402, 403, 404, 405, 406, 407, 408,
                                409, 410, 411, 412, 413, 414, 415, 416, 417, 421, 422, 425, 426,
                                428, 429, 431, 499, 500, 501, 502, 503, 504, 505, 508};
    size_t next = 0;

    (void)state;
    for (int status = 0; status < 1000; status++) {
        bool is_known = next < sizeof(known) / sizeof(known[0]) && known[next] == status;
        assert_int_equal(strlen(http_reason(status)) > 0, is_known);
        next += is_known;
    }
    assert_string_equal(http_reason(503), "Service Unavailable");
}

// What a trusted peer's request says of the proxies it came through, over all its fields.
static void ends_circles(void **state)
{
    static const char HOP[] = "; httpproto=http/1.1";
    struct http_forward forward = plain();

    (void)state;
    for (unsigned hops = HTTP_HOPS_MAX - 1; hops <= HTTP_HOPS_MAX; hops++) {
        char received[1024] =
            "GET /y HTTP/1.1\r\nHost: a\r\nForwarded: for=_a\r\nForwarded: for=_b";
        for (unsigned i = 0; i < hops; i++)
            strcat(received, HOP);
        strcat(received, "\r\n\r\n");
        struct http_head head;
        char out[2048];
        assert_int_equal(
            http_parse_request(&head, received, strlen(received), &HTTP_REQUEST_LIMITS),
            HTTP_ACCEPTED);
        forward.is_peer_trusted = false;
        assert_true(http_compose_request(&head, &forward, &NO_CONFIG, out, sizeof out) > 0);
        forward.is_peer_trusted = true;
        int len = http_compose_request(&head, &forward, &NO_CONFIG, out, sizeof out);
        if (hops == HTTP_HOPS_MAX)
            assert_int_equal(len, ERR_LIMIT);
        else
            assert_true(len > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards_a_plain_request),
        cmocka_unit_test(writes_the_target),
        cmocka_unit_test(writes_the_framing),
        cmocka_unit_test(drops_hop_by_hop_fields),
        cmocka_unit_test(forwards_a_websocket),
        cmocka_unit_test(believes_only_trusted_peers),
        cmocka_unit_test(tells_the_scheme_of_a_trusted_peer),
        cmocka_unit_test(knows_ipv6_tls_and_the_configuration),
        cmocka_unit_test(composes_responses),
        cmocka_unit_test(composes_responses_without_body),
        cmocka_unit_test(verification_sees_changes),
        cmocka_unit_test(forwards_a_full_head),
        cmocka_unit_test(composes_own_responses),
        cmocka_unit_test(knows_reasons),
        cmocka_unit_test(ends_circles),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
