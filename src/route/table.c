// SPDX-License-Identifier: Apache-2.0
// The read side. One lookup, happy path:
//  1. table_lookup_start normalises the host into the cursor: lower case, no default port.
//  2. table_lookup_next finds the host's node by hash and the route by its path in that node.
// What can be missed: an unknown host or one without a matching path goes on to the patterns in
// fabio's order, then to the routes without a host, then NULL.
#include "route/table.h"

#include <stdatomic.h>
#include <stdio.h>

#include "node.h"

enum stage {
    STAGE_WITH_PORT, // exact name with the default port, "foo.com:80": the more specific key
    STAGE_NAME,      // exact name
    STAGE_PATTERNS,  // each matching pattern in turn
    STAGE_NO_HOST,   // routes without a host
    STAGE_END,
};

enum { PORT_LEN_MAX = 4 }; // ":443"

static struct str port_text(uint32_t default_port)
{
    return default_port == 443 ? STR(":443") : STR(":80");
}

const struct host_node *table_find_host(const struct table *table, struct str host)
{
    uint64_t hash = host_hash(host);
    size_t mask = table->slot_count - 1;
    for (size_t at = hash & mask; table->slots[at].node; at = (at + 1) & mask) {
        if (table->slots[at].hash == hash && str_eq(table->slots[at].node->host, host))
            return table->slots[at].node;
    }
    return NULL;
}

void table_lookup_start(struct table_cursor *cursor, const struct table *table, struct str host,
                        struct str path, bool is_tls)
{
    cursor->table = table;
    cursor->path = path;
    cursor->stage = STAGE_WITH_PORT;
    cursor->index = 0;
    cursor->default_port = is_tls ? 443 : 80;
    struct str port = port_text(cursor->default_port);
    if (str_ends_with(host, port))
        host = str_upto(host, host.len - port.len);
    cursor->host_len = 0;
    if (host.len + PORT_LEN_MAX > sizeof cursor->host_bytes) {
        cursor->stage = STAGE_NO_HOST;
        return;
    }
    for (size_t i = 0; i < host.len; i++)
        cursor->host_bytes[i] = char_lower(host.ptr[i]);
    // The port stays behind the name, so that both spellings are at hand.
    memcpy(cursor->host_bytes + host.len, port.ptr, port.len);
    cursor->host_len = (uint32_t)host.len;
}

static struct str host_of(const struct table_cursor *cursor)
{
    return str_make(cursor->host_bytes, cursor->host_len);
}

static struct str host_with_port(const struct table_cursor *cursor)
{
    return str_make(cursor->host_bytes, cursor->host_len + port_text(cursor->default_port).len);
}

// The node of a host key, unless the key is a pattern, which only its own stage may use.
static const struct host_node *find_exact(const struct table *table, struct str host)
{
    const struct host_node *node = table_find_host(table, host);
    return node && table->patterns && glob_is_pattern(node->host) ? NULL : node;
}

static const struct host_node *next_pattern(struct table_cursor *cursor)
{
    const struct table *table = cursor->table;
    const struct pattern *pattern =
        table->patterns ? pattern_set_next(table->patterns, &cursor->index, host_of(cursor),
                                           host_with_port(cursor), cursor->default_port)
                        : NULL;
    if (!pattern)
        cursor->stage = STAGE_NO_HOST;
    return pattern ? table_find_host(table, pattern->host) : NULL;
}

const struct route *table_lookup_next(struct table_cursor *cursor)
{
    const struct table *table = cursor->table;
    while (cursor->stage != STAGE_END) {
        const struct host_node *node = NULL;
        switch ((enum stage)cursor->stage) {
        case STAGE_WITH_PORT:
            cursor->stage = STAGE_NAME;
            if (table->port_host_count > 0)
                node = find_exact(table, host_with_port(cursor));
            break;
        case STAGE_NAME:
            cursor->stage = STAGE_PATTERNS;
            if (cursor->host_len > 0)
                node = find_exact(table, host_of(cursor));
            break;
        case STAGE_PATTERNS: node = next_pattern(cursor); break;
        case STAGE_NO_HOST:
            cursor->stage = STAGE_END;
            node = table_find_host(table, STR(""));
            break;
        case STAGE_END: break;
        }
        const struct route *route =
            node ? host_node_match(node, table->matcher, cursor->path) : NULL;
        if (route)
            return route;
    }
    return NULL;
}

const struct route *table_lookup_exact(const struct table *table, struct str host)
{
    char lower[256];
    if (host.len > sizeof lower)
        return NULL;
    for (size_t i = 0; i < host.len; i++)
        lower[i] = char_lower(host.ptr[i]);
    const struct host_node *node = table_find_host(table, str_make(lower, host.len));
    enum route_matcher matcher =
        table->matcher == ROUTE_MATCH_GLOB ? ROUTE_MATCH_PREFIX : table->matcher;
    return node ? host_node_match(node, matcher, STR("/")) : NULL;
}

// First slot to look at.
static uint32_t first_slot(const struct route *route, enum route_strategy strategy, uint32_t salt)
{
    if (strategy == ROUTE_PICK_RANDOM)
        return (uint32_t)((uint64_t)salt * route->ring_len >> 32);
    return atomic_fetch_add_explicit(&route->state->cursor, 1, memory_order_relaxed) %
           route->ring_len;
}

const struct route_target *route_pick(const struct route *route, enum route_strategy strategy,
                                      uint32_t salt, route_usable_fn is_usable, void *ctx)
{
    if (route->ring_len == 0)
        return NULL;
    uint32_t slot = route->up_count == 1 ? 0 : first_slot(route, strategy, salt);
    uint64_t refused = 0; // the first 64 targets are asked about once
    for (uint32_t i = 0; i < route->ring_len; i++) {
        uint32_t at = route->ring ? route->ring[slot] : slot;
        const struct route_target *target = &route->targets[at];
        bool was_refused = at < 64 && (refused >> at & 1);
        if (!was_refused && (!is_usable || is_usable(ctx, target)))
            return target;
        if (at < 64)
            refused |= (uint64_t)1 << at;
        slot = slot + 1 == route->ring_len ? 0 : slot + 1;
    }
    return NULL;
}

uint64_t table_version(const struct table *table)
{
    return table->version;
}

uint64_t table_digest(const struct table *table)
{
    return table->digest;
}

enum route_strategy table_strategy(const struct table *table)
{
    return table->strategy;
}

size_t table_host_count(const struct table *table)
{
    return table->host_count;
}

size_t table_route_count(const struct table *table)
{
    return table->route_count;
}

size_t table_target_count(const struct table *table)
{
    return table->target_count;
}

const struct route *table_next_route(const struct table *table, struct table_iterator *at)
{
    for (; at->host < table->host_count; at->host++, at->path = 0) {
        const struct host_node *node = table->hosts[at->host];
        if (at->path < node->count)
            return &node->routes[at->path++]->route;
    }
    return NULL;
}
