// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "proxy/access_log.h"

static struct access_entry example(void)
{
    return (struct access_entry){
        .ended_at_us = 1709210096007008, // 2024-02-29 12:34:56.007008 UTC
        .duration_us = 1500,
        .client_ip = STR("192.0.2.7"),
        .client_port = 4711,
        .method = STR("GET"),
        .target = STR("/a?b=c"),
        .minor_version = 1,
        .host = STR("example.com"),
        .referer = STR("http://example.com/"),
        .user_agent = STR("curl/8"),
        .status = 200,
        .bytes_sent = 1234567890123,
        .service = STR("web"),
        .route = STR("example.com/a"),
        .upstream = STR("10.0.0.1:80"),
        .upstream_us = 900,
        .attempts = 1,
    };
}

// The line without its newline, which must be there and be the only one.
static const char *line_of(enum access_log_format format, const struct access_entry *entry)
{
    static char out[ACCESS_LINE_MAX + 1];
    size_t len = access_log_format(format, entry, out, ACCESS_LINE_MAX);
    assert_true(len > 0 && len <= ACCESS_LINE_MAX);
    assert_ptr_equal(memchr(out, '\n', len), out + len - 1);
    assert_null(memchr(out, '\r', len));
    out[len - 1] = '\0';
    return out;
}

static void common_and_combined_are_fabios(void **state)
{
    (void)state;
    setenv("TZ", "Asia/Tokyo", 1); // times are UTC wherever the process runs
    struct access_entry entry = example();
    assert_string_equal(line_of(ACCESS_LOG_COMMON, &entry),
                        "192.0.2.7 - - [29/Feb/2024:12:34:56 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
                        "1234567890123");
    entry.client_ip = STR("2001:db8::1");
    entry.minor_version = 0;
    entry.bytes_sent = 0;
    assert_string_equal(line_of(ACCESS_LOG_COMBINED, &entry),
                        "[2001:db8::1] - - [29/Feb/2024:12:34:56 +0000] \"GET /a?b=c HTTP/1.0\" "
                        "200 0 \"http://example.com/\" \"curl/8\"");
    unsetenv("TZ");
}

static void json_has_all_fields(void **state)
{
    (void)state;
    struct access_entry entry = example();
    assert_string_equal(
        line_of(ACCESS_LOG_JSON, &entry),
        "{\"time\":\"2024-02-29T12:34:56.007008Z\",\"client\":\"192.0.2.7\",\"client_port\":4711,"
        "\"tls\":false,\"method\":\"GET\",\"host\":\"example.com\",\"target\":\"/a?b=c\","
        "\"proto\":\"HTTP/1.1\",\"status\":200,\"duration_us\":1500,\"bytes_received\":0,"
        "\"bytes_sent\":1234567890123,\"service\":\"web\",\"route\":\"example.com/a\","
        "\"upstream\":\"10.0.0.1:80\",\"upstream_us\":900,\"attempts\":1,"
        "\"referer\":\"http://example.com/\",\"user_agent\":\"curl/8\"}");
    entry = (struct access_entry){
        .status = 404, .is_tls = true, .reason = STR("no_route"), .request_id = STR("r-1")};
    cJSON *json = cJSON_Parse(line_of(ACCESS_LOG_JSON, &entry));
    assert_non_null(json);
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "tls")));
    assert_string_equal(cJSON_GetObjectItem(json, "reason")->valuestring, "no_route");
    assert_string_equal(cJSON_GetObjectItem(json, "request_id")->valuestring, "r-1");
    assert_string_equal(cJSON_GetObjectItem(json, "proto")->valuestring, "HTTP/1.0");
    assert_null(cJSON_GetObjectItem(json, "service"));
    cJSON_Delete(json);
}

static void plain_lines_cannot_be_forged(void **state)
{
    (void)state;
    struct access_entry entry = example();
    entry.target = STR("/\r\n1.2.3.4 - - \"\\\x1b[31m\x7f\x85\xc2\x85\xc3\xa4\0z");
    entry.user_agent = STR("\" 200 0 \"");
    assert_string_equal(line_of(ACCESS_LOG_COMBINED, &entry),
                        "192.0.2.7 - - [29/Feb/2024:12:34:56 +0000] \"GET "
                        "/\\x0d\\x0a1.2.3.4 - - "
                        "\\\"\\\\\\x1b[31m\\x7f\\x85\\xc2\\x85\\xc3\\xa4\\x00z HTTP/1.1\" 200 "
                        "1234567890123 \"http://example.com/\" \"\\\" 200 0 \\\"\"");
}

static void json_lines_stay_json(void **state)
{
    (void)state;
    struct access_entry entry = example();
    entry.target = STR("/\r\n\"\\\x1b\x7f\x85\xc2\x85\xc3\xa4\xf0\x9f\x98\x80\xc0\xaf\0z");
    const char *line = line_of(ACCESS_LOG_JSON, &entry);
    assert_non_null(strstr(line, "/\\u000d\\u000a\\\"\\\\\\u001b\\u007f\\ufffd\\u0085\xc3\xa4"
                                 "\xf0\x9f\x98\x80\\ufffd\\ufffd\\u0000z"));
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    cJSON_Delete(json);
}

// Every byte everywhere, as long as it gets: the line fits, is one line, and JSON parses.
static void lines_are_bounded(void **state)
{
    (void)state;
    static char bytes[20000];
    for (int c = 0; c < 256; c++) {
        memset(bytes, c, sizeof bytes);
        struct str text = str_make(bytes, sizeof bytes);
        struct access_entry entry = {
            .ended_at_us = UINT64_MAX / 2,
            .duration_us = UINT64_MAX,
            .client_ip = text,
            .client_port = UINT16_MAX,
            .method = text,
            .target = text,
            .host = text,
            .referer = text,
            .user_agent = text,
            .request_id = text,
            .status = 999,
            .bytes_received = UINT64_MAX,
            .bytes_sent = UINT64_MAX,
            .service = text,
            .route = text,
            .upstream = text,
            .upstream_us = UINT64_MAX,
            .attempts = UINT32_MAX,
            .reason = text,
        };
        line_of(ACCESS_LOG_COMMON, &entry);
        assert_non_null(strstr(line_of(ACCESS_LOG_COMBINED, &entry), "...\" \""));
        cJSON *json = cJSON_Parse(line_of(ACCESS_LOG_JSON, &entry));
        assert_non_null(json);
        cJSON_Delete(json);
    }
}

static void says_nothing_when_off_or_without_room(void **state)
{
    (void)state;
    char out[ACCESS_LINE_MAX];
    struct access_entry entry = example();
    assert_int_equal(access_log_format(ACCESS_LOG_OFF, &entry, out, sizeof out), 0);
    assert_int_equal(access_log_format(ACCESS_LOG_JSON, &entry, out, sizeof out - 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_and_combined_are_fabios),
        cmocka_unit_test(json_has_all_fields),
        cmocka_unit_test(plain_lines_cannot_be_forged),
        cmocka_unit_test(json_lines_stay_json),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(says_nothing_when_off_or_without_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
