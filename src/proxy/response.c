// SPDX-License-Identifier: Apache-2.0
//
// The upstream's side of an exchange until it is complete:
//  1. on_connected: the head, written earlier, is on its way
//  2. on_data: head bytes are collected until they parse; interim responses are relayed
//  3. the final head is judged, composed for the client and sent with the body bytes at hand
//  4. on_data, on_piped: body bytes pass, large ones unseen (sock_pace); the client's back-pressure
//  stops the reading. What is unpacked for
//     the client may become a thousand times as much: it goes on in pieces, as many as the client
//     takes, and the rest of the input is kept
//  5. the body's end: exchange_complete
// Failure modes: cannot connect, or closed before any response byte -> exchange_retry; a malformed
// head -> 502; cut in the body -> the client's answer is cut too; 101 without asking -> 502.
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "http/compose.h"
#include "proxy/exchange.h"
#include "proxy/gzip_rules.h"
#include "proxy/piece.h"

enum {
    INTERIM_MAX = 32,
    PIECES_PER_TURN = 8, // of an answer that is unpacked: then it is the turn of others
};

static void refuse(struct exchange *exchange, enum http_refusal refusal)
{
    counter_add(&exchange->worker->refusals[1][refusal], 1);
    counter_add(&exchange->worker->counters.refused_responses, 1);
    exchange_note_failure(exchange, EJECT_BROKEN);
    exchange_release_conn(exchange, false, true);
    exchange->reason = http_refusal_label(refusal);
    exchange_fail(exchange, 502);
}

static void on_connected(struct upstream_conn *conn, int status)
{
    struct exchange *exchange = conn->user;
    if (status == 0)
        return;
    exchange->conn = NULL; // closed by the pool
    bool is_tls = tls_failure(&conn->sock) != NULL;
    counter_add(&exchange->counters->connect_failures, 1);
    counter_add(&exchange->counters->tls_failures, is_tls);
    bool is_late = status == UV_ETIMEDOUT;
    exchange_note_failure(exchange, is_tls ? EJECT_TLS : is_late ? EJECT_TIMEOUT : EJECT_CONNECT);
    exchange_retry(exchange, TRY_UNSENT, is_late ? 504 : 502,
                   is_tls ? "tls_failed" : "connect_failed");
}

// What became of sending: false when the exchange is over because the client is gone.
static bool was_sent(struct exchange *exchange, int rc)
{
    if (rc < 0) {
        exchange_abort(exchange, true);
        return false;
    }
    if (rc == 1 && exchange->conn && !exchange->download.is_complete) {
        exchange->is_conn_paused = true;
        sock_read_stop(&exchange->conn->sock);
    }
    return true;
}

// Sends worker->response_head with the first of its body. Negative: nothing was sent and the
// exchange has been dealt with.
static int send_head(struct exchange *exchange, const struct http_answer *answer,
                     const struct iovec *parts, int count)
{
    int rc =
        exchange->stream->ops->send_head(exchange->stream, &exchange->worker->response_head, answer,
                                         (enum http_method)exchange->method, parts, count);
    if (rc == ERR_TOO_LARGE)
        refuse(exchange, HTTP_HEAD_TOO_LARGE);
    else if (rc < 0)
        exchange_abort(exchange, true);
    return rc;
}

// What follows the body, as far as the client takes it; else NULL.
static const struct buf *trailers_of(const struct exchange *exchange)
{
    return exchange->download.framing == HTTP_BODY_CHUNKED ? exchange->download.chunks.trailers
                                                           : NULL;
}

// What the body is sent as when it is compressed. False: the exchange has been dealt with.
static bool compress(struct exchange *exchange, struct iovec *parts, int *count)
{
    *count = gzip_pass(&exchange->worker->gzip, exchange->gzip, parts, *count,
                       exchange->download.is_complete, trailers_of(exchange));
    if (*count >= 0)
        return true;
    exchange_abort(exchange, false);
    return false;
}

// The body is not what it should be: nothing of it has been sent yet when `answer` is given.
static void refuse_body(struct exchange *exchange, const struct http_answer *answer,
                        enum http_refusal refusal)
{
    if (answer) {
        refuse(exchange, refusal);
        return;
    }
    counter_add(&exchange->worker->refusals[1][refusal], 1);
    exchange_note_failure(exchange, EJECT_BROKEN);
    exchange_abort(exchange, false);
}

