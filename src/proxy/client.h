// SPDX-License-Identifier: Apache-2.0
// An HTTP/1.x client connection: reads requests one after the other, hands each to an exchange and
// carries the answer. The functions below are what an exchange (and its helpers) needs of the
// client's side; a client that speaks HTTP/2 would offer the same.
//
// States: IDLE (between requests) -> HEAD (part of a head has come) -> BUSY (an exchange runs) ->
// IDLE again, or LINGER (last answer sent, FIN sent, input is thrown away for a moment so that the
// answer is not destroyed by RST) -> closed. A tunnel is BUSY until it ends.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/list.h"
#include "net/addr.h"
#include "net/sock.h"
#include "proxy/worker.h"

enum client_state { CLIENT_IDLE, CLIENT_HEAD, CLIENT_BUSY, CLIENT_LINGER };

struct exchange;

struct client {
    struct sock sock;
    struct worker *worker;
    struct list link;
    struct timer timer;
    struct exchange *exchange; // while BUSY
    struct block *input; // part of a head, or what came behind the running request; NULL: nothing
    uint32_t requests;   // served on this connection
    uint32_t lingered;   // bytes thrown away while lingering
    uint16_t peer_port;
    uint8_t state; // enum client_state
    uint8_t peer_ip_len;
    bool is_peer_trusted;  // proxy.trusted
    bool is_fed;           // client_feed is on the stack
    bool has_ended;        // FIN received
    bool must_close;       // after the running exchange
    bool is_write_stalled; // the timer guards against a client that does not read
    char peer_ip[46];
};

// Takes the connection that waits at the listener.
void client_accept(struct worker_listener *listener);
// Closes at once. with_reset where a plain end could be taken for a complete message.
void client_close(struct client *client, bool with_reset);
// For draining: closes after the running or the next answer, or after a second of idleness.
void client_drain(struct client *client);

static inline struct str client_ip(const struct client *client)
{
    return str_make(client->peer_ip, client->peer_ip_len);
}

// Sends bytes of the answer. 0: sent. 1: some is pending, exchange_on_client_drained follows.
// Negative: the client is gone; the caller ends the exchange with exchange_abort.
MUST_CHECK int client_send(struct client *client, const struct iovec *parts, int count);
// The exchange is over, its answer complete. Takes the connection on to the next request or closes
// it.
void client_finish(struct client *client);
// Arms the timer that guards a silent sender of a body; called when the exchange goes on.
void client_await_body(struct client *client);
// The request body may be read on / not now.
void client_read_start(struct client *client);
void client_read_stop(struct client *client);
