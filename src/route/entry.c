// SPDX-License-Identifier: Apache-2.0
#include "entry.h"

#include <stdlib.h>

#include "base/mem.h"

struct str path_key(struct str host, struct str path)
{
    return str_make(host.ptr, host.len + 1 + path.len);
}

static size_t host_size(struct str name)
{
    return sizeof(struct host_entry) + name.len + 1;
}

static size_t path_size(struct str key)
{
    return sizeof(struct path_entry) + key.len + 1;
}

static struct host_entry *host_new(struct routes *routes, struct str name)
{
    struct host_entry *host = slab_alloc(&routes->host_slab, host_size(name));
    if (!host)
        return NULL;
    char *text = (char *)(host + 1);
    memcpy(text, name.ptr, name.len);
    host->name = str_make(text, name.len);
    host->is_pattern = !routes->config.are_globs_disabled && glob_is_pattern(name);
    list_init(&host->changed_link);
    if (!host->is_pattern)
        return host;
    struct err err = {0};
    struct glob *glob = glob_new(name, &err);
    glob_free(glob);
    if (!glob && err.code == ERR_INVALID) {
        host->is_pattern = false;
        host->bad_reason = str_dup(str_of(err.text));
    }
    if (!glob && !host->bad_reason) {
        slab_free(&routes->host_slab, host, host_size(name));
        return NULL;
    }
    return host;
}

static void host_free(struct routes *routes, struct host_entry *host)
{
    map_remove(&routes->hosts, host->name);
    list_remove(&host->changed_link);
    mem_free(host->bad_reason);
    mem_free(host->paths);
    slab_free(&routes->host_slab, host, host_size(host->name));
}

static struct host_entry *host_get(struct routes *routes, struct str name)
{
    struct host_entry *host = map_get(&routes->hosts, name);
    if (host)
        return host;
    host = host_new(routes, name);
    if (!host)
        return NULL;
    if (map_put(&routes->hosts, host->name, host) == 0)
        return host;
    host_free(routes, host);
    return NULL;
}

static int compare_paths(const void *a, const void *b)
{
    const struct path_entry *const *left = a, *const *right = b;
    return -str_cmp((*left)->path, (*right)->path);
}

void host_sort_paths(struct host_entry *host)
{
    if (host->is_unsorted)
        qsort(host->paths, host->path_count, sizeof(struct path_entry *), compare_paths);
    host->is_unsorted = false;
}

// Where the path stands or would stand in the sorted array.
static size_t find_path(const struct host_entry *host, struct str path)
{
    size_t low = 0, high = host->path_count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (str_cmp(host->paths[middle]->path, path) > 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

// Before the first table there may be very many: then they are sorted once, at the end.
static int link_path(struct host_entry *host, struct path_entry *entry, bool is_sorted_later)
{
    if (host->path_count == host->path_cap) {
        size_t cap = host->path_cap ? host->path_cap * 2 : 1;
        struct path_entry **paths = mem_realloc(host->paths, cap * sizeof(struct path_entry *));
        if (!paths)
            return ERR_NOMEM;
        host->paths = paths;
        host->path_cap = cap;
    }
    size_t at = host->path_count;
    host->is_unsorted = host->is_unsorted || (is_sorted_later && at > 0);
    if (!host->is_unsorted)
        at = find_path(host, entry->path);
    memmove(host->paths + at + 1, host->paths + at,
            (host->path_count - at) * sizeof(struct path_entry *));
    host->paths[at] = entry;
    host->path_count++;
    return 0;
}

static void unlink_path(struct host_entry *host, struct path_entry *entry)
{
    host_sort_paths(host);
    size_t at = find_path(host, entry->path);
    if (at == host->path_count || host->paths[at] != entry)
        return; // was never linked
    host->path_count--;
    memmove(host->paths + at, host->paths + at + 1,
            (host->path_count - at) * sizeof(struct path_entry *));
}

void entry_free(struct routes *routes, struct path_entry *entry)
{
    struct host_entry *host = entry->host;
    map_remove(&routes->paths, entry->key);
    unlink_path(host, entry);
    list_remove(&entry->dirty_link);
    list_remove(&entry->noted_link);
    notes_fini(&entry->notes);
    notes_fini(&entry->next_notes);
    mem_free(entry->defs);
    slab_free(&routes->path_slab, entry, path_size(entry->key));
    if (host->path_count == 0)
        host_free(routes, host);
}

struct path_entry *entry_get(struct routes *routes, struct str host_name, struct str path)
{
    struct str key = path_key(host_name, path);
    struct path_entry *entry = map_get(&routes->paths, key);
    if (entry)
        return entry;
    struct host_entry *host = host_get(routes, host_name);
    if (!host)
        return NULL;
    entry = slab_alloc(&routes->path_slab, path_size(key));
    if (!entry) {
        if (host->path_count == 0)
            host_free(routes, host);
        return NULL;
    }
    char *text = (char *)(entry + 1);
    memcpy(text, key.ptr, key.len);
    entry->key = str_make(text, key.len);
    entry->path = str_from(entry->key, host_name.len + 1);
    entry->host = host;
    list_init(&entry->dirty_link);
    list_init(&entry->noted_link);
    if (link_path(host, entry, !routes->newest) != 0 ||
        map_put(&routes->paths, entry->key, entry) != 0) {
        entry_free(routes, entry);
        return NULL;
    }
    // Also when nothing comes of it: the build then takes the empty entry away.
    entry_mark(routes, entry);
    return entry;
}

void entry_mark(struct routes *routes, struct path_entry *entry)
{
    if (!list_is_linked(&entry->dirty_link))
        list_push_back(&routes->dirty, &entry->dirty_link);
}

int entry_reserve(struct path_entry *entry)
{
    size_t need = entry->def_count + entry->coming;
    if (need <= entry->def_cap)
        return 0;
    size_t cap = MAX(need, entry->def_cap * 2);
    struct route_def **defs = mem_realloc(entry->defs, cap * sizeof(struct route_def *));
    if (!defs)
        return ERR_NOMEM;
    entry->defs = defs;
    entry->def_cap = cap;
    return 0;
}

void entry_add(struct path_entry *entry, struct route_def *const *defs, size_t count)
{
    size_t old = entry->def_count, to = old + count;
    entry->def_count = to;
    // From behind, so that nothing is overwritten before it has moved.
    while (count > 0) {
        bool takes_old = old > 0 && route_def_order(entry->defs[old - 1], defs[count - 1]) > 0;
        entry->defs[--to] = takes_old ? entry->defs[--old] : defs[--count];
    }
}

void entry_remove(struct path_entry *entry, struct route_def *const *defs, size_t count)
{
    size_t kept = 0, removed = 0;
    for (size_t i = 0; i < entry->def_count; i++) {
        if (removed < count && entry->defs[i] == defs[removed])
            removed++;
        else
            entry->defs[kept++] = entry->defs[i];
    }
    BUG_ON(removed != count);
    entry->def_count = kept;
}

int notes_add(struct notes *notes, struct note note)
{
    if (notes->count == notes->cap) {
        size_t cap = notes->cap ? notes->cap * 2 : 2;
        struct note *at = mem_realloc(notes->at, cap * sizeof *at);
        if (!at)
            return ERR_NOMEM;
        notes->at = at;
        notes->cap = cap;
    }
    notes->at[notes->count++] = note;
    return 0;
}

void notes_fini(struct notes *notes)
{
    mem_free(notes->at);
    *notes = (struct notes){0};
}
