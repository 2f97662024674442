// SPDX-License-Identifier: Apache-2.0
#include "proxy/exchange.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "proxy/gzip_rules.h"

enum {
    // At once of what passes unseen: larger pieces cost uploads a third more where the kernel paces
    // what it sends (BBR), and no less elsewhere.
    UPLOAD_PIECE_MAX = 224 << 10,
};

static struct exchange *get_exchange(struct worker *worker)
{
    struct list *node = list_pop_front(&worker->free_exchanges);
    if (node) {
        worker->free_exchange_count--;
        return CONTAINER_OF(node, struct exchange, link);
    }
    return mem_alloc(sizeof(struct exchange));
}

static void on_timer(struct timer *timer);

void exchange_forget_request(struct exchange *exchange)
{
    exchange->can_replay = false;
    if (exchange->worker->access_log)
        return;
    block_put(&exchange->worker->loop.blocks, exchange->request);
    exchange->request = NULL;
}

static void unpin_target(struct exchange *exchange)
{
    if (!exchange->counters)
        return;
    if (UNLIKELY(exchange->is_probe)) {
        ejection_end_probe(&exchange->pool->ejection);
        exchange->is_probe = false;
    }
    _Atomic uint64_t *in_flight = &exchange->counters->in_flight;
    // Release: the control thread may free the target once it reads 0.
    atomic_store_explicit(in_flight, counter_get(in_flight) - 1, memory_order_release);
    exchange->target = NULL;
    exchange->counters = NULL;
    exchange->pool = NULL;
}

void exchange_pin_target(struct exchange *exchange, struct target *target,
                         struct target_counters *counters, struct endpoint_pool *pool)
{
    unpin_target(exchange);
    exchange->target = target;
    exchange->counters = counters;
    exchange->pool = pool;
    counter_add(&counters->in_flight, 1);
}

void exchange_release_conn(struct exchange *exchange, bool is_reusable, bool with_reset)
{
    struct upstream_conn *conn = exchange->conn;
    if (!conn)
        return;
    exchange->conn = NULL;
    if (is_reusable)
        upstream_put(conn);
    else
        upstream_discard(conn, with_reset);
}

// Frees everything but the client's connection.
static void finish(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    net_loop_disarm(&worker->loop, &exchange->timer);
    auth_forget(exchange);
    exchange_release_conn(exchange, false, true);
    if (worker->access_log)
        exchange_log(exchange);
    block_put(&worker->loop.blocks, exchange->request);
    block_put(&worker->loop.blocks, exchange->response);
    block_put(&worker->loop.blocks, exchange->sent_head);
    block_put(&worker->loop.blocks, exchange->packed);
    gzip_put(&worker->gzip, exchange->gzip);
    gunzip_put(&worker->gunzip, exchange->gunzip);
    if (exchange->asks_gzip)
        gunzip_release(&worker->gunzip);
    list_remove(&exchange->link);
    if (exchange->accepts_trailers)
        buf_fini(&exchange->trailers);
    unpin_target(exchange);
    exchange->stream->exchange = NULL;
    exchange->stream = NULL;
    list_push_front(&worker->free_exchanges, &exchange->link);
    worker->free_exchange_count++;
}

// What is needed of a request for a further try, in one block: the head as received, the body
// filtered.
static void keep_request(struct exchange *exchange, const char *head_bytes, size_t head_len,
                         const struct iovec *parts, int count)
{
    struct block_pool *blocks = &exchange->worker->loop.blocks;
    bool is_kept = block_append(blocks, &exchange->request, head_bytes, head_len, BLOCK_MAX) == 0;
    for (int i = 0; i < count && is_kept; i++)
        is_kept = block_append(blocks, &exchange->request, parts[i].iov_base, parts[i].iov_len,
                               BLOCK_MAX) == 0;
    exchange->request_head_len = (uint32_t)head_len;
    exchange->can_replay = is_kept;
    if (!is_kept)
        exchange_forget_request(exchange); // shortage costs the further try, not the request
}

