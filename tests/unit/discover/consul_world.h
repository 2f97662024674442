// SPDX-License-Identifier: Apache-2.0
// A world for the real Consul backend with nothing real around it: a scripted clock, timers that
// fire by it, a Consul in memory in place of HTTP, and a feed that only remembers. Hours pass in
// milliseconds, and every request and every route that was lost is counted. One world at a time.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault {
    FAULT_NONE,
    FAULT_REFUSED,  // no connection
    FAULT_RESET,    // a connection, no answer
    FAULT_500,      // status answers
    FAULT_503,      //
    FAULT_429,      //
    FAULT_403,      //
    FAULT_GARBAGE,  // 200, not JSON
    FAULT_SILENT,   // no answer until the client gives up
    FAULT_AT_ONCE,  // polls return at once, as if there were nothing to wait for
    FAULT_NO_INDEX, // answers without X-Consul-Index
    FAULT_INDEX_0,
    FAULT_INDEX_HUGE, // 2^64-1
    FAULT_BACKWARDS,  // every other index is a lower one
    FAULT_POLLS_504,  // plain reads are answered, polls are not
    FAULT_REFUSED_OR_500,
    FAULT_COUNT
};

// services: s0, s1, ... each with one instance that is up.
void world_begin(unsigned services);
void world_end(void); // stops the backend; fails the test when anything is left

// What Consul knows. Polls that wait for it are answered a millisecond later.
void world_add(unsigned number);
void world_remove(unsigned number);
void world_set_up(unsigned number, bool is_up);
void world_move(unsigned number, unsigned port); // a registration anew, with another plain tag
void world_set_node_address(unsigned number, const char *address);
void world_set_fault(enum fault fault); // from the next answer on; waiting polls meet it, too
void world_set_fault_of(unsigned number, enum fault fault); // of one service only

uint64_t world_now_ms(void);
void world_run(uint64_t ms);
// Runs until is_done or the time is over; the milliseconds that took, or UINT64_MAX.
uint64_t world_run_until(bool (*is_done)(void), uint64_t ms);

// What the feed was told.
bool world_routes(unsigned number); // with an instance that takes traffic
const char *world_destination(unsigned number);
unsigned world_routed(void); // services with routes
unsigned world_lost(void);   // times a service lost its traffic although Consul had it up

// Requests since the start, and most of them within any span of window_ms that begins at from_ms or
// later.
size_t world_requests(void);
size_t world_most_requests(uint64_t from_ms, uint64_t window_ms);
unsigned world_open_polls(void);
unsigned world_spread_of_waits_ms(void); // between the shortest and the longest wait of a poll
// Whether the state that the admin pages show has these words.
bool world_shows(const char *words);
