// SPDX-License-Identifier: Apache-2.0
//
// Happy path: (1) client_accept takes the connection and starts reading, once; (2) on_data feeds
// bytes to client_feed, which parses a head in place and begins an exchange; (3) the exchange
// answers through the stream's functions and ends with finish; (4) what came behind the request is
// fed next, or the connection is idle again. Failure modes: a refused head is answered and lingers;
// a timeout closes (408 when part of a head is there); a FIN in IDLE closes, while BUSY it is
// remembered (a half-closed client still gets its answer); a reset aborts the exchange. Who is not
// read, since the target does not take or the next request is here, is asked for twice a second.
#include "proxy/client.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/compose.h"
#include "http/verify.h"
#include "proxy/absence.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "proxy/room.h"

enum {
    PIPELINE_MAX = LOOP_READ_SCRATCH, // bytes kept of what comes behind the running request
    LINGER_MS = 1000,                 // RFC 9112 section 9.6: close in stages
    LINGER_BYTES = 1 << 20, // what may be on its way when we answer fills the buffers of both sides
    DRAIN_IDLE_MS = 1000,   // an idle connection outlives the start of draining by so much
    ASK_MS = 500,           // how often it is looked whether who is not read has left
};

static struct client *client_of(struct sock *sock)
{
    return CONTAINER_OF(sock, struct client, sock);
}

static void arm(struct client *client, uint32_t delay_ms)
{
    client->is_asked = false;
    net_loop_arm(&client->stream.worker->loop, &client->timer, delay_ms);
}

// A loop time so far from now; 0, which is never, for 0.
static uint64_t deadline_in(const struct client *client, uint32_t delay_ms)
{
    return delay_ms ? net_loop_now_ms(&client->stream.worker->loop) + delay_ms : 0;
}

// The shorter of a delay (0: none) and the time left to a deadline.
static uint32_t until(const struct client *client, uint32_t delay_ms, uint64_t deadline_ms)
{
    if (LIKELY(deadline_ms == 0))
        return delay_ms;
    uint64_t now_ms = net_loop_now_ms(&client->stream.worker->loop);
    uint32_t left_ms = deadline_ms > now_ms ? (uint32_t)(deadline_ms - now_ms) : 1;
    return delay_ms ? MIN(delay_ms, left_ms) : left_ms;
}

void client_close(struct client *client, bool with_reset)
{
    if (client->sock.is_closing)
        return;
    net_loop_disarm(&client->stream.worker->loop, &client->timer);
    sock_close(&client->sock, with_reset || client->is_given_up);
}

static void on_closed(struct sock *sock)
{
    struct client *client = client_of(sock);
    struct worker *worker = client->stream.worker;
    BUG_ON(client->stream.exchange); // would outlive what it points to
    list_remove(&client->link);
    address_counts_drop(&worker->address_counts, &client->address);
    block_put(&worker->loop.blocks, client->stream.input);
    worker_listener_unref(client->listener);
    mem_free(client);
    worker_client_gone(worker);
}

// Says goodbye: FIN, then throws input away until the peer's FIN, so that unread bytes do not turn
// our last answer into RST.
static void linger(struct client *client)
{
    client->state = CLIENT_LINGER;
    sock_unpace(&client->sock);
    if (client->stream.has_ended && !sock_has_pending(&client->sock)) {
        client_close(client, false);
        return;
    }
    sock_end(&client->sock);
    block_put(&client->stream.worker->loop.blocks, client->stream.input);
    client->stream.input = NULL;
    if (!client->stream.has_ended)
        sock_read_start(&client->sock);
    arm(client, sock_has_pending(&client->sock)
                    ? client->stream.worker->config->client_write_timeout_ms
                    : LINGER_MS);
}

static struct client *of_stream(struct stream *stream)
{
    return CONTAINER_OF(stream, struct client, stream);
}