void exchange_refuse(struct exchange *exchange, enum http_refusal refusal)
{
    counter_add(&exchange->worker->counters.refused_requests, 1);
    counter_add(&exchange->worker->refusals[0][refusal], 1);
    exchange->reason = http_refusal_label(refusal);
    exchange->stream->must_close = true;
    exchange_fail(exchange, http_refusal_status(refusal));
}

static bool is_body_too_large(const struct exchange *exchange)
{
    uint64_t max = exchange->worker->config->request_body_max;
    const struct body *upload = &exchange->upload;
    return max && (upload->framing == HTTP_BODY_CHUNKED ? upload->chunks.data_total
                                                        : upload->left + exchange->bytes_in) > max;
}

static void refuse_body(struct exchange *exchange)
{
    counter_add(&exchange->worker->counters.body_too_large, 1);
    exchange->reason = "body_too_large";
    exchange_fail(exchange, 413);
}

// Oddities that are legal are let pass, but not for ever: whoever makes them one after the other
// wants to find out something, or to keep us busy.
static void note_glitches(struct stream *stream, uint32_t count)
{
    uint32_t max = stream->worker->config->max_glitches;
    bool was_within = stream->glitches <= max;
    stream->glitches += count;
    if (!max || !was_within || stream->glitches <= max)
        return;
    stream->must_close = true;
    counter_add(&stream->worker->counters.glitched, 1);
}

static void note_upload_glitches(struct exchange *exchange)
{
    struct chunk_filter *chunks = &exchange->upload.chunks;
    if (LIKELY(chunks->glitches == 0))
        return;
    note_glitches(exchange->stream, chunks->glitches);
    chunks->glitches = 0;
}

// Whether the target's connection may be used again.
static bool note_download_glitches(struct exchange *exchange)
{
    uint32_t count = exchange->download.chunks.glitches;
    uint32_t max = exchange->worker->config->max_glitches;
    if (LIKELY(count == 0) || !exchange->conn)
        return true;
    exchange->conn->glitches += count;
    if (!max || exchange->conn->glitches <= max)
        return true;
    counter_add(&exchange->worker->counters.glitched_targets, 1);
    return false;
}

// body_pass() with the configuration of this turn: what it has us say of the client nobody else
// says.
static int pass_upload(struct exchange *exchange, char *bytes, size_t len, size_t *used,
                       struct iovec *parts, int *count)
{
    if (UNLIKELY(exchange->accepts_trailers))
        exchange->upload.chunks.config = &exchange->worker->config->compose;
    return body_pass(&exchange->upload, bytes, len, used, parts, count);
}

int exchange_begin(struct stream *stream, const char *head_bytes, char *bytes, size_t len,
                   size_t *used)
{
    struct worker *worker = stream->worker;
    const struct http_head *head = &worker->request_head;
    struct exchange *exchange = get_exchange(worker);
    *used = 0;
    if (!exchange)
        return ERR_NOMEM;
    memset(exchange, 0, sizeof *exchange);
    exchange->worker = worker;
    exchange->stream = stream;
    list_init(&exchange->link);
    timer_init(&exchange->timer, on_timer);
    exchange->method = (uint8_t)head->method;
    exchange->client_minor = head->minor_version;
    exchange->is_websocket = head->is_upgrade;
    exchange->is_idempotent = http_method_is_idempotent(head);
    exchange->accepts_trailers = head->accepts_trailers;
    exchange->start_us = clock_now_us();
    if (worker->config->gzip_types)
        exchange->accepts_gzip = gzip_is_accepted(head);
    if (worker->config->compose.request_id_header.len)
        request_id_next(&worker->request_ids, exchange->request_id);
    stream->exchange = exchange;
    if (!head->is_keep_alive || worker->is_draining)
        stream->must_close = true;
    if (UNLIKELY(head->glitches))
        note_glitches(stream, head->glitches);

    struct buf *trailers = NULL;
    if (exchange->accepts_trailers) {
        buf_init(&exchange->trailers, CHUNK_TRAILERS_MAX);
        trailers = &exchange->trailers;
    }
    body_init(&exchange->upload, head->framing, head->content_length, false, trailers);
    struct iovec parts[BODY_PARTS];
    int count = 0;
    int rc = pass_upload(exchange, bytes, len, used, parts, &count);
    if (rc < 0) {
        exchange_refuse(exchange, (enum http_refusal) - rc);
        return 0;
    }
    note_upload_glitches(exchange);
    exchange->bytes_in = *used;
    if (is_body_too_large(exchange)) {
        refuse_body(exchange);
        return 0;
    }
    keep_request(exchange, head_bytes, head->head_len, parts, count);
    forward_request(exchange, parts, count);
    return 0;
}