// Sends parts of the body, with the head in front when `answer` is given. 0 or 1 as the stream's
// functions; negative: the exchange is over.
static int send_on(struct exchange *exchange, const struct http_answer *answer,
                   const struct iovec *parts, int count)
{
    if (!answer) {
        int rc = count > 0 ? exchange->stream->ops->send(exchange->stream, parts, count) : 0;
        if (rc < 0)
            exchange_abort(exchange, true);
        return rc;
    }
    int rc = send_head(exchange, answer, parts, count);
    if (rc < 0)
        return rc;
    exchange->phase = EXCHANGE_ANSWERING;
    exchange_note_response(exchange, exchange->worker->response_head.status);
    exchange_note_answer(exchange, exchange->worker->response_head.status);
    return rc;
}

// All that has come is with the client, or (rc == 1) on its way.
static void was_passed(struct exchange *exchange, int rc)
{
    if (!was_sent(exchange, rc))
        return;
    if (exchange->download.is_complete)
        exchange_complete(exchange);
    else if (!exchange->is_conn_paused)
        exchange_arm_download(exchange);
}

// Keeps what is still to be unpacked until the client takes more, or until the next turn. The
// exchange may be over then: memory is short.
static void keep_packed(struct exchange *exchange, const struct iovec *input, bool is_client_slow)
{
    struct worker *worker = exchange->worker;
    if (exchange->packed) // input is its rest
        exchange->packed->from = exchange->packed->to - (uint32_t)input->iov_len;
    else if (input->iov_len > 0 && block_append(&worker->loop.blocks, &exchange->packed,
                                                input->iov_base, input->iov_len, BLOCK_MAX) != 0) {
        exchange_abort(exchange, false);
        return;
    }
    exchange->is_unpacking = true;
    exchange->is_conn_paused = true;
    if (exchange->conn)
        sock_read_stop(&exchange->conn->sock);
    if (is_client_slow)
        return;
    list_push_back(&worker->unpacking, &exchange->link);
    if (!worker->is_unpack_posted) {
        worker->is_unpack_posted = true;
        net_loop_post(&worker->loop, &worker->unpack_message);
    }
}

// Unpacks the input and sends it on, as far as the client takes it. False: the exchange is over,
// or has more to unpack; else *rc is what became of the last piece.
static bool unpack(struct exchange *exchange, const struct http_answer *answer, struct iovec input,
                   int *rc)
{
    for (int pieces = 1;; pieces++) {
        struct iovec parts[PIECE_PARTS];
        bool has_more;
        int count =
            gunzip_pass(&exchange->worker->gunzip, exchange->gunzip, &input,
                        exchange->download.is_complete, trailers_of(exchange), parts, &has_more);
        if (count == ERR_INVALID) {
            refuse_body(exchange, answer, HTTP_BAD_CONTENT);
            return false;
        }
        if (count < 0) {
            exchange_fail(exchange, 503);
            return false;
        }
        *rc = send_on(exchange, answer, parts, count);
        if (*rc < 0)
            return false;
        answer = NULL;
        if (!has_more)
            return true;
        if (*rc == 1 || pieces == PIECES_PER_TURN) {
            keep_packed(exchange, &input, *rc == 1);
            return false;
        }
    }
}

void response_unpack_more(struct exchange *exchange)
{
    struct iovec input = {0};
    if (exchange->packed)
        input = (struct iovec){.iov_base = block_start(exchange->packed),
                               .iov_len = block_len(exchange->packed)};
    list_remove(&exchange->link);
    int rc;
    if (!unpack(exchange, NULL, input, &rc))
        return;
    block_put(&exchange->worker->loop.blocks, exchange->packed);
    exchange->packed = NULL;
    exchange->is_unpacking = false;
    if (rc == 0 && !exchange->download.is_complete) {
        exchange->is_conn_paused = false;
        sock_read_start(&exchange->conn->sock);
    }
    was_passed(exchange, rc);
}

void response_on_next_turn(struct message *message)
{
    struct worker *worker = CONTAINER_OF(message, struct worker, unpack_message);
    struct list now;
    list_init(&now);
    list_splice_back(&now, &worker->unpacking);
    worker->is_unpack_posted = false;
    while (!list_is_empty(&now))
        response_unpack_more(CONTAINER_OF(now.next, struct exchange, link));
}

static void count_passed(struct exchange *exchange, size_t len)
{
    exchange->bytes_out += len;
    counter_add(&exchange->counters->bytes_out, len);
}

