// SPDX-License-Identifier: Apache-2.0
// The write side. A change marks the routes it touches; routes_build then
//  1. makes new route nodes for the marked ones, beside those that the newest table has,
//  2. makes new host nodes for the hosts whose routes changed,
//  3. makes a table of them,
//  4. and only when all that has worked swaps the new parts in and retires the old ones.
// A failure before step 4 throws the new parts away; what was marked stays marked.
#include "route/routes.h"

#include <stdlib.h>

#include "base/mem.h"
#include "entry.h"

struct routes *routes_new(const struct routes_config *config, const struct routes_binding *binding)
{
    struct routes *routes = mem_zalloc(sizeof *routes);
    if (!routes)
        return NULL;
    routes->config = *config;
    routes->binding = *binding;
    map_init(&routes->services);
    map_init(&routes->hosts);
    map_init(&routes->paths);
    slab_init(&routes->host_slab);
    slab_init(&routes->path_slab);
    list_init(&routes->dirty);
    list_init(&routes->noted);
    list_init(&routes->changed_hosts);
    list_init(&routes->tables);
    list_init(&routes->retired_routes);
    list_init(&routes->retired_hosts);
    ring_cache_init(&routes->rings);
    return routes;
}

static void service_free(struct service_entry *service)
{
    for (size_t i = 0; i < service->def_count; i++)
        route_def_unref(service->defs[i]);
    mem_free(service->defs);
    mem_free(service);
}

static void mark_all(struct routes *routes)
{
    struct map_entry slot;
    for (size_t at = 0; map_next(&routes->paths, &at, &slot);)
        entry_mark(routes, slot.value);
}

void routes_set_config(struct routes *routes, const struct routes_config *config)
{
    const struct routes_config before = routes->config;
    bool is_same = config->matcher == before.matcher && config->strategy == before.strategy &&
                   config->is_weight_zero_none == before.is_weight_zero_none &&
                   config->auth_count == before.auth_count;
    for (size_t i = 0; i < config->auth_count && is_same; i++)
        is_same = str_eq(config->auth_names[i], before.auth_names[i]);
    routes->config = *config;
    routes->config.are_globs_disabled = before.are_globs_disabled; // decided with each host's name
    if (is_same)
        return;
    routes->is_config_new = true;
    mark_all(routes);
}

void routes_free(struct routes *routes)
{
    if (!routes)
        return;
    table_release(routes->newest);
    BUG_ON(!list_is_empty(&routes->tables));
    routes_sweep(routes);
    struct map_entry slot;
    for (size_t at = 0; map_next(&routes->hosts, &at, &slot);)
        host_node_free(((struct host_entry *)slot.value)->node);
    mark_all(routes);
    while (!list_is_empty(&routes->dirty)) {
        struct path_entry *entry =
            CONTAINER_OF(list_take_front(&routes->dirty), struct path_entry, dirty_link);
        if (entry->node)
            route_node_free(routes, entry->node);
        entry_free(routes, entry);
    }
    for (size_t at = 0; map_next(&routes->services, &at, &slot);)
        service_free(slot.value);
    map_fini(&routes->services);
    map_fini(&routes->hosts);
    map_fini(&routes->paths);
    slab_fini(&routes->host_slab);
    slab_fini(&routes->path_slab);
    command_list_free(routes->manual);
    mem_free(routes->command_refs);
    mem_free(routes->global_commands);
    workspace_fini(&routes->work);
    ring_cache_fini(&routes->rings);
    mem_free(routes);
}

static int compare_defs(const void *a, const void *b)
{
    const struct route_def *const *left = a, *const *right = b;
    return route_def_order(*left, *right);
}

// What a new set of definitions means for a service.
struct change {
    struct route_def **defs; // owned; the new set, sorted, with old pointers where nothing changed
    size_t count;
    struct route_def **added; // owned
    size_t added_count;
    struct route_def **removed; // owned
    size_t removed_count;
};

static void change_fini(struct change *change)
{
    mem_free(change->defs);
    mem_free(change->added);
    mem_free(change->removed);
}

