// SPDX-License-Identifier: Apache-2.0
// A relay that parses nothing: what the kernel alone costs a proxy. Each client connection has one
// connection to the origin, and the bytes go to and fro. Usage: relay PORT ORIGIN_PORT
// [copy|splice]; with copy all bytes go through one buffer of 64 KiB, with splice (the default)
// large transfers go through a pipe.
//
// One thread, one level-triggered epoll. 1. on_accept makes a pair of sides. 2. on_readable of one
// side reads what there is and writes it to the other. 3. What the other does not take waits in the
// flow (as a copy, or in the pipe), the source is no longer polled, and on_writable of the other
// goes on. 4. An end is passed on when what came before it has gone out; after both ends, or any
// error, the pair is closed.

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    BUFFER_BYTES = 64 * 1024,
    PIPE_BYTES = 256 * 1024,
    LEAST_SPLICE_BYTES = 16 * 1024, // below, a copy is cheaper
    EVENTS = 256,
    BACKLOG = 4096,
};

struct pair;

// One socket, and the flow of the bytes that are read from it to the other.
struct side {
    int fd;
    uint32_t polled; // events that epoll watches
    struct pair *pair;
    struct side *other;
    char *rest; // what the other did not take yet
    size_t rest_start, rest_end;
    int pipe[2]; // -1: none yet
    size_t in_pipe;
    bool is_splicing;
    bool has_ended;
};

struct pair {
    struct side client, origin;
    struct pair *next_dead;
    bool is_dead;
};

static int epoll_fd, listen_fd;
static bool may_splice = true;
static struct sockaddr_in origin_address;
static struct pair *dead; // to be freed when the events at hand are done
static char buffer[BUFFER_BYTES];

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void poll_for(struct side *side, uint32_t events)
{
    if (side->polled == events)
        return;
    struct epoll_event event = {.events = events, .data.ptr = side};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, side->fd, &event);
    side->polled = events;
}

static void side_close(struct side *side)
{
    close(side->fd);
    free(side->rest);
    if (side->pipe[0] >= 0) {
        close(side->pipe[0]);
        close(side->pipe[1]);
    }
}

static void pair_close(struct pair *pair)
{
    if (pair->is_dead)
        return;
    pair->is_dead = true;
    side_close(&pair->client);
    side_close(&pair->origin);
    pair->next_dead = dead;
    dead = pair;
}

static bool is_waiting(const struct side *side)
{
    return side->rest || side->in_pipe;
}

// Polls a side for what its two flows need.
static void side_update(struct side *side)
{
    uint32_t events = 0;
    if (!side->has_ended && !is_waiting(side))
        events |= EPOLLIN;
    if (is_waiting(side->other))
        events |= EPOLLOUT;
    poll_for(side, events);
}

static void flow_end(struct side *from)
{
    from->has_ended = true;
    if (from->other->has_ended) {
        pair_close(from->pair);
        return;
    }
    shutdown(from->other->fd, SHUT_WR);
    side_update(from);
}

static bool is_again(void)
{
    return errno == EAGAIN || errno == EINTR;
}

