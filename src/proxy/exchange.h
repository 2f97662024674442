// SPDX-License-Identifier: Apache-2.0
// One request and its response: from the parsed head to the last byte of the answer. Joins a client
// with an upstream connection, carries the body both ways with back-pressure, decides about further
// tries and keeps the books. Lives on one worker.
//
// The walk: exchange_begin (client.c calls it with a head) -> forward.c finds route and target,
// composes and sends -> response.c hears the upstream, judges the head, passes the body ->
// exchange_complete, or exchange_fail (an answer of our own), or exchange_abort (the client is gone
// or the answer must be cut).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "http/head.h"
#include "net/block.h"
#include "net/wheel.h"
#include "proxy/body.h"
#include "proxy/request_id.h"
#include "proxy/stream.h"
#include "proxy/worker.h"
#include "upstream/pool.h"

enum { TRIES_MAX = 1 + RETRY_ATTEMPTS_MAX };

// How a try failed, which decides who may be sent again.
enum try_failure {
    TRY_UNSENT, // no byte was taken: any request may
    TRY_STALE,  // the pooled connection had died: what can be repeated
    TRY_FAILED, // the target had the request: what can be repeated, within the budget
    TRY_PAID,   // the same, and the budget has been asked
};

// How far the answer has got.
enum exchange_phase {
    EXCHANGE_WAITING,   // nothing of the final response has been seen
    EXCHANGE_ANSWERING, // the head has gone to the client, the body is passing
    EXCHANGE_TUNNEL,    // upgraded: bytes both ways
};

struct exchange {
    struct worker *worker;
    struct stream *stream; // the client's side
    struct list link;      // worker's free list; while auth_job is set, its list of those waiting;
                           // worker->unpacking
    struct timer timer;    // response head, response body or tunnel idle

    uint8_t phase;  // enum exchange_phase
    uint8_t method; // enum http_method
    uint8_t client_minor;
    uint8_t tries;   // connections used so far
    uint8_t interim; // 1xx responses relayed
    bool is_websocket;
    bool is_idempotent;
    bool accepts_trailers;
    bool accepts_gzip;        // and compression is on
    bool asks_gzip;           // the target is asked for it on our behalf; holds a place in the pool
    bool is_unpacking;        // more of the answer comes without more of the target
    bool ends_with_close;     // the end of the connection ends the answer
    bool can_replay;          // `request` is all that was read of the request
    bool holds_body;          // its body is to follow the head once the connection stands
    bool is_probe;            // of an ejected endpoint
    bool is_conn_paused;      // the upstream is not read: the client does not take
    bool is_client_paused;    // the client is not read: the upstream does not take
    bool closes_client;       // the answer said Connection: close
    bool has_upstream_ended;  // tunnel: FIN from the upstream
    bool has_surplus;         // upstream sent bytes behind its response
    uint8_t authorized;       // 1 + index of the scheme of proxy.auth that was passed; 0: none
    uint32_t auth_generation; // authorized is of these schemes
    uint8_t retried_statuses; // of the route's retry option, see route/def.h
    uint32_t target_count;    // of the route, those that are up
    uint16_t stale_tries;     // bit i: of tried[i] only a pooled connection had died
    uint16_t retry_status;    // to answer with when there is nowhere left to try
    uint16_t status;          // sent to the client; 0: none yet
    const char *retry_reason; // goes with retry_status, as `reason`
    const char *reason;       // why the answer is our own, for the access log; NULL: it is not

    // For another try: the raw head and the body bytes already read, filtered. NULL once the head
    // of the response is there or more of the body has passed.
    struct block *request;
    uint32_t request_head_len;
    struct block *sent_head;              // as composed, when the access log tells of it
    uint8_t request_id[REQUEST_ID_BYTES]; // with proxy.header.requestid
    struct body upload;
    struct body download;
    struct gzip *gzip;     // of the download; NULL: it passes as it is
    struct gunzip *gunzip; // likewise
    struct block *packed;  // what of the download is still to be unpacked; NULL: nothing
    struct buf
        trailers; // of the direction that collects them; set up when the client takes trailers

    struct auth_job *auth_job; // what a verdict is awaited from, before a target is chosen

    struct target *target; // pinned by counters->in_flight
    struct target_counters *counters;
    struct endpoint_pool *pool;
    struct upstream_conn *conn;
    struct block *response; // part of a response head
    bool is_upstream_keep_alive;
    bool is_answer_doubtful;      // a body may follow where none belongs
    const void *tried[TRIES_MAX]; // endpoints; compared, never read

    uint64_t start_us;
    // For the access log, when there is one: the last try was sent, its answer's head was there.
    uint64_t sent_us;
    uint64_t answered_us;
    uint64_t sent_turn; // of the worker's loop, when the request was sent
    uint64_t bytes_in;  // body bytes from the client
    uint64_t bytes_out; // body bytes to the client
};

