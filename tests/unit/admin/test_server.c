// SPDX-License-Identifier: Apache-2.0
// The admin over a real socket: endpoints, rules, limits, streams.
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>

#include "admin/live.h"
#include "visitor.h"

// `count` routes with long paths that end in `mark`.
static void set_long_routes(unsigned count, unsigned mark)
{
    struct buf commands;
    buf_init(&commands, 1 << 20);
    for (unsigned i = 0; i < count; i++)
        buf_printf(&commands, "route add web /%01800u-%u http://127.0.0.1:%u/\n", i, mark,
                   1000 + i);
    buf_append_char(&commands, '\0');
    assert_int_equal(buf_status(&commands), 0);
    world_set_routes(&world, "web", commands.ptr);
    buf_fini(&commands);
}

static void test_probes(void **state)
{
    (void)state;
    const char *text = ask("GET /health HTTP/1.1\r\nHost: any.name.example", NULL);
    assert_int_equal(status_of(text), 200);
    assert_string_equal(body_of(text), "OK\n");
    assert_int_equal(status_of(ask("GET /metrics HTTP/1.1\r\nHost: any.example", NULL)), 200);

    text = get("/ready");
    assert_int_equal(status_of(text), 503);
    assert_string_equal(body_of(text), "no routing table yet\n");
    world_set_routes(&world, "web", "route add web /x http://127.0.0.1:1/\n");
    text = get("/ready");
    assert_int_equal(status_of(text), 200);
    assert_string_equal(body_of(text), "ready\n");
    admin_set_draining(admin);
    text = get("/ready");
    assert_int_equal(status_of(text), 503);
    assert_string_equal(body_of(text), "draining\n");
    assert_int_equal(status_of(get("/health")), 200); // still alive
}

static void test_old_data_is_not_ready(void **state)
{
    (void)state;
    restart((struct admin_config){.stale_ready_ms = 60000});
    world_set_routes(&world, "web", "route add web /x http://127.0.0.1:1/\n");
    world.data_age_ms = 60000;
    assert_int_equal(status_of(get("/ready")), 200);
    world.data_age_ms = 61000;
    const char *text = get("/ready");
    assert_int_equal(status_of(text), 503);
    assert_string_equal(body_of(text), "data is 61 s old\n");
}

static void test_every_answer_has_the_safety_fields(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/health",  "/routes",      "/api/routes", "/assets/app.js",
        "/nothing", "/favicon.ico", "//x",         "/api/version"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        const char *text = get(targets[i]);
        assert_non_null(strstr(
            text, "\r\nContent-Security-Policy: default-src 'none'; script-src 'self'; style-src "
                  "'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action "
                  "'self'; frame-ancestors 'none'\r\n"));
        assert_non_null(strstr(text, "\r\nX-Content-Type-Options: nosniff\r\n"));
        assert_non_null(strstr(text, "\r\nReferrer-Policy: no-referrer\r\n"));
        assert_non_null(strstr(text, "\r\nCache-Control: no-store\r\n"));
    }
}

static void test_addresses(void **state)
{
    (void)state;
    const char *text = get("/");
    assert_int_equal(status_of(text), 303);
    assert_non_null(strstr(text, "\r\nLocation: /routes\r\n"));
    assert_int_equal(status_of(get("/api/nothing")), 303);
    text = get("//api/../routes?x=1");
    assert_int_equal(status_of(text), 307);
    assert_non_null(strstr(text, "\r\nLocation: /routes?x=1\r\n"));
    assert_int_equal(status_of(get("/favicon.ico")), 404);
    assert_int_equal(status_of(get("/assets/nothing.js")), 404);
    assert_int_equal(status_of(get("/assets/")), 404);
    text = get("/routes?filter=x");
    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "\r\nContent-Type: text/html; charset=utf-8\r\n"));
    text = ask("HEAD /routes HTTP/1.1\r\nHost: 127.0.0.1", NULL);
    assert_int_equal(status_of(text), 200);
    assert_string_equal(body_of(text), "");
    assert_int_equal(status_of(ask("OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1", NULL)), 404);
    assert_string_equal(body_of(get("/api/version")), "0.1.0");
    assert_string_equal(body_of(get("/api/routes")), "null");
    assert_string_equal(body_of(get("/api/routes?raw")), "\n");
    assert_string_equal(body_of(get("/api/problems")), "[]");
    assert_string_equal(body_of(get("/api/consul")), "{\"backend\":\"fake\"}");
    assert_string_equal(body_of(get("/api/config?pretty=no")),
                        "{\n    \"Proxy\": {\n        \"Strategy\": \"rnd\"\n    },\n"
                        "    \"Listen\": []\n}");
    assert_int_equal(status_of(ask("POST /api/routes HTTP/1.1\r\nHost: [::1]:80", "x")), 200);
}

