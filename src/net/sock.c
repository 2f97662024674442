// SPDX-License-Identifier: Apache-2.0
//
// The libuv rules that shape this file (docs/hacking.md): reading is started once and stopped
// only under back-pressure; send first, uv_write only with the rest; the read buffer is the loop's
// scratch.
//
// A plain sock hands bytes through; one with a layer (sock_layer.h) hands them to the layer, which
// tells the owner's events itself and sends by sock_send.
//
// Bytes that pass unseen (sock_pace) do not come to the scratch but to the loop's pipe (splice.h):
// on_alloc fills it, on_read hands it on. What the other side does not take is copied out of it and
// is pending output like any other.
//
// Pending output: at most one uv_write is under way, with everything in `sending`; what is written
// meanwhile collects in `waiting` and goes out with the next one. When both are empty the flush is
// freed and the owner told. Failure modes: memory is short -> UV_ENOMEM, the owner closes; the
// write fails -> on_failed.
#include "net/sock.h"

#include <errno.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/mem.h"
#include "direct.h"
#include "sock_layer.h"
#include "tcp_room.h"

enum {
    PARTS_MAX = 4,
    SENDING_MAX = 8,
    LAYER_HELD_MAX = 17 << 10, // the layer may have most of a record already
    FIT_MIN = 256,
    JOIN_MAX = 4 << 10,       // of what follows a head: to copy more costs as much as it saves
    PIPED_PER_TURN = 1 << 20, // bytes of one connection: then it is the turn of others
};

struct sock_flush {
    uv_write_t write;
    struct block *sending; // chain, in order
    struct block *waiting; // chain, in order
    size_t bytes;
};

static struct sock *sock_of(void *handle)
{
    return CONTAINER_OF(handle, struct sock, uv);
}

int sock_init(struct sock *sock, struct net_loop *loop, const struct sock_events *events)
{
    memset(sock, 0, sizeof *sock);
    sock->loop = loop;
    sock->events = events;
    sock->fd = -1;
    return uv_tcp_init(&loop->uv, &sock->uv.tcp) == 0 ? 0 : ERR_IO;
}

int sock_accept(struct sock *sock, int fd)
{
    int rc = uv_tcp_open(&sock->uv.tcp, fd);
    if (rc == 0)
        sock->fd = fd;
    return rc;
}

static void on_connect(uv_connect_t *request, int status)
{
    struct sock *sock = sock_of(request->handle);
    mem_free(request);
    if (sock->is_closing)
        return;
    if (status == 0) {
        int notsent = SOCK_NOTSENT_MAX;
        uv_tcp_nodelay(&sock->uv.tcp, 1);
        setsockopt(sock->fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent);
    }
    if (status == 0 && sock->layer)
        sock->layer->ops->on_connected(sock);
    else
        sock->events->on_connected(sock, status);
}

int sock_connect(struct sock *sock, const struct sockaddr *address)
{
    uv_connect_t *request = mem_alloc(sizeof *request);
    if (!request)
        return UV_ENOMEM;
    int rc = uv_tcp_connect(request, &sock->uv.tcp, address, on_connect);
    if (rc == 0)
        rc = uv_fileno(&sock->uv.handle, &sock->fd);
    else
        mem_free(request);
    return rc;
}

// Fills the loop's pipe. Returns how many bytes came; 0: they are to be read.
static size_t fill_pipe(struct sock *sock)
{
    ssize_t got = splice_fill(&sock->loop->splice, sock->fd, sock->splice_max);
    // The error is told once: what reading takes for an end is none.
    if (got < 0)
        sock->is_broken = true;
    return got > 0 ? (size_t)got : 0;
}

static void begin_passing(struct sock *sock)
{
    if (sock->loop->passing == sock)
        return; // read ahead
    sock->loop->passing = sock;
    sock->loop->passing_room = 0;
}

// Hands on what lies in the pipe, and more while it comes as fast as it goes.
static void pass_pieces(struct sock *sock)
{
    struct splice *pipe = &sock->loop->splice;
    size_t asked, got = pipe->held, passed = 0;
    for (;;) {
        asked = sock->splice_max;
        passed += got;
        sock->brings_bulk = true;
        if (LIKELY(!sock->is_closing))
            sock->events->on_piped(sock, got);
        splice_discard(pipe); // the owner had no use for it
        if (passed >= PIPED_PER_TURN || got < asked || sock->is_closing || !sock->is_reading ||
            sock->splice_max == 0)
            return;
        got = fill_pipe(sock);
        if (got == 0)
            return;
    }
}

