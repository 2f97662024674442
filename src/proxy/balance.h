// SPDX-License-Identifier: Apache-2.0
// Which worker serves a connection: the kernel spreads them by a hash, which gives one of two
// workers 10 of 16; the one that has accepted it hands it to another that has clearly fewer. It
// goes as a message; until it is taken it counts as the other's. Every function is called on the
// thread of the worker it is given.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct worker;
struct worker_listener;

// The connections on their way to a worker. Others add to it, it alone takes away.
struct arrivals {
    _Atomic uint32_t state; // their number, and ARRIVALS_CLOSED
};

// Serves a connection that came to the listener's worker, here or elsewhere.
void balance_client(struct worker_listener *listener, int socket);
// None is sent to this worker any more; those on their way still come.
void arrivals_close(struct arrivals *arrivals);
// Whether some are still on their way.
bool arrivals_are_awaited(const struct arrivals *arrivals);