static void test_base_path(void **state)
{
    (void)state;
    restart((struct admin_config){.path = STR("/lb")});
    assert_int_equal(status_of(get("/lb/routes")), 200);
    assert_int_equal(status_of(get("/lb/assets/style.css")), 200);
    assert_int_equal(status_of(get("/lb/api/version")), 200);
    assert_int_equal(status_of(get("/health")), 200);
    assert_int_equal(status_of(get("/ready")), 503);
    assert_int_equal(status_of(get("/metrics")), 200);
    assert_int_equal(status_of(get("/routes")), 404);
    assert_int_equal(status_of(get("/lbx/routes")), 404);
    const char *text = get("/lb");
    assert_int_equal(status_of(text), 307);
    assert_non_null(strstr(text, "\r\nLocation: /lb/\r\n"));
    text = get("/lb/");
    assert_int_equal(status_of(text), 303);
    assert_non_null(strstr(text, "\r\nLocation: /lb/routes\r\n"));
}

static void test_foreign_names_are_refused(void **state)
{
    (void)state;
    static const char *const targets[] = {"/routes", "/api/routes",    "/api/config", "/api/manual",
                                          "/",       "/assets/app.js", "/api/events"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        char head[256];
        snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: evil.example", targets[i]);
        assert_int_equal(status_of(ask(head, NULL)), 421);
    }
    restart((struct admin_config){.hosts = STR("evil.example")});
    assert_int_equal(status_of(ask("GET /routes HTTP/1.1\r\nHost: evil.example:9998", NULL)), 200);
}

static void test_bodies_of_all_kinds(void **state)
{
    (void)state;
    int fd = dial();
    buf_clear(&answer);
    const char head[] = "PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1\r\nExpect: 100-continue\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n";
    send_all(fd, head, sizeof head - 1);
    assert_true(read_until(fd, &answer, "HTTP/1.1 100 Continue\r\n\r\n"));
    // In pieces, with an extension, and the next request behind it in the same piece.
    const char first[] = "9;x=y\r\n{\"value\":\r\n";
    const char second[] = "1d\r\n\"a\\nb\",\"version\":\"7\"        }\r\n0\r\n\r\n"
                          "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    send_all(fd, first, sizeof first - 1);
    send_all(fd, second, 11);
    for (unsigned i = 0; i < 20; i++)
        turn();
    send_all(fd, second + 11, sizeof second - 1 - 11);
    assert_true(read_until(fd, &answer, NULL));
    close(fd);
    assert_int_equal(world.manual.puts, 1);
    assert_string_equal(world.manual.value, "a\nb");
    assert_true(str_find(buf_str(&answer), STR("OK\n")) > 0);
}

static void expect_refusal(const char *text, size_t len, int status)
{
    int fd = dial();
    buf_clear(&answer);
    send_all(fd, text, len);
    assert_true(read_until(fd, &answer, NULL));
    close(fd);
    buf_append_char(&answer, '\0');
    assert_int_equal(status_of(answer.ptr), status);
    assert_non_null(strstr(answer.ptr, "\r\nConnection: close\r\n"));
}

