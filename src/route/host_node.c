// SPDX-License-Identifier: Apache-2.0
#include "base/hash.h"
#include "base/mem.h"
#include "node.h"

uint64_t host_hash(struct str host)
{
    return hash_bytes(host.ptr, host.len, 0);
}

struct host_node *host_node_new(struct str host, const struct route_node *const *routes,
                                size_t count, struct path_index *paths)
{
    size_t array = count * sizeof(const struct route_node *);
    struct host_node *node = mem_alloc(sizeof *node + array + host.len + 1);
    if (!node)
        return NULL;
    *node = (struct host_node){.hash = host_hash(host), .paths = paths, .count = (uint32_t)count};
    memcpy(node->routes, routes, array);
    char *text = (char *)node->routes + array;
    if (host.len)
        memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    node->host = str_make(text, host.len);
    if (paths)
        path_index_ref(paths);
    return node;
}

void host_node_free(struct host_node *node)
{
    if (!node)
        return;
    path_index_unref(node->paths);
    mem_free(node);
}

static bool matches(const struct route_node *node, enum route_matcher matcher, struct str path)
{
    switch (matcher) {
    case ROUTE_MATCH_IPREFIX: return str_istarts_with(path, node->route.path);
    case ROUTE_MATCH_GLOB:
        return node->glob ? glob_match(node->glob, path) : str_eq(node->route.path, path);
    case ROUTE_MATCH_PREFIX: break;
    }
    return str_starts_with(path, node->route.path);
}

const struct route *host_node_match(const struct host_node *node, enum route_matcher matcher,
                                    struct str path)
{
    if (node->paths && matcher != ROUTE_MATCH_GLOB) {
        uint32_t rank = path_index_find(node->paths, path);
        return rank == PATH_INDEX_NONE ? NULL : &node->routes[rank]->route;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (matches(node->routes[i], matcher, path))
            return &node->routes[i]->route;
    }
    return NULL;
}
