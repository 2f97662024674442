// SPDX-License-Identifier: Apache-2.0
#include <stddef.h>

#include "base/err.h"
#include "base/hash.h"
#include "discover/decode.h"
#include "discover/json.h"
#include "discover/json_split.h"

uint64_t decode_place(struct str node, struct str node_address, const struct cJSON *service)
{
    uint64_t port = json_number(service, "Port", UINT16_MAX);
    uint64_t place = hash_str(json_text(service, "ID"), hash_str(node, 1));
    struct str address = json_text(service, "Address");
    if (address.len == 0)
        address = node_address;
    place = hash_str(address, place);
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
    cJSON *object;      // what the answer says of the node itself; NULL: nothing yet
    struct str address; // in object
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
                            decode_place(decoder->node, decoder->address, service));
        status = 0;
    }
    cJSON_Delete(service);
    return status;
}

// The value of "name": VALUE, if the member has that name; ERR_INVALID: no colon.
static int value_of(struct str member, struct str quoted_name, struct str *value)
{
    *value = STR_NULL;
    if (!str_starts_with(member, quoted_name))
        return 0;
    *value = str_trim(str_from(member, quoted_name.len));
    if (value->len == 0 || value->ptr[0] != ':')
        return ERR_INVALID;
    *value = str_trim(str_from(*value, 1));
    return 0;
}

// The node comes before its services, which are looked at one by one: the list may be long.
static int on_node_member(void *ctx, struct str member)
{
    struct node_decoder *decoder = ctx;
    struct str node, services;
    int status = value_of(member, STR("\"Node\""), &node);
    if (status == 0)
        status = value_of(member, STR("\"Services\""), &services);
    if (status < 0)
        return status;
    if (node.len > 0 && !decoder->object) {
        decoder->object = json_parse(node, &status);
        decoder->address = json_text(decoder->object, "Address");
        return decoder->object ? 0 : status;
    }
    if (services.len == 0 || str_eq(services, STR("null")))
        return 0;
    return json_split_all(services, '[', on_service_element, decoder);
}

int decode_node_services(struct str body, struct str node, node_service_fn on_service, void *ctx,
                         struct err *err)
{
    struct node_decoder decoder = {.node = node, .on_service = on_service, .ctx = ctx};
    if (str_eq(str_trim(body), STR("null"))) // there is no such node any more
        return 0;
    int status = json_split_all(body, '{', on_node_member, &decoder);
    cJSON_Delete(decoder.object);
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