static void pass_piped(struct sock *sock)
{
    begin_passing(sock);
    pass_pieces(sock);
    sock->loop->passing = NULL;
}

// A read that brought all that was asked for: there may be more at once.
static void tell_of_more(struct sock *sock, char *bytes, size_t len)
{
    sock->may_read_ahead = true;
    sock->events->on_data(sock, bytes, len);
    sock->may_read_ahead = false;
    if (sock->loop->splice.held > 0)
        pass_piped(sock);
}

// Takes what has come to the scratch: how much, 0 for nothing, or a negative libuv error code.
static ssize_t receive(struct sock *sock)
{
    size_t headroom = UNLIKELY(sock->layer != NULL) ? SOCK_LAYER_HEADROOM : 0;
    size_t len = UNLIKELY(sock->read_max != 0) ? sock->read_max : LOOP_READ_SCRATCH;
    if (UNLIKELY(sock->layer != NULL))
        len = MIN(len, (size_t)LOOP_READ_SCRATCH - headroom);
    ssize_t got;
    do {
        got = direct_recv(sock->fd, sock->loop->read_scratch + headroom, len, MSG_DONTWAIT);
    } while (got < 0 && errno == EINTR);
    if (LIKELY(got > 0))
        return got;
    if (got < 0)
        return errno == EAGAIN ? 0 : uv_translate_sys_error(errno);
    // A write that failed has taken the error with it, and what looks like an end is none.
    return sock->is_broken ? UV_EPIPE : UV_EOF;
}

// There is something to read. It is read here, as recv costs less than libuv's read; libuv, left
// without room, tells on_read at once.
static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct sock *sock = sock_of(handle);
    *buf = (uv_buf_t){0};
    if (LIKELY(sock->splice_max == 0) || fill_pipe(sock) == 0)
        sock->loop->received = receive(sock);
}

static void on_read(uv_stream_t *stream, ssize_t status, const uv_buf_t *buf)
{
    (void)status;
    (void)buf;
    struct sock *sock = sock_of(stream);
    struct net_loop *loop = sock->loop;
    if (UNLIKELY(loop->splice.held > 0)) {
        pass_piped(sock);
        return;
    }
    ssize_t got = loop->received;
    if (LIKELY(got > 0)) {
        if (UNLIKELY(sock->layer != NULL))
            sock->layer->ops->on_bytes(sock, loop->read_scratch + SOCK_LAYER_HEADROOM, (size_t)got);
        else if (UNLIKELY((size_t)got == sock->read_max))
            tell_of_more(sock, loop->read_scratch, (size_t)got);
        else
            sock->events->on_data(sock, loop->read_scratch, (size_t)got);
        return;
    }
    if (got == 0)
        return;
    sock_read_stop(sock);
    if (sock->layer)
        sock->layer->ops->on_end(sock, got == UV_EOF ? 0 : (int)got);
    else if (got == UV_EOF)
        sock->events->on_end(sock);
    else
        sock->events->on_failed(sock, (int)got);
}

int sock_read_start(struct sock *sock)
{
    if (sock->is_reading || sock->is_closing)
        return 0;
    int rc = uv_read_start(&sock->uv.stream, on_alloc, on_read);
    sock->is_reading = rc == 0;
    return rc;
}

void sock_read_stop(struct sock *sock)
{
    if (!sock->is_reading)
        return;
    uv_read_stop(&sock->uv.stream);
    sock->is_reading = false;
}

static void free_flush(struct sock *sock)
{
    struct sock_flush *flush = sock->flush;
    if (!flush)
        return;
    block_chain_put(&sock->loop->blocks, &flush->sending);
    block_chain_put(&sock->loop->blocks, &flush->waiting);
    mem_free(flush);
    sock->flush = NULL;
}

static int send_waiting(struct sock *sock);

