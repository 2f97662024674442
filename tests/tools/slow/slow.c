// SPDX-License-Identifier: Apache-2.0
// Both ends of slow exchanges, thousands in one process that is idle between them: whatever is
// measured beside it must not be measured on it. Driven by slow_clients.py:
//
//   slow clients PORT COUNT KIND PERIOD_MS   opens so many connections, prints "ready", lets each
//                                            send a byte once in a period (head, body), or as much
//                                            as is taken (upload); none of them reads
//   slow origin PORT HOW                     reads uploads and never answers them; HOW: "reads"
//   all,
//                                            "sips" 64 KiB a second of each, "holds" all back. To a
//                                            GET it gives a large answer as fast as it is taken
//
// Either ends with its standard input. "lost N" then tells how many connections the peer has ended.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum {
    PER_SOURCE = 5000, // connections from one loopback address
    SLICES = 1000,     // of a period: so many groups of connections have their turn one by one
    SIP_MS = 1000,
    EVENTS = 256,
    FDS = 1 << 16,
    RECEIVE_BUFFER = 4096,
    // Of all TCP together the kernel holds a limited amount; on the loopback one socket that is not
    // read takes megabytes, and then nothing moves any more.
    SEND_BUFFER = 32 << 10,
    ORIGIN_BUFFER = 16 << 10,
};

#define LENGTH "200000000"

static const char HEAD[] =
    "GET /slow HTTP/1.1\r\nHost: example.com\r\nUser-Agent: slow\r\nAccept: */*\r\n";
static const char GET[] = "GET /slow HTTP/1.1\r\nHost: example.com\r\nUser-Agent: slow\r\n\r\n";
static const char UPLOAD[] =
    "POST /slow HTTP/1.1\r\nHost: example.com\r\nContent-Length: " LENGTH "\r\n\r\n";
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: " LENGTH "\r\n\r\n";

static char bytes[64 << 10];
static int epoll_fd;
static int timer_fd;
static int socks[FDS]; // clients: in order; origin: those to sip from
static int sock_count;
static int lost;
static int listener;    // origin
static const char *how; // origin

static void check(bool is_well, const char *what)
{
    if (is_well)
        return;
    perror(what);
    exit(1);
}

static void watch(int fd, uint32_t events, int operation)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    check(epoll_ctl(epoll_fd, operation, fd, &event) == 0, "epoll_ctl");
}

static void tick_every(int ms)
{
    struct timespec each = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
    struct itimerspec spec = {.it_interval = each, .it_value = each};
    check(timerfd_settime(timer_fd, 0, &spec, NULL) == 0, "timerfd");
}

static void begin(void)
{
    struct rlimit limit;
    check(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    memset(bytes, 'x', sizeof bytes);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    check(epoll_fd >= 0 && timer_fd >= 0, "epoll");
    watch(STDIN_FILENO, EPOLLIN, EPOLL_CTL_ADD);
    watch(timer_fd, EPOLLIN, EPOLL_CTL_ADD);
}

static void say(const char *what)
{
    puts(what);
    fflush(stdout);
}

// Sends until nothing more is taken. False: the peer has ended.
static bool flood(int fd)
{
    ssize_t sent;
    do {
        sent = send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (sent > 0);
    return errno == EAGAIN;
}

static int open_client(int port, int number)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(fd >= 0, "socket");
    int receive_buffer = RECEIVE_BUFFER;
    int send_buffer = SEND_BUFFER;
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in from = {.sin_family = AF_INET};
    from.sin_addr.s_addr = htonl(0x7f000101U + (uint32_t)(number / PER_SOURCE));
    check(bind(fd, (struct sockaddr *)&from, sizeof from) == 0, "bind");
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(connect(fd, (struct sockaddr *)&to, sizeof to) == 0, "connect");
    return fd;
}

static bool read_ticks(void)
{
    uint64_t ticks;
    return read(timer_fd, &ticks, sizeof ticks) > 0;
}

// The first of a slice's connections; those of the next one begin behind them.
static int slice_start(int slice)
{
    return (int)((long)sock_count * slice / SLICES);
}

// Until standard input ends.
static void run(void (*on_ready)(int fd), void (*on_slice)(int slice))
{
    int slice = 0;
    struct epoll_event events[EVENTS];
    say("ready");
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == STDIN_FILENO)
                return;
            if (fd != timer_fd) {
                on_ready(fd);
            } else if (read_ticks()) {
                on_slice(slice);
                slice = (slice + 1) % SLICES;
            }
        }
    }
}