// What became of `len` bytes of an answer.
static int was_sent(struct stream *stream, size_t len, int rc)
{
    struct client *client = of_stream(stream);
    if (stream->exchange)
        exchange_pace_download(stream->exchange, &client->sock, len);
    if (rc == 1 && !client->is_write_stalled) {
        client->is_write_stalled = true;
        client->unsent_bytes = sock_unsent_bytes(&client->sock);
        arm(client, until(client, stream->worker->config->client_write_timeout_ms,
                          client->write_deadline_ms));
    }
    return rc;
}

static int send_parts(struct stream *stream, const struct iovec *parts, int count)
{
    int rc = sock_write(&of_stream(stream)->sock, parts, count);
    size_t len = 0;
    for (int i = 0; i < count; i++)
        len += parts[i].iov_len;
    return was_sent(stream, len, rc);
}

static int send_piped(struct stream *stream, size_t len, const struct iovec *before,
                      const struct iovec *behind)
{
    struct sock *sock = &of_stream(stream)->sock;
    int rc = before->iov_len ? sock_write(sock, before, 1) : 0;
    if (rc >= 0)
        rc = sock_write_piped(sock);
    if (rc >= 0 && behind->iov_len)
        rc = sock_write(sock, behind, 1);
    return was_sent(stream, len, rc);
}

static int send_head(struct stream *stream, const struct http_head *head,
                     const struct http_answer *answer, enum http_method request,
                     const struct iovec *body, int count)
{
    char *out = stream->worker->loop.out_scratch;
    int len = http_compose_response(head, answer, out, LOOP_OUT_SCRATCH);
    if (len < 0)
        return len;
#ifdef NDEBUG
    (void)request;
#else
    BUG_ON(!http_verify_response(head, answer, request, out, (size_t)len));
#endif
    struct iovec parts[1 + BODY_PARTS] = {{.iov_base = out, .iov_len = (size_t)len}};
    for (int i = 0; i < count; i++)
        parts[1 + i] = body[i];
    if (count > 0 && stream->exchange)
        exchange_read_ahead(stream->exchange, &of_stream(stream)->sock);
    return send_parts(stream, parts, 1 + count);
}

static int send_answer(struct stream *stream, int status, bool is_head, uint8_t minor_version,
                       struct str extra, struct str content_type, struct str body)
{
    char *out = stream->worker->loop.out_scratch;
    int len = http_compose_error(status, stream->must_close, is_head, minor_version,
                                 worker_date(stream->worker), extra, content_type, body, out,
                                 LOOP_OUT_SCRATCH);
    if (len < 0)
        return len;
    struct iovec part = {.iov_base = out, .iov_len = (size_t)len};
    return send_parts(stream, &part, 1);
}

static void read_start(struct stream *stream)
{
    struct client *client = of_stream(stream);
    if (!stream->has_ended && !client->sock.is_closing)
        sock_read_start(&client->sock);
}

static void read_stop(struct stream *stream)
{
    sock_read_stop(&of_stream(stream)->sock);
}

static void pace(struct stream *stream, const struct sock *sink, size_t len,
                 struct sock_ahead ahead)
{
    sock_pace(&of_stream(stream)->sock, sink, len, ahead);
}

static void read_ahead(struct stream *stream, const struct sock *sink, struct sock_ahead ahead)
{
    sock_read_ahead(&of_stream(stream)->sock, sink, ahead);
}

static void await_request(struct client *client)
{
    struct worker *worker = client->stream.worker;
    client->state = CLIENT_IDLE;
    client->read_deadline_ms = 0;
    client->write_deadline_ms = 0;
    client->rate_window_ends_ms = 0;
    sock_await_head(&client->sock);
    uint32_t own_ms = client->listener->config.idle_timeout_ms;
    uint32_t idle_ms = own_ms ? own_ms : worker->config->client_idle_timeout_ms;
    if (worker->is_draining)
        idle_ms = MIN(idle_ms, (uint32_t)DRAIN_IDLE_MS);
    if (!client->is_write_stalled)
        arm(client, idle_ms);
}

static void log_refusal(struct client *client, int status, const char *reason)
{
    struct worker *worker = client->stream.worker;
    if (!worker->access_log)
        return;
    struct access_entry entry = {
        .ended_at_us = clock_wall_us(),
        .client_ip = stream_peer_ip(&client->stream),
        .client_port = client->stream.peer_port,
        .minor_version = 1,
        .scheme = STR("http"),
        .status = status,
        .reason = str_of(reason),
    };
    access_log_entry(worker, &entry);
}