struct sock_ahead exchange_upload_ahead(const struct exchange *exchange)
{
    uint64_t left = body_unseen(&exchange->upload); // what comes behind it is a request, and kept
    return (struct sock_ahead){.unseen = MIN(left, (uint64_t)UPLOAD_PIECE_MAX), .bulk = left};
}

// What became of `len` bytes of the request's body.
static void was_passed(struct exchange *exchange, size_t len, int rc)
{
    exchange->stream->ops->pace(exchange->stream, &exchange->conn->sock, len,
                                exchange_upload_ahead(exchange));
    if (rc == 1)
        upstream_await_drain(exchange->conn);
    if (rc == 1 && !exchange->upload.is_complete) {
        exchange->is_client_paused = true;
        exchange->stream->ops->read_stop(exchange->stream);
    }
    // A broken upstream is heard through its own events: it may have answered before it closed.
    if (rc < 0 && !sock_is_peers_fault(rc)) {
        exchange->reason = "out_of_memory";
        exchange_fail(exchange, 503);
    }
}

size_t exchange_on_client_data(struct exchange *exchange, char *bytes, size_t len)
{
    if (exchange->phase == EXCHANGE_TUNNEL) {
        tunnel_on_client_data(exchange, bytes, len);
        return len;
    }
    struct iovec parts[BODY_PARTS];
    int count;
    size_t used;
    int rc = pass_upload(exchange, bytes, len, &used, parts, &count);
    if (rc < 0) {
        exchange_refuse(exchange, (enum http_refusal) - rc);
        return len;
    }
    note_upload_glitches(exchange);
    exchange->bytes_in += used;
    if (is_body_too_large(exchange)) {
        refuse_body(exchange);
        return len;
    }
    if (used == 0)
        return 0;
    exchange_forget_request(exchange);
    counter_add(&exchange->counters->bytes_in, used);
    if (count > 0)
        was_passed(exchange, used, sock_write(&exchange->conn->sock, parts, count));
    return used;
}

void exchange_on_client_piped(struct exchange *exchange, size_t len)
{
    struct iovec before, behind;
    body_pass_unseen(&exchange->upload, len, &before, &behind);
    exchange->bytes_in += len;
    exchange_forget_request(exchange);
    counter_add(&exchange->counters->bytes_in, len);
    counter_add(&exchange->worker->counters.spliced_bytes, len);
    was_passed(exchange, len, sock_write_piped(&exchange->conn->sock));
}

// What is known of the rest of the answer's body, or of a tunnel.
static struct sock_ahead download_ahead(const struct exchange *exchange)
{
    const struct body *download = &exchange->download;
    if (exchange->phase == EXCHANGE_TUNNEL || download->is_complete || exchange->gzip ||
        exchange->gunzip)
        return (struct sock_ahead){0};
    return (struct sock_ahead){.unseen = body_unseen(download), .bulk = UINT64_MAX};
}

void exchange_read_ahead(struct exchange *exchange, const struct sock *sink)
{
    if (exchange->conn)
        sock_read_ahead(&exchange->conn->sock, sink, download_ahead(exchange));
}

void exchange_pace_download(struct exchange *exchange, const struct sock *sink, size_t len)
{
    if (!exchange->conn)
        return;
    if (exchange->phase != EXCHANGE_TUNNEL && exchange->download.is_complete)
        len = 0; // nothing follows: what the client has room for need not be asked
    sock_pace(&exchange->conn->sock, sink, len, download_ahead(exchange));
}

