// SPDX-License-Identifier: Apache-2.0
//
// An upgraded connection: bytes pass both ways as they come, FIN included, until both sides have
// ended, one fails, or nothing has passed for tunnel_idle_timeout. Back-pressure as everywhere: who
// writes to a side that does not take is not read until it does.
#include "proxy/exchange.h"

static void arm(struct exchange *exchange)
{
    net_loop_arm(&exchange->worker->loop, &exchange->timer,
                 exchange->worker->config->tunnel_idle_timeout_ms);
}

static void end(struct exchange *exchange)
{
    counter_add(&exchange->worker->counters.upgrades_ended, 1);
    exchange_abort(exchange, false);
}

// Both sides have said their last word; what they do not take at once is still theirs. The client's
// side sends it while it lingers.
static void end_if_over(struct exchange *exchange)
{
    if (!exchange->has_upstream_ended || !exchange->stream->has_ended ||
        sock_has_pending(&exchange->conn->sock))
        return;
    counter_add(&exchange->worker->counters.upgrades_ended, 1);
    exchange_end_tunnel(exchange);
}

void tunnel_begin(struct exchange *exchange, char *rest, size_t len)
{
    struct stream *stream = exchange->stream;
    counter_add(&exchange->worker->counters.upgrades, 1);
    exchange->phase = EXCHANGE_TUNNEL;
    exchange->conn->events = &TUNNEL_EVENTS;
    stream->must_close = true;
    stream->ops->await_body(stream); // nothing of HTTP is awaited any more
    arm(exchange);
    if (len > 0)
        TUNNEL_EVENTS.on_data(exchange->conn, rest, len);
    // What the client sent ahead of the 101 has waited at the client.
    struct block *early = stream->input;
    if (stream->exchange == exchange && early) {
        stream->input = NULL;
        tunnel_on_client_data(exchange, block_start(early), block_len(early));
        block_put(&stream->worker->loop.blocks, early);
    }
    if (stream->exchange == exchange && stream->has_ended)
        tunnel_on_client_end(exchange);
    else if (stream->exchange == exchange && !exchange->is_client_paused)
        stream->ops->read_start(stream);
}

void tunnel_on_client_data(struct exchange *exchange, char *bytes, size_t len)
{
    struct iovec part = {.iov_base = bytes, .iov_len = len};
    counter_add(&exchange->counters->bytes_in, len);
    arm(exchange);
    int rc = sock_write(&exchange->conn->sock, &part, 1);
    exchange->stream->ops->pace(exchange->stream, &exchange->conn->sock, len,
                                (struct sock_ahead){0});
    if (rc < 0) {
        end(exchange);
    } else if (rc == 1) {
        exchange->is_client_paused = true;
        upstream_await_drain(exchange->conn);
        exchange->stream->ops->read_stop(exchange->stream);
    }
}

void tunnel_on_client_end(struct exchange *exchange)
{
    exchange->stream->has_ended = true;
    sock_end(&exchange->conn->sock);
    end_if_over(exchange);
}

void tunnel_on_client_drained(struct exchange *exchange)
{
    arm(exchange);
    if (exchange->is_conn_paused) {
        exchange->is_conn_paused = false;
        sock_read_start(&exchange->conn->sock);
    }
}

static void on_data(struct upstream_conn *conn, char *bytes, size_t len)
{
    struct exchange *exchange = conn->user;
    struct iovec part = {.iov_base = bytes, .iov_len = len};
    exchange->bytes_out += len;
    counter_add(&exchange->counters->bytes_out, len);
    arm(exchange);
    int rc = exchange->stream->ops->send(exchange->stream, &part, 1);
    if (rc < 0) {
        end(exchange);
    } else if (rc == 1) {
        exchange->is_conn_paused = true;
        sock_read_stop(&conn->sock);
    }
}

static void on_end(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    exchange->has_upstream_ended = true;
    exchange->stream->ops->end(exchange->stream);
    end_if_over(exchange);
}

static void on_failed(struct upstream_conn *conn, int status)
{
    (void)status;
    end(conn->user);
}

static void on_stalled(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    counter_add(&exchange->worker->counters.target_write_timeouts, 1);
    end(exchange);
}

static void on_drained(struct upstream_conn *conn)
{
    struct exchange *exchange = conn->user;
    arm(exchange);
    if (exchange->is_client_paused) {
        exchange->is_client_paused = false;
        exchange->stream->ops->read_start(exchange->stream);
    }
    end_if_over(exchange);
}

const struct upstream_conn_events TUNNEL_EVENTS = {
    .on_connected = NULL, // connected before it became a tunnel
    .on_data = on_data,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_stalled = on_stalled,
    .on_drained = on_drained,
};