static int compare_sets(struct change *change, const struct service_entry *old,
                        struct route_def *const *defs, size_t count)
{
    size_t old_count = old ? old->def_count : 0;
    change->defs = mem_zalloc_array(count, sizeof(struct route_def *));
    change->added = mem_zalloc_array(count, sizeof(struct route_def *));
    change->removed = mem_zalloc_array(old_count, sizeof(struct route_def *));
    if (!change->defs || !change->added || !change->removed)
        return ERR_NOMEM;
    change->count = count;
    if (count > 0) {
        memcpy(change->defs, defs, count * sizeof(struct route_def *));
        qsort(change->defs, count, sizeof(struct route_def *), compare_defs);
    }
    size_t i = 0, k = 0;
    while (i < old_count || k < count) {
        int order = i == old_count ? 1
                    : k == count   ? -1
                                   : route_def_order(old->defs[i], change->defs[k]);
        if (order == 0 && route_def_eq(old->defs[i], change->defs[k])) {
            change->defs[k++] = old->defs[i++];
        } else {
            if (order <= 0)
                change->removed[change->removed_count++] = old->defs[i++];
            if (order >= 0)
                change->added[change->added_count++] = change->defs[k++];
        }
    }
    return 0;
}

// How many definitions from `from` on are of one route.
static size_t run_length(struct route_def *const *defs, size_t from, size_t count)
{
    size_t to = from + 1;
    while (to < count && str_eq(defs[to]->rule->path, defs[from]->rule->path) &&
           str_eq(defs[to]->rule->host, defs[from]->rule->host))
        to++;
    return to - from;
}

static struct path_entry *entry_of(const struct routes *routes, const struct route_def *def)
{
    return map_get(&routes->paths, path_key(def->rule->host, def->rule->path));
}

static int reserve_added(struct routes *routes, const struct change *change)
{
    int rc = 0;
    for (size_t i = 0, run; i < change->added_count && rc == 0; i += run) {
        run = run_length(change->added, i, change->added_count);
        struct path_entry *entry =
            entry_get(routes, change->added[i]->rule->host, change->added[i]->rule->path);
        if (!entry)
            return ERR_NOMEM;
        entry->coming += run;
        rc = entry_reserve(entry);
    }
    return rc;
}

static void forget_coming(const struct routes *routes, const struct change *change)
{
    for (size_t i = 0; i < change->added_count; i++) {
        struct path_entry *entry = entry_of(routes, change->added[i]);
        if (entry)
            entry->coming = 0;
    }
}

// Cannot fail: entries and room are there.
static void apply_change(struct routes *routes, struct service_entry *service,
                         struct change *change)
{
    for (size_t i = 0, run; i < change->removed_count; i += run) {
        run = run_length(change->removed, i, change->removed_count);
        struct path_entry *entry = entry_of(routes, change->removed[i]);
        entry_remove(entry, change->removed + i, run);
        entry_mark(routes, entry);
    }
    for (size_t i = 0, run; i < change->added_count; i += run) {
        run = run_length(change->added, i, change->added_count);
        struct path_entry *entry = entry_of(routes, change->added[i]);
        entry_add(entry, change->added + i, run);
        entry_mark(routes, entry);
    }
    forget_coming(routes, change);
    routes->coming += change->added_count;
    for (size_t i = 0; i < change->added_count; i++)
        route_def_ref(change->added[i]);
    for (size_t i = 0; i < change->removed_count; i++)
        route_def_unref(change->removed[i]);
    mem_free(service->defs);
    service->defs = change->defs;
    service->def_count = change->count;
    change->defs = NULL;
}

static struct service_entry *service_get(struct routes *routes, struct str key)
{
    struct service_entry *service = map_get(&routes->services, key);
    if (service)
        return service;
    service = mem_zalloc(sizeof *service + key.len + 1);
    if (!service)
        return NULL;
    char *text = (char *)(service + 1);
    if (key.len)
        memcpy(text, key.ptr, key.len);
    service->key = str_make(text, key.len);
    if (map_put(&routes->services, service->key, service) == 0)
        return service;
    mem_free(service);
    return NULL;
}

static void drop_if_empty(struct routes *routes, struct service_entry *service)
{
    if (service->def_count > 0)
        return;
    map_remove(&routes->services, service->key);
    service_free(service);
}

int routes_set_service(struct routes *routes, struct str key, struct route_def *const *defs,
                       size_t count)
{
    struct service_entry *service = map_get(&routes->services, key);
    if (!service && count == 0)
        return 0;
    struct change change = {0};
    int rc = compare_sets(&change, service, defs, count);
    if (rc != 0 || (change.added_count == 0 && change.removed_count == 0)) {
        change_fini(&change);
        return rc;
    }
    service = service_get(routes, key);
    rc = service ? reserve_added(routes, &change) : ERR_NOMEM;
    if (rc == 0)
        apply_change(routes, service, &change);
    else
        forget_coming(routes, &change);
    if (service)
        drop_if_empty(routes, service);
    change_fini(&change);
    return rc;
}

