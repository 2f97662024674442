// SPDX-License-Identifier: Apache-2.0
// One route definition: what a `route add` command or a urlprefix- tag says, in parsed form: a
// rule, which it shares with the definitions of other instances, and a destination. Made by
// route/tag and route/command, kept by route/routes, referred to by the published table's targets.
// Immutable once made and reference-counted; the count is touched by the control thread only
// (workers pin targets, not definitions). There are as many of them as targets: its strings are
// kept as offsets, and all its text together is at most ROUTE_DEF_TEXT_MAX bytes.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "route/rule.h"

enum { ROUTE_DEF_TEXT_MAX = 65535 };

enum route_scheme {
    ROUTE_SCHEME_HTTP,
    ROUTE_SCHEME_HTTPS,
    ROUTE_SCHEME_TCP,
    ROUTE_SCHEME_GRPC,
    ROUTE_SCHEME_GRPCS,
    ROUTE_SCHEME_OTHER, // kept and shown, cannot be proxied to
};

// Whether the instance behind the definition may get traffic, and if not, why. Definitions that are
// not up own their host and path (a request is answered 503 instead of falling through to another
// service) unless the registry leaves them out.
enum route_health {
    ROUTE_UP,
    ROUTE_CRITICAL,    // checks say no
    ROUTE_MAINTENANCE, // node or service maintenance
    ROUTE_NODE_DOWN,   // serfHealth critical
};
const char *route_health_text(enum route_health health);

struct route_def {
    uint32_t refs;
    uint16_t dst_port;             // 0: none given, no default known
    uint8_t scheme;                // enum route_scheme
    uint8_t health;                // enum route_health
    const struct route_rule *rule; // reference
    // Where strings lie in text, see the functions below.
    uint16_t dst_len;
    uint16_t dst_host_at, dst_host_len;
    uint16_t dst_query_at, dst_query_len;
    uint16_t instance_len;
    uint16_t health_note_len;
    char text[];
};

// Destination URL as text, as fabio prints it; terminated.
static inline struct str route_def_dst(const struct route_def *def)
{
    return str_make(def->text, def->dst_len);
}

// Name or address without brackets; empty when the destination is relative (redirect).
static inline struct str route_def_dst_host(const struct route_def *def)
{
    return str_make(def->text + def->dst_host_at, def->dst_host_len);
}

static inline struct str route_def_dst_query(const struct route_def *def)
{
    return str_make(def->text + def->dst_query_at, def->dst_query_len);
}

// Where it came from, for people: "node/service-id", "kv fabio/config line 3", "routes.txt line 3".
// Terminated.
static inline struct str route_def_instance(const struct route_def *def)
{
    return str_make(def->text + def->dst_len + 1, def->instance_len);
}

// "check service:web critical"; may be empty; terminated.
static inline struct str route_def_health_note(const struct route_def *def)
{
    return str_make(def->text + def->dst_len + 1 + def->instance_len + 1, def->health_note_len);
}

struct route_def *route_def_ref(struct route_def *def);
// Frees at zero. NULL is ignored.
void route_def_unref(struct route_def *def);

// The parts of a definition before it is made; spans may point anywhere.
struct route_def_spec {
    struct str service;
    struct str src;  // host/path as in the command
    struct str dst;  // URL text
    double weight;   // negative is taken as 0
    bool has_weight; // false: weight is ignored
    const struct str *tags;
    size_t tag_count;
    struct str opts; // "k=v k2 k3=v", white-space separated
    struct str instance;
    struct str source_text;
    enum route_health health;
    struct str health_note;
};

// Parses src, dst and options (docs/routing.md) and copies everything. On failure NULL and err:
// ERR_INVALID with a reason a tag's author understands, or ERR_NOMEM.
MUST_CHECK struct route_def *route_def_new(const struct route_def_spec *spec, struct err *err);

// Whether both say the same in every respect (also health and origin).
bool route_def_eq(const struct route_def *a, const struct route_def *b);
// fabio's order of generated lines: descending by service, src, dst, weight, tags, opts, compared
// as the text of the command. <0: a comes first.
int route_def_order(const struct route_def *a, const struct route_def *b);
// fabio's notion of a duplicate target in one route: service, dst, weight and tags equal, options
// not compared. other_weight stands for the fixed weight of `other`, which `route weight` may have
// changed.
bool route_def_is_duplicate(const struct route_def *def, const struct route_def *other,
                            double other_weight);
// What of an accepted definition will not work as its author hoped (access rules that close the
// route, an unusable redirect code, a scheme that cannot be proxied to), or NULL.
const char *route_def_warning(const struct route_def *def);

struct buf;
// Appends "route add svc src dst[ weight w][ tags "..."][ opts "..."]" without newline.
// fixed_weight is printed when it is above 0: def->weight, or what `route weight` made of it.
void route_def_print(const struct route_def *def, double fixed_weight, struct buf *out);
