// SPDX-License-Identifier: Apache-2.0
#include "discover/decode.h"

#include "base/hash.h"
#include "base/mem.h"
#include "discover/json.h"
#include "discover/json_split.h"

static const struct str MAINTENANCE_NODE = STR_INIT("_node_maintenance");
static const struct str MAINTENANCE_SERVICE = STR_INIT("_service_maintenance:");
static const struct str SERF_HEALTH = STR_INIT("serfHealth");

static bool list_has(struct str list, struct str item)
{
    struct str piece;
    while (str_split_next(&list, ',', &piece)) {
        if (str_eq(str_trim(piece), item))
            return true;
    }
    return false;
}

struct health_decoder {
    const struct decode_rules *rules;
    struct health_answer *answer;
    size_t cap;
    size_t tags_left;
};

static int note_check(struct health_answer *answer, struct instance *instance,
                      enum route_health health, struct str id, struct str status)
{
    static const struct str PREFIX = STR_INIT("check ");
    size_t len = PREFIX.len + id.len + 1 + status.len;
    char *note = arena_alloc(&answer->arena, len + 1);
    if (!note)
        return ERR_NOMEM;
    snprintf(note, len + 1, "%s%.*s %.*s", PREFIX.ptr, STR_FMT(id), STR_FMT(status));
    instance->health = health;
    instance->health_note = str_make(note, len);
    return 0;
}

// fabio's verdict (docs/consul.md) over the checks of one instance.
static int judge(struct health_decoder *decoder, struct instance *instance, const cJSON *checks,
                 uint64_t *digest)
{
    const struct decode_rules *rules = decoder->rules;
    size_t own = 0, accepted = 0;
    struct str bad_id = STR_NULL, bad_status = STR_NULL;
    const cJSON *check;
    cJSON_ArrayForEach(check, checks)
    {
        struct str id = json_text(check, "CheckID");
        struct str status = json_text(check, "Status");
        struct str service_id = json_text(check, "ServiceID");
        *digest += hash_str(id, hash_str(status, hash_str(service_id, 1)));
        bool is_critical = str_eq(status, STR("critical"));
        bool is_own = service_id.len > 0 && str_eq(service_id, instance->id);
        enum route_health verdict = ROUTE_UP;
        if (str_eq(id, SERF_HEALTH))
            verdict = is_critical ? ROUTE_NODE_DOWN : ROUTE_UP;
        else if (str_eq(id, MAINTENANCE_NODE))
            verdict = ROUTE_MAINTENANCE;
        else if (str_starts_with(id, MAINTENANCE_SERVICE) &&
                 str_eq(str_from(id, MAINTENANCE_SERVICE.len), instance->id))
            verdict = is_critical ? ROUTE_MAINTENANCE : ROUTE_UP;
        else if (is_own || (rules->honours_node_checks && service_id.len == 0)) {
            own += is_own;
            if (list_has(rules->accepted_status, status)) {
                accepted += is_own;
            } else if (is_own || is_critical) {
                bad_id = id;
                bad_status = status;
                if (!is_own)
                    verdict = ROUTE_CRITICAL;
            }
        }
        // The gravest verdict is kept: node down over maintenance over a failing node check.
        if (verdict > instance->health &&
            note_check(decoder->answer, instance, verdict, id, status) < 0)
            return ERR_NOMEM;
    }
    instance->has_checks = own > 0;
    bool needs_all = rules->checks_required == CHECKS_ALL;
    if (instance->health == ROUTE_UP && own > 0 && (accepted == 0 || (needs_all && accepted < own)))
        return note_check(decoder->answer, instance, ROUTE_CRITICAL, bad_id, bad_status);
    return 0;
}

static int copy_tags(struct health_decoder *decoder, struct instance *instance, const cJSON *tags,
                     uint64_t *digest)
{
    struct arena *arena = &decoder->answer->arena;
    int size = tags ? MIN(cJSON_GetArraySize(tags), INSTANCE_TAGS_MAX) : 0;
    instance->tags = arena_alloc_array(arena, (size_t)size, sizeof *instance->tags);
    if (!instance->tags)
        return ERR_NOMEM;
    const cJSON *item;
    cJSON_ArrayForEach(item, tags)
    {
        if (!cJSON_IsString(item))
            continue;
        struct str tag = str_of(item->valuestring);
        *digest = hash_str(tag, *digest);
        if (size-- == 0 || decoder->tags_left == 0) {
            instance->has_too_many_tags = true;
            break;
        }
        decoder->tags_left--;
        bool is_long = tag.len > TAG_BYTES_MAX;
        if (is_long && instance->long_tag.len > 0)
            continue;
        struct str copy = arena_str(arena, is_long ? str_upto(tag, 256) : tag);
        if (!copy.ptr)
            return ERR_NOMEM;
        if (is_long)
            instance->long_tag = copy;
        else
            instance->tags[instance->tag_count++] = copy;
    }
    return 0;
}

static struct instance *next_instance(struct health_decoder *decoder)
{
    struct health_answer *answer = decoder->answer;
    if (answer->count == decoder->cap) {
        size_t cap = decoder->cap ? decoder->cap * 2 : 8;
        struct instance *items = mem_realloc(answer->items, cap * sizeof *items);
        if (!items)
            return NULL;
        answer->items = items;
        decoder->cap = cap;
    }
    struct instance *instance = &answer->items[answer->count];
    *instance = (struct instance){.health = ROUTE_UP};
    return instance;
}

