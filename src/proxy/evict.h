// SPDX-License-Identifier: Apache-2.0
// Which client connections are closed when room is short, for room.c. On the worker's thread.
#pragma once

#include <stdbool.h>

struct worker;

// Closes a connection that waits for nothing but a request, to make room for another: the oldest,
// or one whose head has been dripping in for a while. False: there is none among those looked at.
bool evict_one(struct worker *worker);
// Cuts the oldest of all. False: there are none.
bool evict_oldest(struct worker *worker);
// Closes all that are idle. For shortage of memory.
void evict_all(struct worker *worker);
