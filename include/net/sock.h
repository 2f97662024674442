// SPDX-License-Identifier: Apache-2.0
// A connected (or connecting) byte stream on a loop. Reading is by events into the loop's shared
// scratch; writing is tried at once, and what the peer does not take is kept in blocks and sent
// later, with on_drained as the wake-up. The owner embeds a struct sock and implements sock_events.
// With TLS (net/tls.h) a layer stands between sock and wire; above it nobody knows how bytes
// travel.
//
// Happy path: sock_init, then sock_accept or sock_connect (-> on_connected), sock_read_start,
// on_data ..., sock_write ..., sock_close -> on_closed. Memory belongs to the owner again only in
// on_closed. After sock_close no other event is delivered.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>
#include <uv.h>

#include "base/attr.h"
#include "net/block.h"
#include "net/loop.h"

struct sock;

struct sock_events {
    void (*on_connected)(struct sock *sock, int status); // 0 or a libuv error code
    // bytes lie in the loop's read scratch and may be changed in place; valid during the call.
    void (*on_data)(struct sock *sock, char *bytes, size_t len);
    // `len` bytes lie in the loop's pipe: sock_write_piped passes them on during the call, else
    // they are lost. Called only after sock_pace has allowed it.
    void (*on_piped)(struct sock *sock, size_t len);
    // The peer sent FIN (with TLS: said goodbye; a bare FIN is a failure). With TLS it may follow
    // on_data at once, even if reading was stopped there.
    void (*on_end)(struct sock *sock);
    void (*on_failed)(struct sock *sock, int status); // reset or another error; close it
    void (*on_drained)(struct sock *sock);            // everything pending has been sent
    void (*on_closed)(struct sock *sock);
};

enum {
    SOCK_PACE_MIN = 4 << 10, // a paced read is no smaller
    SOCK_PACE_FROM = 16 << 10,
    SOCK_HEAD_WORTH = 4 << 10, // is read of a message whose body will pass unseen
    // What the kernel holds for a peer beyond what is on its way: its own maximum is megabytes for
    // each one that does not read, and what it grants all sockets together is soon used up by them.
    SOCK_NOTSENT_MAX = 128 << 10,
};

struct sock_flush; // output the kernel has not taken yet
struct sock_layer; // what stands between the sock and the wire

struct sock {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
    } uv;
    struct net_loop *loop;
    const struct sock_events *events;
    struct sock_flush *flush; // NULL: nothing pending
    struct sock_layer *layer; // NULL: plain; owned
    int fd;                   // -1: not yet, or no more
    uint32_t read_max;        // bytes of one read; 0: LOOP_READ_SCRATCH. See sock_pace, sock_fit
    uint32_t splice_max;      // bytes that may come through the loop's pipe; 0: none
    bool is_reading;
    bool is_closing;
    bool is_ending;      // sock_end was called
    bool has_sent_end;   // FIN is out
    bool is_broken;      // writing has failed
    bool brings_bulk;    // part of its last message passed unseen
    bool may_read_ahead; // on_data is under way, and more has come than it is told of
    bool holds_output;   // the layer cannot send yet what was written
    bool holds_input;    // the layer has something of the peer's that the owner has not heard yet
};

// 0 or a negative err_code; nothing to undo then. Once it has succeeded the sock must be closed.
MUST_CHECK int sock_init(struct sock *sock, struct net_loop *loop,
                         const struct sock_events *events);
// Takes over an accepted connection. 0 or a libuv error code; fd stays the caller's on failure.
MUST_CHECK int sock_accept(struct sock *sock, int fd);
// Begins to connect. 0 (then on_connected follows) or a libuv error code. Writing is allowed at
// once and happens when the connection stands.
MUST_CHECK int sock_connect(struct sock *sock, const struct sockaddr *address);

// Idempotent. 0 or a libuv error code.
int sock_read_start(struct sock *sock);
void sock_read_stop(struct sock *sock);

