// SPDX-License-Identifier: Apache-2.0
#include "connection_world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "app/options.h"
#include "base/mem.h"
#include "proxy/client.h"
#include "proxy/page.h"
#include "proxy/worker.h"
#include "route/routes.h"

enum {
    TURNS_MAX = 20000, // without coming to rest: it spins
    SHUTDOWN_STEPS = 200,
};

static struct worker worker;
static struct proxy_config config;
static uv_loop_t control;
static struct targets *targets;
static struct routes *routes;
static int origin_listener = -1;
static int proxy_listener = -1;
static uint16_t origin_port, proxy_port;

// The clock of everything in this process while a run lasts: libuv, the timer wheel, the pools.
static bool is_time_ours;
static uint64_t our_time_ns;

__attribute__((visibility("default"))) int clock_gettime(clockid_t id, struct timespec *now)
{
    if (is_time_ours && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
        now->tv_sec = (time_t)(our_time_ns / 1000000000);
        now->tv_nsec = (long)(our_time_ns % 1000000000);
        return 0;
    }
    return (int)syscall(SYS_clock_gettime, id, now);
}

_Noreturn void world_fail(const char *what, const char *file, int line)
{
    fprintf(stderr, "%s:%d: not true: %s\n", file, line, what);
    abort();
}

const struct http_limits *world_request_limits(void)
{
    return &config.request_limits;
}

static int listen_somewhere(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    REQUIRE(fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0);
    REQUIRE(getsockname(fd, (struct sockaddr *)&addr, &len) == 0);
    REQUIRE(listen(fd, 64) == 0);
    *port = ntohs(addr.sin_port);
    return fd;
}

// Everything at the origin; /refused at a port where nobody listens; /two at either.
static void publish_routes(void)
{
    struct routes_config routes_config = {0};
    struct routes_binding binding = targets_binding(targets);
    routes = routes_new(&routes_config, &binding);
    REQUIRE(routes);
    char text[512];
    int len = snprintf(text, sizeof text,
                       "route add a / http://127.0.0.1:%u/\n"
                       "route add r /refused http://127.0.0.1:1/\n"
                       "route add t /two http://127.0.0.1:1/\n"
                       "route add t /two http://127.0.0.1:%u/\n"
                       "route add d /denied http://127.0.0.1:%u/ opts \"allow=ip:192.0.2.1\"\n"
                       "route add e /redirect http://b.example/x opts \"redirect=302\"\n",
                       origin_port, origin_port, origin_port);
    struct command_list *commands =
        command_list_parse(str_make(text, (size_t)len), STR("test"), NULL, NULL);
    REQUIRE(commands && routes_set_manual(routes, commands) == 0);
    struct table *table;
    REQUIRE(routes_build(routes, &table, NULL, NULL) == 0 && table);
    targets_publish(targets, table);
}

// The options' defaults, and what the settings make of them.
static void configure(uint8_t settings)
{
    static struct options options;
    static bool is_read;
    if (!is_read) {
        static char program[] = "tagway", compress[] = "-proxy.gzip.contenttype=^text/";
        char *argv[] = {program, compress, NULL};
        static char *const no_environment[] = {NULL};
        struct err err;
        bool is_usage_error;
        REQUIRE(options_read(&options, 2, argv, no_environment, &err, &is_usage_error) == 0);
        is_read = true;
    }
    config = options.proxy;
    config.listener_count = 1;
    config.worker_count = 1;
    config.response_timeout_ms = 20000;
    config.upstream_body_timeout_ms = 20000;
    config.max_idle_per_endpoint = 4;
    config.gzip_max = 2;
    if (settings & 1)
        config.max_requests_per_connection = 2;
    if (settings & 2)
        config.request_body_max = 1000;
    if (!(settings & 4))
        config.gzip_types = NULL;
    if (settings & 8)
        config.request_limits = (struct http_limits){2048, 512, 16};
    config.listeners[0].proto = LISTENER_HTTP;
    config.listeners[0].read_timeout_ms = settings & 16 ? 2000 : 0;
    config.listeners[0].write_timeout_ms = settings & 16 ? 5000 : 0;
}

static void on_empty(struct worker *drained)
{
    worker_stop(drained);
}

void world_begin(struct world *world, uint8_t settings)
{
    if (origin_listener < 0) {
        origin_listener = listen_somewhere(&origin_port);
        proxy_listener = listen_somewhere(&proxy_port);
        our_time_ns = 1000000000000;
        signal(SIGPIPE, SIG_IGN); // as in the process itself
    }
    is_time_ours = true;
    memset(world, 0, sizeof *world);
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        world->clients[i].fd = -1;
    configure(settings);
    REQUIRE(uv_loop_init(&control) == 0);
    targets = targets_new(&control, 1);
    REQUIRE(targets);
    publish_routes();
    memset(&worker, 0, sizeof worker);
    struct page *page = page_new(STR_NULL);
    struct worker_listener *listener = worker_listener_new(&config.listeners[0]);
    int socket = dup(proxy_listener);
    REQUIRE(page && listener && socket >= 0);
    REQUIRE(worker_init(&worker, 0, &config, targets_cell(targets), page, NULL, NULL) == 0);
    page_unref(page);
    rng_init(&worker.loop.rng, 1);
    worker.client_max = 64;
    worker.on_empty = on_empty;
    worker_listen(&worker, listener, socket);
}

static void open_end(struct world_end *end, int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    end->fd = fd;
    end->is_used = true;
    end->is_reading = true;
}

