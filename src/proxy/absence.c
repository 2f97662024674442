// SPDX-License-Identifier: Apache-2.0
#include "proxy/absence.h"

// Whether the rest of the body is among the bytes that wait to be read. When that cannot be known
// it may be.
static bool may_have_sent_all(const struct exchange *exchange, struct sock *sock)
{
    const struct body *upload = &exchange->upload;
    char *room = sock->loop->read_scratch;
    if (upload->is_complete || sock->layer)
        return true;
    size_t waiting = sock_waiting_bytes(sock);
    if (upload->framing == HTTP_BODY_LENGTH)
        return waiting >= upload->left;
    if (waiting > LOOP_READ_SCRATCH || sock_peek(sock, room, waiting) != waiting)
        return true;
    struct body trial = *upload;
    struct iovec parts[BODY_PARTS];
    int count;
    size_t used;
    trial.chunks.trailers = NULL; // they belong to the exchange
    return body_pass(&trial, room, waiting, &used, parts, &count) == 0 && trial.is_complete;
}

bool client_has_left(const struct exchange *exchange, struct sock *sock)
{
    switch (sock_ask_peer(sock)) {
    case SOCK_PEER_GONE: return true;
    case SOCK_PEER_ENDED:
        return exchange->phase != EXCHANGE_TUNNEL && !may_have_sent_all(exchange, sock);
    default: return false;
    }
}