static void drip(int slice)
{
    for (int i = slice_start(slice); i < slice_start(slice + 1); i++) {
        if (socks[i] < 0 || send(socks[i], "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ||
            errno == EAGAIN)
            continue;
        socks[i] = -1;
        lost++;
    }
}

static void on_client_ready(int fd)
{
    if (flood(fd))
        return;
    watch(fd, 0, EPOLL_CTL_DEL);
    lost++;
}

static void run_clients(int port, int count, const char *kind, int period_ms)
{
    bool is_upload = strcmp(kind, "upload") == 0;
    bool drips = strcmp(kind, "head") == 0 || strcmp(kind, "body") == 0;
    const char *first = strcmp(kind, "head") == 0     ? HEAD
                        : strcmp(kind, "answer") == 0 ? GET
                        : strcmp(kind, "idle") == 0   ? ""
                                                      : UPLOAD;
    size_t len = strlen(first);
    check(count <= FDS, "count");
    for (; sock_count < count; sock_count++) {
        int fd = open_client(port, sock_count);
        check(send(fd, first, len, MSG_NOSIGNAL) == (ssize_t)len, "send");
        socks[sock_count] = fd;
        if (is_upload)
            watch(fd, EPOLLOUT | EPOLLET, EPOLL_CTL_ADD);
    }
    if (drips)
        tick_every(period_ms / SLICES);
    run(on_client_ready, drip);
}

enum role { ROLE_NEW, ROLE_READ, ROLE_WRITE };
static uint8_t roles[FDS];

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        check(fd < FDS, "descriptors");
        roles[fd] = ROLE_NEW;
        watch(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
}

static void forget(int fd)
{
    for (int i = 0; i < sock_count; i++) {
        if (socks[i] == fd)
            socks[i--] = socks[--sock_count];
    }
    close(fd);
}

static void serve(int fd)
{
    if (fd == listener) {
        accept_all();
        return;
    }
    if (roles[fd] == ROLE_WRITE) {
        if (!flood(fd))
            close(fd);
        return;
    }
    ssize_t got = recv(fd, bytes, sizeof bytes, 0);
    bool is_get = got > 3 && memcmp(bytes, "GET", 3) == 0;
    memset(bytes, 'x', got > 0 ? (size_t)got : 0);
    if (got == 0 || (got < 0 && errno != EAGAIN)) {
        forget(fd);
        return;
    }
    if (roles[fd] == ROLE_READ)
        return;
    if (is_get) {
        roles[fd] = ROLE_WRITE;
        check(send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) > 0, "answer");
        watch(fd, EPOLLOUT | EPOLLET, EPOLL_CTL_MOD);
        return;
    }
    roles[fd] = ROLE_READ;
    if (strcmp(how, "reads") == 0)
        return;
    watch(fd, 0, EPOLL_CTL_MOD); // an error is still told
    if (strcmp(how, "sips") == 0)
        socks[sock_count++] = fd;
}

static void sip(int slice)
{
    for (int i = slice_start(slice); i < slice_start(slice + 1); i++) {
        if (recv(socks[i], bytes, sizeof bytes, MSG_DONTWAIT) < 0 && errno != EAGAIN)
            lost++;
    }
}

static void run_origin(int port)
{
    listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int one = 1;
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(listener >= 0, "socket");
    // Connections inherit them.
    int buffer = ORIGIN_BUFFER;
    setsockopt(listener, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (strcmp(how, "holds") == 0)
        setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    check(bind(listener, (struct sockaddr *)&at, sizeof at) == 0, "bind");
    check(listen(listener, 4096) == 0, "listen");
    watch(listener, EPOLLIN, EPOLL_CTL_ADD);
    if (strcmp(how, "sips") == 0)
        tick_every(SIP_MS / SLICES);
    run(serve, sip);
}

int main(int argc, char **argv)
{
    begin();
    if (argc == 6 && strcmp(argv[1], "clients") == 0) {
        run_clients(atoi(argv[2]), atoi(argv[3]), argv[4], atoi(argv[5]));
    } else if (argc == 4 && strcmp(argv[1], "origin") == 0) {
        how = argv[3];
        run_origin(atoi(argv[2]));
    } else {
        return 2;
    }
    printf("lost %d\n", lost);
    return 0;
}