static int decode_instance(struct health_decoder *decoder, const cJSON *entry)
{
    const cJSON *node = json_object(entry, "Node");
    const cJSON *service = json_object(entry, "Service");
    if (!node || !service)
        return ERR_INVALID;
    struct instance *instance = next_instance(decoder);
    if (!instance)
        return ERR_NOMEM;

    struct str address = json_text(service, "Address");
    if (address.len == 0)
        address = json_text(node, "Address");
    struct {
        struct str *to;
        struct str from;
    } texts[] = {
        {&instance->node, json_text(node, "Node")},
        {&instance->id, json_text(service, "ID")},
        {&instance->service, json_text(service, "Service")},
        {&instance->address, address},
        {&instance->datacenter, json_text(node, "Datacenter")},
        {&instance->kind, json_text(service, "Kind")},
    };
    uint64_t digest = 1;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *texts[i].to = arena_str(&decoder->answer->arena, texts[i].from);
        if (!texts[i].to->ptr)
            return ERR_NOMEM;
        digest = hash_str(texts[i].from, digest);
    }
    instance->port = (uint16_t)json_number(service, "Port", UINT16_MAX);
    digest = hash_bytes(&instance->port, sizeof instance->port, digest);

    int status = copy_tags(decoder, instance, json_array(service, "Tags"), &digest);
    if (status == 0)
        status = judge(decoder, instance, json_array(entry, "Checks"), &digest);
    if (status < 0)
        return status;
    decoder->answer->count++;
    decoder->answer->digest += hash_bytes(&digest, sizeof digest, 0);
    decoder->answer->places += decode_place(instance->node, json_text(node, "Address"), service);
    return 0;
}

static int on_health_element(void *ctx, struct str element)
{
    int status;
    cJSON *entry = json_parse(element, &status);
    if (!entry)
        return status;
    status = decode_instance(ctx, entry);
    cJSON_Delete(entry);
    return status;
}

int decode_health(struct str body, const struct decode_rules *rules, struct health_answer *answer,
                  struct err *err)
{
    *answer = (struct health_answer){0};
    arena_init(&answer->arena);
    struct health_decoder decoder = {
        .rules = rules, .answer = answer, .tags_left = ANSWER_TAGS_MAX};
    int status = json_split_all(body, '[', on_health_element, &decoder);
    if (status < 0) {
        health_answer_fini(answer);
        return json_answer_error(err, status, "health answer");
    }
    return 0;
}

void health_answer_fini(struct health_answer *answer)
{
    mem_free(answer->items);
    answer->items = NULL;
    answer->count = 0;
    arena_fini(&answer->arena);
}

struct catalog_decoder {
    catalog_service_fn on_service;
    void *ctx;
    uint64_t digest;
};

static int on_catalog_member(void *ctx, struct str member)
{
    struct catalog_decoder *decoder = ctx;
    cJSON *name;
    int status = 0;
    cJSON *tags = json_parse_member(member, &name, &status);
    if (!tags)
        return status;
    if (!cJSON_IsArray(tags) && !cJSON_IsNull(tags)) {
        status = ERR_INVALID;
        goto done;
    }
    int size = cJSON_GetArraySize(tags);
    struct str *list = mem_zalloc_array((size_t)size, sizeof *list);
    if (!list) {
        status = ERR_NOMEM;
        goto done;
    }
    size_t count = 0;
    uint64_t digest = hash_str(str_of(name->valuestring), 1);
    uint64_t tag_digest = 0; // a sum: the order of the union is not defined
    const cJSON *tag;
    cJSON_ArrayForEach(tag, tags)
    {
        if (!cJSON_IsString(tag))
            continue;
        list[count++] = str_of(tag->valuestring);
        tag_digest += hash_str(list[count - 1], 2);
    }
    decoder->digest += hash_bytes(&tag_digest, sizeof tag_digest, digest);
    status = decoder->on_service(decoder->ctx, str_of(name->valuestring), list, count);
    mem_free(list);
done:
    cJSON_Delete(tags);
    cJSON_Delete(name);
    return status;
}

int decode_catalog(struct str body, catalog_service_fn on_service, void *ctx, uint64_t *digest,
                   struct err *err)
{
    struct catalog_decoder decoder = {.on_service = on_service, .ctx = ctx};
    int status = json_split_all(body, '{', on_catalog_member, &decoder);
    if (status < 0)
        return json_answer_error(err, status, "catalog answer");
    *digest = decoder.digest;
    return 0;
}

struct string_decoder {
    string_fn on_string;
    void *ctx;
};

static int on_string_element(void *ctx, struct str element)
{
    struct string_decoder *decoder = ctx;
    int status;
    cJSON *value = json_parse(element, &status);
    if (!value)
        return status;
    status = cJSON_IsString(value) ? decoder->on_string(decoder->ctx, str_of(value->valuestring))
                                   : ERR_INVALID;
    cJSON_Delete(value);
    return status;
}

int decode_strings(struct str body, string_fn on_string, void *ctx, struct err *err)
{
    struct string_decoder decoder = {.on_string = on_string, .ctx = ctx};
    int status = json_split_all(body, '[', on_string_element, &decoder);
    return status < 0 ? json_answer_error(err, status, "list") : 0;
}
