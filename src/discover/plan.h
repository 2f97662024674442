// SPDX-License-Identifier: Apache-2.0
// Decisions of the Consul client that need no Consul: how the budget of long polls is divided, and
// whether a removal looks like an accident. Pure; control thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How services are watched (consul.md C3, C4).
struct plan {
    bool is_digest;       // polls of checks stand in for the services without a poll of their own
    unsigned own_watches; // services that may have one
    unsigned set_watches; // so many get one unasked; the others are for those that change
};

enum {
    PLAN_FIXED_WATCHES = 3,  // catalog, manual routes, page
    PLAN_DIGEST_WATCHES = 3, // checks: all, critical, warning
};

// watch_limit: long polls allowed. Digest mode is left only well below the limit, so that a service
// coming and going does not turn it on and off.
struct plan plan_watches(size_t services, unsigned watch_limit, bool is_digest_now);

// The mass-drop guard (C17): more than `percent` of all instances, and at least ten, gone within
// ten seconds are held back until they are confirmed.
struct guard {
    unsigned percent; // 0: off
    uint64_t window_start_ms;
    uint64_t baseline; // instances at the start of the window
    uint64_t removed;  // within the window
};

void guard_init(struct guard *guard, unsigned percent);
// Whether a removal of `count` of `total` instances may be applied now; counts it if so.
bool guard_admits(struct guard *guard, uint64_t now_ms, uint64_t total, uint64_t count);