// The peer takes nothing more, but what it said before that may still wait to be read: an answer
// given early, for example. So the reading side reports the end; only where nobody reads it, or
// where it is not the peer who failed, it is told here.
static void write_failed(struct sock *sock, int status)
{
    sock->is_broken = true;
    free_flush(sock);
    if (!sock->is_reading || !sock_is_peers_fault(status))
        sock->events->on_failed(sock, status);
}

static void on_written(uv_write_t *write, int status)
{
    struct sock *sock = sock_of(write->handle);
    struct sock_flush *flush = sock->flush;
    for (const struct block *block = flush->sending; block; block = block->next)
        flush->bytes -= block_len(block);
    block_chain_put(&sock->loop->blocks, &flush->sending);
    if (sock->is_closing)
        return; // on_uv_closed frees the rest
    if (status == 0 && flush->waiting) {
        status = send_waiting(sock);
        if (status == 0)
            return;
    }
    if (status != 0) {
        write_failed(sock, status);
        return;
    }
    free_flush(sock);
    if (sock->is_ending)
        sock_end(sock);
    // A layer that still holds output back sends it when it can, and the sock drains then.
    if (!sock->is_closing && !sock_has_pending(sock))
        sock->events->on_drained(sock);
}

// Starts one uv_write with what waits; the rest of a long chain follows when it is done. 0 or a
// libuv error code.
static int send_waiting(struct sock *sock)
{
    struct sock_flush *flush = sock->flush;
    uv_buf_t bufs[SENDING_MAX];
    unsigned count = 0;
    struct block **link = &flush->waiting;
    while (*link && count < SENDING_MAX) {
        bufs[count++] = uv_buf_init(block_start(*link), (unsigned)block_len(*link));
        link = &(*link)->next;
    }
    flush->sending = flush->waiting;
    flush->waiting = *link;
    *link = NULL;
    return uv_write(&flush->write, &sock->uv.stream, bufs, count, on_written);
}

static int keep(struct sock *sock, const struct iovec *parts, int count, size_t skip)
{
    struct sock_flush *flush = sock->flush;
    bool is_first = !flush;
    if (is_first) {
        flush = mem_zalloc(sizeof *flush);
        if (!flush)
            return UV_ENOMEM;
        sock->flush = flush;
    }
    for (int i = 0; i < count; i++) {
        size_t skipped = MIN(skip, parts[i].iov_len);
        size_t len = parts[i].iov_len - skipped;
        skip -= skipped;
        if (block_chain_append(&sock->loop->blocks, &flush->waiting,
                               (const char *)parts[i].iov_base + skipped, len) != 0) {
            if (is_first)
                free_flush(sock); // nothing is on its way that would do it
            return UV_ENOMEM;
        }
        flush->bytes += len;
    }
    int rc = is_first ? send_waiting(sock) : 0;
    if (rc != 0) {
        free_flush(sock);
        return rc;
    }
    return 1;
}

// What the kernel takes at once of the parts, or a negative libuv error code, UV_EAGAIN for
// nothing.
static int try_send(struct sock *sock, struct iovec *parts, size_t count)
{
    if (sock->uv.stream.connect_req)
        return UV_EAGAIN;
    // What lies in the loop's pipe goes out next, in the same packet.
    int more = UNLIKELY(sock->loop->splice.held > 0) ? MSG_MORE : 0;
    int flags = MSG_DONTWAIT | MSG_NOSIGNAL | more;
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = count};
    ssize_t sent;
    do {
        sent = count == 1 ? direct_send(sock->fd, parts->iov_base, parts->iov_len, flags)
                          : sendmsg(sock->fd, &message, flags);
    } while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == ENOBUFS || errno == EAGAIN))
        return UV_EAGAIN;
    return sent < 0 ? uv_translate_sys_error(errno) : (int)sent;
}

// A head that is still in the loop's out scratch takes in what follows it, if that is little: the
// kernel takes one run of bytes for 600 to 800 cycles less than two. Returns how many parts are
// left.
static size_t join(const struct sock *sock, struct iovec *parts, size_t count, size_t total)
{
    if (count < 2 || parts[0].iov_base != sock->loop->out_scratch || total > LOOP_OUT_SCRATCH ||
        total - parts[0].iov_len > JOIN_MAX)
        return count;
    char *end = (char *)parts[0].iov_base + parts[0].iov_len;
    for (size_t i = 1; i < count; i++) {
        memcpy(end, parts[i].iov_base, parts[i].iov_len);
        end += parts[i].iov_len;
    }
    parts[0].iov_len = total;
    return 1;
}

