// SPDX-License-Identifier: Apache-2.0
// Tables of heads and what becomes of them. Every row is also fed byte by byte: a part of a head is
// "more is needed" or already the refusal of the whole, never another message.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/err.h"
#include "http/head.h"

#define H "Host: a\r\n"

struct row {
    const char *bytes;
    int want;
    size_t len; // 0: the bytes are a C string
};

static size_t row_len(const struct row *row)
{
    return row->len ? row->len : strlen(row->bytes);
}

static int parse_part(struct http_head *head, const struct row *row, size_t len, bool is_request)
{
    // A block of exactly that size, so that a sanitizer sees every read beyond it.
    char *bytes = malloc(len ? len : 1);
    assert_non_null(bytes);
    memcpy(bytes, row->bytes, len);
    int rc = is_request
                 ? http_parse_request(head, bytes, len, &HTTP_REQUEST_LIMITS)
                 : http_parse_response(head, bytes, len, &HTTP_RESPONSE_LIMITS, HTTP_METHOD_GET);
    free(bytes);
    return rc;
}

static void check_rows(const struct row *rows, size_t count, bool is_request)
{
    struct http_head head;

    for (size_t i = 0; i < count; i++) {
        size_t len = row_len(&rows[i]);
        int rc = parse_part(&head, &rows[i], len, is_request);
        if (rc != rows[i].want)
            fail_msg("row %zu: got %d, want %d: %s", i, rc, rows[i].want, rows[i].bytes);
        size_t whole = rc == HTTP_ACCEPTED ? head.head_len : len;
        for (size_t part = 0; part < whole; part++) {
            rc = parse_part(&head, &rows[i], part, is_request);
            if (rc != ERR_AGAIN && (rc == HTTP_ACCEPTED || rc != rows[i].want))
                fail_msg("row %zu cut at %zu: got %d: %s", i, part, rc, rows[i].bytes);
        }
    }
}

