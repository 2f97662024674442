// SPDX-License-Identifier: Apache-2.0
#include "discover/defs.h"

#include <stdio.h>

#include "base/err.h"
#include "base/mem.h"
#include "route/tag.h"

struct builder {
    struct def_list *list;
    struct problems *problems;
    struct str service;
    struct str instance;
    const struct consul_config *config;
    int status;
};

static enum unhealthy_routes policy_of(const struct route_def *def,
                                       const struct consul_config *config)
{
    switch (def->rule->unhealthy) {
    case ROUTE_UNHEALTHY_DEFAULT: break;
    case ROUTE_UNHEALTHY_503: return UNHEALTHY_503;
    case ROUTE_UNHEALTHY_DROP: return UNHEALTHY_DROP;
    case ROUTE_UNHEALTHY_FAILOPEN: return UNHEALTHY_FAILOPEN;
    }
    return config->unhealthy_routes;
}

void def_list_fini(struct def_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        route_def_unref(list->items[i]);
    mem_free(list->items);
    *list = (struct def_list){0};
}

int def_list_add(struct def_list *list, struct route_def *def)
{
    if (list->count == list->cap) {
        size_t cap = list->cap ? list->cap * 2 : 4;
        struct route_def **items = mem_realloc(list->items, cap * sizeof(struct route_def *));
        if (!items) {
            route_def_unref(def);
            return ERR_NOMEM;
        }
        list->items = items;
        list->cap = cap;
    }
    list->items[list->count++] = def;
    return 0;
}

static void on_def(void *ctx, struct route_def *def)
{
    struct builder *builder = ctx;
    if (def->health != ROUTE_UP && policy_of(def, builder->config) == UNHEALTHY_DROP)
        route_def_unref(def);
    else if (def_list_add(builder->list, def) < 0)
        builder->status = ERR_NOMEM;
}

static void report(const struct builder *builder, struct str text, const char *reason, bool is_lost)
{
    problems_add(builder->problems, &(struct problem){.source = STR("consul"),
                                                      .service = builder->service,
                                                      .instance = builder->instance,
                                                      .text = text,
                                                      .reason = str_of(reason),
                                                      .is_lost = is_lost});
}

static void on_tag_problem(void *ctx, struct str tag, const char *reason, bool is_lost)
{
    report(ctx, tag, reason, is_lost);
}

static bool has_route_tag(const struct instance *instance, struct str prefix)
{
    for (size_t i = 0; i < instance->tag_count; i++) {
        if (tag_is_route(instance->tags[i], prefix))
            return true;
    }
    return false;
}

static struct str instance_name(const struct instance *instance, char *room, size_t size)
{
    int len = snprintf(room, size, "%.*s/%.*s", STR_FMT(instance->node), STR_FMT(instance->id));
    return str_make(room, MIN((size_t)len, size - 1));
}

// Warnings about tags that route nothing.
static void report_tags(const struct builder *builder, const struct instance *instance,
                        struct str prefix)
{
    for (size_t i = 0; i < instance->tag_count; i++) {
        if (!tag_is_route(instance->tags[i], prefix) && tag_is_near_miss(instance->tags[i], prefix))
            report(builder, instance->tags[i], "looks like a misspelt route tag and is ignored",
                   true);
    }
    if (instance->long_tag.len > 0)
        report(builder, instance->long_tag, "tag is longer than 2048 bytes", true);
    if (instance->has_too_many_tags)
        report(builder, STR_NULL, "instance has more than 10000 tags; the rest is ignored", true);
}

// Why the instance cannot become definitions, or NULL when it can.
static const char *find_obstacle(const struct instance *instance,
                                 const struct consul_config *config, char *room, size_t size)
{
    if (instance->kind.len > 0) {
        snprintf(room, size, "ignored: %.*s", STR_FMT(instance->kind));
        return room;
    }
    if (instance->port == 0)
        return "the port is 0, missing or out of range";
    if (instance->address.len == 0)
        return "neither the service nor its node has an address";
    if (!instance->has_checks && config->checks_required != CHECKS_NONE)
        return "no health check (see registry.consul.checksRequired)";
    return NULL;
}

static int build_instance(struct builder *builder, const struct instance *instance)
{
    struct tag_instance tags = {
        .service = builder->service,
        .address = instance->address,
        .port = instance->port,
        .datacenter = instance->datacenter,
        .instance = builder->instance,
        .tags = instance->tags,
        .tag_count = instance->tag_count,
        .health = instance->health,
        .health_note = instance->health_note,
    };
    int status =
        tag_parse_instance(&tags, builder->config->tag_prefix, on_def, on_tag_problem, builder);
    return status < 0 ? status : builder->status;
}