int sock_send(struct sock *sock, const struct iovec *parts, int count)
{
    size_t sent = 0;
    if (!sock->flush) {
        struct iovec runs[PARTS_MAX];
        size_t total = 0;
        for (int i = 0; i < count; i++) {
            runs[i] = parts[i];
            total += parts[i].iov_len;
        }
        if (total == 0)
            return 0;
        int rc = try_send(sock, runs, join(sock, runs, (size_t)count, total));
        if (rc == (ssize_t)total)
            return 0;
        if (rc < 0 && rc != UV_EAGAIN)
            return rc;
        sent = rc > 0 ? (size_t)rc : 0;
    }
    return keep(sock, parts, count, sent);
}

int sock_write(struct sock *sock, const struct iovec *parts, int count)
{
    BUG_ON(count > PARTS_MAX);
    if (sock->is_closing || sock->is_ending || sock->is_broken)
        return UV_EPIPE;
    int rc = UNLIKELY(sock->layer != NULL) ? sock->layer->ops->write(sock, parts, count)
                                           : sock_send(sock, parts, count);
    // Part of it may be out: what came next would stand in the wrong place.
    if (rc < 0)
        sock->is_broken = true;
    return rc;
}

size_t sock_pending_bytes(const struct sock *sock)
{
    return sock->flush ? sock->flush->bytes : 0;
}

uint64_t sock_unsent_bytes(const struct sock *sock)
{
    int in_kernel = 0;
    if (ioctl(sock->fd, SIOCOUTQ, &in_kernel) != 0)
        in_kernel = 0;
    // libuv knows how much of what is being sent is still to be sent, and nothing of what waits.
    uint64_t unsent = (uint64_t)in_kernel + uv_stream_get_write_queue_size(&sock->uv.stream);
    for (const struct block *block = sock->flush ? sock->flush->waiting : NULL; block;
         block = block->next)
        unsent += block_len(block);
    return unsent;
}

int sock_write_piped(struct sock *sock)
{
    struct splice *pipe = &sock->loop->splice;
    BUG_ON(sock->layer);
    if (sock->is_closing || sock->is_ending || sock->is_broken)
        return UV_EPIPE;
    int rc = sock->flush ? 0 : splice_pour(pipe, sock->fd);
    while (pipe->held > 0 && rc >= 0) {
        struct iovec rest = {.iov_base = sock->loop->read_scratch};
        rest.iov_len = splice_read(pipe, rest.iov_base, LOOP_BULK_SCRATCH);
        rc = rest.iov_len ? keep(sock, &rest, 1, 0) : UV_EIO;
    }
    if (rc < 0)
        sock->is_broken = true;
    return rc;
}

static void spend_room(struct net_loop *loop, size_t len)
{
    loop->passing_room -= (uint32_t)MIN((size_t)loop->passing_room, len);
}

// How much sink takes now, after `len` bytes went to it. While pieces pass within one turn it takes
// what it took before less what it was sent: it is asked again when less than the next piece is
// left.
static uint32_t room_of(const struct sock *sink, const struct sock *source, size_t len,
                        struct sock_ahead ahead)
{
    struct net_loop *loop = source->loop;
    if (loop->passing != source)
        return tcp_room(sink->fd, SOCK_NOTSENT_MAX);
    spend_room(loop, len);
    uint64_t piece = MAX(MIN(ahead.unseen, (uint64_t)SPLICE_MAX), (uint64_t)LOOP_READ_SCRATCH);
    if (loop->passing_room < piece || sock_has_pending(sink))
        loop->passing_room = tcp_room(sink->fd, SOCK_NOTSENT_MAX);
    return loop->passing_room;
}