// Answers a request that never became an exchange, and ends the connection.
static void refuse(struct client *client, int status, bool is_head, const char *reason)
{
    client->stream.must_close = true;
    log_refusal(client, status, reason);
    if (send_answer(&client->stream, status, is_head, 1, stream_advice(status), STR_NULL,
                    STR_NULL) < 0)
        client_close(client, true);
    else
        linger(client);
}

static void refuse_head(struct client *client, enum http_refusal refusal)
{
    struct worker *worker = client->stream.worker;
    counter_add(&worker->counters.refused_requests, 1);
    counter_add(&worker->refusals[0][refusal], 1);
    worker_note_answer(worker, http_refusal_status(refusal), false);
    log_debug("request from %.*s refused: %s", STR_FMT(stream_peer_ip(&client->stream)),
              http_refusal_text(refusal));
    // What is wrong with its head does not make HEAD another method.
    bool is_head = str_eq(worker->request_head.method_name, STR("HEAD"));
    refuse(client, http_refusal_status(refusal), is_head, http_refusal_label(refusal));
}

// Opens the window in which the rate of the body is measured, once it has begun. Returns its end.
static uint64_t open_rate_window(struct client *client, const struct exchange *exchange)
{
    const struct proxy_config *config = client->stream.worker->config;
    if (client->rate_window_ends_ms == 0 && config->client_min_rate && exchange->bytes_in > 0) {
        client->rate_window_ends_ms = deadline_in(client, config->client_min_rate_window_ms);
        client->rate_window_bytes = exchange->bytes_in;
    }
    return client->rate_window_ends_ms;
}

// While the body of a running request is awaited, silence has a limit, and so has slowness.
static void await_body(struct stream *stream)
{
    struct client *client = of_stream(stream);
    const struct exchange *exchange = stream->exchange;
    if (exchange->phase == EXCHANGE_TUNNEL)
        client->write_deadline_ms = 0; // its end is nobody's to foretell
    if (client->is_write_stalled)
        return;
    bool awaits_body = exchange->phase != EXCHANGE_TUNNEL && !exchange->upload.is_complete &&
                       !exchange->is_client_paused;
    uint32_t delay_ms = 0;
    if (awaits_body) {
        delay_ms =
            until(client, stream->worker->config->client_body_timeout_ms, client->read_deadline_ms);
        delay_ms = until(client, delay_ms, open_rate_window(client, exchange));
    } else {
        client->rate_window_ends_ms = 0;
    }
    delay_ms = until(client, delay_ms, client->write_deadline_ms);
    bool must_ask = !client->sock.is_reading && (delay_ms == 0 || delay_ms > ASK_MS);
    arm(client, UNLIKELY(must_ask) ? ASK_MS : delay_ms);
    client->is_asked = must_ask;
}

// Keeps bytes for later. False: shortage or too many; the client was closed, with its exchange.
static bool keep_input(struct client *client, const char *bytes, size_t len, size_t max)
{
    if (len == 0)
        return true;
    if (block_append(&client->stream.worker->loop.blocks, &client->stream.input, bytes, len, max) ==
        0)
        return true;
    if (client->stream.exchange)
        exchange_abort(client->stream.exchange, true);
    else
        client_close(client, true);
    return false;
}

// Whether this request is the last of its connection.
static bool is_retired(const struct client *client)
{
    const struct proxy_config *config = client->stream.worker->config;
    uint32_t max = config->max_requests_per_connection;
    uint32_t max_ms = config->client_max_age_ms;
    return (max && client->requests >= max) ||
           (max_ms && net_loop_now_ms(&client->stream.worker->loop) - client->opened_ms >= max_ms);
}

