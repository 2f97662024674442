// SPDX-License-Identifier: Apache-2.0
// Datagrams of whole lines, sent a few at a time: a burst of all at once would overflow the
// receiver's buffer. A name is looked up at the start and again after a while; until it is
// known, lines wait in the queue. Who does not listen is not noticed: that is how UDP metrics are.
#include "base/clock.h"
#include "base/mem.h"
#include "push_sink_base.h"

enum {
    BURST = 32,         // datagrams
    BURST_PAUSE_MS = 5, // about 9 MB/s
    NAME_AGE_MS = 60000,
    NAME_RETRY_MS = 2000,
};

struct udp_sink {
    struct sink sink;
    struct sink_peer peer;
    uv_udp_t udp;
    uint64_t looked_up_at_ms; // 0: never
};

static void look_up(struct udp_sink *own)
{
    uint64_t now_ms = clock_now_ms();
    uint64_t wait_ms = own->peer.has_addr ? NAME_AGE_MS : NAME_RETRY_MS;
    if (own->looked_up_at_ms && now_ms - own->looked_up_at_ms < wait_ms)
        return;
    own->looked_up_at_ms = now_ms;
    sink_peer_look_up(&own->peer, own->udp.loop, SOCK_DGRAM);
}

static void kick(struct sink *sink)
{
    struct udp_sink *own = (struct udp_sink *)sink;
    if (sink_rest(sink).len == 0)
        return;
    look_up(own);
    if (!own->peer.has_addr) {
        sink_kick_later(sink, NAME_RETRY_MS);
        return;
    }
    for (unsigned i = 0; (i < BURST || sink->is_closing) && sink_rest(sink).len > 0; i++) {
        struct str lines = sink_lines(sink, SINK_DATAGRAM_MAX);
        uv_buf_t piece = uv_buf_init((char *)lines.ptr, (unsigned)lines.len);
        int rc = uv_udp_try_send(&own->udp, &piece, 1, (const struct sockaddr *)&own->peer.addr);
        if (rc == UV_EAGAIN)
            break;
        // A refusal was for an earlier datagram and has been reported now.
        if (rc == UV_ECONNREFUSED)
            continue;
        if (rc < 0)
            sink_drop(sink, lines.len);
        else
            sink_consume(sink, lines.len);
    }
    if (sink_rest(sink).len > 0)
        sink_kick_later(sink, BURST_PAUSE_MS);
}

static void on_found(struct sink *sink, bool is_found)
{
    if (is_found)
        kick(sink);
}

static void on_udp_closed(uv_handle_t *handle)
{
    sink_handle_closed(handle->data);
}

static void close_udp(struct sink *sink)
{
    struct udp_sink *own = (struct udp_sink *)sink;
    sink_peer_cancel(&own->peer);
    uv_close((uv_handle_t *)&own->udp, on_udp_closed);
}

struct sink *sink_udp_new(struct uv_loop_s *loop, struct str addr)
{
    static const struct sink_ops OPS = {.kick = kick, .close = close_udp};
    struct udp_sink *own = mem_zalloc(sizeof *own);
    if (!own)
        return NULL;
    sink_init(&own->sink, loop, &OPS);
    uv_udp_init(loop, &own->udp); // opens no socket yet: cannot fail
    own->udp.data = &own->sink;
    own->sink.open_handles++;
    sink_peer_init(&own->peer, &own->sink, addr, on_found);
    look_up(own);
    return &own->sink;
}