// Sends the parts (at most 4) in order. 0: all is with the kernel. 1: some is pending; stop the
// source until on_drained. Negative: a libuv error code (UV_ENOMEM, UV_EPIPE, ...), the connection
// is broken and takes nothing more.
MUST_CHECK int sock_write(struct sock *sock, const struct iovec *parts, int count);
// Whether an error of writing comes from the peer, so that reading will tell of it (behind what the
// peer may have said before); else nobody will.
static inline bool sock_is_peers_fault(int status)
{
    return status == UV_EPIPE || status == UV_ECONNRESET;
}
static inline bool sock_has_pending(const struct sock *sock)
{
    return sock->flush != NULL || sock->holds_output;
}
size_t sock_pending_bytes(const struct sock *sock);
// Bytes on this side that the peer has not confirmed, the kernel's included (one system call): less
// of them means that it reads.
uint64_t sock_unsent_bytes(const struct sock *sock);

// What is known of the bytes that a source has still to give.
struct sock_ahead {
    uint64_t unseen; // so many may pass without being looked at
    uint64_t bulk;   // one read may bring so many, if that is more than usual
};

// Between two socks that a body passes, after `len` bytes of source went to sink: keeps the next
// read of source as small as what the kernel will take for sink, so that of what a peer does not
// read little is held here; and lets large pieces of plain socks pass through the loop's pipe
// (on_piped). Costs a system call for large pieces only, or once the pace is slow.
void sock_pace(struct sock *source, const struct sock *sink, size_t len, struct sock_ahead ahead);
// A message is awaited. When the last one was large, only a head's worth is read of it first, as
// what follows may pass unseen; sock_head_is_read ends that unless it is to be read ahead.
static inline void sock_await_head(struct sock *sock)
{
    sock->read_max = UNLIKELY(sock->brings_bulk) ? SOCK_HEAD_WORTH : 0;
    sock->splice_max = 0;
}
static inline void sock_head_is_read(struct sock *sock)
{
    if (LIKELY(!sock->brings_bulk))
        sock->read_max = 0;
}
// Within on_data of a source whose last message was large, before what it brought is written to
// sink: what has come behind is taken to the loop's pipe, so that it goes out in one packet with
// that; on_piped follows. Else nothing happens.
void sock_read_ahead(struct sock *source, const struct sock *sink, struct sock_ahead ahead);
// Sends what lies in the loop's pipe, as sock_write; not through a layer.
MUST_CHECK int sock_write_piped(struct sock *sock);
// The next read brings what any connection's may: nothing is known of it.
static inline void sock_unpace(struct sock *sock)
{
    sock->read_max = 0;
    sock->splice_max = 0;
}

// Keeps the reads to come so small that what they bring fits `room` bytes (with TLS all but the
// last 16 KiB of them). sock_unpace ends it.
void sock_fit(struct sock *sock, size_t room);

// FIN after everything pending. Reading goes on.
void sock_end(struct sock *sock);
// Closes at once, pending output is lost. with_reset: the peer gets RST, so that a cut message
// cannot be taken for a complete one. Idempotent.
void sock_close(struct sock *sock, bool with_reset);

// Whether bytes or FIN are already waiting to be read, or the connection has failed (one recv with
// MSG_PEEK).
bool sock_is_readable_now(struct sock *sock);

// Of a sock that is not read, what the kernel knows of its peer (one system call). A FIN behind
// bytes for which the kernel has no room has not come yet.
enum sock_peer {
    SOCK_PEER_THERE,
    SOCK_PEER_ENDED, // its FIN stands behind what waits to be read
    SOCK_PEER_GONE,  // it has reset the connection
};
enum sock_peer sock_ask_peer(const struct sock *sock);
// Bytes that wait to be read (of the wire, with TLS).
size_t sock_waiting_bytes(const struct sock *sock);
// Copies the first of them, which stay where they are. Returns how many.
size_t sock_peek(const struct sock *sock, char *room, size_t len);
