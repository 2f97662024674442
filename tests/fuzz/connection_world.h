// SPDX-License-Identifier: Apache-2.0
// One real worker with real sockets around it and both ends in the hands of the fuzz target:
// clients that send and read what the input says, an origin whose connections do the same, a clock
// that moves only when told to. One thread, so a run depends on its input alone. Everything is made
// and freed within one run.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    WORLD_CLIENTS = 3,
    WORLD_ORIGINS = 16,
    WORLD_LOG_MAX = 1 << 20, // bytes an end may send or keep of what it received
};

// Bytes an end has sent or received.
struct world_log {
    char *ptr;
    size_t len;
};

struct world_end {
    int fd; // -1: none, or closed
    bool is_used;
    bool is_reading;
    bool has_reset; // by us
    struct world_log out;
    size_t out_sent; // of out, what the kernel has taken
    struct world_log in;
    bool in_is_cut; // more came than is kept
};

struct world {
    struct world_end clients[WORLD_CLIENTS];
    struct world_end origins[WORLD_ORIGINS];
    unsigned origin_count;
};

// Aborts with the place; a fuzz target's finding.
#define REQUIRE(is_true)                              \
    do {                                              \
        if (!(is_true))                               \
            world_fail(#is_true, __FILE__, __LINE__); \
    } while (0)
_Noreturn void world_fail(const char *what, const char *file, int line);

struct http_limits;
// Of the worker, and so of who judges what it did.
const struct http_limits *world_request_limits(void);
void world_begin(struct world *world, uint8_t settings);
// Connects the client if it is not yet (or not any more).
struct world_end *world_client(struct world *world, unsigned number);
void world_send(struct world_end *end, const void *bytes, size_t len);
void world_fin(struct world_end *end);
void world_reset(struct world_end *end);
// One turn of the worker's loop. True: something moved.
bool world_turn(struct world *world);
// Turns until nothing moves any more; REQUIREs that this comes to be.
void world_settle(struct world *world);
// Lets time pass, then settles.
void world_wait(struct world *world, uint32_t delay_ms);
// Closes all ends, lets every deadline pass, REQUIREs that the worker holds nothing any more.
void world_end(struct world *world);
void world_free(struct world *world);
