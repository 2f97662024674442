// SPDX-License-Identifier: Apache-2.0
// A new version is a copy of the newest one's two arrays with the changed hosts put in; nodes are
// shared and not even touched, so the cost is that of copying a few bytes per host.
#include <stdlib.h>

#include "base/mem.h"
#include "entry.h"

enum { SLOTS_MIN = 4 };

static int compare_hosts(const void *a, const void *b)
{
    const struct host_entry *const *left = a, *const *right = b;
    return str_cmp((*left)->name, (*right)->name);
}

// The changed hosts ascending, as an array for the caller to free; NULL when memory is short.
static struct host_entry **sort_changed(const struct routes *routes)
{
    size_t count = routes->change.hosts, at = 0;
    struct host_entry **changed = mem_zalloc_array(count, sizeof(struct host_entry *));
    if (!changed)
        return NULL;
    LIST_FOREACH (link, &routes->changed_hosts)
        changed[at++] = CONTAINER_OF(link, struct host_entry, changed_link);
    qsort(changed, count, sizeof(struct host_entry *), compare_hosts);
    return changed;
}

static int merge_hosts(struct table *table, const struct table *newest,
                       struct host_entry *const *changed, size_t changed_count)
{
    size_t old_count = newest ? newest->host_count : 0;
    table->hosts = mem_zalloc_array(old_count + changed_count, sizeof(const struct host_node *));
    if (!table->hosts)
        return ERR_NOMEM;
    size_t old = 0, count = 0;
    for (size_t i = 0; i < changed_count; i++) {
        size_t from = old;
        // Most often a few changes among many hosts: search where to go on, do not compare them
        // all.
        size_t high = old_count;
        while (old < high) {
            size_t middle = (old + high) / 2;
            if (str_cmp(newest->hosts[middle]->host, changed[i]->name) < 0)
                old = middle + 1;
            else
                high = middle;
        }
        if (old > from)
            memcpy(table->hosts + count, newest->hosts + from,
                   (old - from) * sizeof(const struct host_node *));
        count += old - from;
        if (changed[i]->next_node)
            table->hosts[count++] = changed[i]->next_node;
        old += changed[i]->node != NULL;
    }
    if (old_count > old)
        memcpy(table->hosts + count, newest->hosts + old,
               (old_count - old) * sizeof(const struct host_node *));
    table->host_count = count + (old_count - old);
    return 0;
}

static void insert(struct table *table, const struct host_node *node)
{
    size_t mask = table->slot_count - 1;
    size_t at = node->hash & mask;
    while (table->slots[at].node)
        at = (at + 1) & mask;
    table->slots[at] = (struct table_slot){node->hash, node};
}

static struct table_slot *find(struct table *table, const struct host_node *node)
{
    size_t mask = table->slot_count - 1;
    size_t at = node->hash & mask;
    while (table->slots[at].node != node)
        at = (at + 1) & mask;
    return &table->slots[at];
}

// Closes the gap, so that no probe run breaks.
static void erase(struct table *table, const struct host_node *node)
{
    size_t mask = table->slot_count - 1;
    size_t hole = (size_t)(find(table, node) - table->slots);
    for (size_t at = (hole + 1) & mask; table->slots[at].node; at = (at + 1) & mask) {
        size_t home = table->slots[at].hash & mask;
        if (((at - home) & mask) >= ((at - hole) & mask)) {
            table->slots[hole] = table->slots[at];
            hole = at;
        }
    }
    table->slots[hole] = (struct table_slot){0};
}

static void change_slot(struct table *table, const struct host_entry *host)
{
    if (host->node && host->next_node)
        find(table, host->node)->node = host->next_node;
    else if (host->node)
        erase(table, host->node);
    else if (host->next_node)
        insert(table, host->next_node);
}

