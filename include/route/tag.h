// SPDX-License-Identifier: Apache-2.0
// urlprefix- tags of one service instance to route definitions (docs/routing.md, "Tags"). Built
// structurally, not through command text, so a strange tag can only lose itself. Control thread;
// pure.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "route/def.h"

enum {
    TAG_LEN_MAX = 2048,            // bytes; a longer tag is lost
    TAGS_PER_INSTANCE_MAX = 10000, // further ones are lost
};

struct tag_instance {
    struct str service; // service name
    struct str address; // service address or node address, no brackets
    uint16_t port;
    struct str datacenter; // value of ${DC}
    struct str instance;   // "node/service-id", for problems and the UI
    const struct str *tags;
    size_t tag_count;
    enum route_health health;
    struct str health_note;
};

// Whether a tag, trimmed, starts with the prefix (case-sensitive).
bool tag_is_route(struct str tag, struct str prefix);
// Whether a tag looks like a misspelt route tag ("url-prefix:-/x", "URLPREFIX-/x", " urlprefix/x").
bool tag_is_near_miss(struct str tag, struct str prefix);

// Called for each definition made; takes over the reference.
typedef void (*tag_def_fn)(void *ctx, struct route_def *def);
// Called for each tag that is lost, with the tag's text and the reason. Also called with a warning,
// the tag being kept, where `is_lost` is false.
typedef void (*tag_problem_fn)(void *ctx, struct str tag, const char *reason, bool is_lost);

// Expands all route tags of the instance. Also warns (is_lost false) of options without effect and
// of lists that look cut at a comma; near misses are left to the caller. 0 or ERR_NOMEM
// (definitions made before remain).
MUST_CHECK int tag_parse_instance(const struct tag_instance *instance, struct str prefix,
                                  tag_def_fn on_def, tag_problem_fn on_problem, void *ctx);

// Expands $NAME and ${NAME} with DC as the only variable (docs/routing.md, "Tags") into out;
// returns the length or ERR_TOO_LARGE.
MUST_CHECK int tag_expand(struct str text, struct str datacenter, char *out, size_t room);
