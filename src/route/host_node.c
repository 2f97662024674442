// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

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
        paths->refs++;
    return node;
}

void host_node_free(struct host_node *node)
{
    if (!node)
        return;
    path_index_unref(node->paths);
    mem_free(node);
}

void path_index_unref(struct path_index *index)
{
    if (index && --index->refs == 0)
        mem_free(index);
}

static int compare_keys(const void *a, const void *b)
{
    const struct path_key *left = a, *right = b;
    int order = str_cmp(left->text, right->text);
    return order != 0 ? order : left->rank < right->rank ? -1 : 1;
}

struct path_index *path_index_new(const struct route_node *const *routes, size_t count,
                                  enum route_matcher matcher)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += routes[i]->route.path.len;
    struct path_index *index = mem_alloc(sizeof *index + count * sizeof index->keys[0] + bytes);
    if (!index)
        return NULL;
    index->refs = 1;
    index->count = (uint32_t)count;
    char *text = (char *)(index->keys + count);
    for (size_t i = 0; i < count; i++) { // from behind: ascending, but for folded case
        struct str path = routes[count - 1 - i]->route.path;
        for (size_t k = 0; k < path.len; k++)
            text[k] = matcher == ROUTE_MATCH_IPREFIX ? char_lower(path.ptr[k]) : path.ptr[k];
        index->keys[i].text = str_make(text, path.len);
        index->keys[i].rank = (uint32_t)(count - 1 - i);
        text += path.len;
    }
    if (matcher == ROUTE_MATCH_IPREFIX)
        qsort(index->keys, count, sizeof index->keys[0], compare_keys);
    for (uint32_t i = 0; i < count; i++) {
        // Any prefix of this key is the key before or one of that key's prefixes.
        uint32_t parent = i - 1; // UINT32_MAX for the first
        while (parent != UINT32_MAX &&
               !str_starts_with(index->keys[i].text, index->keys[parent].text))
            parent = index->keys[parent].parent;
        index->keys[i].parent = parent;
    }
    return index;
}

// Order of a key against a path; *shared: how many leading bytes they share, of which so many are
// known already.
static int compare_path(struct str key, struct str path, bool is_folded, size_t *shared)
{
    size_t i = *shared, common = MIN(key.len, path.len);
    while (i < common && key.ptr[i] == (is_folded ? char_lower(path.ptr[i]) : path.ptr[i]))
        i++;
    *shared = i;
    if (i < common) {
        char c = is_folded ? char_lower(path.ptr[i]) : path.ptr[i];
        return (unsigned char)key.ptr[i] < (unsigned char)c ? -1 : 1;
    }
    return key.len < path.len ? -1 : key.len > path.len;
}

static const struct route *find_in_index(const struct host_node *node, bool is_folded,
                                         struct str path)
{
    const struct path_index *index = node->paths;
    uint32_t low = 0, high = index->count; // the last key that is not above path lies before high
    // What the keys at both ends share with path, all between them do: thousands of paths most
    // often begin alike.
    size_t shared = 0, shared_high = 0;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        size_t here = MIN(shared, shared_high);
        if (compare_path(index->keys[middle].text, path, is_folded, &here) <= 0) {
            low = middle + 1;
            shared = here;
        } else {
            high = middle;
            shared_high = here;
        }
    }
    // All keys that are prefixes of path are ancestors of the key found, or that key.
    uint32_t best = UINT32_MAX;
    for (uint32_t at = high - 1; at != UINT32_MAX; at = index->keys[at].parent) {
        if (index->keys[at].text.len > shared)
            continue;
        best = MIN(best, index->keys[at].rank);
        if (!is_folded)
            break; // the longest is the first in descending order
    }
    return best == UINT32_MAX ? NULL : &node->routes[best]->route;
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
    if (node->paths && matcher != ROUTE_MATCH_GLOB)
        return find_in_index(node, matcher == ROUTE_MATCH_IPREFIX, path);
    for (uint32_t i = 0; i < node->count; i++) {
        if (matches(node->routes[i], matcher, path))
            return &node->routes[i]->route;
    }
    return NULL;
}
