// SPDX-License-Identifier: Apache-2.0
// Room for one more: descriptors and memory. Each worker counts its own descriptors and stays below
// its share of the limit, so that running out of them does not happen; a
// reserve is left to Consul, the admin listener and logs. Near the limit idle connections make
// room, then what is new is refused. On the worker's thread unless said otherwise.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct worker;

// How memory stands (proxy.maxmemory).
enum memory_pressure {
    MEMORY_ENOUGH,
    MEMORY_SCARCE, // from 90 %: idle connections are closed, reserves given back
    MEMORY_SHORT,  // from 98 %: new requests are answered 503
};

// The worker's share of them; before it starts.
void room_init(struct worker *worker);
void room_fini(struct worker *worker);

// For a client that was just accepted and counted. False: it is to be refused.
bool room_for_client(struct worker *worker);
// For a connection to a target that is about to be opened.
bool room_for_connection(struct worker *worker);
// There was no descriptor to accept with, though our count said so: somebody else has them. Frees
// one, or refuses the connection that waits at the socket; when neither can be, waits a little, for
// it is tried again at once.
void room_free_descriptor(struct worker *worker, int socket);

// While there are clients, memory is looked after several times a second. Called with each one.
void room_watch_memory(struct worker *worker);
