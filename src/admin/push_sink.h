// SPDX-License-Identifier: Apache-2.0
// Where pushed lines go: a UDP address, a TCP address, stdout. A sink takes whole lines, queues
// them up to a maximum and gives them away as fast as the other side takes them without anybody
// waiting; lines that do not fit are dropped and counted. push.c owns and calls it. Control loop.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"

enum {
    SINK_QUEUE_MAX = 8 << 20,    // bytes
    SINK_DATAGRAM_MAX = 1400,    // several lines share one: below the usual MTU
    SINK_BACKOFF_MAX_MS = 60000, // between two attempts to connect
};

struct uv_loop_s;
struct sink;

// addr: host:port; names are looked up again for each connection, and for UDP now and then. NULL
// when memory is short.
MUST_CHECK struct sink *sink_udp_new(struct uv_loop_s *loop, struct str addr);
MUST_CHECK struct sink *sink_tcp_new(struct uv_loop_s *loop, struct str addr);
MUST_CHECK struct sink *sink_stdout_new(struct uv_loop_s *loop);

// Takes all lines, or drops all.
void sink_put(struct sink *sink, struct str lines);
uint64_t sink_dropped(const struct sink *sink);             // lines
void sink_count_dropped(struct sink *sink, uint64_t lines); // that never came to it
// Gives away at once what the other side takes now, drops the rest, frees itself, then on_closed.
void sink_close(struct sink *sink, void (*on_closed)(void *ctx), void *ctx);
