// SPDX-License-Identifier: Apache-2.0
//
// Happy path: (1) client_accept takes the connection and starts reading, once; (2) on_data feeds
// bytes to client_feed, which parses a head in place and begins an exchange; (3) the exchange
// answers through client_send and ends with client_finish; (4) what came behind the request is fed
// next, or the connection is idle again. Failure modes: a refused head is answered and lingers; a
// timeout closes (408 when part of a head is there); a FIN in IDLE closes, while BUSY it is
// remembered (a half-closed client still gets its answer); a reset aborts the exchange.
#include "proxy/client.h"

#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/compose.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"

enum {
    PIPELINE_MAX = 64 << 10, // bytes kept of what comes behind the running request
    LINGER_MS = 1000,        // RFC 9112 section 9.6: close in stages
    LINGER_BYTES = 64 << 10,
    DRAIN_IDLE_MS = 1000, // an idle connection outlives the start of draining by so much
};

static const struct sock_events SOCK_EVENTS;

static struct client *client_of(struct sock *sock)
{
    return CONTAINER_OF(sock, struct client, sock);
}

static void arm(struct client *client, uint32_t delay_ms)
{
    net_loop_arm(&client->worker->loop, &client->timer, delay_ms);
}

void client_close(struct client *client, bool with_reset)
{
    if (client->sock.is_closing)
        return;
    net_loop_disarm(&client->worker->loop, &client->timer);
    sock_close(&client->sock, with_reset);
}

static void on_closed(struct sock *sock)
{
    struct client *client = client_of(sock);
    struct worker *worker = client->worker;
    BUG_ON(client->exchange); // would outlive what it points to
    list_remove(&client->link);
    block_put(&worker->loop.blocks, client->input);
    mem_free(client);
    worker_client_gone(worker);
}

// Says goodbye: FIN, then throws input away until the peer's FIN, so that unread bytes do not turn
// our last answer into RST.
static void linger(struct client *client)
{
    client->state = CLIENT_LINGER;
    if (client->has_ended && !sock_has_pending(&client->sock)) {
        client_close(client, false);
        return;
    }
    sock_end(&client->sock);
    block_put(&client->worker->loop.blocks, client->input);
    client->input = NULL;
    client_read_start(client);
    arm(client, sock_has_pending(&client->sock) ? client->worker->config->client_write_timeout_ms
                                                : LINGER_MS);
}

int client_send(struct client *client, const struct iovec *parts, int count)
{
    int rc = sock_write(&client->sock, parts, count);
    if (rc == 1 && !client->is_write_stalled) {
        client->is_write_stalled = true;
        arm(client, client->worker->config->client_write_timeout_ms);
    }
    return rc;
}

void client_read_start(struct client *client)
{
    if (!client->has_ended && !client->sock.is_closing)
        sock_read_start(&client->sock);
}

void client_read_stop(struct client *client)
{
    sock_read_stop(&client->sock);
}

static void await_request(struct client *client)
{
    struct worker *worker = client->worker;
    client->state = CLIENT_IDLE;
    if (!client->is_write_stalled)
        arm(client, worker->config->client_idle_timeout_ms);
}

// Answers a request that never became an exchange, and ends the connection.
static void refuse(struct client *client, int status)
{
    struct worker *worker = client->worker;
    char *out = worker->loop.out_scratch;
    client->must_close = true;
    int len = http_compose_error(status, true, false, 1, worker_date(worker), STR_NULL, STR_NULL,
                                 STR_NULL, out, LOOP_OUT_SCRATCH);
    struct iovec part = {.iov_base = out, .iov_len = (size_t)MAX(len, 0)};
    if (len < 0 || client_send(client, &part, 1) < 0)
        client_close(client, true);
    else
        linger(client);
}

static void refuse_head(struct client *client, enum http_refusal refusal)
{
    struct worker *worker = client->worker;
    counter_add(&worker->counters.refused_requests, 1);
    counter_add(&worker->refusals[0][refusal], 1);
    log_debug("request from %.*s refused: %s", STR_FMT(client_ip(client)),
              http_refusal_text(refusal));
    if (worker->access_log) {
        struct access_entry entry = {
            .ended_at_us = clock_wall_us(),
            .client_ip = client_ip(client),
            .client_port = client->peer_port,
            .minor_version = 1,
            .status = http_refusal_status(refusal),
            .reason = str_of(http_refusal_label(refusal)),
        };
        access_log_entry(worker, &entry);
    }
    refuse(client, http_refusal_status(refusal));
}

// Keeps bytes for later. False: shortage or too many; the client was closed, with its exchange.
static bool keep_input(struct client *client, const char *bytes, size_t len, size_t max)
{
    if (len == 0)
        return true;
    if (block_append(&client->worker->loop.blocks, &client->input, bytes, len, max) == 0)
        return true;
    if (client->exchange)
        exchange_abort(client->exchange, true);
    else
        client_close(client, true);
    return false;
}

