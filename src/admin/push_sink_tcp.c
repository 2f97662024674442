// SPDX-License-Identifier: Apache-2.0
// A TCP connection that is opened when lines come and kept. States: idle (no connection) -> looking
// up -> connecting -> connected -> (lost) idle. After a failure the next attempt waits, twice as
// long each time up to SINK_BACKOFF_MAX_MS. Lines wait in the queue meanwhile: they carry their
// time. A piece that was being written when the connection broke is dropped, for nobody knows how
// much of it arrived.
#include "base/log.h"
#include "base/mem.h"
#include "base/rng.h"
#include "push_sink_base.h"

enum {
    BACKOFF_FIRST_MS = 1000,
    CONNECT_TIMEOUT_MS = 10000,
    PIECE_MAX = 256 << 10, // bytes handed to the kernel at once
};

enum link_state {
    LINK_IDLE,       // no connection; -> LOOKING_UP
    LINK_LOOKING_UP, // -> CONNECTING, BACKING_OFF
    LINK_CONNECTING, // -> CONNECTED, CLOSING
    LINK_CONNECTED,  // -> CLOSING
    LINK_CLOSING,    // the handle closes; -> BACKING_OFF
    LINK_BACKING_OFF // the timer runs; -> LOOKING_UP
};

struct tcp_sink {
    struct sink sink;
    struct sink_peer peer;
    uv_loop_t *loop;
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct buf piece; // being written; empty: nothing is
    enum link_state state;
    int failure;  // why the handle closes
    bool is_told; // the failure was logged
    uint64_t backoff_ms;
    struct rng rng;
};

static void kick(struct sink *sink);

static void back_off(struct tcp_sink *own, int status)
{
    if (!own->is_told)
        log_warn("metrics: graphite at %s:%s: %s", own->peer.host, own->peer.port,
                 uv_strerror(status));
    own->is_told = true;
    own->peer.attempt++; // a name may have further addresses
    own->state = LINK_BACKING_OFF;
    own->backoff_ms =
        MIN(MAX(2 * own->backoff_ms, (uint64_t)BACKOFF_FIRST_MS), (uint64_t)SINK_BACKOFF_MAX_MS);
    // Half of it is chance, lest many proxies come at once.
    uint64_t half = own->backoff_ms / 2;
    sink_kick_later(&own->sink, half + rng_below(&own->rng, (uint32_t)half));
}

static void on_lost_closed(uv_handle_t *handle)
{
    struct tcp_sink *own = handle->data;
    if (own->piece.len > 0) {
        for (size_t i = 0; i < own->piece.len; i++)
            own->sink.dropped += own->piece.ptr[i] == '\n';
        buf_fini(&own->piece);
    }
    if (!own->sink.is_closing)
        back_off(own, own->failure);
    sink_handle_closed(&own->sink);
}

static void lose(struct tcp_sink *own, int status)
{
    if (own->state == LINK_CLOSING)
        return;
    own->state = LINK_CLOSING;
    own->failure = status;
    uv_close((uv_handle_t *)&own->tcp, on_lost_closed);
}

static void on_written(uv_write_t *write, int status)
{
    struct tcp_sink *own = write->data;
    if (status != 0) {
        if (status != UV_ECANCELED)
            lose(own, status);
        return;
    }
    buf_fini(&own->piece);
    own->backoff_ms = 0;
    own->is_told = false;
    kick(&own->sink);
}