static void test_what_is_too_much_or_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int status;
    } cases[] = {
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"\x16\x03\x01\r\n\r\n", 400},
        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1100000\r\n\r\n", 413},
        {"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
        {"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
         400},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_refusal(cases[i].text, strlen(cases[i].text), cases[i].status);

    // A head and a chunked body beyond their limits; the client goes on writing.
    size_t len = 3 << 20;
    char *big = malloc(len);
    assert_non_null(big);
    memset(big, 'a', len);
    int at = snprintf(big, len, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    big[at] = 'a';
    expect_refusal(big, len, 431);
    at = snprintf(big, len,
                  "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n200000\r\n");
    big[at] = 'a';
    expect_refusal(big, len, 413);
    free(big);
}

static void test_pipelined_requests_are_answered_in_order(void **state)
{
    (void)state;
    int fd = dial();
    buf_clear(&answer);
    const char text[] =
        "GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /api/version HTTP/1.1\r\nHost: "
        "localhost\r\n\r\nGET /ready HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    send_all(fd, text, sizeof text - 1);
    assert_true(read_until(fd, &answer, NULL));
    close(fd);
    struct str all = buf_str(&answer);
    ptrdiff_t first = str_find(all, STR("OK\n"));
    ptrdiff_t second = str_find(all, STR("0.1.0"));
    ptrdiff_t third = str_find(all, STR("no routing table yet"));
    assert_true(first > 0 && second > first && third > second);
}

static void test_idle_connections_give_way(void **state)
{
    (void)state;
    int fds[SERVER_CONNS_MAX + 20];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial();
        turn();
    }
    assert_string_equal(body_of(get("/health")), "OK\n");
    // The oldest was closed, the newest lives.
    buf_clear(&answer);
    assert_true(read_until(fds[0], &answer, NULL));
    assert_int_equal(answer.len, 0);
    const char text[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    send_all(fds[ARRAY_LEN(fds) - 1], text, sizeof text - 1);
    assert_true(read_until(fds[ARRAY_LEN(fds) - 1], &answer, "OK\n"));
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void test_large_answers_arrive_whole(void **state)
{
    (void)state;
    set_long_routes(60, 0);
    // More than the socket buffers hold: the answers wait in memory until the client reads.
    int fd = dial();
    for (unsigned i = 0; i < 30; i++) {
        const char text[] = "GET /api/routes HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        send_all(fd, text, sizeof text - 1);
    }
    buf_clear(&answer);
    const char last[] = "GET /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    send_all(fd, last, sizeof last - 1);
    assert_true(read_until(fd, &answer, NULL));
    close(fd);
    unsigned count = 0;
    struct str rest = buf_str(&answer);
    ptrdiff_t at;
    while ((at = str_find(rest, STR("HTTP/1.1 200 OK\r\n"))) >= 0) {
        count++;
        rest = str_from(rest, (size_t)at + 1);
    }
    assert_int_equal(count, 31);
    assert_true(str_ends_with(buf_str(&answer), STR("OK\n")));
}

// ---- event streams

static int open_stream(void)
{
    int fd = dial();
    const char text[] = "GET /api/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    send_all(fd, text, sizeof text - 1);
    return fd;
}

static void test_stream(void **state)
{
    (void)state;
    world_set_routes(&world, "web", "route add web /x http://127.0.0.1:1/\n");
    int fd = open_stream();
    buf_clear(&answer);
    assert_true(read_until(fd, &answer, "event: table\ndata: "));
    assert_true(read_until(fd, &answer, "}\n\n"));
    struct str all = buf_str(&answer);
    assert_true(str_find(all, STR("Content-Type: text/event-stream")) > 0);
    assert_true(str_find(all, STR("event: hello\ndata: {\"version\":\"0.1.0\"")) > 0);
    assert_true(str_find(all, STR("{\"rows\":[{\"id\":1,\"service\":\"web\"")) > 0);

    // A route more: only it is sent.
    buf_clear(&answer);
    world_set_routes(&world, "more", "route add more /y http://127.0.0.1:2/\n");
    assert_true(read_until(fd, &answer,
                           "event: rows\ndata: {\"removed\":[],\"rows\":[{\"id\":2,"
                           "\"service\":\"more\""));
    assert_true(read_until(fd, &answer, "\n\n"));
    buf_clear(&answer);
    world_set_routes(&world, "web", "");
    assert_true(read_until(fd, &answer, "event: rows\ndata: {\"removed\":[1],\"rows\":[]"));

    // Traffic: the next ticks show it.
    counter_add(&world_counters(&world, "http://127.0.0.1:2/", 0)->requests, 5);
    world.workers.requests = 5;
    assert_true(read_until(fd, &answer, "\"figures\":[[2,1,0,0,0,5,0,0,0,0,0,0,0,0]]"));
    assert_true(str_find(buf_str(&answer), STR("\"req_s\":1,")) > 0);
    close(fd);
}

// Two events in one turn of the loop are not more than a viewer can take: it is not sent everything
// anew.
static void test_a_change_and_a_tick_in_one_turn(void **state)
{
    (void)state;
    world_set_routes(&world, "web", "route add web /x http://127.0.0.1:1/\n");
    int fd = open_stream();
    buf_clear(&answer);
    assert_true(read_until(fd, &answer, "event: tick"));
    world_set_routes(&world, "more", "route add more /y http://127.0.0.1:2/\n");
    uint64_t both_due_ms = clock_now_ms() + 1100;
    while (clock_now_ms() < both_due_ms)
        usleep(1000); // the loop stands still
    buf_clear(&answer);
    assert_true(read_until(fd, &answer, "event: rows"));
    assert_true(read_until(fd, &answer, "event: tick"));
    world_set_routes(&world, "more", "");
    assert_true(read_until(fd, &answer, "\"removed\":[2]"));
    assert_int_equal(str_find(buf_str(&answer), STR("event: table")), -1);
    close(fd);
}

// Changes are told by a timer of their own, long before the figures of the second.
static void test_changes_are_told_soon(void **state)
{
    (void)state;
    int fd = open_stream();
    buf_clear(&answer);
    assert_true(read_until(fd, &answer, "event: tick"));
    bool is_soon = false; // one of them: the machine may be busy
    for (unsigned i = 0; i < 20 && !is_soon; i++) {
        uint64_t before_ms = clock_now_ms();
        buf_clear(&answer);
        world_set_routes(&world, "web", i % 2 ? "" : "route add web /x http://127.0.0.1:1/\n");
        assert_true(read_until(fd, &answer, "event: rows"));
        is_soon = clock_now_ms() - before_ms < 3 * LIVE_LOOK_MS;
    }
    assert_true(is_soon);
    close(fd);
}

static void test_a_second_viewer_gets_everything(void **state)
{
    (void)state;
    world_set_routes(&world, "web",
                     "route add web /x http://127.0.0.1:1/\n"
                     "route add web /y http://127.0.0.1:2/\n");
    int first = open_stream();
    buf_clear(&answer);
    assert_true(read_until(first, &answer, "event: tick"));
    counter_add(&world_counters(&world, "http://127.0.0.1:1/", 0)->requests, 5);
    assert_true(read_until(first, &answer, ",5,0,0,0,0,0,0,0,0]]"));
    int second = open_stream();
    buf_clear(&answer);
    assert_true(read_until(second, &answer, ",\"figures\":[["));
    assert_true(str_find(buf_str(&answer), STR("\"path\":\"/y\"")) > 0);
    close(first);
    close(second);
}

static void test_streams_are_bounded(void **state)
{
    (void)state;
    int fds[SERVER_STREAMS_MAX];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = open_stream();
        buf_clear(&answer);
        assert_true(read_until(fds[i], &answer, "text/event-stream"));
    }
    assert_int_equal(status_of(get("/api/events")), 503);
    assert_int_equal(status_of(ask("HEAD /api/events HTTP/1.1\r\nHost: 127.0.0.1", NULL)), 405);
    close(fds[0]);
    uint64_t end_ms = clock_now_ms() + DEADLINE_MS;
    int again = -1;
    for (bool is_in = false; !is_in;) {
        assert_true(clock_now_ms() < end_ms);
        if (again >= 0)
            close(again);
        again = open_stream();
        buf_clear(&answer);
        assert_true(read_until(again, &answer, "\r\n\r\n"));
        is_in = str_find(buf_str(&answer), STR("HTTP/1.1 200")) == 0;
    }
    close(again);
    for (size_t i = 1; i < ARRAY_LEN(fds); i++)
        close(fds[i]);
}

static void test_a_slow_viewer_is_sent_everything_anew(void **state)
{
    (void)state;
    set_long_routes(60, 0);
    int slow = open_stream();
    buf_clear(&answer);
    assert_true(read_until(slow, &answer, "event: table"));
    // Changes of 200 KB and more each, unread, until they cannot all lie in the sockets.
    for (unsigned i = 1; i <= 25; i++) {
        set_long_routes(60, i);
        uint64_t end_ms = clock_now_ms() + LIVE_LOOK_MS;
        while (clock_now_ms() < end_ms)
            turn();
    }
    set_long_routes(1, 999);
    buf_clear(&answer);
    assert_true(read_until(slow, &answer, "event: table"));
    assert_true(read_until(slow, &answer, "-999\""));
    close(slow);
}

// Whatever allocation fails: at most this connection is lost, and the next request is answered.
static void test_shortage_costs_one_answer(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/api/routes?pretty", "/api/manual", "//x?y",       "/routes",      "/api/ui",
        "/api/paths?pretty",  "/metrics",    "/api/events", "/api/problems"};
    world_set_routes(&world, "web", "route add web /x http://127.0.0.1:1/\n");
    counter_add(&world_counters(&world, "http://127.0.0.1:1/", 0)->requests, 5);
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        for (int64_t allocations = 1; allocations < 40; allocations++) {
            int fd = dial();
            char request[256];
            int len = snprintf(request, sizeof request,
                               "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n",
                               targets[i]);
            mem_fail_after(allocations);
            send_all(fd, request, (size_t)len);
            for (unsigned k = 0; k < 5; k++)
                turn();
            mem_fail_after(-1);
            close(fd);
        }
    }
    assert_string_equal(body_of(get("/health")), "OK\n");
    int fd = open_stream();
    buf_clear(&answer);
    assert_true(read_until(fd, &answer, "event: table"));
    // A viewer outlives a table it could not be told of.
    mem_fail_after(0);
    for (unsigned k = 0; k < 5; k++)
        turn();
    mem_fail_after(-1);
    world_set_routes(&world, "more", "route add more /y http://127.0.0.1:2/\n");
    mem_fail_after(0);
    uint64_t end_ms = clock_now_ms() + 3 * LIVE_LOOK_MS;
    while (clock_now_ms() < end_ms)
        turn();
    mem_fail_after(-1);
    assert_true(read_until(fd, &answer, "\"service\":\"more\""));
    close(fd);
    mem_fail_after(0);
    struct err err = {0};
    assert_null(admin_start(&world.loop, &config, &world.sources, NULL, false, &err));
    mem_fail_after(-1);
    assert_int_equal(err.code, ERR_NOMEM);
}

