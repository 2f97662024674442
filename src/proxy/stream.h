// SPDX-License-Identifier: Apache-2.0
// The client's side of one exchange, whatever protocol the client speaks: one struct of functions
// and what an exchange must know of its peer. An HTTP/1.x connection (client.c) is one stream after
// the other; an HTTP/2 connection would be many at once. Embedded by its implementer, on its
// worker's thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "http/compose.h"
#include "net/block.h"
#include "net/sock.h"

// The fields that go with a failure of our own: all causes of a 503 pass soon.
static inline struct str stream_advice(int status)
{
    return status == 503 ? STR("Retry-After: 1\r\n") : STR_NULL;
}

struct exchange;
struct stream;
struct worker;

// The send functions return 0: sent; 1: some is pending, exchange_on_client_drained follows;
// negative: the client is gone (or ERR_TOO_LARGE: the head does not fit, nothing was sent).
struct stream_ops {
    // A response head, with the first of its body. `request` is the method it answers.
    int (*send_head)(struct stream *stream, const struct http_head *head,
                     const struct http_answer *answer, enum http_method request,
                     const struct iovec *body, int count);
    // More of the body, or bytes of a tunnel.
    int (*send)(struct stream *stream, const struct iovec *parts, int count);
    // A whole answer of our own; see http_compose_error.
    int (*send_answer)(struct stream *stream, int status, bool is_head, uint8_t minor_version,
                       struct str extra, struct str content_type, struct str body);
    // Bytes of the body that lie in the loop's pipe, between two parts that may be empty.
    int (*send_piped)(struct stream *stream, size_t len, const struct iovec *before,
                      const struct iovec *behind);
    // FIN behind what was sent (tunnel).
    void (*end)(struct stream *stream);
    // The exchange is over, its answer complete: on to the next request, or close.
    void (*finish)(struct stream *stream);
    // Closes at once. with_reset where a plain end could be taken for a complete message.
    void (*close)(struct stream *stream, bool with_reset);
    // The request body may be read on / not now.
    void (*read_start)(struct stream *stream);
    void (*read_stop)(struct stream *stream);
    // Before the head of a request and the first of its body go to sink: what has come behind them
    // may go with them; see sock_read_ahead.
    void (*read_ahead)(struct stream *stream, const struct sock *sink, struct sock_ahead ahead);
    // After bytes of the request body went to sink; see sock_pace.
    void (*pace)(struct stream *stream, const struct sock *sink, size_t len,
                 struct sock_ahead ahead);
    // (Re)arms the guard against a sender of a body who falls silent; off where none is awaited.
    void (*await_body)(struct stream *stream);
};

struct stream {
    const struct stream_ops *ops;
    struct worker *worker;
    struct exchange *exchange; // the running one, or NULL; set and cleared by the exchange
    struct block *input;       // bytes that came behind the running request; NULL: none
    uint16_t peer_port;
    uint8_t peer_ip_len;
    bool is_tls;          // the client speaks TLS
    bool is_peer_trusted; // proxy.trusted
    bool has_ended;       // FIN received
    bool must_close;      // after the running exchange
    char peer_ip[46];
    uint32_t glitches; // oddities of the connection so far (proxy.maxglitches)
};

static inline struct str stream_peer_ip(const struct stream *stream)
{
    return str_make(stream->peer_ip, stream->peer_ip_len);
}