// One head from bytes and, with it, one exchange. Returns the number of bytes used, or 0 when
// nothing can be done with them now (they have been kept, or the client is closing).
static size_t feed_one(struct client *client, char *bytes, size_t len)
{
    struct worker *worker = client->stream.worker;
    int rc = http_parse_request(&worker->request_head, bytes, len, &worker->config->request_limits);
    if (rc == ERR_AGAIN) {
        if (client->state == CLIENT_IDLE) {
            client->state = CLIENT_HEAD;
            // From the first byte to the last, however they drip in.
            client->read_deadline_ms =
                deadline_in(client, client->listener->config.read_timeout_ms);
            arm(client,
                until(client, worker->config->client_head_timeout_ms, client->read_deadline_ms));
        }
        client->parsed = (uint32_t)len;
        if (keep_input(client, bytes, len, BLOCK_MAX))
            sock_fit(&client->sock, BLOCK_MAX - len);
        return 0;
    }
    sock_head_is_read(&client->sock);
    counter_add(&worker->counters.requests, 1);
    client->requests++;
    if (is_retired(client)) {
        client->stream.must_close = true;
        counter_add(&worker->counters.retired, 1);
    }
    if (rc != HTTP_ACCEPTED) {
        refuse_head(client, (enum http_refusal)rc);
        return 0;
    }
    if (UNLIKELY(worker->pressure == MEMORY_SHORT)) {
        counter_add(&worker->counters.no_memory, 1);
        worker_note_answer(worker, 503, false);
        refuse(client, 503, worker->request_head.method == HTTP_METHOD_HEAD, "out_of_memory");
        return 0;
    }
    if (!client->is_write_stalled)
        net_loop_disarm(&worker->loop, &client->timer);
    size_t head_len = worker->request_head.head_len;
    size_t used;
    if (client->state == CLIENT_IDLE)
        client->read_deadline_ms = deadline_in(client, client->listener->config.read_timeout_ms);
    client->write_deadline_ms = deadline_in(client, client->listener->config.write_timeout_ms);
    client->state = CLIENT_BUSY;
    if (exchange_begin(&client->stream, bytes, bytes + head_len, len - head_len, &used) != 0) {
        refuse(client, 503, worker->request_head.method == HTTP_METHOD_HEAD, "out_of_memory");
        return 0;
    }
    return head_len + used;
}

// Feeds what is at hand until an exchange is running or a head is incomplete. When `are_kept`, the
// bytes are client->stream.input itself, which is then taken apart; else they are the read scratch.
static void client_feed(struct client *client, char *bytes, size_t len, bool are_kept)
{
    struct block *source = are_kept ? client->stream.input : NULL;
    client->is_fed = true;
    if (are_kept)
        client->stream.input = NULL;
    // Whoever does not read his answers gets no more of them.
    while (len > 0 && !client->sock.is_closing && !client->is_write_stalled &&
           (client->state == CLIENT_IDLE || client->state == CLIENT_HEAD)) {
        size_t used = feed_one(client, bytes, len);
        bytes += used;
        len -= used;
        if (used == 0)
            len = 0;
    }
    client->is_fed = false;
    bool must_wait = client->state == CLIENT_BUSY || client->is_write_stalled;
    if (len > 0 && must_wait && !client->sock.is_closing) {
        // The next request waits its turn, and so does the sender.
        if (keep_input(client, bytes, len, BLOCK_MAX))
            read_stop(&client->stream);
    }
    block_put(&client->stream.worker->loop.blocks, source);
    if (client->sock.is_closing || client->state == CLIENT_LINGER)
        return;
    if (client->state == CLIENT_BUSY)
        await_body(&client->stream);
    else if (client->stream.has_ended && !client->stream.input)
        linger(client); // nothing more will come
    if (!client->sock.is_closing && client->state != CLIENT_LINGER &&
        !(client->stream.exchange && client->stream.exchange->is_client_paused) &&
        !(must_wait && client->stream.input))
        read_start(&client->stream);
}

