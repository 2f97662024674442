// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cjson/cJSON.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/mem.h"
#include "proxy/access_log.h"

static struct arena arena;
static struct http_head received, sent;

static void parse(struct http_head *head, const char *bytes)
{
    assert_int_equal(http_parse_request(head, bytes, strlen(bytes), &HTTP_REQUEST_LIMITS),
                     HTTP_ACCEPTED);
}

static struct access_entry example(void)
{
    parse(&received, "GET //a/../a?b=c HTTP/1.1\r\nHost: example.com\r\n"
                     "Referer: http://example.com/\r\nUser-Agent: curl/8\r\n"
                     "X-Forwarded-For: 9.9.9.9\r\n\r\n");
    return (struct access_entry){
        .ended_at_us = 1709210096007008, // 2024-02-29 12:34:56.007008 UTC
        .duration_us = 1500,
        .client_ip = STR("192.0.2.7"),
        .client_port = 4711,
        .method = STR("GET"),
        .target = STR("/a?b=c"),
        .minor_version = 1,
        .host = STR("example.com"),
        .scheme = STR("https"),
        .received = &received,
        .status = 200,
        .bytes_sent = 1234567890123,
        .service = STR("web"),
        .route = STR("example.com/a"),
        .upstream = STR("10.0.0.1:80"),
        .upstream_scheme = STR("http"),
        .upstream_us = 900,
        .attempts = 1,
    };
}

static const struct access_format *compiled(const char *text)
{
    const struct access_format *format;
    struct err err = {0};
    if (access_format_compile(&arena, str_of(text), &format, &err) != 0)
        fail_msg("%s: %s", text, err.text);
    return format;
}

// The line without its newline, which must be there and be the only one.
static const char *line_of(const char *format, const struct access_entry *entry)
{
    static char out[ACCESS_LINE_MAX + 1];
    size_t len = access_log_format(compiled(format), entry, out, ACCESS_LINE_MAX);
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
    assert_string_equal(line_of("common", &entry),
                        "192.0.2.7 - - [29/Feb/2024:12:34:56 +0000] \"GET /a?b=c HTTP/1.1\" 200 "
                        "1234567890123");
    entry.client_ip = STR("2001:db8::1");
    entry.minor_version = 0;
    entry.bytes_sent = 0;
    assert_string_equal(line_of("combined", &entry),
                        "[2001:db8::1] - - [29/Feb/2024:12:34:56 +0000] \"GET /a?b=c HTTP/1.0\" "
                        "200 0 \"http://example.com/\" \"curl/8\"");
    unsetenv("TZ");
}