struct world_end *world_client(struct world *world, unsigned number)
{
    struct world_end *end = &world->clients[number % WORLD_CLIENTS];
    if (end->is_used)
        return end;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(proxy_port)};
    REQUIRE(fd >= 0);
    REQUIRE(connect(fd, (struct sockaddr *)&addr, sizeof addr) == 0 || errno == EINPROGRESS);
    open_end(end, fd);
    return end;
}

static void log_append(struct world_log *log, const void *bytes, size_t len)
{
    if (len == 0)
        return;
    char *grown = realloc(log->ptr, log->len + len);
    REQUIRE(grown);
    memcpy(grown + log->len, bytes, len);
    log->ptr = grown;
    log->len += len;
}

static bool flush(struct world_end *end)
{
    if (end->fd < 0 || end->out_sent == end->out.len)
        return false;
    ssize_t got = send(end->fd, end->out.ptr + end->out_sent, end->out.len - end->out_sent,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
    if (got > 0)
        end->out_sent += (size_t)got;
    return got > 0;
}

void world_send(struct world_end *end, const void *bytes, size_t len)
{
    if (!end || end->fd < 0)
        return;
    log_append(&end->out, bytes, MIN(len, WORLD_LOG_MAX - end->out.len));
    flush(end);
}

void world_fin(struct world_end *end)
{
    if (end && end->fd >= 0)
        shutdown(end->fd, SHUT_WR);
}

void world_reset(struct world_end *end)
{
    if (!end || end->fd < 0)
        return;
    struct linger hard = {.l_onoff = 1};
    setsockopt(end->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(end->fd);
    end->fd = -1;
    end->has_reset = true;
}

static bool drain(struct world_end *end)
{
    static char bytes[1 << 16];
    if (end->fd < 0 || !end->is_reading)
        return false;
    ssize_t got = recv(end->fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got <= 0) {
        // Its end: nothing more to read, and not to be asked again.
        if (got == 0 || errno != EAGAIN)
            end->is_reading = false;
        return false;
    }
    size_t room = WORLD_LOG_MAX - end->in.len;
    if ((size_t)got > room)
        end->in_is_cut = true;
    log_append(&end->in, bytes, MIN((size_t)got, room));
    return true;
}

static bool accept_origin(struct world *world)
{
    int fd = accept4(origin_listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return false;
    if (world->origin_count == WORLD_ORIGINS)
        close(fd);
    else
        open_end(&world->origins[world->origin_count++], fd);
    return true;
}

bool world_turn(struct world *world)
{
    bool has_moved = false;
    uv_run(&worker.loop.uv, UV_RUN_NOWAIT);
    while (accept_origin(world))
        has_moved = true;
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        has_moved |= (int)flush(&world->clients[i]) | (int)drain(&world->clients[i]);
    for (unsigned i = 0; i < world->origin_count; i++)
        has_moved |= (int)flush(&world->origins[i]) | (int)drain(&world->origins[i]);
    struct pollfd loop = {.fd = uv_backend_fd(&worker.loop.uv), .events = POLLIN};
    return poll(&loop, 1, 0) == 1 || has_moved;
}

void world_settle(struct world *world)
{
    unsigned quiet = 0;
    for (unsigned turns = 0; quiet < 2; turns++) {
        REQUIRE(turns < TURNS_MAX);
        quiet = world_turn(world) ? 0 : quiet + 1;
    }
}

void world_wait(struct world *world, uint32_t delay_ms)
{
    our_time_ns += (uint64_t)delay_ms * 1000000;
    world_settle(world);
}

static bool is_at_rest(void)
{
    struct target *target = NULL;
    while ((target = targets_next(targets, target))) {
        const struct target_counters *counters = target_counters_at(target, 0);
        if (counters && counter_get(&counters->in_flight) != 0)
            return false;
    }
    return worker.client_count == 0 && list_is_empty(&worker.clients) &&
           worker.loop.blocks.in_use_bytes == 0 && worker.gzip.in_use == 0 &&
           worker.loop.splice.held == 0;
}

void world_end(struct world *world)
{
    mem_fail_after(-1);
    world_settle(world);
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        world_reset(&world->clients[i]);
    for (unsigned step = 0; step < SHUTDOWN_STEPS && !is_at_rest(); step++)
        world_wait(world, 60000);
    REQUIRE(is_at_rest());
    // Idle connections to the origin have an end of their own.
    world_wait(world, 60000);
    REQUIRE(list_is_empty(&worker.upstream.conns));
    REQUIRE(worker.upstream.conn_count == 0);
    for (unsigned i = 0; i < world->origin_count; i++)
        world_reset(&world->origins[i]);
    worker_drain(&worker);
    uv_run(&worker.loop.uv, UV_RUN_DEFAULT);
    worker_fini(&worker);
    targets_publish(targets, NULL);
    routes_free(routes);
    targets_free(targets);
    uv_run(&control, UV_RUN_DEFAULT);
    REQUIRE(uv_loop_close(&control) == 0);
    is_time_ours = false;
}

static void free_end(struct world_end *end)
{
    free(end->in.ptr);
    free(end->out.ptr);
}

void world_free(struct world *world)
{
    for (unsigned i = 0; i < WORLD_CLIENTS; i++)
        free_end(&world->clients[i]);
    for (unsigned i = 0; i < world->origin_count; i++)
        free_end(&world->origins[i]);
}
