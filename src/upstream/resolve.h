// SPDX-License-Identifier: Apache-2.0
// Names of endpoints to addresses, on the thread pool of the control loop, again every 30 seconds.
// Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "base/list.h"
#include "upstream/target.h"

// Outlives its endpoint while libuv holds the request.
struct name_lookup {
    struct list link; // registry's
    uv_getaddrinfo_t request;
    struct endpoint *endpoint;           // NULL: forgotten
    struct endpoint_addresses *previous; // replaced ones, which a worker may still be reading
    bool is_running;
    bool has_answered;
    uint64_t next_ms;
};

// Starts to look the name up. 0 or ERR_NOMEM.
MUST_CHECK int resolve_start(uv_loop_t *loop, struct endpoint *endpoint);
// Starts the lookup again when its time has come.
void resolve_refresh(uv_loop_t *loop, struct endpoint *endpoint, uint64_t now_ms);
// Whether the endpoint has an address or its first lookup has failed.
bool resolve_is_settled(const struct endpoint *endpoint);
// Forgets the endpoint: a lookup under way ends without it. Frees the addresses.
void resolve_stop(struct endpoint *endpoint);
