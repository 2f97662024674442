// SPDX-License-Identifier: Apache-2.0
// What the definitions of several instances have in common: a tag, or a command without its
// destination. Equal rules are kept once, as ten instances of a service carry the same tags. Made
// with a definition by route_def_new, found by content, freed with the last reference; the count is
// touched by the control thread only, the rest is immutable. All strings lie in the rule's own
// memory, terminated.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/index.h"
#include "base/str.h"
#include "route/access.h"

struct route_def_spec;

struct route_option {
    struct str key;
    struct str value; // empty when the option had none
};

// unhealthy=: what becomes of a route whose service has no healthy instance with it.
enum route_unhealthy {
    ROUTE_UNHEALTHY_DEFAULT, // none given: as the registry's key says
    ROUTE_UNHEALTHY_503,
    ROUTE_UNHEALTHY_DROP,
    ROUTE_UNHEALTHY_FAILOPEN,
};

struct route_rule {
    struct index_link link;

    struct str service;
    struct str host;          // lower case, may be empty; ":1234" for a TCP port route
    struct str path;          // begins with '/', empty for a TCP port route
    double weight;            // fixed weight; 0: dynamic
    bool has_weight;          // false: none given, or a negative one
    bool has_bad_retry;       // retry= names more than what can be retried
    uint8_t retried_statuses; // retry=: route_retry_bit of each
    uint8_t unhealthy;        // enum route_unhealthy
    bool has_bad_unhealthy;   // unhealthy= with another word
    bool skips_tls_verify;
    bool sends_proxy_header; // pxyproto=true
    uint16_t redirect_code;  // 300-399, or 0: proxy

    // Options that routing reads.
    struct str strip;       // empty: none
    struct str prepend;     // empty: none
    struct str host_option; // "", "dst" or a name
    struct str auth;        // scheme name; empty: none

    struct access_rules access; // allow and deny
    struct str access_problem;  // why they let nobody in; empty: they are well
    struct str register_name;   // register=; empty: none
    struct str *tags;           // tag_count plain tags, in registration order
    size_t tag_count;
    struct route_option *options; // option_count, sorted by key, last of equal keys kept
    size_t option_count;
    struct str opts; // as written, fields separated by one space; decides the order of targets
    struct str source_text; // the tag or line as written, for people
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

// Whether two weights are the same number.
static inline bool route_weight_eq(double a, double b)
{
    return !(a < b) && !(a > b);
}

// The rule of a specification, with a reference; NULL and err as route_def_new.
MUST_CHECK const struct route_rule *route_rule_get(const struct route_def_spec *spec,
                                                   struct err *err);
const struct route_rule *route_rule_ref(const struct route_rule *rule);
// NULL is ignored.
void route_rule_unref(const struct route_rule *rule);
bool route_rule_eq(const struct route_rule *a, const struct route_rule *b);
bool route_rule_has_tags(const struct route_rule *rule, const struct str *tags, size_t count);
