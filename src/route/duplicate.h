// SPDX-License-Identifier: Apache-2.0
// Tells which target of a route a further definition repeats, while the route is put together
// (route_build.c, on the control thread). A few are compared one by one; where there are many, they
// are found by what duplicates have in common. The memory is the workspace's. Private to the route
// layer.
#pragma once

#include "entry.h"

// *found is the first candidate that is up and that `def` is a duplicate of, or NULL. 0 or
// ERR_NOMEM.
MUST_CHECK int duplicate_find(struct workspace *work, const struct route_def *def,
                              const struct candidate **found);
// Candidates have gone, or others stand at their places.
void duplicate_forget(struct workspace *work);