static void finish(struct stream *stream)
{
    struct client *client = of_stream(stream);
    if (client->sock.is_closing)
        return;
    if (client->stream.must_close || (client->stream.has_ended && !client->stream.input)) {
        linger(client);
        return;
    }
    await_request(client);
    if (client->is_fed)
        return; // client_feed goes on with what is left
    if (client->is_write_stalled)
        return; // on_drained goes on
    if (client->stream.input)
        client_feed(client, block_start(client->stream.input), block_len(client->stream.input),
                    true);
    else
        read_start(&client->stream);
}

// Whether what came behind the first `before` bytes may end a head: CRLF CRLF, or LF LF.
static bool has_blank_line(const char *bytes, size_t before, size_t len)
{
    size_t from = before > 3 ? before - 3 : 0;
    return memmem(bytes + from, len - from, "\n\r\n", 3) ||
           memmem(bytes + from, len - from, "\n\n", 2);
}

static void on_data(struct sock *sock, char *bytes, size_t len)
{
    struct client *client = client_of(sock);
    switch (client->state) {
    case CLIENT_LINGER:
        client->lingered += (uint32_t)len;
        if (client->lingered > LINGER_BYTES)
            client_close(client, false);
        return;
    case CLIENT_BUSY: {
        size_t used = exchange_on_client_data(client->stream.exchange, bytes, len);
        if (client->sock.is_closing || client->state == CLIENT_LINGER || used == len) {
            if (client->state == CLIENT_BUSY && !client->sock.is_closing)
                await_body(&client->stream);
            return;
        }
        bytes += used;
        len -= used;
        if (client->state == CLIENT_BUSY) {
            if (keep_input(client, bytes, len, PIPELINE_MAX)) {
                read_stop(&client->stream);
                await_body(&client->stream);
            }
            return;
        }
        client_feed(client, bytes, len, false);
        return;
    }
    case CLIENT_HEAD: {
        // Parsing again and again what drips in line by line would cost the square of its length:
        // it is done when the head's end may have come, and each time the head has doubled.
        size_t before = block_len(client->stream.input);
        if (!keep_input(client, bytes, len, BLOCK_MAX))
            return;
        size_t now = block_len(client->stream.input);
        sock_fit(sock, BLOCK_MAX - now);
        if (has_blank_line(block_start(client->stream.input), before, now) ||
            now >= 2 * (size_t)client->parsed ||
            now > client->stream.worker->config->request_limits.head_max)
            client_feed(client, block_start(client->stream.input), block_len(client->stream.input),
                        true);
        return;
    }
    default: client_feed(client, bytes, len, false);
    }
}

// Bytes of a request's body that nobody needs to see.
static void on_piped(struct sock *sock, size_t len)
{
    struct client *client = client_of(sock);
    if (client->state != CLIENT_BUSY)
        return;
    exchange_on_client_piped(client->stream.exchange, len);
    if (client->state == CLIENT_BUSY && !sock->is_closing)
        await_body(&client->stream);
}

static void on_end(struct sock *sock)
{
    struct client *client = client_of(sock);
    client->stream.has_ended = true;
    if (client->state == CLIENT_BUSY)
        exchange_on_client_end(client->stream.exchange);
    else if (sock_has_pending(sock) && client->stream.input)
        return; // on_drained goes on with what was sent before
    else if (sock_has_pending(sock) && client->state == CLIENT_IDLE)
        linger(client);
    else if (sock_has_pending(sock) && client->state == CLIENT_LINGER)
        return; // the rest of the answer is still wanted
    else
        client_close(client, false);
}

static void on_failed(struct sock *sock, int status)
{
    (void)status;
    struct client *client = client_of(sock);
    if (client->stream.exchange)
        exchange_abort(client->stream.exchange, true);
    else
        client_close(client, false);
}

static void on_drained(struct sock *sock)
{
    struct client *client = client_of(sock);
    client->is_write_stalled = false;
    net_loop_disarm(&client->stream.worker->loop, &client->timer);
    if (client->stream.exchange) {
        exchange_on_client_drained(client->stream.exchange);
        if (!sock->is_closing && client->stream.exchange)
            await_body(&client->stream);
    } else if (client->state == CLIENT_LINGER) {
        if (client->stream.has_ended)
            client_close(client, false);
        else
            arm(client, LINGER_MS);
    } else if (client->state == CLIENT_IDLE) {
        finish(&client->stream); // what came meanwhile is next
    }
}

