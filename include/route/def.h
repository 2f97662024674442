// SPDX-License-Identifier: Apache-2.0
// One route definition: what a `route add` command or a urlprefix- tag says, in parsed form. Made
// by route/tag and route/command, kept by route/routes, referred to by the published table's
// targets. Immutable once made and reference-counted; the count is touched by the control thread
// only (workers pin targets, not definitions). All strings lie in the definition's own memory,
// terminated.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "route/access.h"

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

struct route_option {
    struct str key;
    struct str value; // empty when the option had none
};

struct route_def {
    uint32_t refs;

    struct str service;
    struct str host;  // lower case, may be empty; ":1234" for a TCP port route
    struct str path;  // begins with '/', empty for a TCP port route
    struct str dst;   // destination URL as text, as fabio prints it
    double weight;    // fixed weight; 0: dynamic
    bool has_weight;  // false: none given, or a negative one
    struct str *tags; // tag_count plain tags, in registration order
    size_t tag_count;
    struct route_option *options; // option_count, sorted by key, last of equal keys kept
    size_t option_count;
    struct str opts; // as written, fields separated by one space; decides the order of targets

    // dst, taken apart.
    enum route_scheme scheme;
    struct str dst_host; // name or address without brackets; empty when dst is relative (redirect)
    uint16_t dst_port;   // 0: none given, no default known
    struct str dst_query;

    // Options that routing reads.
    struct str strip;           // empty: none
    struct str prepend;         // empty: none
    struct str host_option;     // "", "dst" or a name
    struct str auth;            // scheme name; empty: none
    struct str register_name;   // register=; empty: none
    uint16_t redirect_code;     // 300-399, or 0: proxy
    uint8_t retried_statuses;   // retry=: route_retry_bit of each
    bool has_bad_retry;         // and something else stands there
    struct access_rules access; // allow and deny
    struct str access_problem;  // why they let nobody in; empty: they are well
    bool skips_tls_verify;
    bool sends_proxy_header; // pxyproto=true

    // Where it came from, for people.
    struct str instance;    // "node/service-id", "kv fabio/config line 3", "routes.txt line 3"
    struct str source_text; // the tag or line as written
    enum route_health health;
    struct str health_note; // "check service:web critical"; may be empty
};

// The bit of a status that retry= may name, 0 for others.
static inline uint8_t route_retry_bit(int status)
{
    switch (status) {
    case 429: return 1;
    case 500: return 2;
    case 502: return 4;
    case 503: return 8;
    case 504: return 16;
    default: return 0;
    }
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
