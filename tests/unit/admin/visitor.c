// SPDX-License-Identifier: Apache-2.0
#include "visitor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/socket.h>

struct world world;
struct admin *admin;
struct admin_config config;

uint64_t clock_ahead_ms;

uint64_t __real_clock_now_ms(void);
uint64_t __wrap_clock_now_ms(void);
uint64_t __wrap_clock_now_ms(void)
{
    return __real_clock_now_ms() + clock_ahead_ms;
}

void turn(void)
{
    uv_run(&world.loop, UV_RUN_NOWAIT);
    usleep(200); // only lets the kernel and the timers have a turn; every wait is for a condition
}

int dial(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(admin_port(admin))};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof at), 0);
    return fd;
}

void send_all(int fd, const char *bytes, size_t len)
{
    uint64_t end_ms = clock_now_ms() + DEADLINE_MS;
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, bytes + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            at += (size_t)n;
        else if (errno != EAGAIN)
            return; // refused meanwhile: the answer tells
        turn();
        assert_true(clock_now_ms() < end_ms);
    }
}

bool read_until(int fd, struct buf *in, const char *needle)
{
    uint64_t end_ms = clock_now_ms() + DEADLINE_MS;
    for (;;) {
        if (needle && str_find(buf_str(in), str_of(needle)) >= 0)
            return true;
        char bytes[65536];
        ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n > 0)
            buf_append(in, bytes, (size_t)n);
        else if (n == 0 || errno != EAGAIN)
            return !needle;
        else
            turn();
        if (clock_now_ms() >= end_ms)
            fail_msg("no answer; so far: %.*s", STR_FMT(buf_str(in)));
    }
}

struct buf answer;
const char *ask(const char *head, const char *body)
{
    int fd = dial();
    buf_clear(&answer);
    char request[4096];
    int len = snprintf(request, sizeof request, "%s\r\nConnection: close\r\n", head);
    if (body)
        len += snprintf(request + len, sizeof request - (size_t)len, "Content-Length: %zu\r\n",
                        strlen(body));
    len += snprintf(request + len, sizeof request - (size_t)len, "\r\n%s", body ? body : "");
    send_all(fd, request, (size_t)len);
    assert_true(read_until(fd, &answer, NULL));
    close(fd);
    buf_append_char(&answer, '\0');
    assert_int_equal(buf_status(&answer), 0);
    return answer.ptr;
}

const char *get(const char *target)
{
    char head[512];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1", target);
    return ask(head, NULL);
}

int status_of(const char *text)
{
    assert_true(strncmp(text, "HTTP/1.1 ", 9) == 0);
    return atoi(text + 9);
}

const char *body_of(const char *text)
{
    const char *end = strstr(text, "\r\n\r\n");
    assert_non_null(end);
    return end + 4;
}

static void start(struct admin_config with)
{
    config = with;
    config.addr = STR("127.0.0.1:0");
    config.version = STR("0.1.0");
    struct err err = {0};
    admin = admin_start(&world.loop, &config, &world.sources, NULL, false, &err);
    if (!admin)
        fail_msg("%s", err.text);
}

void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

static void stop(void)
{
    bool is_closed = false;
    admin_close(admin, on_closed, &is_closed);
    while (!is_closed)
        uv_run(&world.loop, UV_RUN_ONCE);
}

int setup(void **state)
{
    (void)state;
    world_init(&world);
    buf_init(&answer, 64 << 20);
    start((struct admin_config){0});
    return 0;
}

int teardown(void **state)
{
    (void)state;
    stop();
    buf_fini(&answer);
    world_fini(&world);
    return 0;
}

void restart(struct admin_config with)
{
    stop();
    start(with);
}