void sock_pace(struct sock *source, const struct sock *sink, size_t len, struct sock_ahead ahead)
{
    if (LIKELY(len < SOCK_PACE_FROM && !(source->read_max | source->splice_max)))
        return;
    if (source->loop->splice.held > 0) {
        // What was read ahead, for this sink, goes behind these bytes.
        spend_room(source->loop, len);
        return;
    }
    bool is_slow = source->read_max != 0 && source->read_max < LOOP_READ_SCRATCH;
    sock_unpace(source);
    if (len < SOCK_PACE_FROM && !is_slow)
        return;
    uint32_t room = room_of(sink, source, len, ahead);
    if (room < LOOP_READ_SCRATCH)
        source->read_max = MAX(room, (uint32_t)SOCK_PACE_MIN);
    else if (ahead.bulk > LOOP_READ_SCRATCH)
        source->read_max =
            (uint32_t)MIN(ahead.bulk, (uint64_t)MIN(room, (uint32_t)LOOP_BULK_SCRATCH));
    if (ahead.unseen < SPLICE_MIN || room < SPLICE_MIN || source->layer || sink->layer ||
        sock_has_pending(sink) || !splice_is_open(&source->loop->splice))
        return;
    source->splice_max = (uint32_t)MIN(ahead.unseen, (uint64_t)MIN(room, (uint32_t)SPLICE_MAX));
}

void sock_read_ahead(struct sock *source, const struct sock *sink, struct sock_ahead ahead)
{
    if (LIKELY(!source->brings_bulk))
        return;
    source->brings_bulk = false; // until it has
    begin_passing(source);
    sock_pace(source, sink, 0, ahead);
    if (!source->may_read_ahead || source->splice_max == 0 || fill_pipe(source) == 0)
        source->loop->passing = NULL;
}

void sock_fit(struct sock *sock, size_t room)
{
    if (sock->layer)
        room = room > LAYER_HELD_MAX + FIT_MIN ? room - LAYER_HELD_MAX : FIT_MIN;
    sock->read_max = room < LOOP_READ_SCRATCH ? MAX((uint32_t)room, 1u) : 0;
}

void sock_end(struct sock *sock)
{
    if (sock->is_closing || sock->has_sent_end)
        return;
    bool is_first = !sock->is_ending;
    sock->is_ending = true;
    if (sock->layer && is_first)
        sock->layer->ops->end(sock);
    if (sock_has_pending(sock))
        return; // on_written, or the layer, comes back here
    sock->has_sent_end = true;
    shutdown(sock->fd, SHUT_WR);
}

static void on_uv_closed(uv_handle_t *handle)
{
    struct sock *sock = sock_of(handle);
    free_flush(sock);
    if (sock->layer)
        sock->layer->ops->free(sock);
    sock->events->on_closed(sock);
}

void sock_close(struct sock *sock, bool with_reset)
{
    if (sock->is_closing)
        return;
    if (sock->layer && !with_reset && !sock_has_pending(sock) && !sock->is_ending)
        sock->layer->ops->end(sock);
    sock->is_closing = true;
    sock->is_reading = false;
    if (with_reset) {
        // Not uv_tcp_close_reset, which refuses once shutdown was called.
        struct linger hard = {.l_onoff = 1, .l_linger = 0};
        if (sock->fd >= 0)
            setsockopt(sock->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    }
    sock->fd = -1;
    uv_close(&sock->uv.handle, on_uv_closed);
}

bool sock_is_readable_now(struct sock *sock)
{
    if (sock->holds_input)
        return true;
    char byte;
    ssize_t n = recv(sock->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return n >= 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

enum sock_peer sock_ask_peer(const struct sock *sock)
{
    struct pollfd peer = {.fd = sock->fd, .events = POLLRDHUP};
    if (poll(&peer, 1, 0) != 1)
        return SOCK_PEER_THERE;
    // Not POLLHUP: both sides may have ended in good order.
    return peer.revents & POLLERR ? SOCK_PEER_GONE : SOCK_PEER_ENDED;
}

size_t sock_waiting_bytes(const struct sock *sock)
{
    int count = 0;
    return ioctl(sock->fd, SIOCINQ, &count) == 0 && count > 0 ? (size_t)count : 0;
}

size_t sock_peek(const struct sock *sock, char *room, size_t len)
{
    ssize_t got = recv(sock->fd, room, len, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 ? (size_t)got : 0;
}