static void json_has_all_fields(void **state)
{
    (void)state;
    struct access_entry entry = example();
    assert_string_equal(
        line_of("json", &entry),
        "{\"time\":\"2024-02-29T12:34:56.007008Z\",\"client\":\"192.0.2.7\",\"client_port\":4711,"
        "\"tls\":false,\"method\":\"GET\",\"host\":\"example.com\",\"target\":\"/a?b=c\","
        "\"proto\":\"HTTP/1.1\",\"status\":200,\"duration_us\":1500,\"bytes_received\":0,"
        "\"bytes_sent\":1234567890123,\"service\":\"web\",\"route\":\"example.com/a\","
        "\"upstream\":\"10.0.0.1:80\",\"upstream_us\":900,\"attempts\":1,"
        "\"referer\":\"http://example.com/\",\"user_agent\":\"curl/8\"}");
    entry = (struct access_entry){
        .status = 404, .is_tls = true, .reason = STR("no_route"), .request_id = STR("r-1")};
    cJSON *json = cJSON_Parse(line_of("json", &entry));
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
    received.fields[2].value = STR("\" 200 0 \"");
    assert_string_equal(line_of("combined", &entry),
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
    const char *line = line_of("json", &entry);
    assert_non_null(strstr(line, "/\\u000d\\u000a\\\"\\\\\\u001b\\u007f\\ufffd\\u0085\xc3\xa4"
                                 "\xf0\x9f\x98\x80\\ufffd\\ufffd\\u0000z"));
    cJSON *json = cJSON_Parse(line);
    assert_non_null(json);
    cJSON_Delete(json);
}

// Each field of fabio's table.
static const struct {
    const char *format;
    const char *want;
    const char *want_refused; // what is said of a request that was never understood
} FIELD_CASES[] = {
    {"$header.Referer", "http://example.com/", ""},
    {"$header.referer", "http://example.com/", ""},
    {"$header.X-Forwarded-For", "9.9.9.9, 192.0.2.7", ""}, // as it was sent on
    {"$header.X-Id", "id-1", "id-1"},
    {"$header.None", "", ""},
    {"$remote_addr", "192.0.2.7:4711", "192.0.2.7:4711"},
    {"$remote_host", "192.0.2.7", "192.0.2.7"},
    {"$remote_port", "4711", "4711"},
    {"$request", "GET /a?b=c HTTP/1.1", "  HTTP/1.1"},
    {"$request_args", "b=c", ""},
    {"$request_host", "inner", ""}, // as it was sent on
    {"$request_method", "GET", ""},
    {"$request_proto", "HTTP/1.1", "HTTP/1.1"},
    {"$request_scheme", "https", ""},
    {"$request_uri", "/a?b=c", ""},
    {"$request_url", "https://example.com/a?b=c", ""},
    {"$response_body_size", "1234567890123", "0"},
    {"$response_status", "200", "400"},
    {"$response_time_ms", "0.001", "0.000"},
    {"$response_time_us", "0.001500", "0.000000"},
    {"$response_time_ns", "0.001500000", "0.000000000"},
    {"$time_common", "29/Feb/2024:12:34:56 +0000", "01/Jan/1970:00:00:00 +0000"},
    {"$time_rfc3339", "2024-02-29T12:34:56Z", "1970-01-01T00:00:00Z"},
    {"$time_rfc3339_ms", "2024-02-29T12:34:56.007Z", "1970-01-01T00:00:00.000Z"},
    {"$time_rfc3339_us", "2024-02-29T12:34:56.007008Z", "1970-01-01T00:00:00.000000Z"},
    {"$time_rfc3339_ns", "2024-02-29T12:34:56.007008000Z", "1970-01-01T00:00:00.000000000Z"},
    {"$time_unix_ms", "1709210096007", "0"},
    {"$time_unix_us", "1709210096007008", "0"},
    {"$time_unix_ns", "1709210096007008000", "0000"},
    {"$upstream_addr", "10.0.0.1:80", ""},
    {"$upstream_host", "10.0.0.1", ""},
    {"$upstream_port", "80", ""},
    {"$upstream_request_scheme", "http", ""},
    {"$upstream_request_uri", "/x/a?b=c", ""},
    {"$upstream_request_url", "http://10.0.0.1:80/x/a?b=c", ""},
    {"$upstream_service", "web", ""},
};

static void every_field_is_written(void **state)
{
    (void)state;
    struct access_entry entry = example();
    parse(&sent, "GET /x/a?b=c HTTP/1.1\r\nHost: inner\r\nReferer: http://example.com/\r\n"
                 "X-Forwarded-For: 9.9.9.9, 192.0.2.7\r\n\r\n");
    entry.sent = &sent;
    entry.request_id_name = STR("X-Id");
    entry.request_id = STR("id-1");
    struct access_entry refused = {
        .client_ip = entry.client_ip,
        .client_port = entry.client_port,
        .minor_version = 1,
        .status = 400,
        .request_id_name = entry.request_id_name,
        .request_id = entry.request_id,
    };
    for (size_t i = 0; i < ARRAY_LEN(FIELD_CASES); i++) {
        char format[64], want[64];
        snprintf(format, sizeof format, "<%s>", FIELD_CASES[i].format);
        snprintf(want, sizeof want, "<%s>", FIELD_CASES[i].want);
        assert_string_equal(line_of(format, &entry), want);
        snprintf(want, sizeof want, "<%s>", FIELD_CASES[i].want_refused);
        assert_string_equal(line_of(format, &refused), want);
    }
}

static void addresses_may_be_odd(void **state)
{
    (void)state;
    static const struct {
        struct str upstream;
        const char *want;
    } CASES[] = {
        {STR_INIT("name"), "name||name"}, // fabio fails here
        {STR_INIT("name:1"), "name|1|name:1"}, {STR_INIT("[::1]:80"), "[::1]|80|[::1]:80"},
        {STR_INIT("[::1]"), "[::1]||[::1]"},   {STR_INIT(""), "||"},
    };
    struct access_entry entry = example();
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        entry.upstream = CASES[i].upstream;
        assert_string_equal(line_of("$upstream_host|$upstream_port|$upstream_addr", &entry),
                            CASES[i].want);
    }
    entry.client_ip = STR("2001:db8::1");
    assert_string_equal(line_of("$remote_addr $remote_host", &entry),
                        "[2001:db8::1]:4711 [2001:db8::1]");
}