// Starts an exchange for the head in worker->request_head; body is what followed it in the same
// bytes, *used how much of that belonged to this request. The bytes may be changed in place. The
// exchange may be over when this returns (stream->exchange is NULL then). ERR_NOMEM: nothing was
// done.
MUST_CHECK int exchange_begin(struct stream *stream, const char *head_bytes, char *body, size_t len,
                              size_t *used);

// More of the request body. Returns how many bytes belonged to it.
size_t exchange_on_client_data(struct exchange *exchange, char *bytes, size_t len);
// The same with bytes that lie in the loop's pipe, all of them the body's.
void exchange_on_client_piped(struct exchange *exchange, size_t len);
// The stream has sent `len` bytes of the answer, or of a tunnel; see sock_pace.
void exchange_pace_download(struct exchange *exchange, const struct sock *sink, size_t len);
// What is known of the rest of the request's body.
struct sock_ahead exchange_upload_ahead(const struct exchange *exchange);
// The stream is about to send the head of the answer and the first of its body to sink: what has
// come behind them may go with them.
void exchange_read_ahead(struct exchange *exchange, const struct sock *sink);
// Everything sent to the client is with the kernel.
void exchange_on_client_drained(struct exchange *exchange);
// FIN from the client.
void exchange_on_client_end(struct exchange *exchange);
// The client is gone, or its answer must be cut: ends the exchange and the connection.
void exchange_abort(struct exchange *exchange, bool is_client_fault);

// Ends the exchange with a complete answer.
void exchange_complete(struct exchange *exchange);
// Ends a tunnel that both sides have ended.
void exchange_end_tunnel(struct exchange *exchange);
// Ends the exchange with an answer of our own, if no head has been sent, else cuts it.
void exchange_fail(struct exchange *exchange, int status);
// Answers 503: too many passwords are being checked.
void exchange_fail_overloaded(struct exchange *exchange);
// Refuses the request for how it is written: answers and ends the connection.
void exchange_refuse(struct exchange *exchange, enum http_refusal refusal);
// As exchange_fail with a body of our own; extra: field lines or empty.
void exchange_answer(struct exchange *exchange, int status, struct str extra,
                     struct str content_type, struct str body);
// The verdict that was awaited is there: the request is looked at again.
void exchange_resume(struct exchange *exchange);
// The try failed before the head of a response was there: tries elsewhere or fails with `status`
// for `reason`.
void exchange_retry(struct exchange *exchange, enum try_failure failure, int status,
                    const char *reason);
// Whether the route wants requests that end with the status to be tried elsewhere and this one can
// be: then exchange_retry must follow, with TRY_PAID.
bool exchange_wants_retry(struct exchange *exchange, int status);
// Has the kept request forwarded as if it had just come.
void exchange_forward_again(struct exchange *exchange);
// The request can no longer be sent again: frees its copy (with an access log, at the end).
void exchange_forget_request(struct exchange *exchange);
// Remembers the head that was composed for the upstream, for the access log.
void exchange_keep_sent_head(struct exchange *exchange, const char *bytes, size_t len);
// Writes the access log line of an exchange that ends; of a request that never became one.
void exchange_log(struct exchange *exchange);
struct access_entry;
void access_log_entry(struct worker *worker, struct access_entry *entry);
// Lets go of the upstream connection: back to the pool or closed.
void exchange_release_conn(struct exchange *exchange, bool is_reusable, bool with_reset);
// Chooses the target of the next try and pins it.
void exchange_pin_target(struct exchange *exchange, struct target *target,
                         struct target_counters *counters, struct endpoint_pool *pool);
// Books: a failure of the target (for ejection), its answer to a connect or request, the status
// sent.
void exchange_note_failure(struct exchange *exchange, enum eject_cause cause);
// Of a complete head; a gateway's error status may speak against the target.
void exchange_note_answer(struct exchange *exchange, int status);
void exchange_note_response(struct exchange *exchange, int status);
// (Re)arms the timer for what is awaited of the upstream.
void exchange_arm_download(struct exchange *exchange);

// forward.c: finds route and target for worker->request_head and sends it with the body parts
// (filtered, at most BODY_PARTS) that have been read.
void forward_request(struct exchange *exchange, const struct iovec *parts, int count);
// response.c: the upstream's events.
extern const struct upstream_conn_events RESPONSE_EVENTS;
// Goes on with an answer that is_unpacking: the client takes again.
void response_unpack_more(struct exchange *exchange);
// The worker's unpack_message: goes on with the answers that gave way to others.
void response_on_next_turn(struct message *message);

// tunnel.c: after a 101. rest is what the upstream sent behind its head.
void tunnel_begin(struct exchange *exchange, char *rest, size_t len);
extern const struct upstream_conn_events TUNNEL_EVENTS;
void tunnel_on_client_data(struct exchange *exchange, char *bytes, size_t len);
void tunnel_on_client_end(struct exchange *exchange);
void tunnel_on_client_drained(struct exchange *exchange);
