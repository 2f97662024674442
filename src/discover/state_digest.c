// SPDX-License-Identifier: Apache-2.0
#include "discover/state_digest.h"

#include <stdlib.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "discover/json.h"

static uint64_t name_hash(struct str name)
{
    uint64_t hash = hash_str(name, 1);
    return hash ? hash : 1;
}

static int add_record(struct state_digest *digest, struct state_record record)
{
    if (digest->count == digest->cap) {
        size_t cap = digest->cap ? digest->cap * 2 : 256;
        struct state_record *records =
            mem_realloc(digest->records, cap * sizeof(struct state_record));
        if (!records)
            return ERR_NOMEM;
        digest->records = records;
        digest->cap = cap;
    }
    digest->records[digest->count++] = record;
    return 0;
}

static int on_check(void *ctx, struct str element)
{
    struct state_digest *digest = ctx;
    int status;
    cJSON *check = json_parse(element, &status);
    if (!check)
        return status;
    if (!cJSON_IsObject(check)) {
        cJSON_Delete(check);
        return ERR_INVALID;
    }
    struct str service = json_text(check, "ServiceName");
    struct str node = json_text(check, "Node");
    uint64_t value = hash_str(json_text(check, "CheckID"), 2);
    value = hash_str(json_text(check, "ServiceID"), value);
    value = hash_str(node, value);
    digest->members += hash_str(service, value);
    value = hash_str(json_text(check, "Status"), value);
    const cJSON *tag;
    cJSON_ArrayForEach(tag, json_array(check, "ServiceTags"))
    {
        if (cJSON_IsString(tag))
            value = hash_str(str_of(tag->valuestring), value);
    }
    struct state_record record = {
        .service = service.len > 0 ? name_hash(service) : 0,
        .node = name_hash(node),
        .value = value,
    };
    cJSON_Delete(check);
    return add_record(digest, record);
}

void state_digest_init(struct state_digest *digest)
{
    *digest = (struct state_digest){0};
    json_split_init(&digest->split, '[', on_check, digest);
}

void state_digest_fini(struct state_digest *digest)
{
    json_split_fini(&digest->split);
    mem_free(digest->records);
    digest->records = NULL;
    digest->count = digest->cap = 0;
}

int state_digest_feed(struct state_digest *digest, struct str bytes)
{
    return json_split_feed(&digest->split, bytes);
}

// Node checks first, by node; then by service.
static int by_service_and_node(const void *a, const void *b)
{
    const struct state_record *x = a;
    const struct state_record *y = b;
    if (x->service != y->service)
        return x->service < y->service ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

// Folds neighbours with equal keys into one by adding their values. Returns the new count.
static size_t fold(struct state_record *records, size_t count, bool is_by_node)
{
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_same = kept > 0 && records[kept - 1].service == records[i].service &&
                       (!is_by_node || records[kept - 1].node == records[i].node);
        if (is_same)
            records[kept - 1].value += records[i].value;
        else
            records[kept++] = records[i];
    }
    return kept;
}

static uint64_t find(const struct state_record *records, size_t count, uint64_t service,
                     uint64_t node)
{
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint64_t key = node ? records[middle].node : records[middle].service;
        uint64_t wanted = node ? node : service;
        if (key == wanted)
            return records[middle].value;
        if (key < wanted)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

int state_digest_finish(struct state_digest *digest)
{
    int status = json_split_finish(&digest->split);
    if (status < 0)
        return status;
    json_split_fini(&digest->split);
    if (digest->count == 0)
        return 0;
    struct state_record *records = digest->records;
    qsort(records, digest->count, sizeof *records, by_service_and_node);
    size_t node_checks = 0;
    while (node_checks < digest->count && records[node_checks].service == 0)
        digest->nodes += records[node_checks++].value;
    size_t nodes = fold(records, node_checks, true);
    struct state_record *services = records + node_checks;
    size_t service_checks = digest->count - node_checks;
    for (size_t i = 0; i < service_checks; i++) {
        uint64_t node = find(records, nodes, 0, services[i].node);
        services[i].value = hash_bytes(&node, sizeof node, services[i].value);
    }
    digest->count = fold(services, service_checks, false);
    memmove(records, services, digest->count * sizeof *records);
    struct state_record *fitting = NULL;
    if (digest->count > 0)
        fitting = mem_realloc(records, digest->count * sizeof *records);
    if (fitting) {
        digest->records = fitting;
        digest->cap = digest->count;
    }
    return 0;
}

uint64_t state_digest_of(const struct state_digest *digest, struct str service)
{
    return find(digest->records, digest->count, name_hash(service), 0);
}