static const struct row REQUESTS[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"GET / HTTP/1.0\r\n\r\n", HTTP_ACCEPTED},
    {"\r\nGET / HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"\r\n\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},
    {"\rGET / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},

    // Method.
    {"get / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"FOO / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"GETX / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"GE / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ", HTTP_UNKNOWN_METHOD},
    {"PROPFIND / HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"M-SEARCH / HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"SOURCE / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"SOURCE / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", HTTP_UNKNOWN_METHOD},
    {"DESCRIBE / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"PRI / HTTP/1.1\r\n" H "\r\n", HTTP_UNKNOWN_METHOD},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", HTTP_BAD_VERSION},
    {"CONNECT a:80 HTTP/1.1\r\n" H "\r\n", HTTP_METHOD_REFUSED},
    {"TRACE / HTTP/1.1\r\n" H "\r\n", HTTP_METHOD_REFUSED},
    {"G@T / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},
    {" GET / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", HTTP_BAD_METHOD},
    {"GET\r\n\r\n", HTTP_BAD_METHOD},
    {"\x16\x03\x01\x02", HTTP_BAD_METHOD},

    // Spaces and version.
    {"GET  / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET /  HTTP/1.1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1 \r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET /\tHTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET /\r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET /\n", HTTP_BAD_SYNTAX},
    {"GET \r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET / \r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/0.9\r\n" H "\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/1.2\r\n" H "\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/2.0\r\n" H "\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/9.9\r\n" H "\r\n", HTTP_BAD_VERSION},
    {"GET / HTTP/1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.10\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/01.1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / http/1.1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / RTSP/1.0\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"SOURCE / ICE/1.0\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\rX\r\n" H "\r\n", HTTP_BAD_SYNTAX},

    // Target.
    {"GET /#f HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET /a\x01 HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET /a\x7f HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET /a\xc3\xa4 HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET /a\0b HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET, 31},
    {"GET a HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET ?x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET * HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"OPTIONS *x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET http://b/x HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"GET https://b:8443 HTTP/1.1\r\n" H "\r\n", HTTP_ACCEPTED},
    {"GET ftp://b/x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET http://u@b/x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET http://u:p@b/x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET http:///x HTTP/1.1\r\n" H "\r\n", HTTP_BAD_TARGET},
    {"GET http://b/x HTTP/1.1\r\n\r\n", HTTP_HOST_MISSING},
    {"GET http://b/x HTTP/1.0\r\n\r\n", HTTP_ACCEPTED},

    // Field names.
    {"GET / HTTP/1.1\r\n" H ": x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "X : x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "X\t: x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "X Y: x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "X@: x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "X\0: x\r\n\r\n", HTTP_BAD_FIELD_NAME, 34},
    {"GET / HTTP/1.1\r\n" H "\xe4: x\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "nocolon\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n Host: a\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "Content-Length : 5\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", HTTP_BAD_FIELD_NAME},

    // Field values and line ends: the inputs only the loose parser of llhttp 8 accepts are here.
    {"GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", HTTP_BAD_FIELD_VALUE, 35},
    {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", HTTP_BAD_FIELD_VALUE},
    {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", HTTP_BAD_FIELD_VALUE},
    {"GET / HTTP/1.1\r\n" H "X: \xff\xe4\t.\r\n\r\n", HTTP_ACCEPTED},
    {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\r\n" H "X:\rTransfer-Encoding: chunked\r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n", HTTP_BAD_FIELD_VALUE},
    {"GET / HTTP/1.1\r\n" H "X:\nY: b\r\n\r\n", HTTP_BAD_FIELD_VALUE},
    {"GET / HTTP/1.1\r\n" H "\rXGET / HTTP/1.1\r\n" H "\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\r\n" H "\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\r\n" H "\nX: y\r\n\r\n", HTTP_BAD_SYNTAX},
    {"GET / HTTP/1.1\r\n" H "X:\r\n\r\n", HTTP_ACCEPTED},
    {"GET / HTTP/1.1\r\n" H "X: \t \r\nY:b\r\n\r\n", HTTP_ACCEPTED},

    // Folds.
    {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "X:\r\n b\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "X:\r\n \r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "X:\r\n \r\nY: b\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "X: a\r\n \r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n chunked\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n x\r\n\r\n", HTTP_FOLDED_FIELD},
    {"GET / HTTP/1.1\r\nHost:\r\n a\r\n\r\n", HTTP_FOLDED_FIELD},

    // Host.
    {"GET / HTTP/1.1\r\n\r\n", HTTP_HOST_MISSING},
    {"GET / HTTP/1.1\r\n" H H "\r\n", HTTP_HOST_REPEATED},
    {"GET / HTTP/1.0\r\n" H H "\r\n", HTTP_HOST_REPEATED},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a:b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: a:80:90\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: http://a\r\n\r\n", HTTP_BAD_HOST},
    {"GET http://b/ HTTP/1.1\r\nHost: a b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", HTTP_BAD_HOST},
    {"GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", HTTP_ACCEPTED},

    // Content-Length.
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5  \r\nX: y \t\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775807\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 9223372036854775808\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: -5\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5a\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", HTTP_BAD_LENGTH},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
     HTTP_LENGTH_REPEATED},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\n",
     HTTP_LENGTH_REPEATED},

    // Transfer-Encoding.
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked \r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: ,chunked\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked,\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked;x=y\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", HTTP_UNKNOWN_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: identity\r\n\r\n", HTTP_UNKNOWN_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", HTTP_UNKNOWN_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_CODING_IN_1_0},
    {"POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_LENGTH_AND_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
     HTTP_LENGTH_AND_CODING},
    {"POST / HTTP/1.1\r\n" H "Transfer-Encoding: x\r\nContent-Length: 5\r\n\r\n",
     HTTP_LENGTH_AND_CODING},

    // Shadows.
    {"POST / HTTP/1.1\r\n" H "Content_Length: 5\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "transfer_encoding: chunked\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "X_Forwarded-For: 1.2.3.4\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "X_Forwarded_Anything: 1\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "X-Forwarded_For: 1\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "X-Forwarded-Some_Thing: 1\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "x_real_ip: 1\r\n\r\n", HTTP_SHADOWED_FIELD},
    {"POST / HTTP/1.1\r\n" H "user_agent: 1\r\nx_y: 2\r\n\r\n", HTTP_ACCEPTED},

    // Expect and Upgrade.
    {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n", HTTP_ACCEPTED},
    {"POST / HTTP/1.1\r\n" H "Expect: x\r\n\r\n", HTTP_BAD_EXPECT},
    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue, x\r\n\r\n", HTTP_BAD_EXPECT},
    {"POST / HTTP/1.0\r\nExpect: x\r\n\r\n", HTTP_ACCEPTED},
    {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", HTTP_ACCEPTED},
    {"GET / HTTP/1.1\r\n" H
     "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n\r\n",
     HTTP_ACCEPTED},
    {"GET / HTTP/1.1\r\n" H
     "Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n\r\n",
     HTTP_BAD_UPGRADE},
    {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: WebSocket\r\n"
     "Transfer-Encoding: chunked\r\n\r\n",
     HTTP_BAD_UPGRADE},
    {"POST / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", HTTP_BAD_UPGRADE},
    {"POST / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 1\r\n\r\n",
     HTTP_ACCEPTED},
};

static const struct row RESPONSES[] = {
    {"HTTP/1.1 200 OK\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 200 \r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 200\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.0 404 Not \xe4 Found\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 599 x\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 100 Continue\r\n\r\n", HTTP_ACCEPTED},
    {"\r\nHTTP/1.1 200 OK\r\n\r\n", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 20 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1 2000 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1 099 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1 600 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1 2x0 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1  200 OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.1 200OK\r\n\r\n", HTTP_BAD_STATUS},
    {"HTTP/1.2 200 OK\r\n\r\n", HTTP_BAD_VERSION},
    {"HTTP/2.0 200 OK\r\n\r\n", HTTP_BAD_VERSION},
    {"HTTP/0.9 200 OK\r\n\r\n", HTTP_BAD_VERSION},
    {"HTTP/2 200 OK\r\n\r\n", HTTP_BAD_SYNTAX},
    {"RTSP/1.0 200 OK\r\n\r\n", HTTP_BAD_SYNTAX},
    {"ICY 200 OK\r\n\r\n", HTTP_BAD_SYNTAX},
    {"<html>", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 200 a\x01\r\n\r\n", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 200 a\rX\r\n\r\n", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 200 a\n\r\n", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 200\rX\r\n", HTTP_BAD_SYNTAX},
    {"HTTP/1.1 200 OK\r\nX : y\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"HTTP/1.1 200 OK\r\n: y\r\n\r\n", HTTP_BAD_FIELD_NAME},
    {"HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", HTTP_FOLDED_FIELD},
    {"HTTP/1.1 200 OK\r\nX: y\x01\r\n\r\n", HTTP_BAD_FIELD_VALUE},
    {"HTTP/1.1 200 OK\r\nx_forwarded_for: y\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 200 OK\r\nExpect: x\r\nHost: a\r\nHost: b\r\n\r\n", HTTP_ACCEPTED},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", HTTP_LENGTH_REPEATED},
    {"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", HTTP_BAD_LENGTH},
    {"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_LENGTH_AND_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_UNKNOWN_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n", HTTP_BAD_CODING},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     HTTP_BAD_CODING},
    {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_CODING_IN_1_0},
    {"HTTP/1.1 204 x\r\nTransfer-Encoding: gzip\r\n\r\n", HTTP_UNKNOWN_CODING},
};

static void judges_requests(void **state)
{
    (void)state;
    check_rows(REQUESTS, sizeof(REQUESTS) / sizeof(REQUESTS[0]), true);
}

static void judges_responses(void **state)
{
    (void)state;
    check_rows(RESPONSES, sizeof(RESPONSES) / sizeof(RESPONSES[0]), false);
}

static void assert_str(struct str got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr ? got.ptr : "", want, got.len);
}

static int request(struct http_head *head, const char *text)
{
    return http_parse_request(head, text, strlen(text), &HTTP_REQUEST_LIMITS);
}

static int response(struct http_head *head, const char *text, enum http_method method)
{
    return http_parse_response(head, text, strlen(text), &HTTP_RESPONSE_LIMITS, method);
}

static void fills_the_request_head(void **state)
{
    static const char text[] = "\r\nPOST /a/b?x=1?y HTTP/1.1\r\n"
                               "hOST:\t A.example:81 \r\n"
                               "X-Empty:\r\n"
                               "TE: gzip, Trailers;q=0.5\r\n"
                               "Expect: 100-continue\r\n"
                               "Content-Length: 12\r\n\r\n"
                               "body of it.";
    struct http_head head;

    (void)state;
    assert_int_equal(request(&head, text), HTTP_ACCEPTED);
    assert_int_equal(head.method, HTTP_METHOD_POST);
    assert_str(head.method_name, "POST");
    assert_str(head.target, "/a/b?x=1?y");
    assert_str(head.path, "/a/b");
    assert_str(head.query, "x=1?y");
    assert_true(head.has_query);
    assert_str(head.host, "A.example:81");
    assert_false(head.is_absolute_form);
    assert_int_equal(head.minor_version, 1);
    assert_int_equal(head.framing, HTTP_BODY_LENGTH);
    assert_true(head.has_content_length);
    assert_int_equal(head.content_length, 12);
    assert_true(head.is_keep_alive);
    assert_true(head.expects_continue);
    assert_true(head.accepts_trailers);
    assert_false(head.is_upgrade);
    assert_int_equal(head.head_len, strlen(text) - 11);
    assert_int_equal(head.field_count, 5);
    assert_str(head.fields[0].name, "hOST");
    assert_str(head.fields[1].value, "");
    assert_int_equal(head.fields[1].id, HTTP_FIELD_OTHER);
    assert_true(head.fields[2].is_hop);
    assert_false(head.fields[3].is_hop);
}

static void knows_methods(void **state)
{
    static const struct {
        const char *name;
        enum http_method method;
        bool is_idempotent;
    } rows[] = {
        {"GET", HTTP_METHOD_GET, true},         {"HEAD", HTTP_METHOD_HEAD, true},
        {"POST", HTTP_METHOD_POST, false},      {"PUT", HTTP_METHOD_PUT, true},
        {"DELETE", HTTP_METHOD_DELETE, true},   {"OPTIONS", HTTP_METHOD_OPTIONS, true},
        {"PATCH", HTTP_METHOD_PATCH, false},    {"MKCOL", HTTP_METHOD_OTHER, false},
        {"PROPFIND", HTTP_METHOD_OTHER, false},
    };
    struct http_head head;
    char text[64];

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: a\r\n\r\n", rows[i].name);
        assert_int_equal(request(&head, text), HTTP_ACCEPTED);
        assert_int_equal(head.method, rows[i].method);
        assert_str(head.method_name, rows[i].name);
        assert_int_equal(http_method_is_idempotent(&head), rows[i].is_idempotent);
    }
}

static void takes_host_and_path_from_absolute_form(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_equal(request(&head, "GET HTTP://b:81/x?y HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_true(head.is_absolute_form);
    assert_str(head.host, "b:81");
    assert_str(head.path, "/x");
    assert_str(head.query, "y");
    assert_int_equal(request(&head, "GET https://b HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_str(head.path, "/");
    assert_false(head.has_query);
    assert_int_equal(request(&head, "GET http://b?q HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_str(head.path, "/");
    assert_str(head.query, "q");
    assert_int_equal(request(&head, "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_str(head.path, "*");
    assert_int_equal(request(&head, "OPTIONS http://b? HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_str(head.path, "/");
    assert_int_equal(request(&head, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"), 0);
    assert_str(head.path, "*");
    assert_int_equal(request(&head, "GET /x? HTTP/1.0\r\n\r\n"), 0);
    assert_str(head.host, "");
    assert_true(head.has_query);
    assert_str(head.query, "");
}

static void decides_persistence(void **state)
{
    static const struct {
        const char *text;
        bool is_keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: y, Close ,\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: closed\r\n\r\n", true},
        {"GET / HTTP/1.0\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", true},
        {"GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nProxy-Connection: keep-alive\r\n\r\n", false},
    };
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(request(&head, rows[i].text), HTTP_ACCEPTED);
        assert_int_equal(head.is_keep_alive, rows[i].is_keep_alive);
    }
}

static bool is_hop(const struct http_head *head, const char *name)
{
    const struct http_field *field = http_find_name(head, str_of(name));
    assert_non_null(field);
    return field->is_hop;
}

static void lets_connection_nominate_only_what_it_may(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_equal(request(&head,
                             "POST / HTTP/1.1\r\n" H "X-Named: 1\r\n"
                             "Connection: x-named, Host, content-length, x-forwarded-for,\r\n"
                             "X-Forwarded-For: 1\r\nX-Forwarded-Foo: 1\r\nX-Real-Ip: 1\r\n"
                             "Forwarded: for=1\r\nVia: 1\r\nContent-Length: 3\r\n"
                             "Connection: x-real-ip,forwarded,via,X-LATER,x-forwarded-foo\r\n"
                             "X-Later: 1\r\nKeep-Alive: 5\r\nHTTP2-Settings: x\r\n"
                             "Upgrade: h2c\r\nTrailer: x\r\nProxy-Connection: x\r\n"
                             "Proxy-Authorization: x\r\nX-Stays: 1\r\n\r\n"),
                     HTTP_ACCEPTED);
    assert_true(is_hop(&head, "x-named"));
    assert_true(is_hop(&head, "x-later"));
    assert_true(is_hop(&head, "connection"));
    assert_true(is_hop(&head, "keep-alive"));
    assert_true(is_hop(&head, "http2-settings"));
    assert_true(is_hop(&head, "upgrade"));
    assert_true(is_hop(&head, "trailer"));
    assert_true(is_hop(&head, "proxy-connection"));
    assert_true(is_hop(&head, "proxy-authorization"));
    assert_false(is_hop(&head, "host"));
    assert_false(is_hop(&head, "content-length"));
    assert_false(is_hop(&head, "x-forwarded-for"));
    assert_false(is_hop(&head, "x-forwarded-foo"));
    assert_false(is_hop(&head, "x-real-ip"));
    assert_false(is_hop(&head, "forwarded"));
    assert_false(is_hop(&head, "via"));
    assert_false(is_hop(&head, "x-stays"));
    assert_int_equal(head.framing, HTTP_BODY_LENGTH);
}

static void recognises_upgrades(void **state)
{
    static const struct {
        const char *text;
        bool is_upgrade;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Upgrade: WebSocket\r\nConnection: x, Upgrade\r\n\r\n", true},
        {"GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\n\r\n", false},
        {"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", false},
        {"GET / HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n\r\n",
         false},
    };
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(request(&head, rows[i].text), HTTP_ACCEPTED);
        assert_int_equal(head.is_upgrade, rows[i].is_upgrade);
        assert_int_equal(head.upgrade.len, rows[i].is_upgrade ? 9 : 0);
        assert_int_equal(head.head_len, strlen(rows[i].text));
    }
    assert_int_equal(response(&head,
                              "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
                              HTTP_METHOD_GET),
                     HTTP_ACCEPTED);
    assert_true(head.is_upgrade);
    assert_str(head.upgrade, "foo");
    assert_int_equal(response(&head, "HTTP/1.1 101 x\r\nUpgrade: foo\r\n\r\n", HTTP_METHOD_GET), 0);
    assert_false(head.is_upgrade);
    assert_int_equal(response(&head,
                              "HTTP/1.1 200 x\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n",
                              HTTP_METHOD_GET),
                     HTTP_ACCEPTED);
    assert_false(head.is_upgrade);
}

static void ignores_expect_of_1_0(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_equal(request(&head, "POST / HTTP/1.0\r\nExpect: 100-continue\r\n\r\n"), 0);
    assert_false(head.expects_continue);
    assert_true(is_hop(&head, "expect"));
    assert_int_equal(request(&head, "GET / HTTP/1.0\r\nTE: trailers\r\n\r\n"), 0);
    assert_false(head.accepts_trailers);
}

static void frames_responses(void **state)
{
    static const struct {
        const char *text;
        enum http_method method;
        enum http_framing framing;
        int64_t length; // -1: none
        bool is_keep_alive;
        bool announces_body; // where none may be
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_LENGTH, 7,
         true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_LENGTH, 7,
         false},
        {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET,
         HTTP_BODY_LENGTH, 7, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_GET,
         HTTP_BODY_CHUNKED, -1, true},
        {"HTTP/1.1 200 OK\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_CLOSE, -1, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_HEAD, HTTP_BODY_NONE, 7, true,
         true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_HEAD, HTTP_BODY_NONE,
         -1, true, true},
        {"HTTP/1.1 200 OK\r\n\r\n", HTTP_METHOD_HEAD, HTTP_BODY_NONE, -1, true, true},
        {"HTTP/1.1 304 x\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE, 7, true,
         true},
        {"HTTP/1.1 304 x\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE, -1, true},
        {"HTTP/1.1 204 x\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE, -1, true,
         true},
        {"HTTP/1.1 204 x\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE, -1, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", HTTP_METHOD_HEAD, HTTP_BODY_NONE, 0, true},
        {"HTTP/1.1 204 x\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE,
         -1, true, true},
        {"HTTP/1.1 103 x\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET, HTTP_BODY_NONE, -1, true,
         true},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 7\r\n\r\n", HTTP_METHOD_GET,
         HTTP_BODY_LENGTH, 7, false},
    };
    struct http_head head;

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(response(&head, rows[i].text, rows[i].method), HTTP_ACCEPTED);
        assert_int_equal(head.framing, rows[i].framing);
        assert_int_equal(head.has_content_length, rows[i].length >= 0);
        assert_int_equal(head.content_length, rows[i].length < 0 ? 0 : rows[i].length);
        assert_int_equal(head.is_keep_alive, rows[i].is_keep_alive);
        assert_int_equal(head.announces_body, rows[i].announces_body);
        assert_int_equal(head.head_len, strlen(rows[i].text));
    }
    assert_int_equal(head.status, 200);
    assert_str(head.reason, "OK");
}

// Text of `count` times `piece` between two others; to be freed.
static char *repeated(const char *before, const char *piece, size_t count, const char *after)
{
    size_t one = strlen(piece);
    char *text = malloc(strlen(before) + one * count + strlen(after) + 1);
    assert_non_null(text);
    strcpy(text, before);
    char *at = text + strlen(before);
    for (size_t i = 0; i < count; i++, at += one)
        memcpy(at, piece, one);
    strcpy(at, after);
    return text;
}

static void assert_monotonous(const char *text, const struct http_limits *limits, int want)
{
    struct http_head head;
    int last = ERR_AGAIN;

    for (size_t len = 0; len <= strlen(text); len++) {
        int rc = http_parse_request(&head, text, len, limits);
        if (last != ERR_AGAIN)
            assert_int_equal(rc, last);
        last = rc;
    }
    assert_int_equal(last, want);
}

static void keeps_its_limits(void **state)
{
    static const struct http_limits small = {100, 20, 3};
    static const struct http_limits long_target = {30, 1000, 3};
    static const struct http_limits wild = {100000, 20, 100000};
    char *text;

    (void)state;
    assert_monotonous("GET /2345678901234567890 HTTP/1.1\r\n" H "\r\n", &small, HTTP_ACCEPTED);
    assert_monotonous("GET /23456789012345678901 HTTP/1.1\r\n" H "\r\n", &small,
                      HTTP_TARGET_TOO_LONG);
    assert_monotonous("GET /23456789012345678901\x01 HTTP/1.1\r\n" H "\r\n", &small,
                      HTTP_TARGET_TOO_LONG);
    assert_monotonous("GET /2345678901234567890123456789012345 HTTP/1.1\r\n" H "\r\n", &long_target,
                      HTTP_TARGET_TOO_LONG);
    assert_monotonous("GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\n\r\n", &small, HTTP_ACCEPTED);
    assert_monotonous("GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\nC: 3\r\n\r\n", &small,
                      HTTP_TOO_MANY_FIELDS);
    // The fourth name is at fault and one too many: the same refusal from its first byte on.
    assert_monotonous("GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\nCd\x01: 3\r\n\r\n", &small,
                      HTTP_TOO_MANY_FIELDS);
    text = repeated("GET / HTTP/1.1\r\n" H "A: ", "x", 68, "\r\n\r\n");
    assert_monotonous(text, &small, HTTP_ACCEPTED);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H "A: ", "x", 100, "\x01\r\n\r\n");
    assert_monotonous(text, &small, HTTP_HEAD_TOO_LARGE);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H, "A: 1\r\n", HTTP_FIELDS_MAX - 1, "\r\n");
    assert_monotonous(text, &wild, HTTP_ACCEPTED);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H, "A: 1\r\n", HTTP_FIELDS_MAX, "\r\n");
    assert_monotonous(text, &wild, HTTP_TOO_MANY_FIELDS);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H, "n", HTTP_NAME_MAX, ": 1\r\n\r\n");
    assert_monotonous(text, &wild, HTTP_ACCEPTED);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H, "n", HTTP_NAME_MAX + 1, ": 1\r\n\r\n");
    assert_monotonous(text, &wild, HTTP_HEAD_TOO_LARGE);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H "Connection: ", "a,", 64, "\r\n\r\n");
    assert_monotonous(text, &wild, HTTP_ACCEPTED);
    free(text);
    text = repeated("GET / HTTP/1.1\r\n" H "Connection: ", "a,", 65, "\r\n\r\n");
    assert_monotonous(text, &wild, HTTP_BAD_FIELD_VALUE);
    free(text);
}

static void limits_responses(void **state)
{
    static const struct http_limits small = {40, 0, 3};
    struct http_head head;
    static const char text[] = "HTTP/1.1 200 OK\r\nX: 345678901234567890123\r\n\r\n";

    (void)state;
    assert_int_equal(http_parse_response(&head, text, 40, &small, HTTP_METHOD_GET), ERR_AGAIN);
    assert_int_equal(http_parse_response(&head, text, 41, &small, HTTP_METHOD_GET),
                     HTTP_HEAD_TOO_LARGE);
    assert_int_equal(http_parse_response(&head, text, sizeof(text) - 1, &small, HTTP_METHOD_GET),
                     HTTP_HEAD_TOO_LARGE);
}

static void finds_fields_and_members(void **state)
{
    struct http_head head;

    (void)state;
    assert_int_equal(request(&head, "GET / HTTP/1.1\r\n" H "X-A: 1\r\nAccept: b\r\nx-a: 2\r\n\r\n"),
                     HTTP_ACCEPTED);
    assert_str(http_find(&head, HTTP_FIELD_ACCEPT)->value, "b");
    assert_null(http_find(&head, HTTP_FIELD_TE));
    assert_str(http_find_name(&head, STR("X-a"))->value, "1");
    assert_null(http_find_name(&head, STR("X-b")));
    assert_true(http_list_has(STR("a, b;q=1 ,c"), STR("B")));
    assert_true(http_list_has(STR("c"), STR("c")));
    assert_false(http_list_has(STR("ab, c"), STR("b")));
    assert_false(http_list_has(STR(""), STR("b")));
}

static void counts_oddities(void **state)
{
    static const struct {
        const char *head;
        unsigned glitches;
    } rows[] = {
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X\r\nX: 1\r\n\r\n", 0},
        {"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 1},
        {"\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 2},
        {"GET / HTTP/1.1\r\nHost: a\r\nConnection: host,Via\r\nVia: a\r\nVia: b\r\n\r\n", 3},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct http_head head;
        assert_int_equal(
            http_parse_request(&head, rows[i].head, strlen(rows[i].head), &HTTP_REQUEST_LIMITS),
            HTTP_ACCEPTED);
        assert_int_equal(head.glitches, rows[i].glitches);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_requests),
        cmocka_unit_test(judges_responses),
        cmocka_unit_test(fills_the_request_head),
        cmocka_unit_test(knows_methods),
        cmocka_unit_test(takes_host_and_path_from_absolute_form),
        cmocka_unit_test(decides_persistence),
        cmocka_unit_test(lets_connection_nominate_only_what_it_may),
        cmocka_unit_test(recognises_upgrades),
        cmocka_unit_test(ignores_expect_of_1_0),
        cmocka_unit_test(frames_responses),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(limits_responses),
        cmocka_unit_test(finds_fields_and_members),
        cmocka_unit_test(counts_oddities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
