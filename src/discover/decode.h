// SPDX-License-Identifier: Apache-2.0
// Consul's answers to plain values: instances of a service with their health verdict, service
// names, KV pairs, key names. Tolerant of unknown fields and of null for empty (consul.md C20-C25),
// strict about the type of the whole answer (C15): any error means that the answer must not change
// state. Pure; no I/O, no logging.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "discover/consul.h"
#include "route/def.h"

enum {
    TAG_BYTES_MAX = 2048,
    INSTANCE_TAGS_MAX = 10000,
    ANSWER_TAGS_MAX = 1000000, // of all instances together
};

struct decode_rules {
    struct str accepted_status; // comma list of check statuses
    enum checks_required checks_required;
    bool honours_node_checks; // other node checks than serfHealth count as the instance's own
};

// One instance as the answer shows it; strings lie in the answer's arena, terminated.
struct instance {
    struct str node;
    struct str id;
    struct str service;
    struct str address; // the service's, else the node's; may be empty
    struct str datacenter;
    struct str kind;  // empty for an ordinary service
    uint16_t port;    // 0: none or out of range
    struct str *tags; // tag_count
    size_t tag_count;
    struct str long_tag; // first tag that was left out for its length; empty: none
    bool has_too_many_tags;
    bool has_checks; // at least one check of its own
    enum route_health health;
    struct str health_note; // why it is not up
};

struct health_answer {
    struct arena arena;
    struct instance *items; // in the arena's memory's lifetime; count
    size_t count;
    uint64_t digest; // of everything that matters for routing, whatever the order of instances
    uint64_t places; // sum of decode_place
};

// `/v1/health/service/NAME`. On success the caller frees the answer with health_answer_fini; on
// failure nothing is left to free.
MUST_CHECK int decode_health(struct str body, const struct decode_rules *rules,
                             struct health_answer *answer, struct err *err);
void health_answer_fini(struct health_answer *answer);

// `/v1/catalog/services`: calls on_service once per name with the union of its tags, which are
// valid during the call only. *digest covers names and tags. A negative value of the callback ends
// it.
typedef int (*catalog_service_fn)(void *ctx, struct str name, const struct str *tags,
                                  size_t tag_count);
MUST_CHECK int decode_catalog(struct str body, catalog_service_fn on_service, void *ctx,
                              uint64_t *digest, struct err *err);

// `/v1/catalog/nodes`: calls on_name once per node.
typedef int (*string_fn)(void *ctx, struct str text);
MUST_CHECK int decode_nodes(struct str body, string_fn on_name, void *ctx, struct err *err);
// `/v1/catalog/node-services/NODE`: calls on_service once per instance on that node.
typedef void (*node_service_fn)(void *ctx, struct str service, uint64_t place);
MUST_CHECK int decode_node_services(struct str body, struct str node, node_service_fn on_service,
                                    void *ctx, struct err *err);
// One number for what the registration of an instance says: node, id, address (its own, else the
// node's), port, tags. The same for the "Service" of a health answer and for an entry of a node's
// services.
struct cJSON;
uint64_t decode_place(struct str node, struct str node_address, const struct cJSON *service);

// `/v1/kv/PATH?recurse`: calls on_pair per key in Consul's (lexical) order; value is decoded.
typedef int (*kv_pair_fn)(void *ctx, struct str key, struct str value, uint64_t modify_index);
MUST_CHECK int decode_kv(struct str body, kv_pair_fn on_pair, void *ctx, struct err *err);

// `/v1/kv/PATH?keys` and other lists of strings.
MUST_CHECK int decode_strings(struct str body, string_fn on_string, void *ctx, struct err *err);