// Body bytes, with the head in front when `answer` is given.
static void pass_body(struct exchange *exchange, const struct http_answer *answer, char *bytes,
                      size_t len)
{
    struct iovec parts[BODY_PARTS];
    int count;
    size_t used;
    int rc = body_pass(&exchange->download, bytes, len, &used, parts, &count);
    if (rc < 0) {
        refuse_body(exchange, answer, (enum http_refusal) - rc);
        return;
    }
    if (used < len)
        exchange->has_surplus = true; // bytes nobody asked for are not relayed
    if (UNLIKELY(exchange->gzip != NULL) && !compress(exchange, parts, &count))
        return;
    if (UNLIKELY(exchange->gunzip != NULL)) {
        counter_add(&exchange->counters->bytes_out, used);
        if (!unpack(exchange, answer, count > 0 ? parts[0] : (struct iovec){0}, &rc))
            return;
    } else {
        rc = send_on(exchange, answer, parts, count);
        if (rc < 0)
            return;
        count_passed(exchange, used);
    }
    was_passed(exchange, rc);
}

// Whether this response is compressed: then exchange->gzip is set.
static void choose_coding(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    const struct http_head *head = &worker->response_head;
    if (!exchange->accepts_gzip || !gzip_may_code(head) ||
        !gzip_pool_matches(&worker->gzip, gzip_content_type(head)))
        return;
    exchange->gzip = gzip_get(&worker->gzip, exchange->client_minor > 0);
    counter_add(exchange->gzip ? &worker->counters.gzipped : &worker->counters.gzip_shed, 1);
}

// Whether this response is unpacked: then exchange->gunzip is set. False: the exchange is over.
static bool choose_unpacking(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    if (!gzip_must_unpack(&worker->response_head)) {
        exchange->asks_gzip = false;
        gunzip_release(&worker->gunzip);
        return true;
    }
    exchange->gunzip = gunzip_get(&worker->gunzip, exchange->client_minor > 0);
    if (!exchange->gunzip) {
        exchange_fail(exchange, 503);
        return false;
    }
    counter_add(&worker->counters.gunzipped, 1);
    return true;
}

static void begin_answer(struct exchange *exchange, char *body, size_t len)
{
    struct worker *worker = exchange->worker;
    struct http_head *head = &worker->response_head;
    bool is_old_client = exchange->client_minor == 0;
    char extra[GZIP_FIELDS_ROOM];
    struct http_answer answer = {0};
    if (exchange->asks_gzip && !choose_unpacking(exchange))
        return;
    bool may_pack = worker->config->gzip_types != NULL;
    if (UNLIKELY(may_pack || exchange->gunzip)) {
        if (may_pack)
            choose_coding(exchange);
        enum gzip_change change = exchange->gunzip ? GZIP_UNPACKED
                                  : exchange->gzip ? GZIP_PACKED
                                                   : GZIP_AS_IS;
        answer.extra = gzip_fields(head, change, may_pack, extra);
    }
    bool is_changed = exchange->gzip || exchange->gunzip;
    // One buffer serves both directions, one after the other.
    bool has_trailers =
        exchange->accepts_trailers && !is_old_client && exchange->upload.is_complete;
    struct buf *trailers = has_trailers ? &exchange->trailers : NULL;
    if (trailers)
        buf_clear(trailers);
    body_init(&exchange->download, head->framing, head->content_length, is_old_client || is_changed,
              trailers);

    enum http_framing framing = is_changed ? HTTP_BODY_CHUNKED : head->framing;
    if (framing == HTTP_BODY_CHUNKED && is_old_client)
        framing = HTTP_BODY_CLOSE;
    else if (framing == HTTP_BODY_CLOSE && !is_old_client)
        framing = HTTP_BODY_CHUNKED;
    // An answer that overtakes its request ends the connection: nobody knows how much is still to
    // come.
    exchange->closes_client = exchange->stream->must_close || worker->is_draining ||
                              !exchange->upload.is_complete || framing == HTTP_BODY_CLOSE;
    exchange->ends_with_close = framing == HTTP_BODY_CLOSE;
    exchange->is_upstream_keep_alive = head->is_keep_alive;
    exchange->is_answer_doubtful = head->announces_body;
    answer.client_minor = exchange->client_minor;
    answer.closes = exchange->closes_client;
    answer.says_keep_alive = is_old_client && !exchange->closes_client;
    answer.framing = framing;
    // RFC 6797 section 7.2: not on a plain connection.
    answer.sts = exchange->stream->is_tls ? worker->config->sts_value : STR_NULL;
    answer.date = worker_date(worker);
    pass_body(exchange, &answer, body, len);
}

