// SPDX-License-Identifier: Apache-2.0
// Private to src/admin/push_sink*.c: what all sinks have. Each embeds a struct sink as its first
// member and works from its `kick`, which is called when lines have come and from the sink's timer.
#pragma once

#include <uv.h>

#include "admin/push_sink.h"

struct sink_ops {
    void (*kick)(struct sink *sink);
    // Closes the handles of its own; each ends in sink_handle_closed.
    void (*close)(struct sink *sink);
};

struct sink {
    const struct sink_ops *ops;
    struct buf queue;
    size_t sent; // bytes of the queue that are gone
    uint64_t dropped;
    uv_timer_t timer;
    unsigned open_handles; // the timer's included
    bool is_closing;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

void sink_init(struct sink *sink, struct uv_loop_s *loop, const struct sink_ops *ops);
// Calls kick again after that time.
void sink_kick_later(struct sink *sink, uint64_t delay_ms);
// What is queued and not sent.
struct str sink_rest(const struct sink *sink);
// The first whole lines of it, at most max bytes, but one line at least.
struct str sink_lines(const struct sink *sink, size_t max);
// The first bytes of the rest are gone.
void sink_consume(struct sink *sink, size_t len);
// The first bytes of the rest are gone, unheard.
void sink_drop(struct sink *sink, size_t len);
void sink_handle_closed(struct sink *sink);

// An address that may be a name. One look-up at a time, on the loop's thread pool.
struct sink_peer {
    char host[256];
    char port[8];
    struct sockaddr_storage addr;
    bool has_addr;
    unsigned attempt; // which of several addresses is taken
    bool is_looking_up;
    uv_getaddrinfo_t lookup;
    struct sink *sink;
    void (*on_found)(struct sink *sink, bool is_found);
};

void sink_peer_init(struct sink_peer *peer, struct sink *sink, struct str addr,
                    void (*on_found)(struct sink *sink, bool is_found));
// Leads to on_found, unless one is under way.
void sink_peer_look_up(struct sink_peer *peer, uv_loop_t *loop, int socktype);
void sink_peer_cancel(struct sink_peer *peer);
