// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "proxy/gzip_rules.h"

static struct http_head head;
static char bytes[8192];

static void parse_request(const char *method, const char *fields)
{
    int len = snprintf(bytes, sizeof bytes, "%s / HTTP/1.1\r\nHost: x\r\n%s\r\n", method, fields);
    assert_int_equal(http_parse_request(&head, bytes, (size_t)len, &HTTP_REQUEST_LIMITS),
                     HTTP_ACCEPTED);
}

static void parse_response(const char *status, const char *fields)
{
    int len = snprintf(bytes, sizeof bytes, "HTTP/1.1 %s\r\n%s\r\n", status, fields);
    assert_int_equal(
        http_parse_response(&head, bytes, (size_t)len, &HTTP_RESPONSE_LIMITS, HTTP_METHOD_GET),
        HTTP_ACCEPTED);
}

static void clients_choose(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool want;
    } CASES[] = {
        {"", false},
        {"Accept-Encoding:\r\n", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: X-GZip\r\n", true},
        {"Accept-Encoding: gzip, deflate, br\r\n", true},
        {"Accept-Encoding: deflate,gzip\r\n", true},
        {"Accept-Encoding: br\r\nAccept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: gzip;q=1\r\n", true},
        {"Accept-Encoding: gzip ; Q=1.000\r\n", true},
        {"Accept-Encoding: gzip;q=0.001\r\n", true},
        {"Accept-Encoding: gzip;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0.\r\n", false},
        {"Accept-Encoding: gzip;q=0.000\r\n", false},
        {"Accept-Encoding: *\r\n", true},
        {"Accept-Encoding: *;q=0\r\n", false},
        {"Accept-Encoding: gzip;q=0, *\r\n", false},
        {"Accept-Encoding: *;q=0, gzip\r\n", true},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: identity, gzip\r\n", true},
        {"Accept-Encoding: identity;q=0.8, gzip;q=0.7\r\n", false},
        {"Accept-Encoding: identity;q=0.7, gzip;q=0.8\r\n", true},
        {"Accept-Encoding: identity;q=0.5, *;q=0.4\r\n", false},
        // Malformed weights are no wish.
        {"Accept-Encoding: gzip;q=x\r\n", false},
        {"Accept-Encoding: gzip;q=2\r\n", false},
        {"Accept-Encoding: gzip;q=1.001\r\n", false},
        {"Accept-Encoding: gzip;q=0.0001\r\n", false},
        {"Accept-Encoding: gzip;q=-1\r\n", false},
        {"Accept-Encoding: gzip;q=\r\n", false},
        {"Accept-Encoding: gzipped\r\n", false},
        {"Accept-Encoding: agzip\r\n", false},
        {"Accept-Encoding: gzip\r\nAccept: text/event-stream\r\n", false},
        {"Accept-Encoding: gzip\r\nAccept: text/html, text/event-stream;q=0.5\r\n", false},
        {"Accept-Encoding: gzip\r\nAccept: */*\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        parse_request("GET", CASES[i].fields);
        if (gzip_is_accepted(&head) != CASES[i].want)
            fail_msg("%s", CASES[i].fields);
    }
    parse_request("HEAD", "Accept-Encoding: gzip\r\n");
    assert_false(gzip_is_accepted(&head));
    parse_request("POST", "Accept-Encoding: gzip\r\n");
    assert_true(gzip_is_accepted(&head));
}

static void responses_qualify(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *fields;
        bool want;
    } CASES[] = {
        {"200 OK", "", true}, // until the connection closes
        {"200 OK", "Transfer-Encoding: chunked\r\n", true},
        {"200 OK", "Content-Length: 256\r\n", true},
        {"200 OK", "Content-Length: 255\r\n", false},
        {"200 OK", "Content-Length: 0\r\n", false},
        {"404 Not Found", "Content-Length: 1000\r\n", true},
        {"204 No Content", "", false},
        {"304 Not Modified", "Content-Length: 1000\r\n", false},
        {"206 Partial Content", "Content-Length: 1000\r\n", false},
        {"103 Early Hints", "", false},
        {"200 OK", "Content-Range: bytes 0-9/10\r\n", false},
        {"200 OK", "Content-Encoding: br\r\n", false},
        {"200 OK", "Content-Encoding: identity\r\n", false},
        {"200 OK", "Content-Encoding:\r\n", true},
        {"200 OK", "Cache-Control: private, No-Transform\r\n", false},
        {"200 OK", "cache-control: no-store\r\nCACHE-CONTROL: no-transform\r\n", false},
        {"200 OK", "Cache-Control: no-store\r\n", true},
        {"200 OK", "Content-Type: text/event-stream\r\n", false},
        {"200 OK", "Content-Type: text/Event-Stream; charset=utf-8\r\n", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        parse_response(CASES[i].status, CASES[i].fields);
        if (gzip_may_code(&head) != CASES[i].want)
            fail_msg("%s %s", CASES[i].status, CASES[i].fields);
    }
}

static void asks_for_who_says_nothing(void **state)
{
    (void)state;
    static const struct {
        const char *method;
        const char *fields;
        bool want;
    } CASES[] = {
        {"GET", "", true},
        {"POST", "", true},
        {"PUT", "", true},
        {"HEAD", "", false},
        {"GET", "Accept-Encoding: gzip\r\n", false},
        {"GET", "accept-encoding: identity\r\n", false},
        // Says that no coding is wanted; Go takes it for nothing said, and asks.
        {"GET", "Accept-Encoding:\r\n", false},
        {"GET", "Range: bytes=0-9\r\n", false},
        {"GET", "range: lines=0-9\r\n", false},
        {"GET", "If-Range: \"a\"\r\nAccept: */*\r\n", true},
        // What goes no further was not said to the target.
        {"GET", "Connection: Range, Accept-Encoding\r\nRange: bytes=0-9\r\nAccept-Encoding: x\r\n",
         true},
        {"GET",
         "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n",
         false},
        {"GET", "Connection: Upgrade\r\nUpgrade: h2c\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        parse_request(CASES[i].method, CASES[i].fields);
        if (gzip_may_ask(&head) != CASES[i].want)
            fail_msg("%s %s", CASES[i].method, CASES[i].fields);
    }
}

static void unpacks_gzip_alone(void **state)
{
    (void)state;
    static const struct {
        const char *status;
        const char *fields;
        bool want;
    } CASES[] = {
        {"200 OK", "Content-Encoding: gzip\r\n", true},
        {"200 OK", "Content-Encoding: GZip\r\nContent-Length: 1\r\n", true},
        {"404 Not Found", "Content-Encoding: x-gzip\r\nTransfer-Encoding: chunked\r\n", true},
        {"200 OK", "", false},
        {"200 OK", "Content-Encoding: br\r\n", false},
        {"200 OK", "Content-Encoding: gzip, br\r\n", false},
        {"200 OK", "Content-Encoding: gzip\r\nContent-Encoding: br\r\n", false},
        {"200 OK", "Content-Encoding: gzip\r\nContent-Encoding: gzip\r\n", false},
        {"200 OK", "Content-Encoding:\r\nContent-Encoding: gzip\r\n", true},
        {"200 OK", "Content-Encoding: gzip\r\nContent-Length: 0\r\n", false},
        {"206 Partial Content", "Content-Encoding: gzip\r\n", false},
        {"204 No Content", "Content-Encoding: gzip\r\n", false},
        {"304 Not Modified", "Content-Encoding: gzip\r\nContent-Length: 9\r\n", false},
        // It would not reach the client, who could not know.
        {"200 OK", "Connection: close, Content-Encoding\r\nContent-Encoding: gzip\r\n", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        parse_response(CASES[i].status, CASES[i].fields);
        if (gzip_must_unpack(&head) != CASES[i].want)
            fail_msg("%s %s", CASES[i].status, CASES[i].fields);
    }
}

static void unpacking_takes_fields_away(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        bool may_vary;
        const char *want;
        const char *dropped;
    } CASES[] = {
        {"", false, "", ""},
        {"", true, "Vary: Accept-Encoding\r\n", ""},
        {"Content-Encoding: gzip\r\n", false, "", "Content-Encoding"},
        {"ETag: \"a\"\r\n", false, "ETag: W/\"a\"\r\n", "ETag"},
        {"ETag: W/\"a\"\r\n", true, "Vary: Accept-Encoding\r\nETag: W/\"a\"\r\n", "ETag"},
        {"Accept-Ranges: bytes\r\nVary: Accept-Encoding\r\n", true, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        char out[GZIP_FIELDS_ROOM];
        parse_response("200 OK", CASES[i].fields);
        struct str got = gzip_fields(&head, GZIP_UNPACKED, CASES[i].may_vary, out);
        if (!str_eq(got, str_of(CASES[i].want)))
            fail_msg("%s: %.*s", CASES[i].fields, STR_FMT(got));
        for (size_t n = 0; n < head.field_count; n++)
            assert_int_equal(head.fields[n].is_hop,
                             str_eq(head.fields[n].name, str_of(CASES[i].dropped)));
    }
}

static void fields_are_added(void **state)
{
    (void)state;
    static char wide[512];
    snprintf(wide, sizeof wide, "ETag: \"%0257d\"\r\n", 0);
    const struct {
        const char *fields;
        const char *want;       // when coded
        const char *want_plain; // when not
        const char *dropped;
    } CASES[] = {
        {"", "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n", "Vary: Accept-Encoding\r\n",
         ""},
        {"Vary: Origin\r\nVary: accept-encoding\r\n", "Content-Encoding: gzip\r\n", "", ""},
        {"Vary: *\r\n", "Content-Encoding: gzip\r\n", "", ""},
        {"ETag: \"a\"\r\nVary: *\r\n", "Content-Encoding: gzip\r\nETag: W/\"a\"\r\n", "", "ETag"},
        {"etag: W/\"a\"\r\nVary: *\r\n", "Content-Encoding: gzip\r\nETag: W/\"a\"\r\n", "", "etag"},
        {"Accept-Ranges: bytes\r\nVary: *\r\n", "Content-Encoding: gzip\r\n", "", "Accept-Ranges"},
        {"Content-Encoding:\r\nVary: *\r\n", "Content-Encoding: gzip\r\n", "", "Content-Encoding"},
        // What Connection names goes no further, so it does not count.
        {"Connection: close, Vary\r\nVary: *\r\n",
         "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n", "Vary: Accept-Encoding\r\n", NULL},
        {wide, "Vary: Accept-Encoding\r\nContent-Encoding: gzip\r\n", "Vary: Accept-Encoding\r\n",
         "ETag"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        char out[GZIP_FIELDS_ROOM];
        parse_response("200 OK", CASES[i].fields);
        struct str plain = gzip_fields(&head, GZIP_AS_IS, true, out);
        assert_true(str_eq(plain, str_of(CASES[i].want_plain)));
        for (size_t n = 0; n < head.field_count && CASES[i].dropped; n++)
            assert_false(head.fields[n].is_hop);
        struct str coded = gzip_fields(&head, GZIP_PACKED, true, out);
        if (!str_eq(coded, str_of(CASES[i].want)))
            fail_msg("%s: %.*s", CASES[i].fields, STR_FMT(coded));
        for (size_t n = 0; n < head.field_count && CASES[i].dropped; n++)
            assert_int_equal(head.fields[n].is_hop,
                             str_eq(head.fields[n].name, str_of(CASES[i].dropped)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_choose),
        cmocka_unit_test(responses_qualify),
        cmocka_unit_test(asks_for_who_says_nothing),
        cmocka_unit_test(unpacks_gzip_alone),
        cmocka_unit_test(unpacking_takes_fields_away),
        cmocka_unit_test(fields_are_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
