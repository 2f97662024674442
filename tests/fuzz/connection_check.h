// SPDX-License-Identifier: Apache-2.0
// What must be true of the bytes of one run, whatever both ends did: see connection_check.c.
#pragma once

#include "connection_world.h"

// Whether an origin connection has answered all it was asked, as far as its own bytes tell: what it
// sends now nobody has asked for.
bool check_is_idle(const struct world_end *origin);
// REQUIREs the invariants of a run that has ended.
void check_world(const struct world *world);