static void texts_are_read_as_fabio_reads_them(void **state)
{
    (void)state;
    static const struct {
        const char *format;
        const char *want; // NULL: refused
    } CASES[] = {
        {"a$request_method b", "aGET b"},
        {"$request_method$response_status", "GET200"},
        {"$request_method.$response_status", "GET.200"},
        {"$$request_method $response_status", "$$request_method 200"},
        {"$ $request_method", "$ GET"},
        {"$request_method $", "GET $"},
        {"$request_method $$", "GET $$"},
        {"$!$request_method", "$!GET"},
        {"\t\xc3\xa4$request_method\xc3\xa4", "\t\xc3\xa4GET\xc3\xa4"},
        {"$header.User-Agent.", "curl/8."},
        {"$header.User-Agent$request_method", "curl/8GET"},
        {"$response_time_ms.", "0.001."},
        {"", NULL},
        {"common ", NULL},
        {"text", NULL},
        {"$$request", NULL}, // no field at all
        {"$nope", NULL},
        {"$request_", NULL},
        {"$REQUEST", NULL},
        {"$request-uri", NULL},
        {"$header", NULL},
        {"$header.", NULL},
        {"$header. $request", NULL},
        {"$header_x", NULL},
        {"$request\n", NULL},
        {"$request\x7f", NULL},
    };
    struct access_entry entry = example();
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        const struct access_format *format;
        struct err err = {0};
        if (CASES[i].want) {
            assert_string_equal(line_of(CASES[i].format, &entry), CASES[i].want);
            continue;
        }
        assert_int_equal(access_format_compile(&arena, str_of(CASES[i].format), &format, &err),
                         ERR_INVALID);
        assert_true(err.text[0] != '\0');
    }
    struct err err = {0};
    const struct access_format *format;
    assert_int_equal(access_format_compile(&arena, STR("a $bad_one b"), &format, &err),
                     ERR_INVALID);
    assert_string_equal(err.text, "invalid field \"$bad_one\"");
    assert_int_equal(access_format_compile(&arena, STR(""), &format, &err), ERR_INVALID);
    assert_string_equal(err.text, "empty log format");
    static char wide[5000];
    memset(wide, '$', sizeof wide);
    assert_int_equal(access_format_compile(&arena, str_make(wide, sizeof wide), &format, &err),
                     ERR_INVALID);
    memcpy(wide + 4089, "$request", 7);
    assert_int_equal(access_format_compile(&arena, str_make(wide, 4096), &format, &err),
                     ERR_INVALID);
}

