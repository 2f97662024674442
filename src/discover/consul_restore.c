// SPDX-License-Identifier: Apache-2.0
// Routes from disk, taken in when Consul has not answered soon after the start. What is restored
// looks like what an answer said: its service waits for its first read as a new one does, vanished
// services are read once more before they go, and the guard holds what looks like Consul's trouble.
#include "discover/consul_internal.h"

#include "discover/feed.h"
#include "discover/snapshot_text.h"

// Instances stand together, each with all its tags.
static void count_instances(struct def_list *defs)
{
    struct str last = STR_NULL;
    for (size_t i = 0; i < defs->count; i++) {
        const struct route_def *def = defs->items[i];
        if (i > 0 && str_eq(route_def_instance(def), last))
            continue;
        last = route_def_instance(def);
        defs->instances++;
        defs->up += def->health == ROUTE_UP;
        defs->in_maintenance += def->health == ROUTE_MAINTENANCE;
    }
}

static int copy_defs(struct def_list *to, const struct def_list *from)
{
    for (size_t i = 0; i < from->count; i++) {
        int status = def_list_add(to, route_def_ref(from->items[i]));
        if (status < 0)
            return status;
    }
    count_instances(to);
    return 0;
}

static int restore_service(struct consul *consul, const struct snapshot_service *saved)
{
    struct service *service = map_get(&consul->services, str_of(saved->key));
    // Consul has spoken about this one, or about all that there are.
    if (service ? service->has_data : !consul->is_catalog_awaited)
        return 0;
    struct def_list defs = {0};
    int status = copy_defs(&defs, &saved->defs);
    if (status == 0 && !service) {
        service = service_new(consul, str_of(saved->key));
        status = service ? 0 : ERR_NOMEM;
    }
    if (status == 0)
        status = feed_set_service(consul->feed, service->name, defs.items, defs.count);
    if (status != 0) {
        // A service without data is one that Consul is asked about.
        def_list_fini(&defs);
        return status;
    }
    consul->up_total += defs.up;
    consul->instance_total += defs.instances;
    service->defs = defs;
    service->has_data = true;
    service->is_restored = true;
    return 0;
}

int consul_restore(void *self, const struct snapshot *snapshot)
{
    struct consul *consul = self;
    int status = 0;
    for (size_t i = 0; i < snapshot->count && status == 0; i++)
        status = restore_service(consul, &snapshot->services[i]);
    if (status == 0 && consul->manual.is_polling && !consul->manual.has_answered &&
        snapshot->manual.len > 0)
        status = consul_set_manual(consul, buf_str(&snapshot->manual));
    if (status == 0 && consul->noroute.is_polling && !consul->noroute.has_answered)
        status = feed_set_noroute_html(consul->feed, buf_str(&snapshot->page));
    consul->restored_us = snapshot->saved_us;
    return status;
}

void consul_write_identity(void *self, struct buf *out)
{
    const struct consul *consul = self;
    const struct consul_settings *settings = &consul->settings;
    const struct consul_config *config = consul->config;
    const struct {
        const char *name;
        struct str value;
    } parts[] = {
        {"socket", str_of(settings->http.unix_path)},
        {"dc", str_of(settings->datacenter)},
        {"namespace", str_of(settings->namespace_name)},
        {"partition", str_of(settings->partition)},
        {"tags", config->tag_prefix},
        {"kv", config->kv_path},
        {"page", config->noroute_path},
    };
    buf_printf(out, "consul %s", settings->http.base_url);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (parts[i].value.len > 0)
            buf_printf(out, " %s=%.*s", parts[i].name, STR_FMT(parts[i].value));
    }
}
