// SPDX-License-Identifier: Apache-2.0
// A table as text, for people and for scripts that know fabio's.
#include "base/buf.h"
#include "node.h"
#include "url.h"

static void print_route(const struct route *route, bool *is_first, struct buf *out)
{
    for (uint32_t i = 0; i < route->count; i++) {
        const struct route_target *target = &route->targets[i];
        struct route_weight weight = route_weight_of(route, target);
        if (!(weight.share > 0))
            continue;
        if (!*is_first)
            buf_append_char(out, '\n');
        *is_first = false;
        route_def_print(target->def, weight.fixed, out);
    }
}

void table_print(const struct table *table, struct buf *out)
{
    bool is_first = true;
    for (size_t i = table->host_count; i > 0; i--) {
        const struct host_node *node = table->hosts[i - 1];
        for (uint32_t k = 0; k < node->count; k++)
            print_route(&node->routes[k]->route, &is_first, out);
    }
}

// Slots on fabio's full ring; ours may be a shorter one that gives the same sequence.
static uint32_t slots_of(const struct route *route, uint32_t target)
{
    return route->ring ? weight_slots(route->weights[target].share) : target < route->ring_len;
}

// Only those that take traffic, as fabio counts what lies on the ring.
static void print_targets(const struct route *route, const char *host_indent,
                          const char *path_indent, struct buf *out)
{
    uint32_t total = 0, last = 0;
    for (uint32_t i = 0; i < route->count; i++) {
        total += slots_of(route, i);
        last = slots_of(route, i) > 0 ? i : last;
    }
    for (uint32_t i = 0; i < route->count; i++) {
        const struct route_target *target = &route->targets[i];
        uint32_t slots = slots_of(route, i);
        struct url url;
        bool has_url = url_parse(route_def_dst(target->def), &url, NULL) == 0;
        if (slots == 0)
            continue;
        buf_printf(out, "%s%s%s-- addr=", host_indent, path_indent, i < last ? "|" : "+");
        buf_append_str(out, has_url ? url.host : STR(""));
        buf_printf(out, " weight %.2f slots %u/%u\n", (double)slots / total, slots, total);
    }
}

void table_print_detail(const struct table *table, struct buf *out)
{
    for (size_t i = 0; i < table->host_count; i++) {
        const struct host_node *node = table->hosts[i];
        const char *host_indent = i + 1 < table->host_count ? "|   " : "    ";
        buf_append_cstr(out, "+-- host=");
        buf_append_str(out, node->host);
        buf_append_char(out, '\n');
        for (uint32_t k = 0; k < node->count; k++) {
            const struct route *route = &node->routes[k]->route;
            bool is_last = k + 1 == node->count;
            buf_printf(out, "%s%s-- path=", host_indent, is_last ? "+" : "|");
            buf_append_str(out, route->path);
            buf_append_char(out, '\n');
            print_targets(route, host_indent, is_last ? "    " : "|    ", out);
        }
    }
}
