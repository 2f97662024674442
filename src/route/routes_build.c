// SPDX-License-Identifier: Apache-2.0
// Steps 1 to 4 of routes.c.
#include "base/mem.h"
#include "entry.h"

#define ENTRY_OF(link) CONTAINER_OF(link, struct path_entry, dirty_link)
#define HOST_OF(link)  CONTAINER_OF(link, struct host_entry, changed_link)

static void note_change(struct routes *routes, const struct path_entry *entry)
{
    struct host_entry *host = entry->host;
    if (entry->next_node == entry->node)
        return;
    if (!entry->next_node != !entry->node)
        host->has_new_paths = true;
    if (!list_is_linked(&host->changed_link)) {
        list_push_back(&routes->changed_hosts, &host->changed_link);
        routes->change.hosts++;
    }
    if (entry->node) {
        routes->change.digest -= entry->node->digest;
        routes->change.targets -= entry->node->route.count;
        routes->change.routes--;
    }
    if (entry->next_node) {
        routes->change.digest += entry->next_node->digest;
        routes->change.targets += entry->next_node->route.count;
        routes->change.routes++;
    }
}

static int build_routes(struct routes *routes, uint64_t version)
{
    const struct routes_binding *binding = &routes->binding;
    if (binding->expect && routes->coming > 0)
        binding->expect(binding->ctx, routes->coming);
    routes->change = (struct table_change){0};
    LIST_FOREACH (link, &routes->dirty) {
        int rc = route_build(routes, ENTRY_OF(link), version);
        if (rc != 0)
            return rc;
        note_change(routes, ENTRY_OF(link));
    }
    return routes_bind(routes);
}

static struct path_index *index_for(const struct routes *routes, const struct host_entry *host,
                                    const struct route_node *const *nodes, size_t count)
{
    if (host->node && !host->has_new_paths && !routes->is_config_new && host->node->paths)
        return path_index_ref(host->node->paths);
    struct str *paths = mem_zalloc_array(count, sizeof *paths);
    for (size_t i = 0; i < count && paths; i++)
        paths[i] = nodes[i]->route.path;
    struct path_index *index =
        paths ? path_index_new(paths, count, routes->config.matcher == ROUTE_MATCH_IPREFIX) : NULL;
    mem_free(paths);
    return index;
}

static int build_host(const struct routes *routes, struct host_entry *host, uint64_t version)
{
    host_sort_paths(host);
    const struct route_node **nodes =
        mem_zalloc_array(host->path_count, sizeof(const struct route_node *));
    if (!nodes)
        return ERR_NOMEM;
    size_t count = 0;
    for (size_t i = 0; i < host->path_count; i++) {
        const struct path_entry *entry = host->paths[i];
        const struct route_node *node =
            list_is_linked(&entry->dirty_link) ? entry->next_node : entry->node;
        if (node)
            nodes[count++] = node;
    }
    int rc = 0;
    struct path_index *index = NULL;
    if (count > PATHS_LINEAR_MAX && routes->config.matcher != ROUTE_MATCH_GLOB) {
        index = index_for(routes, host, nodes, count);
        rc = index ? 0 : ERR_NOMEM;
    }
    if (rc == 0 && count > 0) {
        host->next_node = host_node_new(host->name, nodes, count, index);
        rc = host->next_node ? 0 : ERR_NOMEM;
    }
    if (host->next_node)
        host->next_node->life.born = version;
    path_index_unref(index);
    mem_free(nodes);
    return rc;
}

