// SPDX-License-Identifier: Apache-2.0
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "push_sink_base.h"

static uint64_t count_lines(struct str text)
{
    uint64_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == '\n';
    return count;
}

static void on_timer(uv_timer_t *timer)
{
    struct sink *sink = timer->data;
    sink->ops->kick(sink);
}

void sink_init(struct sink *sink, struct uv_loop_s *loop, const struct sink_ops *ops)
{
    sink->ops = ops;
    buf_init(&sink->queue, SINK_QUEUE_MAX);
    uv_timer_init(loop, &sink->timer);
    sink->timer.data = sink;
    sink->open_handles = 1;
}

void sink_kick_later(struct sink *sink, uint64_t delay_ms)
{
    if (!sink->is_closing)
        uv_timer_start(&sink->timer, on_timer, delay_ms, 0);
}

struct str sink_rest(const struct sink *sink)
{
    return str_from(buf_str(&sink->queue), sink->sent);
}

struct str sink_lines(const struct sink *sink, size_t max)
{
    struct str rest = sink_rest(sink);
    if (rest.len <= max)
        return rest;
    ptrdiff_t last = str_rfind_char(str_upto(rest, max), '\n');
    if (last < 0)
        last = str_find_char(rest, '\n');
    return str_upto(rest, (size_t)last + 1);
}

void sink_consume(struct sink *sink, size_t len)
{
    sink->sent += len;
    if (sink->sent < sink->queue.len)
        return;
    buf_fini(&sink->queue); // between two pushes a sink holds no buffer
    sink->sent = 0;
}

void sink_drop(struct sink *sink, size_t len)
{
    sink->dropped += count_lines(str_upto(sink_rest(sink), len));
    sink_consume(sink, len);
}

void sink_put(struct sink *sink, struct str lines)
{
    if (lines.len == 0)
        return;
    if (sink->sent > 0) {
        buf_consume(&sink->queue, sink->sent);
        sink->sent = 0;
    }
    if (buf_reserve(&sink->queue, lines.len) != 0) {
        sink->queue.failure = 0; // what is in it is whole
        sink->dropped += count_lines(lines);
    } else {
        buf_append_str(&sink->queue, lines);
    }
    sink->ops->kick(sink);
}

void sink_count_dropped(struct sink *sink, uint64_t lines)
{
    sink->dropped += lines;
}

uint64_t sink_dropped(const struct sink *sink)
{
    return sink->dropped;
}

void sink_handle_closed(struct sink *sink)
{
    if (--sink->open_handles > 0)
        return;
    void (*on_closed)(void *) = sink->on_closed;
    void *ctx = sink->on_closed_ctx;
    buf_fini(&sink->queue);
    mem_free(sink);
    if (on_closed)
        on_closed(ctx);
}

static void on_timer_closed(uv_handle_t *handle)
{
    sink_handle_closed(handle->data);
}

void sink_close(struct sink *sink, void (*on_closed)(void *ctx), void *ctx)
{
    sink->is_closing = true;
    sink->ops->kick(sink);
    sink->on_closed = on_closed;
    sink->on_closed_ctx = ctx;
    uv_close((uv_handle_t *)&sink->timer, on_timer_closed);
    sink->ops->close(sink);
}

// ---- addresses

void sink_peer_init(struct sink_peer *peer, struct sink *sink, struct str addr,
                    void (*on_found)(struct sink *sink, bool is_found))
{
    size_t colon = (size_t)MAX(str_rfind_char(addr, ':'), 0);
    struct str host = str_upto(addr, colon);
    if (host.len > 2 && *host.ptr == '[')
        host = str_make(host.ptr + 1, host.len - 2);
    if (host.len == 0) // as Go understands ":8125"
        host = STR("localhost");
    snprintf(peer->host, sizeof peer->host, "%.*s", STR_FMT(host));
    snprintf(peer->port, sizeof peer->port, "%.*s", STR_FMT(str_from(addr, colon + 1)));
    // A literal needs no look-up: lines can go at once.
    struct sockaddr_in *v4 = (struct sockaddr_in *)&peer->addr;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&peer->addr;
    uint64_t number;
    bool has_number = str_to_u64(str_of(peer->port), &number) && number <= UINT16_MAX;
    int port = has_number ? (int)number : 0;
    peer->has_addr = has_number && (uv_ip4_addr(peer->host, port, v4) == 0 ||
                                    uv_ip6_addr(peer->host, port, v6) == 0);
    peer->sink = sink;
    peer->on_found = on_found;
    peer->lookup.data = peer;
}

// IPv4 first: who receives UDP at a name rarely listens on ::1 alone, and who does not is not
// noticed.
static const struct addrinfo *choose(const struct addrinfo *found, unsigned attempt)
{
    const struct addrinfo *list[16] = {found};
    unsigned count = 0;
    for (unsigned is_other = 0; is_other < 2; is_other++) {
        for (const struct addrinfo *at = found; at && count < ARRAY_LEN(list); at = at->ai_next) {
            if ((at->ai_family != AF_INET) == is_other)
                list[count++] = at;
        }
    }
    return list[attempt % count];
}

static void on_looked_up(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct sink_peer *peer = lookup->data;
    struct sink *sink = peer->sink;
    peer->is_looking_up = false;
    bool is_found = status == 0 && found;
    if (is_found) {
        memset(&peer->addr, 0, sizeof peer->addr);
        const struct addrinfo *chosen = choose(found, peer->attempt);
        memcpy(&peer->addr, chosen->ai_addr, MIN((size_t)chosen->ai_addrlen, sizeof peer->addr));
        peer->has_addr = true;
    } else if (!sink->is_closing) {
        log_warn("metrics: %s: %s", peer->host, uv_strerror(status));
    }
    uv_freeaddrinfo(found);
    if (!sink->is_closing)
        peer->on_found(sink, is_found);
    sink_handle_closed(sink);
}

void sink_peer_look_up(struct sink_peer *peer, uv_loop_t *loop, int socktype)
{
    if (peer->is_looking_up || peer->sink->is_closing)
        return;
    const struct addrinfo hints = {.ai_socktype = socktype};
    if (uv_getaddrinfo(loop, &peer->lookup, on_looked_up, peer->host, peer->port, &hints) != 0)
        return;
    peer->is_looking_up = true;
    peer->sink->open_handles++;
}

void sink_peer_cancel(struct sink_peer *peer)
{
    if (peer->is_looking_up)
        uv_cancel((uv_req_t *)&peer->lookup); // fails when it is running: then it ends by itself
}