static struct str problem_scope(struct str service, char *room, size_t size)
{
    int len = snprintf(room, size, "consul/service/%.*s", STR_FMT(service));
    return str_make(room, MIN((size_t)len, size - 1));
}

// Looks at every instance: reports what is wrong, counts what is right.
static void survey(struct builder *builder, const struct health_answer *answer,
                   const struct consul_config *config, bool *is_used)
{
    for (size_t i = 0; i < answer->count; i++) {
        const struct instance *instance = &answer->items[i];
        char name[512], reason[128];
        builder->instance = instance_name(instance, name, sizeof name);
        report_tags(builder, instance, config->tag_prefix);
        if (!has_route_tag(instance, config->tag_prefix))
            continue;
        const char *obstacle = find_obstacle(instance, config, reason, sizeof reason);
        if (obstacle) {
            report(builder, STR_NULL, obstacle, true);
            continue;
        }
        is_used[i] = true;
        builder->list->instances++;
        builder->list->up += instance->health == ROUTE_UP;
        builder->list->in_maintenance += instance->health == ROUTE_MAINTENANCE;
    }
    builder->instance = STR_NULL; // `name` ends here
}

static bool has_healthy(const struct def_list *list, const struct route_def *like,
                        const bool *is_opened)
{
    for (size_t i = 0; i < list->count; i++) {
        const struct route_def *def = list->items[i];
        if (def->health == ROUTE_UP && !is_opened[i] && str_eq(def->rule->host, like->rule->host) &&
            str_eq(def->rule->path, like->rule->path))
            return true;
    }
    return false;
}

// Fail open: where no instance with the route is healthy, those that are not are used.
static int open_routes(struct def_list *list, const struct consul_config *config)
{
    bool *is_opened = mem_zalloc_array(list->count, sizeof *is_opened);
    if (!is_opened)
        return ERR_NOMEM;
    for (size_t i = 0; i < list->count; i++) {
        struct route_def *def = list->items[i];
        is_opened[i] = def->health != ROUTE_UP && policy_of(def, config) == UNHEALTHY_FAILOPEN &&
                       (list->up == 0 || !has_healthy(list, def, is_opened));
        if (is_opened[i])
            def->health = ROUTE_UP; // nobody else has it yet
    }
    mem_free(is_opened);
    return 0;
}

int defs_build(struct def_list *list, const struct health_answer *answer, struct str service,
               const struct consul_config *config, struct problems *problems)
{
    char scope[512];
    struct builder builder = {
        .list = list, .problems = problems, .service = service, .config = config};
    bool *is_used = mem_zalloc_array(answer->count, sizeof *is_used);
    if (!is_used)
        return ERR_NOMEM;
    int status = 0;
    problems_begin(problems, problem_scope(service, scope, sizeof scope));
    survey(&builder, answer, config, is_used);
    for (size_t i = 0; i < answer->count && status == 0; i++) {
        char name[512];
        builder.instance = instance_name(&answer->items[i], name, sizeof name);
        if (is_used[i])
            status = build_instance(&builder, &answer->items[i]);
    }
    if (status == 0)
        status = open_routes(list, config);
    problems_end(problems);
    mem_free(is_used);
    return status;
}

// The same tag of the same instance.
static bool is_same_origin(const struct route_def *a, const struct route_def *b)
{
    return str_eq(route_def_instance(a), route_def_instance(b)) &&
           str_eq(a->rule->source_text, b->rule->source_text) &&
           str_eq(a->rule->host, b->rule->host) && str_eq(a->rule->path, b->rule->path);
}

int defs_keep(struct def_list *list, const struct def_list *before, bool keeps_vanished,
              const struct consul_config *config)
{
    for (size_t i = 0; i < before->count; i++) {
        struct route_def *old = before->items[i];
        if (old->health != ROUTE_UP)
            continue;
        size_t k = 0;
        while (k < list->count && !is_same_origin(list->items[k], old))
            k++;
        // Where instances without a good check are left out, these look as if they had vanished.
        bool is_kept = keeps_vanished || policy_of(old, config) == UNHEALTHY_DROP;
        if (k == list->count && is_kept) {
            int status = def_list_add(list, route_def_ref(old));
            if (status < 0)
                return status;
        } else if (k < list->count && list->items[k]->health != ROUTE_UP) {
            route_def_unref(list->items[k]);
            list->items[k] = route_def_ref(old);
        }
    }
    list->instances = MAX(list->instances, before->instances);
    list->up = MAX(list->up, before->up);
    return 0;
}

void defs_forget(struct str service, struct problems *problems)
{
    char scope[512];
    problems_clear(problems, problem_scope(service, scope, sizeof scope));
}