void routes_share_defs(const struct routes *routes, struct str key, struct route_def **defs,
                       size_t count)
{
    const struct service_entry *service = map_get(&routes->services, key);
    for (size_t i = 0; i < count && service; i++) {
        struct route_def **kept = bsearch(&defs[i], service->defs, service->def_count,
                                          sizeof(struct route_def *), compare_defs);
        if (!kept || !route_def_eq(*kept, defs[i]))
            continue;
        struct route_def *own = defs[i];
        defs[i] = route_def_ref(*kept);
        route_def_unref(own);
    }
}

static int compare_refs(const void *a, const void *b)
{
    const struct command_ref *left = a, *right = b;
    if (left->entry != right->entry)
        return (uintptr_t)left->entry < (uintptr_t)right->entry ? -1 : 1;
    return left->command < right->command ? -1 : 1;
}

static bool has_place(const struct command *command)
{
    return command->kind == COMMAND_ADD || command->has_src;
}

// Where each command acts: *refs grouped by entry, *global in the order of the text.
static int index_commands(struct routes *routes, const struct command_list *commands,
                          struct command_ref *refs, size_t *ref_count, uint32_t *global,
                          size_t *global_count)
{
    for (size_t i = 0; i < command_list_count(commands); i++) {
        const struct command *command = command_list_at(commands, i);
        if (!has_place(command)) {
            global[(*global_count)++] = (uint32_t)i;
            continue;
        }
        struct path_entry *entry =
            command->def ? entry_get(routes, command->def->rule->host, command->def->rule->path)
                         : entry_get(routes, command->host, command->path);
        if (!entry)
            return ERR_NOMEM;
        refs[(*ref_count)++] = (struct command_ref){entry, (uint32_t)i};
    }
    qsort(refs, *ref_count, sizeof *refs, compare_refs);
    return 0;
}

// Takes the present commands off their entries.
static void detach_commands(struct routes *routes)
{
    struct map_entry slot;
    for (size_t at = 0; map_next(&routes->paths, &at, &slot);) {
        struct path_entry *entry = slot.value;
        if (entry->command_count > 0)
            entry_mark(routes, entry);
        entry->command_count = 0;
    }
}

int routes_set_manual(struct routes *routes, struct command_list *commands)
{
    size_t count = command_list_count(commands), ref_count = 0, global_count = 0;
    struct command_ref *refs = mem_zalloc_array(count, sizeof *refs);
    uint32_t *global = mem_zalloc_array(count, sizeof *global);
    int rc = refs && global
                 ? index_commands(routes, commands, refs, &ref_count, global, &global_count)
                 : ERR_NOMEM;
    if (rc != 0) {
        mem_free(refs);
        mem_free(global);
        command_list_free(commands);
        return rc;
    }
    detach_commands(routes);
    for (size_t i = 0; i < ref_count; i++) {
        struct path_entry *entry = refs[i].entry;
        if (entry->command_count++ == 0)
            entry->command_first = (uint32_t)i;
        entry_mark(routes, entry);
    }
    if (global_count > 0 || routes->global_count > 0)
        mark_all(routes);
    command_list_free(routes->manual);
    mem_free(routes->command_refs);
    mem_free(routes->global_commands);
    routes->manual = commands;
    routes->command_refs = refs;
    routes->global_commands = global;
    routes->global_count = global_count;
    return 0;
}

bool routes_is_dirty(const struct routes *routes)
{
    return !routes->newest || !list_is_empty(&routes->dirty);
}

static bool is_alive(const struct routes *routes, const struct lifetime *life)
{
    LIST_FOREACH (link, &routes->tables) {
        const struct table *table = CONTAINER_OF(link, struct table, link);
        if (table->version >= life->born && table->version <= life->last)
            return true;
    }
    return false;
}

void routes_sweep(struct routes *routes)
{
    LIST_FOREACH_SAFE (link, &routes->retired_hosts) {
        struct host_node *node = CONTAINER_OF(link, struct host_node, life.link);
        if (!is_alive(routes, &node->life)) {
            list_remove(link);
            host_node_free(node);
        }
    }
    LIST_FOREACH_SAFE (link, &routes->retired_routes) {
        struct route_node *node = CONTAINER_OF(link, struct route_node, life.link);
        if (!is_alive(routes, &node->life)) {
            list_remove(link);
            route_node_free(routes, node);
        }
    }
}