// Whether a client that kept us waiting has read something worth waiting for since.
static bool has_read(struct client *client)
{
    const struct proxy_config *config = client->stream.worker->config;
    uint64_t before = client->unsent_bytes;
    uint64_t want = (uint64_t)config->client_min_rate * config->client_write_timeout_ms / 1000;
    client->unsent_bytes = sock_unsent_bytes(&client->sock);
    return before > client->unsent_bytes && before - client->unsent_bytes >= MAX(want, 1u);
}

// A deadline that has not come to pass, or that another window replaces.
static bool has_more_time(struct client *client, bool is_too_late)
{
    const struct proxy_config *config = client->stream.worker->config;
    const struct exchange *exchange = client->stream.exchange;
    uint64_t now_ms = net_loop_now_ms(&client->stream.worker->loop);
    if (is_too_late)
        return false;
    if (client->is_write_stalled) {
        if (!has_read(client))
            return false;
        arm(client, until(client, config->client_write_timeout_ms, client->write_deadline_ms));
        return true;
    }
    uint64_t want = (uint64_t)config->client_min_rate * config->client_min_rate_window_ms / 1000;
    if (!exchange || exchange->upload.is_complete || client->rate_window_ends_ms == 0 ||
        now_ms < client->rate_window_ends_ms ||
        (client->read_deadline_ms && now_ms >= client->read_deadline_ms) ||
        exchange->bytes_in - client->rate_window_bytes < want)
        return false;
    client->rate_window_ends_ms = 0;
    await_body(&client->stream);
    return true;
}

static void count_timeout(struct client *client)
{
    struct worker_counters *counters = &client->stream.worker->counters;
    uint64_t now_ms = net_loop_now_ms(&client->stream.worker->loop);
    counter_add(&counters->client_timeouts, 1);
    if (client->is_write_stalled ||
        (client->stream.exchange && client->stream.exchange->upload.is_complete))
        counter_add(&counters->write_timeouts, 1);
    else if (client->rate_window_ends_ms && now_ms >= client->rate_window_ends_ms)
        counter_add(&counters->slow_bodies, 1);
    else if (client->stream.exchange)
        counter_add(&counters->body_timeouts, 1);
    else if (client->state == CLIENT_HEAD)
        counter_add(&counters->head_timeouts, 1);
    else if (client->state == CLIENT_IDLE)
        counter_add(&counters->idle_timeouts, 1);
}

// Who is not read is not heard when he leaves.
static void ask(struct client *client)
{
    struct exchange *exchange = client->stream.exchange;
    if (!client->sock.is_reading && client_has_left(exchange, &client->sock))
        exchange_abort(exchange, true);
    else
        await_body(&client->stream);
}

static void on_timer(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    struct exchange *exchange = client->stream.exchange;
    if (client->is_asked && exchange) {
        ask(client);
        return;
    }
    bool is_too_late = client->write_deadline_ms &&
                       net_loop_now_ms(&client->stream.worker->loop) >= client->write_deadline_ms;
    if (has_more_time(client, is_too_late))
        return;
    if (client->state != CLIENT_LINGER || client->is_write_stalled)
        count_timeout(client);
    client->is_given_up = client->is_write_stalled;
    if (exchange && !exchange->upload.is_complete && !client->is_write_stalled && !is_too_late) {
        exchange->reason = "client_timeout";
        exchange_fail(exchange, 408);
    } else if (exchange) {
        exchange_abort(exchange, true);
    } else if (client->state == CLIENT_HEAD && !client->is_write_stalled) {
        refuse(client, 408, false, "client_timeout");
    } else {
        client_close(client, client->is_write_stalled);
    }
}

void client_cut(struct client *client)
{
    if (client->stream.exchange)
        exchange_abort(client->stream.exchange, false);
    else
        client_close(client, false);
}

void client_drain(struct client *client)
{
    // The peer may just be sending, or send as soon as it has the answer whose head is out already:
    // it hears Connection: close in the next one, or a moment later FIN.
    if (client->state == CLIENT_IDLE)
        arm(client, DRAIN_IDLE_MS);
}