static int fill_slots(struct table *table, const struct table *newest,
                      struct host_entry *const *changed, size_t changed_count)
{
    size_t fit = SLOTS_MIN;
    while (fit < 2 * table->host_count)
        fit *= 2;
    // Keeps the size while it is right within a factor, so that coming and going stays cheap.
    bool is_kept = newest && newest->slot_count >= fit && newest->slot_count <= 4 * fit;
    table->slot_count = is_kept ? newest->slot_count : fit;
    size_t size = table->slot_count * sizeof table->slots[0];
    table->slots = is_kept ? mem_alloc(size) : mem_zalloc(size);
    if (!table->slots)
        return ERR_NOMEM;
    if (is_kept) {
        memcpy(table->slots, newest->slots, size);
        for (size_t i = 0; i < changed_count; i++)
            change_slot(table, changed[i]);
    } else {
        for (size_t i = 0; i < table->host_count; i++)
            insert(table, table->hosts[i]);
    }
    return 0;
}

static const struct host_node *next_node_of(const struct host_entry *host)
{
    return list_is_linked(&host->changed_link) ? host->next_node : host->node;
}

static int take_patterns(struct table *table, struct routes *routes,
                         struct host_entry *const *changed, size_t changed_count)
{
    bool is_same = routes->newest != NULL;
    for (size_t i = 0; i < changed_count; i++) {
        const struct host_entry *host = changed[i];
        if (host->is_pattern && !host->node != !host->next_node)
            is_same = false;
    }
    if (is_same) {
        table->patterns = pattern_set_ref(routes->newest->patterns);
        return 0;
    }
    size_t count = 0, at = 0;
    struct map_entry slot;
    struct str *names = mem_zalloc_array(routes->hosts.count, sizeof *names);
    if (!names)
        return ERR_NOMEM;
    while (map_next(&routes->hosts, &at, &slot)) {
        const struct host_entry *host = slot.value;
        if (host->is_pattern && next_node_of(host))
            names[count++] = host->name;
    }
    table->patterns = count > 0 ? pattern_set_new(names, count) : NULL;
    mem_free(names);
    return count > 0 && !table->patterns ? ERR_NOMEM : 0;
}

static void count_all(struct table *table, const struct routes *routes,
                      struct host_entry *const *changed, size_t changed_count)
{
    if (routes->newest) {
        table->digest = routes->newest->digest;
        table->route_count = routes->newest->route_count;
        table->target_count = routes->newest->target_count;
        table->port_host_count = routes->newest->port_host_count;
    }
    for (size_t i = 0; i < changed_count; i++) {
        const struct host_entry *host = changed[i];
        if (pattern_port(host->name) != 0)
            table->port_host_count += (size_t)(host->next_node != NULL) - (host->node != NULL);
    }
    table->digest += routes->change.digest;
    table->route_count += routes->change.routes;
    table->target_count += routes->change.targets;
}

static void destroy(struct table *table)
{
    pattern_set_unref(table->patterns);
    mem_free(table->slots);
    mem_free(table->hosts);
    mem_free(table);
}

struct table *table_build(struct routes *routes, uint64_t version)
{
    struct table *table = mem_zalloc(sizeof *table);
    if (!table)
        return NULL;
    table->owner = routes;
    table->version = version;
    table->matcher = routes->config.matcher;
    table->strategy = routes->config.strategy;
    table->refs = 1;
    list_init(&table->link);
    size_t count = routes->change.hosts;
    struct host_entry **changed = sort_changed(routes);
    int rc = changed ? merge_hosts(table, routes->newest, changed, count) : ERR_NOMEM;
    if (rc == 0)
        rc = fill_slots(table, routes->newest, changed, count);
    if (rc == 0)
        rc = take_patterns(table, routes, changed, count);
    if (rc == 0)
        count_all(table, routes, changed, count);
    mem_free(changed);
    if (rc == 0)
        return table;
    destroy(table);
    return NULL;
}

void table_release(struct table *table)
{
    if (!table || --table->refs > 0)
        return;
    struct routes *routes = table->owner;
    list_remove(&table->link);
    destroy(table);
    routes_sweep(routes);
}

void table_free(struct table *table)
{
    table_release(table);
}
