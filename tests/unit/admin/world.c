// SPDX-License-Identifier: Apache-2.0
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/log.h"
#include "route/command.h"

static void on_published(void *ctx, const struct table *table)
{
    struct world *world = ctx;
    (void)table;
    world->published++;
}

static uint64_t data_age_ms(void *self)
{
    return ((struct world *)self)->data_age_ms;
}

static void write_metrics(void *self, struct buf *out)
{
    (void)self;
    buf_append_cstr(out, "# HELP tagway_fake A backend's own metric.\n# TYPE tagway_fake gauge\n"
                         "tagway_fake 1\n");
}

static void write_json(void *self, struct buf *out)
{
    (void)self;
    buf_append_cstr(out, "{\"backend\":\"fake\"}");
}

static void manual_paths(void *self, void (*on_done)(void *, int, struct str), void *ctx)
{
    (void)self;
    on_done(ctx, 200, STR("[\"\",\"/b\"]"));
}

static void manual_get(void *self, struct str sub_path, void (*on_done)(void *, int, struct str),
                       void *ctx)
{
    (void)self;
    char text[128];
    snprintf(text, sizeof text, "{\"value\":\"sub %.*s\",\"version\":\"7\"}", STR_FMT(sub_path));
    on_done(ctx, 200, str_of(text));
}

static void manual_put(void *self, struct str sub_path, struct str value, struct str version,
                       void (*on_done)(void *, int, struct str), void *ctx)
{
    struct world *world = self;
    world->manual.puts++;
    snprintf(world->manual.sub_path, sizeof world->manual.sub_path, "%.*s", STR_FMT(sub_path));
    snprintf(world->manual.value, sizeof world->manual.value, "%.*s", STR_FMT(value));
    snprintf(world->manual.version, sizeof world->manual.version, "%.*s", STR_FMT(version));
    bool is_current = str_eq(version, STR("7"));
    on_done(ctx, is_current ? 200 : 409, is_current ? STR_NULL : STR("version mismatch"));
}

static const struct backend_ops FAKE_OPS = {
    .name = "fake",
    .data_age_ms = data_age_ms,
    .write_metrics = write_metrics,
    .write_json = write_json,
    .manual_paths = manual_paths,
    .manual_get = manual_get,
    .manual_put = manual_put,
};

static void read_workers(void *ctx, struct worker_totals *totals)
{
    *totals = ((struct world *)ctx)->workers;
}

static uint64_t read_refusals(void *ctx, unsigned refusal, bool is_response)
{
    (void)ctx;
    return refusal + (is_response ? 100 : 0);
}

// 301 redirects 3, 404 answers 7.
static uint64_t read_answers(void *ctx, unsigned status, bool is_redirect)
{
    (void)ctx;
    return status == 301 ? 3 : status == 404 && !is_redirect ? 7 : 0;
}

static bool read_worker_connections(void *ctx, unsigned worker, uint64_t *count)
{
    (void)ctx;
    *count = 7 * worker;
    return worker < 2;
}

static uint64_t read_open_connections(void *ctx)
{
    (void)ctx;
    return 42;
}

static void write_config_json(void *ctx, struct buf *out)
{
    (void)ctx;
    buf_append_cstr(out, "{\"Proxy\":{\"Strategy\":\"rnd\"},\"Listen\":[]}");
}

void world_init(struct world *world)
{
    *world = (struct world){0};
    log_set_level(LOG_ERROR);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    world->targets = targets_new(&world->loop, WORLD_WORKERS);
    world->problems = problems_new();
    struct feed_config config = {.coalesce_ms = 1, .coalesce_max_ms = 1};
    world->feed =
        feed_new(&world->loop, &config, world->targets, world->problems, on_published, world);
    assert_non_null(world->feed);
    world->backend = (struct backend){&FAKE_OPS, world};
    world->sources = (struct admin_sources){
        .feed = world->feed,
        .targets = world->targets,
        .problems = world->problems,
        .backend = &world->backend,
        .read_workers = read_workers,
        .read_refusals = read_refusals,
        .read_answers = read_answers,
        .read_open_connections = read_open_connections,
        .read_worker_connections = read_worker_connections,
        .write_config_json = write_config_json,
        .ctx = world,
    };
}

static void on_feed_closed(void *ctx)
{
    *(bool *)ctx = true;
}

void world_fini(struct world *world)
{
    bool is_closed = false;
    feed_close(world->feed, on_feed_closed, &is_closed);
    while (!is_closed)
        uv_run(&world->loop, UV_RUN_ONCE);
    targets_free(world->targets);
    problems_free(world->problems);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
}

static void set(struct world *world, const char *service, const char *commands,
                enum route_health health, const char *note)
{
    struct route_def *defs[64];
    size_t count = 0;
    struct command_list *list = command_list_parse(str_of(commands), STR("test"), NULL, NULL);
    assert_non_null(list);
    for (; count < command_list_count(list); count++) {
        const struct route_def *def = command_list_at(list, count)->def;
        char options[256] = "";
        for (size_t i = 0, at = 0; i < def->rule->option_count; i++)
            at += (size_t)snprintf(options + at, sizeof options - at, "%.*s=%.*s ",
                                   STR_FMT(def->rule->options[i].key),
                                   STR_FMT(def->rule->options[i].value));
        char src[2048];
        snprintf(src, sizeof src, "%.*s%.*s", STR_FMT(def->rule->host), STR_FMT(def->rule->path));
        struct route_def_spec spec = {
            .service = def->rule->service,
            .src = str_of(src),
            .dst = route_def_dst(def),
            .weight = def->rule->weight,
            .tags = def->rule->tags,
            .tag_count = def->rule->tag_count,
            .opts = str_of(options),
            .instance = STR("node-1/<web>"),
            .health = health,
            .health_note = str_of(note),
        };
        struct err err = {0};
        defs[count] = route_def_new(&spec, &err);
        assert_non_null(defs[count]);
    }
    unsigned before = world->published;
    assert_int_equal(feed_set_service(world->feed, str_of(service), defs, count), 0);
    feed_set_synced(world->feed, false);
    while (world->published == before)
        uv_run(&world->loop, UV_RUN_ONCE);
    for (size_t i = 0; i < count; i++)
        route_def_unref(defs[i]);
    command_list_free(list);
}

void world_set_routes(struct world *world, const char *service, const char *commands)
{
    set(world, service, commands, ROUTE_UP, "");
}

void world_set_unhealthy(struct world *world, const char *service, const char *commands,
                         const char *note)
{
    set(world, service, commands, ROUTE_CRITICAL, note);
}

struct target *world_target(struct world *world, const char *dst)
{
    struct target *target = NULL;
    while ((target = targets_next(world->targets, target))) {
        if (str_eq(target_dst(target), str_of(dst)))
            return target;
    }
    fail_msg("no target %s", dst);
    return NULL;
}

struct target_counters *world_counters(struct world *world, const char *dst, unsigned worker)
{
    struct target_counters *counters =
        target_counters_of(world_target(world, dst), worker, &targets_cell(world->targets)->used);
    assert_non_null(counters);
    return counters;
}

void world_eject(struct world *world, const char *dst, uint64_t until_ms, enum eject_cause cause)
{
    struct endpoint *endpoint = world_target(world, dst)->endpoint;
    struct upstream upstream = {.worker = 0};
    struct endpoint_pool *pool = upstream_pool_of(&upstream, endpoint);
    assert_non_null(pool);
    atomic_store(&pool->life, atomic_load(&endpoint->life));
    atomic_store(&pool->ejection.cause, cause);
    atomic_store(&pool->ejection.until_ms, until_ms);
}
