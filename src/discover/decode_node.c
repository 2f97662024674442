// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"
#include "discover/decode.h"
#include "discover/json.h"
#include "discover/json_split.h"

uint64_t decode_place(struct str node, const struct cJSON *service)
{
    uint64_t port = json_number(service, "Port", UINT16_MAX);
    uint64_t place = hash_str(json_text(service, "ID"), hash_str(node, 1));
    place = hash_str(json_text(service, "Address"), place);
    place = hash_bytes(&port, sizeof port, place);
    const cJSON *tag;
    cJSON_ArrayForEach(tag, json_array(service, "Tags"))
    {
        if (cJSON_IsString(tag))
            place = hash_str(str_of(tag->valuestring), place);
    }
    return place;
}

struct node_decoder {
    struct str node;
    node_service_fn on_service;
    void *ctx;
};

static int on_service_element(void *ctx, struct str element)
{
    const struct node_decoder *decoder = ctx;
    int status;
    cJSON *service = json_parse(element, &status);
    if (!service)
        return status;
    status = ERR_INVALID;
    if (cJSON_IsObject(service)) {
        decoder->on_service(decoder->ctx, json_text(service, "Service"),
                            decode_place(decoder->node, service));
        status = 0;
    }
    cJSON_Delete(service);
    return status;
}

// Of the members only the list of services is looked at, one by one: it may be long.
static int on_node_member(void *ctx, struct str member)
{
    static const struct str SERVICES = STR_INIT("\"Services\"");
    if (!str_starts_with(member, SERVICES))
        return 0;
    struct str value = str_trim(str_from(member, SERVICES.len));
    if (value.len == 0 || value.ptr[0] != ':')
        return ERR_INVALID;
    value = str_trim(str_from(value, 1));
    if (str_eq(value, STR("null")))
        return 0;
    return json_split_all(value, '[', on_service_element, ctx);
}

int decode_node_services(struct str body, struct str node, node_service_fn on_service, void *ctx,
                         struct err *err)
{
    struct node_decoder decoder = {.node = node, .on_service = on_service, .ctx = ctx};
    if (str_eq(str_trim(body), STR("null"))) // there is no such node any more
        return 0;
    int status = json_split_all(body, '{', on_node_member, &decoder);
    return status < 0 ? json_answer_error(err, status, "services of a node") : 0;
}

struct names_decoder {
    string_fn on_name;
    void *ctx;
};

static int on_node_element(void *ctx, struct str element)
{
    const struct names_decoder *decoder = ctx;
    int status;
    cJSON *node = json_parse(element, &status);
    if (!node)
        return status;
    struct str name = json_text(node, "Node");
    status = name.len > 0 ? decoder->on_name(decoder->ctx, name) : ERR_INVALID;
    cJSON_Delete(node);
    return status;
}

int decode_nodes(struct str body, string_fn on_name, void *ctx, struct err *err)
{
    struct names_decoder decoder = {.on_name = on_name, .ctx = ctx};
    int status = json_split_all(body, '[', on_node_element, &decoder);
    return status < 0 ? json_answer_error(err, status, "list of nodes") : 0;
}