void exchange_on_client_drained(struct exchange *exchange)
{
    if (exchange->phase == EXCHANGE_TUNNEL) {
        tunnel_on_client_drained(exchange);
        return;
    }
    if (exchange->is_unpacking) {
        response_unpack_more(exchange);
        return;
    }
    if (exchange->is_conn_paused && exchange->conn) {
        exchange->is_conn_paused = false;
        sock_read_start(&exchange->conn->sock);
        exchange_arm_download(exchange);
    }
}

void exchange_on_client_end(struct exchange *exchange)
{
    if (exchange->phase == EXCHANGE_TUNNEL)
        tunnel_on_client_end(exchange);
    else if (!exchange->upload.is_complete)
        exchange_abort(exchange, true); // the upload is cut: so is its copy upstream
    // Else a half-closed client still wants its answer.
}

void exchange_arm_download(struct exchange *exchange)
{
    const struct proxy_config *config = exchange->worker->config;
    uint32_t delay_ms = exchange->phase == EXCHANGE_WAITING ? config->response_timeout_ms
                                                            : config->upstream_body_timeout_ms;
    net_loop_arm(&exchange->worker->loop, &exchange->timer, delay_ms);
}

static void on_timer(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, timer);
    if (exchange->auth_job) {
        exchange_fail_overloaded(exchange);
    } else if (exchange->phase == EXCHANGE_WAITING) {
        exchange_note_failure(exchange, EJECT_TIMEOUT);
        if (exchange_wants_retry(exchange, 504)) {
            exchange_retry(exchange, TRY_PAID, 504, "upstream_timeout");
            return;
        }
        exchange->reason = "upstream_timeout";
        exchange_fail(exchange, 504);
    } else if (exchange->phase == EXCHANGE_ANSWERING && exchange->is_conn_paused) {
        // It is the client that does not take; its own timer watches that.
        exchange_arm_download(exchange);
    } else {
        counter_add(&exchange->worker->counters.tunnel_timeouts,
                    exchange->phase == EXCHANGE_TUNNEL);
        exchange_abort(exchange, false);
    }
}

void exchange_note_response(struct exchange *exchange, int status)
{
    exchange->status = (uint16_t)status;
    if (!exchange->counters)
        return;
    _Atomic uint64_t *classes[] = {
        NULL,
        &exchange->counters->responses_1xx,
        &exchange->counters->responses_2xx,
        &exchange->counters->responses_3xx,
        &exchange->counters->responses_4xx,
        &exchange->counters->responses_5xx,
    };
    unsigned class = (unsigned)status / 100;
    if (class >= 1 && class < ARRAY_LEN(classes))
        counter_add(classes[class], 1);
}

// The end of a request that went to a target, under the status it ended with.
static void note_duration(struct exchange *exchange, unsigned code)
{
    uint64_t took_us = clock_now_us() - exchange->start_us;
    if (code_is_response(code))
        counter_add(&exchange->counters->latency_us_sum, took_us);
    code_hists_record(&exchange->counters->durations, code, took_us);
}

// A body that means nothing to the method (RFC 9110 section 9.3): an origin that does not read it
// takes it for the next request on the connection, and answers it whenever it likes.
static bool had_odd_body(const struct exchange *exchange)
{
    return exchange->bytes_in > 0 &&
           (exchange->method == HTTP_METHOD_GET || exchange->method == HTTP_METHOD_HEAD ||
            exchange->method == HTTP_METHOD_DELETE);
}

