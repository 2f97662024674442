// SPDX-License-Identifier: Apache-2.0
// `/v1/health/state/...` reduced to one number per service while it streams in: a service whose
// number is the same has seen no change of those checks, their tags or its nodes' health (consul.md
// C4). Nothing of the answer is kept but 24 bytes per check. Pure; used by consul_digest.c.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"
#include "discover/json_split.h"

struct state_record {
    uint64_t service; // hash of the service name; 0: a check of the node
    uint64_t node;    // hash of the node name
    uint64_t value;
};

struct state_digest {
    struct json_split split;
    uint64_t members;             // sum over which checks there are, whatever their status
    uint64_t nodes;               // after finish: sum over the checks of nodes
    struct state_record *records; // owned; after finish: one per service, sorted
    size_t count;
    size_t cap;
};

void state_digest_init(struct state_digest *digest);
void state_digest_fini(struct state_digest *digest);
// Bytes in any pieces; 0 or a negative code, after which the answer is not usable.
MUST_CHECK int state_digest_feed(struct state_digest *digest, struct str bytes);
MUST_CHECK int state_digest_finish(struct state_digest *digest);
// After finish: the service's number, 0 when it has no checks.
uint64_t state_digest_of(const struct state_digest *digest, struct str service);
