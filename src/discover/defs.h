// SPDX-License-Identifier: Apache-2.0
// The instances of one Consul service as route definitions: which count, which only own their
// routes, and what is wrong with them. Used by consul_service.c; control thread, no I/O.
#pragma once

#include <stddef.h>

#include "base/attr.h"
#include "base/str.h"
#include "discover/consul.h"
#include "discover/decode.h"
#include "discover/problems.h"
#include "route/def.h"

struct def_list {
    struct route_def **items; // owned, with a reference each
    size_t count;
    size_t cap;
    unsigned instances;      // with at least one route tag, sidecars not counted
    unsigned up;             // of these
    unsigned in_maintenance; // of these
};

void def_list_fini(struct def_list *list);
// Appends and takes over the reference, also on failure. 0 or ERR_NOMEM.
MUST_CHECK int def_list_add(struct def_list *list, struct route_def *def);

// Makes the definitions of one answer and replaces the problems of the service. 0 or ERR_NOMEM (the
// list is then incomplete; the caller frees it).
MUST_CHECK int defs_build(struct def_list *list, const struct health_answer *answer,
                          struct str service, const struct consul_config *config,
                          struct problems *problems);
// Removals are held back: what `before` had up stays up in `list`, if its instance is in the list
// or keeps_vanished, or where it may be out of the list for its checks alone. 0 or ERR_NOMEM.
MUST_CHECK int defs_keep(struct def_list *list, const struct def_list *before, bool keeps_vanished,
                         const struct consul_config *config);
// Drops the service's problems.
void defs_forget(struct str service, struct problems *problems);