static void test_a_connection_waits_for_memory(void **state)
{
    (void)state;
    mem_fail_after(0);
    int fd = dial();
    for (unsigned k = 0; k < 20; k++)
        turn();
    mem_fail_after(-1);
    buf_clear(&answer);
    const char text[] = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    send_all(fd, text, sizeof text - 1);
    assert_true(read_until(fd, &answer, "OK\n"));
    close(fd);
}

static void test_unusable_addresses(void **state)
{
    (void)state;
    static const char *const addrs[] = {
        "", "127.0.0.1", "127.0.0.1:x", "127.0.0.1:70000", "no.such.name.invalid:1", "192.0.2.1:0"};
    for (size_t i = 0; i < ARRAY_LEN(addrs); i++) {
        struct admin_config bad = {.addr = str_of(addrs[i])};
        struct err err = {0};
        assert_null(admin_start(&world.loop, &bad, &world.sources, NULL, false, &err));
        assert_true(strncmp(err.text, "ui.addr: ", 9) == 0);
        assert_int_not_equal(err.code, 0);
    }
    struct admin_config any = {.addr = STR(":0")};
    struct err err = {0};
    struct admin *other = admin_start(&world.loop, &any, &world.sources, NULL, false, &err);
    assert_non_null(other);
    assert_true(admin_port(other) > 0);
    bool is_closed = false;
    admin_close(other, on_closed, &is_closed);
    while (!is_closed)
        uv_run(&world.loop, UV_RUN_ONCE);
}