static void only_what_needs_it_keeps_the_sent_head(void **state)
{
    (void)state;
    assert_false(access_format_needs_received_head(compiled("common")));
    assert_false(access_format_needs_received_head(compiled("$request_uri $response_status x")));
    assert_true(access_format_needs_received_head(compiled("combined")));
    assert_true(access_format_needs_received_head(compiled("json")));
    assert_true(access_format_needs_received_head(compiled("$request_scheme $request")));
    assert_true(access_format_needs_received_head(compiled("$request_url")));
    assert_true(access_format_needs_received_head(compiled("$request_args")));
    assert_true(access_format_needs_received_head(compiled("$request_host")));
    assert_true(access_format_needs_received_head(compiled("$header.Accept")));
    assert_false(access_format_needs_sent_head(compiled("common")));
    assert_false(access_format_needs_sent_head(compiled("combined")));
    assert_false(access_format_needs_sent_head(compiled("json")));
    assert_true(access_format_needs_sent_head(compiled("$header.X-Forwarded-For")));
    assert_true(access_format_needs_sent_head(compiled("$request_host")));
    assert_true(access_format_needs_sent_head(compiled("$upstream_request_uri")));
    assert_true(access_format_needs_sent_head(compiled("$upstream_request_url")));
}

static void shortage_is_an_error(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct arena own;
        arena_init(&own);
        const struct access_format *format;
        struct err err = {0};
        mem_fail_after(n);
        int rc = access_format_compile(&own, STR("combined"), &format, &err);
        mem_fail_after(-1);
        arena_fini(&own);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
}

// Every byte everywhere, as long as it gets: the line fits, is one line, and JSON parses.
static void lines_are_bounded(void **state)
{
    (void)state;
    static char bytes[20000];
    for (int c = 0; c < 256; c++) {
        memset(bytes, c, sizeof bytes);
        struct str text = str_make(bytes, sizeof bytes);
        received.query = received.path = received.host = text;
        received.fields[1].value = received.fields[2].value = text;
        struct access_entry entry = {
            .ended_at_us = UINT64_MAX / 2,
            .duration_us = UINT64_MAX,
            .client_ip = text,
            .client_port = UINT16_MAX,
            .method = text,
            .target = text,
            .host = text,
            .scheme = text,
            .received = &received,
            .request_id = text,
            .status = 999,
            .bytes_received = UINT64_MAX,
            .bytes_sent = UINT64_MAX,
            .service = text,
            .route = text,
            .upstream = text,
            .upstream_scheme = text,
            .upstream_us = UINT64_MAX,
            .attempts = UINT32_MAX,
            .reason = text,
        };
        line_of("common", &entry);
        assert_non_null(strstr(line_of("combined", &entry), "...\" \""));
        for (size_t i = 0; i < ARRAY_LEN(FIELD_CASES); i++) {
            char format[400] = "x";
            for (int n = 0; n < 10; n++)
                strcat(format, FIELD_CASES[i].format);
            line_of(format, &entry);
        }
        cJSON *json = cJSON_Parse(line_of("json", &entry));
        assert_non_null(json);
        cJSON_Delete(json);
    }
}

static void says_nothing_without_room_or_words(void **state)
{
    (void)state;
    char out[ACCESS_LINE_MAX];
    struct access_entry entry = example();
    assert_int_equal(access_log_format(compiled("json"), &entry, out, sizeof out - 1), 0);
    assert_int_equal(access_log_format(compiled("$header.None"), &entry, out, sizeof out), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(common_and_combined_are_fabios),
        cmocka_unit_test(json_has_all_fields),
        cmocka_unit_test(plain_lines_cannot_be_forged),
        cmocka_unit_test(json_lines_stay_json),
        cmocka_unit_test(lines_are_bounded),
        cmocka_unit_test(every_field_is_written),
        cmocka_unit_test(addresses_may_be_odd),
        cmocka_unit_test(texts_are_read_as_fabio_reads_them),
        cmocka_unit_test(only_what_needs_it_keeps_the_sent_head),
        cmocka_unit_test(shortage_is_an_error),
        cmocka_unit_test(says_nothing_without_room_or_words),
    };
    arena_init(&arena);
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    arena_fini(&arena);
    return rc;
}