void exchange_complete(struct exchange *exchange)
{
    struct stream *stream = exchange->stream;
    if (exchange->counters)
        note_duration(exchange, exchange->status);
    bool is_sent = exchange->upload.is_complete && !exchange->holds_body;
    bool is_reusable = note_download_glitches(exchange) && is_sent &&
                       exchange->is_upstream_keep_alive && !exchange->has_surplus &&
                       !had_odd_body(exchange) && exchange->download.framing != HTTP_BODY_CLOSE &&
                       exchange->phase == EXCHANGE_ANSWERING;
    if (exchange->has_surplus)
        counter_add(&exchange->worker->counters.surplus_bytes, 1);
    if (exchange->conn)
        exchange->conn->is_doubtful = exchange->is_answer_doubtful;
    exchange_release_conn(exchange, is_reusable, !is_sent);
    if (exchange->closes_client || !exchange->upload.is_complete)
        stream->must_close = true;
    finish(exchange);
    stream->ops->finish(stream);
}

void exchange_end_tunnel(struct exchange *exchange)
{
    struct stream *stream = exchange->stream;
    note_duration(exchange, CODE_TUNNEL);
    exchange_release_conn(exchange, false, false);
    finish(exchange);
    stream->ops->finish(stream);
}

void exchange_abort(struct exchange *exchange, bool is_client_fault)
{
    struct stream *stream = exchange->stream;
    if (is_client_fault)
        counter_add(&exchange->worker->counters.client_aborts, 1);
    if (exchange->counters && exchange->phase == EXCHANGE_TUNNEL)
        note_duration(exchange, CODE_TUNNEL);
    else if (exchange->counters && exchange->phase == EXCHANGE_WAITING && is_client_fault)
        note_duration(exchange, CODE_CLIENT_ABORT);
    // RST where the end of the connection would be the end of the body.
    bool with_reset = exchange->phase == EXCHANGE_ANSWERING && exchange->ends_with_close;
    finish(exchange);
    stream->ops->close(stream, with_reset);
}

void exchange_answer(struct exchange *exchange, int status, struct str extra,
                     struct str content_type, struct str body)
{
    struct worker *worker = exchange->worker;
    struct stream *stream = exchange->stream;
    if (exchange->phase != EXCHANGE_WAITING) {
        exchange_abort(exchange, false);
        return;
    }
    exchange_release_conn(exchange, false, true);
    if (!exchange->upload.is_complete || worker->is_draining)
        stream->must_close = true;
    int rc = stream->ops->send_answer(stream, status, exchange->method == HTTP_METHOD_HEAD,
                                      exchange->client_minor, extra, content_type, body);
    if (rc < 0) {
        exchange_abort(exchange, rc != ERR_TOO_LARGE);
        return;
    }
    exchange_note_response(exchange, status);
    if (exchange->counters)
        note_duration(exchange, (unsigned)status);
    else
        worker_note_answer(worker, status, false);
    exchange->bytes_out += body.len;
    finish(exchange);
    stream->ops->finish(stream);
}

void exchange_fail(struct exchange *exchange, int status)
{
    exchange_answer(exchange, status, stream_advice(status), STR_NULL, STR_NULL);
}

void exchange_fail_overloaded(struct exchange *exchange)
{
    counter_add(&exchange->worker->counters.auth_overloaded, 1);
    exchange->reason = "auth_overloaded";
    exchange_fail(exchange, 503);
}

// Has the kept request forwarded as if it had just come.
void exchange_forward_again(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    char *bytes = block_start(exchange->request);
    int rc = http_parse_request(&worker->request_head, bytes, exchange->request_head_len,
                                &worker->config->request_limits);
    BUG_ON(rc != HTTP_ACCEPTED); // it was accepted before
    struct iovec rest = {.iov_base = bytes + exchange->request_head_len,
                         .iov_len = block_len(exchange->request) - exchange->request_head_len};
    forward_request(exchange, &rest, rest.iov_len > 0);
}

void exchange_resume(struct exchange *exchange)
{
    struct stream *stream = exchange->stream;
    net_loop_disarm(&exchange->worker->loop, &exchange->timer);
    if (exchange->is_client_paused) {
        exchange->is_client_paused = false;
        stream->ops->read_start(stream);
    }
    exchange_forward_again(exchange);
    if (stream->exchange == exchange)
        stream->ops->await_body(stream);
}