static void write_piece(struct tcp_sink *own)
{
    struct str lines = sink_lines(&own->sink, PIECE_MAX);
    if (own->piece.len > 0 || lines.len == 0)
        return;
    buf_append_str(&own->piece, lines);
    if (buf_status(&own->piece) != 0) { // shortage: later
        buf_fini(&own->piece);
        sink_kick_later(&own->sink, BACKOFF_FIRST_MS);
        return;
    }
    sink_consume(&own->sink, lines.len);
    uv_buf_t buf = uv_buf_init(own->piece.ptr, (unsigned)own->piece.len);
    own->write.data = own;
    int rc = uv_write(&own->write, (uv_stream_t *)&own->tcp, &buf, 1, on_written);
    if (rc != 0)
        lose(own, rc);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    static char nothing[256]; // what the server says is not read
    *buf = uv_buf_init(nothing, sizeof nothing);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    (void)buf;
    if (len < 0)
        lose(stream->data, len == UV_EOF ? UV_ECONNRESET : (int)len);
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct tcp_sink *own = CONTAINER_OF(connect, struct tcp_sink, connect);
    if (own->state != LINK_CONNECTING)
        return;
    if (status == 0)
        status = uv_read_start((uv_stream_t *)&own->tcp, on_alloc, on_read);
    if (status != 0) {
        lose(own, status);
        return;
    }
    own->state = LINK_CONNECTED;
    uv_timer_stop(&own->sink.timer);
    kick(&own->sink);
}

static void on_found(struct sink *sink, bool is_found)
{
    struct tcp_sink *own = (struct tcp_sink *)sink;
    if (!is_found && !own->peer.has_addr) {
        back_off(own, UV_EAI_NONAME);
        return;
    }
    uv_tcp_init(own->loop, &own->tcp); // opens no socket yet: cannot fail
    own->tcp.data = own;
    sink->open_handles++;
    own->state = LINK_CONNECTING;
    int rc = uv_tcp_connect(&own->connect, &own->tcp, (const struct sockaddr *)&own->peer.addr,
                            on_connected);
    if (rc != 0)
        lose(own, rc);
    else
        sink_kick_later(sink, CONNECT_TIMEOUT_MS);
}

// When lines have come, when a piece is written, and when the timer says so.
static void kick(struct sink *sink)
{
    struct tcp_sink *own = (struct tcp_sink *)sink;
    bool is_timer_over = !uv_is_active((const uv_handle_t *)&sink->timer);
    if (own->state == LINK_CONNECTED) {
        write_piece(own);
    } else if (sink->is_closing) {
        return; // too late for a connection
    } else if (own->state == LINK_IDLE || (own->state == LINK_BACKING_OFF && is_timer_over)) {
        if (sink_rest(sink).len == 0) {
            own->state = LINK_IDLE;
            return;
        }
        own->state = LINK_LOOKING_UP;
        sink_peer_look_up(&own->peer, own->loop, SOCK_STREAM);
        if (!own->peer.is_looking_up)
            back_off(own, UV_ENOMEM);
    } else if (own->state == LINK_CONNECTING && is_timer_over) {
        lose(own, UV_ETIMEDOUT);
    }
}

static void close_tcp(struct sink *sink)
{
    struct tcp_sink *own = (struct tcp_sink *)sink;
    struct str rest = sink_rest(sink);
    if (own->state == LINK_CONNECTED && own->piece.len == 0 && rest.len > 0) {
        uv_buf_t buf = uv_buf_init((char *)rest.ptr, (unsigned)rest.len);
        int ignored = uv_try_write((uv_stream_t *)&own->tcp, &buf, 1);
        (void)ignored;
    }
    sink_peer_cancel(&own->peer);
    if (own->state == LINK_CONNECTED || own->state == LINK_CONNECTING)
        lose(own, UV_ECANCELED);
}

struct sink *sink_tcp_new(struct uv_loop_s *loop, struct str addr)
{
    static const struct sink_ops OPS = {.kick = kick, .close = close_tcp};
    struct tcp_sink *own = mem_zalloc(sizeof *own);
    if (!own)
        return NULL;
    sink_init(&own->sink, loop, &OPS);
    own->loop = loop;
    buf_init(&own->piece, SINK_QUEUE_MAX);
    rng_init_random(&own->rng);
    sink_peer_init(&own->peer, &own->sink, addr, on_found);
    return &own->sink;
}
