// SPDX-License-Identifier: Apache-2.0
// The listening sockets of one address of the workers: one for each worker, and those that were
// inherited. Each socket shares its port with the others and has a queue of its own, so every
// inherited one is served. Control thread; the descriptors are the workers' once they listen, and
// their numbers are kept here to be handed over.
#pragma once

#include <stdint.h>
#include <sys/socket.h>

#include "base/err.h"
#include "proxy/config.h"

struct inherited;

struct bound {
    struct sockaddr_storage sockaddr; // as configured
    uint16_t port;
    int *sockets; // owned; number i is worker i % workers'
    unsigned count;
};

// Binds, without listening. 0, or a code and err, and nothing to be undone. inherited may be NULL.
MUST_CHECK int bound_open(struct bound *bound, const struct listener_config *listener,
                          unsigned workers, struct inherited *inherited, struct err *err);
MUST_CHECK int bound_listen(const struct bound *bound, const struct listener_config *listener,
                            struct err *err);
// Closes the sockets, which nobody has taken over.
void bound_close(struct bound *bound);
// Frees what is kept of them.
void bound_forget(struct bound *bound);