// One head from bytes and, with it, one exchange. Returns the number of bytes used, or 0 when
// nothing can be done with them now (they have been kept, or the client is closing).
static size_t feed_one(struct client *client, char *bytes, size_t len)
{
    struct worker *worker = client->worker;
    int rc = http_parse_request(&worker->request_head, bytes, len, &worker->config->request_limits);
    if (rc == ERR_AGAIN) {
        if (client->state == CLIENT_IDLE) {
            client->state = CLIENT_HEAD;
            // From the first byte to the last, however they drip in.
            arm(client, worker->config->client_head_timeout_ms);
        }
        keep_input(client, bytes, len, BLOCK_MAX);
        return 0;
    }
    counter_add(&worker->counters.requests, 1);
    client->requests++;
    uint32_t max = worker->config->max_requests_per_connection;
    if (max && client->requests >= max)
        client->must_close = true;
    if (rc != HTTP_ACCEPTED) {
        refuse_head(client, (enum http_refusal)rc);
        return 0;
    }
    if (!client->is_write_stalled)
        net_loop_disarm(&worker->loop, &client->timer);
    size_t head_len = worker->request_head.head_len;
    size_t used;
    if (exchange_begin(client, bytes, bytes + head_len, len - head_len, &used) != 0) {
        refuse(client, 503);
        return 0;
    }
    return head_len + used;
}

// Feeds what is at hand until an exchange is running or a head is incomplete. When `are_kept`, the
// bytes are client->input itself, which is then taken apart; else they are the read scratch.
static void client_feed(struct client *client, char *bytes, size_t len, bool are_kept)
{
    struct block *source = are_kept ? client->input : NULL;
    client->is_fed = true;
    if (are_kept)
        client->input = NULL;
    while (len > 0 && !client->sock.is_closing &&
           (client->state == CLIENT_IDLE || client->state == CLIENT_HEAD)) {
        size_t used = feed_one(client, bytes, len);
        bytes += used;
        len -= used;
        if (used == 0)
            len = 0;
    }
    client->is_fed = false;
    if (len > 0 && client->state == CLIENT_BUSY && !client->sock.is_closing) {
        // The next request waits its turn, and so does the sender.
        if (keep_input(client, bytes, len, BLOCK_MAX))
            client_read_stop(client);
    }
    block_put(&client->worker->loop.blocks, source);
    if (client->sock.is_closing || client->state == CLIENT_LINGER)
        return;
    if (client->state == CLIENT_BUSY)
        client_await_body(client);
    else if (client->has_ended)
        linger(client); // nothing more will come
    if (!client->sock.is_closing && !(client->exchange && client->exchange->is_client_paused) &&
        !(client->state == CLIENT_BUSY && client->input))
        client_read_start(client);
}

void client_finish(struct client *client)
{
    if (client->sock.is_closing)
        return;
    if (client->must_close || (client->has_ended && !client->input)) {
        linger(client);
        return;
    }
    await_request(client);
    if (client->is_fed)
        return; // client_feed goes on with what is left
    if (client->input)
        client_feed(client, block_start(client->input), block_len(client->input), true);
    else
        client_read_start(client);
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
        size_t used = exchange_on_client_data(client->exchange, bytes, len);
        if (client->sock.is_closing || client->state == CLIENT_LINGER || used == len) {
            if (client->state == CLIENT_BUSY && !client->sock.is_closing)
                client_await_body(client);
            return;
        }
        bytes += used;
        len -= used;
        if (client->state == CLIENT_BUSY) {
            if (keep_input(client, bytes, len, PIPELINE_MAX))
                client_read_stop(client);
            return;
        }
        client_feed(client, bytes, len, false);
        return;
    }
    case CLIENT_HEAD: {
        // A head ends in LF: until one comes nothing new can be known of it, and parsing again and
        // again what drips in would be work for nothing.
        bool may_be_complete = memchr(bytes, '\n', len) != NULL;
        if (!keep_input(client, bytes, len, BLOCK_MAX))
            return;
        if (may_be_complete ||
            block_len(client->input) > client->worker->config->request_limits.head_max)
            client_feed(client, block_start(client->input), block_len(client->input), true);
        return;
    }
    default: client_feed(client, bytes, len, false);
    }
}

static void on_end(struct sock *sock)
{
    struct client *client = client_of(sock);
    client->has_ended = true;
    if (client->state == CLIENT_BUSY)
        exchange_on_client_end(client->exchange);
    else if (client->state == CLIENT_LINGER && sock_has_pending(sock))
        return; // the rest of the answer is still wanted
    else
        client_close(client, false);
}

static void on_failed(struct sock *sock, int status)
{
    (void)status;
    struct client *client = client_of(sock);
    if (client->exchange)
        exchange_abort(client->exchange, true);
    else
        client_close(client, false);
}