// Bytes that drip in do not help: what counts is when the connection came, or its last answer.
static void test_who_keeps_us_waiting_is_closed(void **state)
{
    (void)state;
    static const char DRIPPED[] = "GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n";
    int silent = dial(), dripping = dial();
    send_all(dripping, DRIPPED, sizeof DRIPPED - 1);
    assert_int_equal(status_of(get("/health")), 200);
    clock_ahead_ms += SERVER_IDLE_MS - 10000;
    send_all(dripping, "A: b\r\n", 6);
    int late = dial();
    assert_int_equal(status_of(get("/health")), 200);
    clock_ahead_ms += 10001;
    buf_clear(&answer);
    assert_true(read_until(silent, &answer, NULL));
    assert_true(read_until(dripping, &answer, NULL));
    assert_int_equal(answer.len, 0);
    // Who has time left is still served.
    send_all(late, DRIPPED, sizeof DRIPPED - 1);
    send_all(late, "\r\n", 2);
    assert_true(read_until(late, &answer, "OK\n"));
    close(silent);
    close(dripping);
    close(late);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); // as the process does
    const struct CMUnitTest tests[] = {
        ADMIN_TEST(test_probes),
        ADMIN_TEST(test_old_data_is_not_ready),
        ADMIN_TEST(test_every_answer_has_the_safety_fields),
        ADMIN_TEST(test_addresses),
        ADMIN_TEST(test_base_path),
        ADMIN_TEST(test_foreign_names_are_refused),
        ADMIN_TEST(test_bodies_of_all_kinds),
        ADMIN_TEST(test_what_is_too_much_or_wrong_is_refused),
        ADMIN_TEST(test_pipelined_requests_are_answered_in_order),
        ADMIN_TEST(test_idle_connections_give_way),
        ADMIN_TEST(test_who_keeps_us_waiting_is_closed),
        ADMIN_TEST(test_large_answers_arrive_whole),
        ADMIN_TEST(test_stream),
        ADMIN_TEST(test_a_change_and_a_tick_in_one_turn),
        ADMIN_TEST(test_changes_are_told_soon),
        ADMIN_TEST(test_a_second_viewer_gets_everything),
        ADMIN_TEST(test_streams_are_bounded),
        ADMIN_TEST(test_a_slow_viewer_is_sent_everything_anew),
        ADMIN_TEST(test_shortage_costs_one_answer),
        ADMIN_TEST(test_a_connection_waits_for_memory),
        ADMIN_TEST(test_unusable_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