// An interim response goes on to clients that can take it (RFC 9110 section 15.2). False: the
// exchange is over.
static bool relay_interim(struct exchange *exchange)
{
    counter_add(&exchange->counters->responses_1xx, 1);
    if (++exchange->interim > INTERIM_MAX) {
        refuse(exchange, HTTP_BAD_STATUS);
        return false;
    }
    if (exchange->client_minor == 0)
        return true;
    struct http_answer answer = {.client_minor = 1, .framing = HTTP_BODY_NONE};
    int rc = send_head(exchange, &answer, NULL, 0);
    return rc >= 0 && was_sent(exchange, rc);
}

static void begin_tunnel(struct exchange *exchange, char *rest, size_t len)
{
    const struct http_head *head = &exchange->worker->response_head;
    if (!exchange->is_websocket || !head->is_upgrade || !str_ieq(head->upgrade, STR("websocket"))) {
        refuse(exchange, HTTP_BAD_UPGRADE);
        return;
    }
    struct http_answer answer = {.client_minor = 1, .framing = HTTP_BODY_NONE};
    if (send_head(exchange, &answer, NULL, 0) < 0)
        return;
    exchange_note_response(exchange, 101);
    exchange_note_answer(exchange, 101);
    tunnel_begin(exchange, rest, len);
}

// Parses heads out of bytes. Returns how many bytes were used; ERR_AGAIN: more must come; other
// negative: the exchange has moved on or is over, nothing is left to do here.
static void parse_heads(struct exchange *exchange, char *bytes, size_t len)
{
    struct worker *worker = exchange->worker;
    struct block *collected = exchange->response; // bytes may lie in it
    struct http_limits limits = HTTP_RESPONSE_LIMITS;
    limits.head_max = worker->config->response_head_max;
    exchange->response = NULL;
    while (exchange->conn) {
        int rc = http_parse_response(&worker->response_head, bytes, len, &limits,
                                     (enum http_method)exchange->method);
        if (rc == ERR_AGAIN) {
            if (len > 0 &&
                block_append(&worker->loop.blocks, &exchange->response, bytes, len, BLOCK_MAX) != 0)
                refuse(exchange, HTTP_HEAD_TOO_LARGE);
            else
                sock_fit(&exchange->conn->sock, BLOCK_MAX - len);
            break;
        }
        sock_head_is_read(&exchange->conn->sock);
        if (rc != HTTP_ACCEPTED) {
            refuse(exchange, (enum http_refusal)rc);
            break;
        }
        char *rest = bytes + worker->response_head.head_len;
        size_t rest_len = len - worker->response_head.head_len;
        if (worker->access_log &&
            (worker->response_head.status == 101 || worker->response_head.status >= 200))
            exchange->answered_us = clock_now_us();
        int status = worker->response_head.status;
        if (status >= 200 && exchange_wants_retry(exchange, status)) {
            exchange_note_answer(exchange, status);
            exchange_retry(exchange, TRY_PAID, status, "upstream_status");
            break;
        }
        if (status == 101 || status >= 200)
            exchange_forget_request(exchange); // from here on it is never sent again
        if (worker->response_head.status == 101) {
            begin_tunnel(exchange, rest, rest_len);
            break;
        }
        if (worker->response_head.status >= 200) {
            begin_answer(exchange, rest, rest_len);
            break;
        }
        if (!relay_interim(exchange))
            break;
        bytes = rest;
        len = rest_len;
        if (len == 0)
            break;
    }
    block_put(&worker->loop.blocks, collected);
}

// What a pooled connection shows in the very turn the request was sent on it had been waiting there
// before: it belongs to an earlier response. Requests that cannot be replayed had a
// look at the connection first, see upstream_get_idle.
static bool is_unsolicited(const struct exchange *exchange)
{
    return exchange->phase == EXCHANGE_WAITING && exchange->conn->is_reused &&
           exchange->can_replay && exchange->is_idempotent &&
           exchange->sent_turn == counter_get(&exchange->worker->counters.turns);
}

static void on_data(struct upstream_conn *conn, char *bytes, size_t len)
{
    struct exchange *exchange = conn->user;
    if (UNLIKELY(exchange->is_unpacking)) {
        exchange_abort(exchange, false); // not read, and yet heard
        return;
    }
    if (exchange->phase == EXCHANGE_ANSWERING) {
        pass_body(exchange, NULL, bytes, len);
        return;
    }
    if (is_unsolicited(exchange)) {
        counter_add(&exchange->worker->counters.surplus_bytes, 1);
        exchange_retry(exchange, TRY_STALE, 502, "upstream_closed");
        return;
    }
    if (exchange->response) {
        struct block_pool *blocks = &exchange->worker->loop.blocks;
        // A head ends in LF: until one comes nothing new can be known of it.
        bool may_be_complete = memchr(bytes, '\n', len) != NULL;
        if (block_append(blocks, &exchange->response, bytes, len, BLOCK_MAX) != 0) {
            refuse(exchange, HTTP_HEAD_TOO_LARGE);
            return;
        }
        bytes = block_start(exchange->response);
        len = block_len(exchange->response);
        sock_fit(&conn->sock, BLOCK_MAX - len);
        if (!may_be_complete)
            return;
    }
    parse_heads(exchange, bytes, len);
}

