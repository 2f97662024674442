// SPDX-License-Identifier: Apache-2.0
// What no check shows (ports, addresses, tags, instances without a check) is looked up node by
// node, for nodes are few where services are many:
// 1. nodes_sweep: the names of all nodes are read, then the services of each, one after the other.
// 2. Each instance adds a number to its service (decode_place). When the last node has answered,
// the
//    services whose sum is not that of their own last answer are read.
// A failure is tried again by the watch; what came until then still counts. Nothing is withdrawn
// here.
#include "discover/consul_internal.h"

#include "base/mem.h"

static void forget_names(struct node_sweep *nodes)
{
    arena_fini(&nodes->arena);
    arena_init(&nodes->arena);
    nodes->count = 0;
}

static int on_name(void *ctx, struct str name)
{
    struct node_sweep *nodes = ctx;
    if (nodes->count == nodes->cap) {
        size_t cap = nodes->cap ? nodes->cap * 2 : 16;
        struct str *names = mem_realloc(nodes->names, cap * sizeof *names);
        if (!names)
            return ERR_NOMEM;
        nodes->names = names;
        nodes->cap = cap;
    }
    struct str copy = arena_str(&nodes->arena, name);
    if (!copy.ptr)
        return ERR_NOMEM;
    nodes->names[nodes->count++] = copy;
    return 0;
}

static void on_service(void *ctx, struct str name, uint64_t place)
{
    const struct consul *consul = ctx;
    struct service *service = map_get(&consul->services, name);
    if (service)
        service->swept_places += place;
}

static int take_in(struct consul *consul, struct str body, struct err *err)
{
    struct node_sweep *nodes = &consul->nodes;
    if (nodes->next > 0)
        return decode_node_services(body, nodes->names[nodes->next - 1], on_service, consul, err);
    forget_names(nodes);
    int status = decode_nodes(body, on_name, nodes, err);
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&consul->services, &at, &entry))
        ((struct service *)entry.value)->swept_places = 0;
    return status;
}

static size_t read_moved(struct consul *consul)
{
    size_t moved = 0, at = 0;
    struct map_entry entry;
    while (map_next(&consul->services, &at, &entry)) {
        struct service *service = entry.value;
        if (service->watch.is_polling || !service->has_data ||
            service->swept_places == service->places)
            continue;
        watch_read(&service->watch, consul->base_mode);
        moved++;
    }
    return moved;
}

static int on_answer(struct watch *watch, const struct http_response *response, struct err *err)
{
    struct consul *consul = consul_of(watch);
    struct node_sweep *nodes = &consul->nodes;
    int status = take_in(consul, response->body, err);
    if (status < 0)
        return status;
    // As many nodes as services to be read: those tell more.
    bool pays_off = nodes->count < consul->services.count - consul->polled_count;
    if (nodes->next == 0 && !pays_off) {
        nodes->is_running = false;
        consul->sweep_left = consul->services.count - consul->polled_count;
        return WATCH_UNCHANGED;
    }
    if (nodes->next == nodes->count || !consul->plan.is_digest) {
        nodes->is_running = false;
        return consul->plan.is_digest && read_moved(consul) > 0 ? WATCH_CHANGED : WATCH_UNCHANGED;
    }
    struct str name = nodes->names[nodes->next];
    status = watch_set_path(watch, "catalog/node-services/", name, "");
    if (status < 0)
        return status;
    nodes->next++;
    watch_read(watch, consul->base_mode);
    return WATCH_UNCHANGED;
}

// The agent's own rate for reads is the limit.
static const struct watch_ops NODES_OPS = {
    .class = WATCH_STATE,
    .burst = 1000,
    .interval_ms = 1,
    .slowest_interval_ms = 1,
    .on_answer = on_answer,
};

int nodes_init(struct consul *consul)
{
    arena_init(&consul->nodes.arena);
    return watch_init(&consul->nodes.watch, &consul->agent, &NODES_OPS, "catalog/nodes", STR_NULL,
                      "", STR("nodes"), consul->base_mode);
}

void nodes_fini(struct consul *consul)
{
    arena_fini(&consul->nodes.arena);
    mem_free(consul->nodes.names);
}

bool nodes_pay_off(const struct consul *consul)
{
    const struct node_sweep *nodes = &consul->nodes;
    return !nodes->watch.is_failing && nodes->count < consul->services.count - consul->polled_count;
}

bool nodes_sweep(struct consul *consul)
{
    struct node_sweep *nodes = &consul->nodes;
    if (!nodes_pay_off(consul))
        return false;
    if (nodes->is_running)
        return true;
    if (watch_set_path(&nodes->watch, "catalog/nodes", STR_NULL, "") < 0)
        return false;
    nodes->is_running = true;
    nodes->next = 0;
    watch_read(&nodes->watch, consul->base_mode);
    return true;
}
