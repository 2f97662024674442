// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.x client connection: reads requests one after the other, hands each to an exchange and
// carries the answer, as the stream the exchange speaks to.
//
// States: IDLE (between requests) -> HEAD (part of a head has come) -> BUSY (an exchange runs) ->
// IDLE again, or LINGER (last answer sent, FIN sent, input is thrown away for a moment so that the
// answer is not destroyed by RST) -> closed. A tunnel is BUSY until it ends.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/addr.h"
#include "net/sock.h"
#include "proxy/address_counts.h"
#include "proxy/stream.h"
#include "proxy/worker.h"

enum client_state { CLIENT_IDLE, CLIENT_HEAD, CLIENT_BUSY, CLIENT_LINGER };

struct client {
    struct sock sock;
    struct stream stream; // what its exchange sees; stream.exchange is set while BUSY
    struct list link;
    struct timer timer;
    struct worker_listener *listener; // referenced
    // Loop times, with rt and wt of the listener: until when the running request must have come,
    // and its answer gone. 0: no such limit.
    uint64_t read_deadline_ms;
    uint64_t write_deadline_ms;
    // The least rate of a request's body: the window under way (0: none), and how much had come
    // when it began.
    uint64_t rate_window_ends_ms;
    uint64_t rate_window_bytes;
    uint64_t unsent_bytes; // that a client who does not read had when the timer was last armed
    uint64_t opened_ms;    // loop time
    struct address_mark address;
    uint32_t requests;     // served on this connection
    uint32_t lingered;     // bytes thrown away while lingering
    uint32_t parsed;       // of an incomplete head, when it was last looked at
    uint8_t state;         // enum client_state
    bool is_fed;           // client_feed is on the stack
    bool is_write_stalled; // the timer guards against a client that does not read
    bool is_asked;         // the timer is for looking whether it has left: nobody reads it
    bool is_given_up;      // it did not; RST frees what the kernel still holds for it
};

// Takes over a connection that the listener has accepted; closed when it cannot be served.
void client_accept(struct worker_listener *listener, int socket);
// For draining: closes after the running or the next answer, or after a second of idleness.
void client_drain(struct client *client);

// Closes; it must have no exchange.
void client_close(struct client *client, bool with_reset);
// Cuts: with its exchange, when one is running.
void client_cut(struct client *client);