static void end(struct stream *stream)
{
    sock_end(&of_stream(stream)->sock);
}

static void close_stream(struct stream *stream, bool with_reset)
{
    client_close(of_stream(stream), with_reset);
}

static const struct stream_ops STREAM_OPS = {
    .send_head = send_head,
    .send = send_parts,
    .send_piped = send_piped,
    .send_answer = send_answer,
    .end = end,
    .finish = finish,
    .close = close_stream,
    .read_start = read_start,
    .read_stop = read_stop,
    .pace = pace,
    .read_ahead = read_ahead,
    .await_body = await_body,
};

static const struct sock_events SOCK_EVENTS = {
    .on_connected = NULL, // accepted, never connecting
    .on_data = on_data,
    .on_piped = on_piped,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

// False when there are too many from the same address.
static bool set_peer(struct client *client)
{
    const struct proxy_config *config = client->stream.worker->config;
    struct sockaddr_storage peer;
    int len = sizeof peer;
    char text[ADDR_TEXT_MAX];
    uint8_t bytes[16];
    if (uv_tcp_getpeername(&client->sock.uv.tcp, (struct sockaddr *)&peer, &len) != 0)
        return true;
    size_t text_len = addr_host_text((struct sockaddr *)&peer, text);
    client->stream.peer_ip_len = (uint8_t)MIN(text_len, sizeof client->stream.peer_ip);
    memcpy(client->stream.peer_ip, text, client->stream.peer_ip_len);
    client->stream.peer_port = addr_port((struct sockaddr *)&peer);
    if (!addr_bytes((struct sockaddr *)&peer, bytes))
        return true;
    for (unsigned i = 0; i < config->trusted_count && !client->stream.is_peer_trusted; i++)
        client->stream.is_peer_trusted = ip_net_has(&config->trusted[i], bytes);
    // A load balancer is one address for everybody.
    struct worker *worker = client->stream.worker;
    return client->stream.is_peer_trusted ||
           address_counts_add(&worker->address_counts, bytes, worker_max_per_address(worker),
                              &client->address);
}

// NULL when memory is short.
static struct client *new_client(struct worker_listener *listener)
{
    struct worker *worker = listener->worker;
    struct client *client = mem_zalloc(sizeof *client);
    if (!client || sock_init(&client->sock, &worker->loop, &SOCK_EVENTS) != 0) {
        mem_free(client);
        return NULL;
    }
    client->stream.worker = worker;
    client->stream.ops = &STREAM_OPS;
    client->listener = listener;
    listener->refs++;
    timer_init(&client->timer, on_timer);
    list_init(&client->link);
    list_push_back(&worker->clients, &client->link);
    worker->client_count++;
    counter_add(&worker->counters.accepted, 1);
    atomic_store_explicit(&worker->open_clients, worker->client_count, memory_order_relaxed);
    return client;
}

static void start_client(struct client *client)
{
    struct worker *worker = client->stream.worker;
    client->state = CLIENT_BUSY; // not to be evicted itself
    bool has_room = room_for_client(worker);
    client->state = CLIENT_IDLE;
    if (!has_room) {
        counter_add(&worker->counters.shed, 1);
        client_close(client, true);
        return;
    }
    if (!set_peer(client)) {
        counter_add(&worker->counters.shed_address, 1);
        client_close(client, true);
        return;
    }
    client->opened_ms = net_loop_now_ms(&worker->loop);
    room_watch_memory(worker);
    await_request(client);
    if (sock_read_start(&client->sock) != 0)
        client_close(client, false);
    else if (worker->is_draining)
        client_drain(client); // it was on its way when that began
}

void client_accept(struct worker_listener *listener, int socket)
{
    struct client *client = new_client(listener);
    if (!client) {
        counter_add(&listener->worker->counters.shed, 1);
        close(socket);
    } else if (sock_accept(&client->sock, socket) != 0) {
        close(socket);
        client_close(client, false);
    } else {
        start_client(client);
    }
}
