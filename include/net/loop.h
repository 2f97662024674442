// SPDX-License-Identifier: Apache-2.0
// An event loop with what the data path needs beside libuv's: a timer wheel, a pool of blocks, the
// shared read and write scratch, random numbers and an inbox for messages from other threads. Each
// worker owns one and runs it on its thread; nothing here is shared except the inbox.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/list.h"
#include "base/rng.h"
#include "net/block.h"
#include "net/splice.h"
#include "net/wheel.h"

enum {
    LOOP_READ_SCRATCH = 66 << 10,  // one read: 64 KiB with a head in front
    LOOP_BULK_SCRATCH = 128 << 10, // one read of a large body
    LOOP_OUT_SCRATCH =
        72 << 10, // a composed head: the largest incoming one plus what the proxy adds
};

// A message for another thread's loop. The sender owns it until `run` is called on the loop's
// thread; run may free it.
struct message {
    struct message *next;
    void (*run)(struct message *message);
};

struct net_loop {
    uv_loop_t uv;
    struct wheel wheel;
    struct block_pool blocks;
    struct rng rng;
    char
        *read_scratch; // LOOP_BULK_SCRATCH bytes; content is valid until the next read on this loop
    char *out_scratch; // LOOP_OUT_SCRATCH bytes, for one composition at a time
    ssize_t received;  // what the last read brought, on its way through libuv; sock.c's
    struct splice splice;       // opened by whoever wants it; see sock_pace
    const struct sock *passing; // whose bytes go through it now, else NULL
    uint32_t passing_room;      // what their sink is known to take meanwhile

    uv_timer_t tick; // runs the wheel while timers are armed
    uv_prepare_t prepare;
    uv_async_t inbox_async;
    _Atomic(struct message *) inbox;        // newest first
    void (*on_idle)(struct net_loop *loop); // end of every turn, before waiting; may be NULL
};

// Prepares the loop on any thread. 0 or a negative err_code (everything undone).
MUST_CHECK int net_loop_init(struct net_loop *loop, void (*on_idle)(struct net_loop *loop));
// Runs until nothing is left to wait for, that is, after net_loop_stop and the closing of all
// handles.
void net_loop_run(struct net_loop *loop);
// Closes the loop's own handles; on its own thread. Handles of connections are their owners' to
// close.
void net_loop_stop(struct net_loop *loop);
// Frees everything; after net_loop_run has returned.
void net_loop_fini(struct net_loop *loop);

// Any thread: message->run is called on the loop's thread, in the order of posting.
void net_loop_post(struct net_loop *loop, struct message *message);

// Milliseconds (clock_now_ms scale) at the start of this turn.
static inline uint64_t net_loop_now_ms(const struct net_loop *loop)
{
    return uv_now(&loop->uv);
}

void net_loop_arm(struct net_loop *loop, struct timer *timer, uint32_t delay_ms);
void net_loop_disarm(struct net_loop *loop, struct timer *timer);