// Writes what is in the pipe. False: the pair is closed.
static bool flow_drain_pipe(struct side *from)
{
    while (from->in_pipe) {
        ssize_t gone = splice(from->pipe[0], NULL, from->other->fd, NULL, from->in_pipe,
                              SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
        if (gone <= 0) {
            if (gone < 0 && is_again())
                return true;
            pair_close(from->pair);
            return false;
        }
        from->in_pipe -= (size_t)gone;
    }
    return true;
}

static bool flow_has_pipe(struct side *from)
{
    if (from->pipe[0] >= 0)
        return true;
    if (pipe2(from->pipe, O_NONBLOCK | O_CLOEXEC)) {
        from->pipe[0] = from->pipe[1] = -1;
        return false;
    }
    fcntl(from->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
    return true;
}

// Whether bytes have come; else what that means for the pair is seen to.
static bool flow_has(struct side *from, ssize_t got)
{
    if (got == 0)
        flow_end(from);
    else if (got < 0 && !is_again())
        pair_close(from->pair);
    return got > 0;
}

static void flow_splice(struct side *from)
{
    ssize_t got =
        splice(from->fd, NULL, from->pipe[1], NULL, PIPE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
    if (!flow_has(from, got))
        return;
    from->is_splicing = got >= LEAST_SPLICE_BYTES;
    from->in_pipe = (size_t)got;
    if (flow_drain_pipe(from) && from->in_pipe) {
        side_update(from);
        side_update(from->other);
    }
}

static void flow_copy(struct side *from)
{
    ssize_t got = read(from->fd, buffer, sizeof(buffer));
    if (!flow_has(from, got))
        return;
    ssize_t gone = write(from->other->fd, buffer, (size_t)got);
    if (gone < 0 && is_again())
        gone = 0;
    if (gone < 0) {
        pair_close(from->pair);
        return;
    }
    from->is_splicing = may_splice && got == sizeof(buffer) && flow_has_pipe(from);
    if (gone == got)
        return;
    from->rest_start = 0;
    from->rest_end = (size_t)(got - gone);
    from->rest = malloc(from->rest_end);
    if (!from->rest) {
        pair_close(from->pair);
        return;
    }
    memcpy(from->rest, buffer + gone, from->rest_end);
    side_update(from);
    side_update(from->other);
}

static void on_readable(struct side *from)
{
    if (from->is_splicing)
        flow_splice(from);
    else
        flow_copy(from);
}

// The other's flow waited for this side.
static void on_writable(struct side *side)
{
    struct side *from = side->other;
    if (from->rest) {
        ssize_t gone =
            write(side->fd, from->rest + from->rest_start, from->rest_end - from->rest_start);
        if (gone < 0 && is_again())
            return;
        if (gone < 0) {
            pair_close(from->pair);
            return;
        }
        from->rest_start += (size_t)gone;
        if (from->rest_start < from->rest_end)
            return;
        free(from->rest);
        from->rest = NULL;
    }
    if (!flow_drain_pipe(from) || is_waiting(from))
        return;
    side_update(from);
    side_update(side);
}

static bool side_open(struct side *side, struct pair *pair, struct side *other, int fd)
{
    *side =
        (struct side){.fd = fd, .polled = EPOLLIN, .pair = pair, .other = other, .pipe = {-1, -1}};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = side};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

static void on_accept(void)
{
    int one = 1;
    int client_fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (client_fd < 0)
        return;
    // The connection is made at once on the loopback, so that nothing has to wait for it.
    int origin_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct pair *pair = calloc(1, sizeof(*pair));
    if (origin_fd < 0 || !pair ||
        connect(origin_fd, (struct sockaddr *)&origin_address, sizeof(origin_address)) ||
        fcntl(origin_fd, F_SETFL, O_NONBLOCK))
        die("relay: no connection to the origin");
    setsockopt(client_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    setsockopt(origin_fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (!side_open(&pair->client, pair, &pair->origin, client_fd) ||
        !side_open(&pair->origin, pair, &pair->client, origin_fd))
        die("relay: epoll_ctl");
}

static void serve(void)
{
    struct epoll_event events[EVENTS];
    for (;;) {
        int count = epoll_wait(epoll_fd, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            struct side *side = events[i].data.ptr;
            if (!side) {
                on_accept();
                continue;
            }
            if (!side->pair->is_dead && events[i].events & EPOLLOUT)
                on_writable(side);
            if (!side->pair->is_dead && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR) &&
                !is_waiting(side))
                on_readable(side);
        }
        while (dead) {
            struct pair *pair = dead;
            dead = pair->next_dead;
            free(pair);
        }
    }
}

static struct sockaddr_in loopback(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)atoi(port)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: relay PORT ORIGIN_PORT [copy|splice]\n");
        return 2;
    }
    may_splice = argc < 4 || strcmp(argv[3], "copy") != 0;
    signal(SIGPIPE, SIG_IGN);
    origin_address = loopback(argv[2]);
    struct sockaddr_in address = loopback(argv[1]);
    int one = 1;
    listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listen_fd < 0 || setsockopt(listen_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(listen_fd, (struct sockaddr *)&address, sizeof(address)) || listen(listen_fd, BACKLOG))
        die("relay: listen");
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_fd < 0 || epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listen_fd, &event))
        die("relay: epoll");
    serve();
    return 0;
}