// Bytes of a body that nobody needs to see.
static void on_piped(struct upstream_conn *conn, size_t len)
{
    struct exchange *exchange = conn->user;
    struct iovec before, behind;
    body_pass_unseen(&exchange->download, len, &before, &behind);
    int rc = exchange->stream->ops->send_piped(exchange->stream, len, &before, &behind);
    if (rc < 0) {
        exchange_abort(exchange, true);
        return;
    }
    count_passed(exchange, len);
    counter_add(&exchange->worker->counters.spliced_bytes, len);
    was_passed(exchange, rc);
}

static void on_end(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    if (exchange->phase == EXCHANGE_WAITING) {
        // A pooled connection that ends without a byte was closed for being idle: no fault of the
        // target.
        bool is_stale = conn->is_reused && exchange->can_replay && !exchange->response &&
                        exchange->interim == 0;
        if (!is_stale)
            exchange_note_failure(exchange, EJECT_BROKEN);
        exchange_retry(exchange, is_stale ? TRY_STALE : TRY_FAILED, 502,
                       tls_failure(&conn->sock) ? "tls_failed" : "upstream_closed");
        return;
    }
    struct iovec parts[BODY_PARTS];
    int count;
    if (!body_end(&exchange->download, parts, &count)) {
        exchange_note_failure(exchange, EJECT_BROKEN);
        exchange_abort(exchange, false);
        return;
    }
    if (exchange->is_unpacking) {
        exchange->is_upstream_keep_alive = false;
        return;
    }
    if (exchange->gzip && !compress(exchange, parts, &count))
        return;
    if (exchange->gunzip) {
        int rc;
        if (unpack(exchange, NULL, (struct iovec){0}, &rc))
            was_passed(exchange, rc);
        return;
    }
    int rc = count > 0 ? exchange->stream->ops->send(exchange->stream, parts, count) : 0;
    if (was_sent(exchange, rc))
        exchange_complete(exchange);
}

// A target that answers without reading the rest of the request may do so.
static void on_stalled(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    if (exchange->phase != EXCHANGE_WAITING)
        return;
    counter_add(&exchange->worker->counters.target_write_timeouts, 1);
    exchange_note_failure(exchange, EJECT_TIMEOUT);
    exchange->reason = "upstream_timeout";
    exchange_fail(exchange, 504);
}

static void on_failed(struct upstream_conn *conn, int status)
{
    (void)status;
    struct exchange *exchange = conn->user;
    if (exchange->phase == EXCHANGE_WAITING) {
        on_end(conn);
        return;
    }
    if (exchange->is_unpacking && exchange->download.is_complete && exchange->upload.is_complete) {
        exchange_release_conn(exchange, false, true); // all that was wanted of it is here
        return;
    }
    exchange_note_failure(exchange, EJECT_BROKEN);
    exchange_abort(exchange, false);
}

// The connection stands, and the head has gone. False: not all of the body has.
static bool send_held_body(struct exchange *exchange)
{
    struct block *request = exchange->request;
    if (!request)
        return false; // the answer was quicker, and ends the connection
    size_t head_len = exchange->request_head_len;
    struct iovec body = {.iov_base = block_start(request) + head_len,
                         .iov_len = block_len(request) - head_len};
    exchange->holds_body = false;
    int rc = sock_write(&exchange->conn->sock, &body, 1);
    if (rc == 1)
        upstream_await_drain(exchange->conn);
    // A broken upstream is heard through its own events.
    if (rc < 0 && !sock_is_peers_fault(rc)) {
        exchange->reason = "out_of_memory";
        exchange_fail(exchange, 503);
    }
    return rc == 0;
}

static void on_drained(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    if (UNLIKELY(exchange->holds_body) && !send_held_body(exchange))
        return;
    if (exchange->is_client_paused) {
        exchange->is_client_paused = false;
        exchange->stream->ops->read_start(exchange->stream);
        exchange->stream->ops->await_body(exchange->stream);
    }
}

const struct upstream_conn_events RESPONSE_EVENTS = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_piped = on_piped,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_stalled = on_stalled,
    .on_drained = on_drained,
};
