// SPDX-License-Identifier: Apache-2.0
// The admin listener's HTTP/1.1 server: reads requests, hands them to one function, writes whole
// answers or event streams. Everything is bounded: connections, request sizes, time, bytes of
// answers in memory. Runs on the control loop; not the data path's server, so that neither can
// starve the other.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "http/head.h"

enum {
    SERVER_CONNS_MAX = 256,
    SERVER_STREAMS_MAX = 64,        // of the connections
    SERVER_HEAD_MAX = 16 << 10,     // bytes
    SERVER_BODY_MAX = 1040 << 10,   // bytes; Consul's limit for one KV value, twice for escapes
    SERVER_IDLE_MS = 60000,         // for a request to arrive, for an answer to be read
    SERVER_ANSWER_MAX = 128 << 20,  // bytes of one answer
    SERVER_ANSWERS_MAX = 256 << 20, // bytes of all answers being written
};

struct uv_loop_s;
struct inherited;
struct server;
struct server_conn; // one client connection; at most one request is open on it

struct server_request {
    const struct http_head *head; // this and body are valid only inside on_request
    struct str body;
    bool is_peer_loopback;
};

struct server_ops {
    // Must lead to exactly one server_reply* or server_stream_begin, now or (holding a reference)
    // later.
    void (*on_request)(void *ctx, struct server_conn *conn, const struct server_request *request);
    // A stream's connection is gone.
    void (*on_stream_end)(void *ctx, struct server_conn *conn);
    void *ctx;
};

// Binds "host:port" or ":port" (all addresses), or takes an inherited socket (inherited may be
// NULL), and listens where nobody else serves the socket yet. NULL and err when that is not
// possible.
MUST_CHECK struct server *server_start(struct uv_loop_s *loop, struct str addr,
                                       struct inherited *inherited, const struct server_ops *ops,
                                       struct err *err);
// Takes connections from an inherited socket, too.
void server_listen(struct server *server);
// The listening socket, to be handed over. False: it is closed.
bool server_socket(const struct server *server, int *socket);
// Takes no connection any more; closes streams now, idle connections soon, others after their
// answer.
void server_retire(struct server *server);
uint16_t server_port(const struct server *server);
// Ends all connections at once, frees itself, then calls on_closed. Connections that are still
// referred to take replies, which go nowhere.
void server_close(struct server *server, void (*on_closed)(void *ctx), void *ctx);

// For an answer that comes later: keeps conn valid (not open) until unref.
struct server_conn *server_conn_ref(struct server_conn *conn);
void server_conn_unref(struct server_conn *conn);

// Hands the open request to on_request once more, instead of an answer.
void server_ask_again(struct server_conn *conn);

// Answers. `extra` is field lines "Name: value\r\n" or empty. The bytes of *body are taken over; a
// body that failed (buf_status) becomes a 500 or, when memory is short, a 503.
void server_reply(struct server_conn *conn, int status, struct str content_type, struct str extra,
                  struct buf *body);
// Text that lives for ever: literals and assets.
void server_reply_static(struct server_conn *conn, int status, struct str content_type,
                         struct str extra, struct str body);
// text/plain.
void server_reply_text(struct server_conn *conn, int status, const char *text);

// Turns the connection into an event stream (text/event-stream) that goes on until either side
// closes. The request's spans are invalid afterwards. False: too many streams; answered 503.
MUST_CHECK bool server_stream_begin(struct server_conn *conn);
// Whether the last piece has been written, so that a further one may be sent.
bool server_stream_is_ready(const struct server_conn *conn);
// Sends a copy of the text. The stream must be ready. Shortage closes the stream.
void server_stream_send(struct server_conn *conn, struct str text);
// Calls fn for each stream; fn may send on it.
void server_stream_each(struct server *server, void (*fn)(void *ctx, struct server_conn *conn),
                        void *ctx);
size_t server_stream_count(const struct server *server);
// A number of the caller's on each stream; 0 at first.
uint64_t *server_stream_note(struct server_conn *conn);