static int build_hosts(struct routes *routes, uint64_t version)
{
    LIST_FOREACH (link, &routes->changed_hosts) {
        int rc = build_host(routes, HOST_OF(link), version);
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void discard(struct routes *routes)
{
    routes->work.unbound_count = 0;
    while (!list_is_empty(&routes->changed_hosts)) {
        struct host_entry *host = HOST_OF(list_take_front(&routes->changed_hosts));
        host_node_free(host->next_node);
        host->next_node = NULL;
        host->has_new_paths = false;
    }
    LIST_FOREACH (link, &routes->dirty) {
        struct path_entry *entry = ENTRY_OF(link);
        if (entry->next_node && entry->next_node != entry->node)
            route_node_free(routes, entry->next_node);
        entry->next_node = NULL;
    }
}

static void commit_hosts(struct routes *routes, uint64_t version)
{
    while (!list_is_empty(&routes->changed_hosts)) {
        struct host_entry *host = HOST_OF(list_take_front(&routes->changed_hosts));
        if (host->node) {
            host->node->life.last = version - 1;
            list_push_back(&routes->retired_hosts, &host->node->life.link);
        }
        host->node = host->next_node;
        host->next_node = NULL;
        host->has_new_paths = false;
    }
}

static void commit_routes(struct routes *routes, uint64_t version)
{
    while (!list_is_empty(&routes->dirty)) {
        struct path_entry *entry = ENTRY_OF(list_take_front(&routes->dirty));
        if (entry->node && entry->node != entry->next_node) {
            entry->node->life.last = version - 1;
            list_push_back(&routes->retired_routes, &entry->node->life.link);
        }
        entry->node = entry->next_node;
        entry->next_node = NULL;
        struct notes spare = entry->notes;
        entry->notes = entry->next_notes;
        entry->next_notes = spare;
        list_remove(&entry->noted_link);
        if (entry->notes.count > 0)
            list_push_back(&routes->noted, &entry->noted_link);
        if (entry->def_count == 0 && entry->command_count == 0)
            entry_free(routes, entry);
    }
}

static void commit_table(struct routes *routes, struct table *table)
{
    struct table *before = routes->newest;
    list_push_back(&routes->tables, &table->link);
    routes->newest = table;
    table_release(before);
    table->refs++; // the caller's
    routes_sweep(routes);
}

static void report(const struct routes *routes, const struct path_entry *entry,
                   const struct note *note, routes_problem_fn on_problem, void *ctx)
{
    char reason[512];
    BUG_ON(!note->def && note->kind != NOTE_NO_MATCH);
    struct str text = note->def ? note->def->rule->source_text : STR("");
    bool is_lost = note->kind == NOTE_DUPLICATE || note->kind == NOTE_BAD_HOST;
    const struct command *command;
    switch (note->kind) {
    case NOTE_DUPLICATE:
        snprintf(reason, sizeof reason,
                 "the same target was already added with other options, which are kept: \"%.*s\"",
                 STR_FMT(note->other->rule->opts));
        break;
    case NOTE_BAD_HOST: snprintf(reason, sizeof reason, "host: %s", entry->host->bad_reason); break;
    case NOTE_SHARED:
        snprintf(reason, sizeof reason, "service %.*s also serves this host and path",
                 STR_FMT(note->other->rule->service));
        break;
    case NOTE_OPTION: snprintf(reason, sizeof reason, "%s", route_def_warning(note->def)); break;
    case NOTE_NO_AUTH:
        snprintf(reason, sizeof reason,
                 "auth: there is no scheme \"%.*s\" in proxy.auth: all requests are answered 401",
                 STR_FMT(note->def->rule->auth));
        break;
    case NOTE_NO_MATCH:
        command = command_list_at(routes->manual, note->command);
        is_lost = true;
        text = command->text;
        snprintf(reason, sizeof reason,
                 "weight command for service %.*s not valid - route: no target match",
                 STR_FMT(command->service));
        break;
    }
    on_problem(ctx, note->def, text, reason, is_lost);
}

static void report_all(const struct routes *routes, routes_problem_fn on_problem, void *ctx)
{
    LIST_FOREACH (link, &routes->noted) {
        const struct path_entry *entry = CONTAINER_OF(link, struct path_entry, noted_link);
        for (size_t i = 0; i < entry->notes.count; i++)
            report(routes, entry, &entry->notes.at[i], on_problem, ctx);
    }
}

int routes_build(struct routes *routes, struct table **table, routes_problem_fn on_problem,
                 void *ctx)
{
    *table = NULL;
    uint64_t version = routes->newest ? routes->newest->version + 1 : 1;
    int rc = build_routes(routes, version);
    if (rc == 0)
        rc = build_hosts(routes, version);
    if (rc == 0 && (!routes->newest || !list_is_empty(&routes->changed_hosts))) {
        *table = table_build(routes, version);
        rc = *table ? 0 : ERR_NOMEM;
    }
    if (rc != 0) {
        discard(routes);
        return rc;
    }
    routes->is_config_new = false;
    routes->coming = 0;
    commit_hosts(routes, version);
    commit_routes(routes, version);
    if (*table)
        commit_table(routes, *table);
    if (on_problem)
        report_all(routes, on_problem, ctx);
    return 0;
}