static void on_drained(struct sock *sock)
{
    struct client *client = client_of(sock);
    client->is_write_stalled = false;
    net_loop_disarm(&client->worker->loop, &client->timer);
    if (client->exchange) {
        exchange_on_client_drained(client->exchange);
        if (!sock->is_closing && client->exchange)
            client_await_body(client);
    } else if (client->state == CLIENT_LINGER) {
        if (client->has_ended)
            client_close(client, false);
        else
            arm(client, LINGER_MS);
    } else if (client->state == CLIENT_IDLE) {
        await_request(client);
    }
}

// While the body of a running request is awaited, silence has a limit.
void client_await_body(struct client *client)
{
    struct exchange *exchange = client->exchange;
    if (client->is_write_stalled || exchange->phase == EXCHANGE_TUNNEL)
        return;
    bool awaits_body = !exchange->upload.is_complete && !exchange->is_client_paused;
    arm(client, awaits_body ? client->worker->config->client_body_timeout_ms : 0);
}

static void on_timer(struct timer *timer)
{
    struct client *client = CONTAINER_OF(timer, struct client, timer);
    counter_add(&client->worker->counters.client_timeouts, 1);
    if (client->is_write_stalled && client->exchange)
        exchange_abort(client->exchange, true);
    else if (client->is_write_stalled)
        client_close(client, true);
    else if (client->state == CLIENT_HEAD)
        refuse(client, 408);
    else if (client->state == CLIENT_BUSY && !client->exchange->upload.is_complete)
        exchange_fail(client->exchange, 408, STR_NULL);
    else
        client_close(client, false);
}

void client_drain(struct client *client)
{
    client->must_close = true;
    // The peer may just be sending: it hears Connection: close in its next answer, or a moment
    // later FIN.
    if (client->state == CLIENT_IDLE)
        arm(client, DRAIN_IDLE_MS);
}

static const struct sock_events SOCK_EVENTS = {
    .on_connected = NULL, // accepted, never connecting
    .on_data = on_data,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void set_peer(struct client *client)
{
    const struct proxy_config *config = client->worker->config;
    struct sockaddr_storage peer;
    int len = sizeof peer;
    char text[ADDR_TEXT_MAX];
    uint8_t bytes[16];
    if (uv_tcp_getpeername(&client->sock.uv.tcp, (struct sockaddr *)&peer, &len) != 0)
        return;
    size_t text_len = addr_host_text((struct sockaddr *)&peer, text);
    client->peer_ip_len = (uint8_t)MIN(text_len, sizeof client->peer_ip);
    memcpy(client->peer_ip, text, client->peer_ip_len);
    client->peer_port = addr_port((struct sockaddr *)&peer);
    if (!addr_bytes((struct sockaddr *)&peer, bytes))
        return;
    for (unsigned i = 0; i < config->trusted_count && !client->is_peer_trusted; i++)
        client->is_peer_trusted =
            addr_is_in(bytes, config->trusted[i].bytes, config->trusted[i].bits);
}

static void shed(struct worker_listener *listener);

static void on_shed(uv_handle_t *handle)
{
    struct worker_listener *listener = CONTAINER_OF(handle, struct worker_listener, shed);
    listener->is_shedding = false;
    if (handle->data) // it did take one: the next may have come meanwhile
        shed(listener);
}

// No memory for a client. Its connection must be taken all the same: libuv listens on only then.
static void shed(struct worker_listener *listener)
{
    if (listener->is_shedding)
        return;
    listener->is_shedding = true;
    uv_tcp_init(&listener->worker->loop.uv, &listener->shed);
    bool has_taken = uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&listener->shed) == 0;
    listener->shed.data = has_taken ? listener : NULL;
    counter_add(&listener->worker->counters.shed, has_taken);
    uv_close((uv_handle_t *)&listener->shed, on_shed);
}

void client_accept(struct worker_listener *listener)
{
    struct worker *worker = listener->worker;
    struct client *client = mem_zalloc(sizeof *client);
    if (!client || sock_init(&client->sock, &worker->loop, &SOCK_EVENTS) != 0) {
        mem_free(client);
        shed(listener);
        return;
    }
    client->worker = worker;
    timer_init(&client->timer, on_timer);
    list_init(&client->link);
    list_push_back(&worker->clients, &client->link);
    worker->client_count++;
    counter_add(&worker->counters.accepted, 1);
    atomic_store_explicit(&worker->open_clients, worker->client_count, memory_order_relaxed);
    if (sock_accept(&client->sock, (uv_stream_t *)&listener->tcp) != 0) {
        client_close(client, false);
        return;
    }
    if (worker->client_count > worker->client_max) {
        counter_add(&worker->counters.shed, 1);
        client_close(client, true);
        return;
    }
    set_peer(client);
    client->state = CLIENT_IDLE;
    arm(client, worker->config->client_idle_timeout_ms);
    if (sock_read_start(&client->sock) != 0)
        client_close(client, false);
}
