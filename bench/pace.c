// SPDX-License-Identifier: Apache-2.0
// A load of constant rate: requests fall due at fixed times, whether or not earlier ones have been
// answered, and each latency counts from when the request was due. A proxy that stalls for 10 ms is
// so charged with all the requests that should have been sent meanwhile. Usage: pace PORT RATE
// SECONDS CONNECTIONS, with one whole request on the standard input; prints one line of JSON.
//
// One thread. 1. run gives each due request to the connection that is idle longest; when none
// is idle, due ones wait, and their latency grows. 2. on_readable reads one answer, which must be
// 200 and have a Content-Length, and notes the latency. 3. When the time is over, answers are
// awaited for WAIT_NS.

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    REQUEST_BYTES = 16 * 1024,
    HEAD_BYTES = 8 * 1024,
    EVENTS = 256,
};
static const int64_t SECOND_NS = 1000000000;
static const int64_t WAIT_NS = 5000000000;

struct connection {
    int fd;
    bool is_busy;
    int64_t due_ns; // of the request that is being answered
    char head[HEAD_BYTES];
    size_t head_bytes;
    int64_t body_left; // -1: the head is not complete
    struct connection *next_idle;
};

static char request[REQUEST_BYTES + 1];
static size_t request_bytes;
static int epoll_fd;
static struct connection *first_idle, *last_idle;
static uint32_t *latencies_us;
static size_t answered, failed, ended;
static uint16_t port;
static char scratch[64 * 1024];

static void die(const char *what)
{
    fprintf(stderr, "pace: %s (%s)\n", what, strerror(errno));
    exit(1);
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

static void idle_put(struct connection *connection)
{
    connection->is_busy = false;
    connection->next_idle = NULL;
    connection->head_bytes = 0;
    connection->body_left = -1;
    if (last_idle)
        last_idle->next_idle = connection;
    else
        first_idle = connection;
    last_idle = connection;
}

static struct connection *idle_get(void)
{
    struct connection *connection = first_idle;
    first_idle = connection->next_idle;
    if (!first_idle)
        last_idle = NULL;
    return connection;
}

static void connection_open(struct connection *connection)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection->fd < 0 || connect(connection->fd, (struct sockaddr *)&address, sizeof(address)))
        die("cannot connect");
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, connection->fd, &event))
        die("epoll_ctl");
}

// An idle one stays where it is among the idle ones.
static void connection_renew(struct connection *connection)
{
    ended++;
    close(connection->fd);
    connection_open(connection);
    if (connection->is_busy) {
        failed++;
        idle_put(connection);
    }
}

// The head is complete: what follows it.
static void read_head(struct connection *connection)
{
    connection->head[connection->head_bytes] = '\0';
    char *end = strstr(connection->head, "\r\n\r\n");
    if (!end)
        return;
    if (strncmp(connection->head, "HTTP/1.1 200", 12) != 0)
        die("an answer that is not 200");
    char *length = strcasestr(connection->head, "\r\ncontent-length:");
    if (!length || length > end)
        die("an answer without a length");
    size_t body_bytes = connection->head_bytes - (size_t)(end + 4 - connection->head);
    connection->body_left = strtoll(length + 17, NULL, 10) - (int64_t)body_bytes;
}

static void on_readable(struct connection *connection)
{
    bool is_head = connection->body_left < 0;
    char *into = is_head ? connection->head + connection->head_bytes : scratch;
    size_t room = is_head ? HEAD_BYTES - 1 - connection->head_bytes : sizeof(scratch);
    ssize_t got = recv(connection->fd, into, room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        connection_renew(connection);
        return;
    }
    if (is_head) {
        connection->head_bytes += (size_t)got;
        read_head(connection);
    } else {
        connection->body_left -= got;
    }
    if (connection->body_left != 0)
        return;
    latencies_us[answered++] = (uint32_t)((now_ns() - connection->due_ns) / 1000);
    idle_put(connection);
}

static int compare(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static uint32_t quantile(double part)
{
    return latencies_us[(size_t)((double)(answered - 1) * part)];
}

static void wait_for_answers(int64_t timeout_ns)
{
    struct epoll_event events[EVENTS];
    struct timespec timeout = {.tv_sec = timeout_ns / SECOND_NS, .tv_nsec = timeout_ns % SECOND_NS};
    int count = epoll_pwait2(epoll_fd, events, EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++)
        on_readable(events[i].data.ptr);
}

// Sends all when they are due and reads the answers; returns how late the latest was sent.
static int64_t run(size_t count, double rate, double seconds)
{
    size_t sent = 0;
    int64_t start_ns = now_ns(), most_late_ns = 0, now = start_ns;
    int64_t end_ns = start_ns + (int64_t)(seconds * 1e9) + WAIT_NS;
    while (answered + failed < count && now < end_ns) {
        int64_t due_ns = start_ns + (int64_t)((double)sent / rate * 1e9);
        while (sent < count && due_ns <= now && first_idle) {
            struct connection *connection = idle_get();
            connection->due_ns = due_ns;
            connection->is_busy = true;
            // One that has just ended takes nothing; on_readable sees to it.
            if (send(connection->fd, request, request_bytes, MSG_NOSIGNAL) !=
                    (ssize_t)request_bytes &&
                errno != EPIPE && errno != ECONNRESET)
                die("a request could not be written");
            if (now - due_ns > most_late_ns)
                most_late_ns = now - due_ns;
            due_ns = start_ns + (int64_t)((double)++sent / rate * 1e9);
        }
        now = now_ns();
        bool waits_for_time = sent < count && first_idle;
        int64_t next_ns = waits_for_time ? due_ns : end_ns;
        wait_for_answers(next_ns > now ? next_ns - now : 0);
        now = now_ns();
    }
    return most_late_ns;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: pace PORT RATE SECONDS CONNECTIONS <REQUEST\n");
        return 2;
    }
    double rate = strtod(argv[2], NULL), seconds = strtod(argv[3], NULL);
    int connections = atoi(argv[4]);
    size_t count = (size_t)(rate * seconds);
    request_bytes = fread(request, 1, REQUEST_BYTES, stdin);
    latencies_us = calloc(count + 1, sizeof(*latencies_us));
    struct connection *all = calloc((size_t)connections, sizeof(*all));
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!request_bytes || !count || !latencies_us || !all || epoll_fd < 0)
        die("nothing to do, or no memory");
    prctl(PR_SET_TIMERSLACK, 1UL);
    port = (uint16_t)atoi(argv[1]);
    for (int i = 0; i < connections; i++) {
        connection_open(&all[i]);
        idle_put(&all[i]);
    }

    int64_t most_late_ns = run(count, rate, seconds);
    if (!answered)
        die("no answer");
    qsort(latencies_us, answered, sizeof(*latencies_us), compare);
    printf("{\"due\": %zu, \"answered\": %zu, \"failed\": %zu, \"ended\": %zu, \"p50_us\": %u, "
           "\"p99_us\": %u, "
           "\"p999_us\": %u, \"max_us\": %u, \"sent_late_us\": %" PRId64 "}\n",
           count, answered, failed, ended, quantile(0.5), quantile(0.99), quantile(0.999),
           latencies_us[answered - 1], most_late_ns / 1000);
    return 0;
}
