// SPDX-License-Identifier: Apache-2.0
// Names of endpoints to addresses, on the thread pool of the control loop, again every 30 seconds.
// Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/attr.h"
#include "upstream/target.h"

// A literal address is set at once; a name gets a lookup that starts now. 0 or ERR_NOMEM.
MUST_CHECK int resolve_start(uv_loop_t *loop, struct endpoint *endpoint);
// Starts the lookup again when its time has come.
void resolve_refresh(uv_loop_t *loop, struct endpoint *endpoint, uint64_t now_ms);
// Whether the endpoint has an address or its first lookup has failed.
bool resolve_is_settled(const struct endpoint *endpoint);
// Forgets the endpoint: a lookup under way ends without it. Frees the addresses.
void resolve_stop(struct endpoint *endpoint);
