// SPDX-License-Identifier: Apache-2.0
// 1. A backend delivers (feed_set_*): routes takes the new definitions, a publish is scheduled.
// 2. A change is published in the next turn of the loop (timer 0) unless it belongs to a burst
//    (coalesce.h).
// 3. publish: routes_build, targets_publish, change log, on_published.
// Shortage: a delivery that finds no memory is refused to the backend, which keeps it; a build that
// finds none is tried again after a second. The published table stays in both cases.
#include "discover/feed.h"

#include <stdlib.h>
#include <uv.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "discover/coalesce.h"
#include "discover/route_log.h"
#include "discover/snapshot_text.h"

enum {
    RETRY_MS = 1000,
    LOG_TEXT_MAX = 64 * 1024 * 1024,
};

// What a service said last, for the change log.
struct feed_service {
    struct str key;          // lies behind the struct
    struct route_def **defs; // owned, with a reference each
    size_t count;
};

struct feed {
    struct feed_config config;
    struct targets *targets;   // borrowed
    struct problems *problems; // borrowed
    feed_published_fn on_published;
    void *ctx;

    struct routes *routes;
    struct map services;       // key -> struct feed_service, owned
    char *manual;              // owned, terminated; NULL: none
    char *noroute_html;        // owned, terminated; NULL: none
    const struct table *table; // belongs to targets; NULL before the first publish
    struct route_log log;

    uv_timer_t publish_timer;
    struct coalesce coalesce;
    bool is_synced;
    struct feed_totals totals;

    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

static void feed_publish(struct feed *feed);
static void schedule(struct feed *feed);

static void on_publish_timer(uv_timer_t *timer)
{
    feed_publish(timer->data);
}

struct feed *feed_new(struct uv_loop_s *loop, const struct feed_config *config,
                      struct targets *targets, struct problems *problems,
                      feed_published_fn on_published, void *ctx)
{
    struct feed *feed = mem_zalloc(sizeof *feed);
    if (!feed)
        return NULL;
    struct routes_binding binding = targets_binding(targets);
    feed->routes = routes_new(&config->routes, &binding);
    if (!feed->routes) {
        mem_free(feed);
        return NULL;
    }
    feed->config = *config;
    feed->coalesce =
        (struct coalesce){.quiet_ms = config->coalesce_ms, .max_ms = config->coalesce_max_ms};
    feed->targets = targets;
    feed->problems = problems;
    feed->on_published = on_published;
    feed->ctx = ctx;
    map_init(&feed->services);
    route_log_init(&feed->log);

    uv_timer_init(loop, &feed->publish_timer);
    feed->publish_timer.data = feed;
    return feed;
}

void feed_set_config(struct feed *feed, const struct feed_config *config)
{
    feed->config = *config;
    routes_set_config(feed->routes, &config->routes);
    if (routes_is_dirty(feed->routes))
        schedule(feed);
}

static void service_free(struct feed_service *service)
{
    for (size_t i = 0; i < service->count; i++)
        route_def_unref(service->defs[i]);
    mem_free(service->defs);
    mem_free(service);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct feed *feed = handle->data;
    void (*on_closed)(void *ctx) = feed->on_closed;
    void *ctx = feed->closed_ctx;
    mem_free(feed);
    on_closed(ctx);
}

void feed_close(struct feed *feed, void (*on_closed)(void *ctx), void *ctx)
{
    feed->on_closed = on_closed;
    feed->closed_ctx = ctx;
    targets_publish(feed->targets, NULL);
    targets_collect(feed->targets);
    routes_free(feed->routes);

    size_t at = 0;
    struct map_entry entry;
    while (map_next(&feed->services, &at, &entry))
        service_free(entry.value);
    map_fini(&feed->services);
    route_log_fini(&feed->log);
    mem_free(feed->manual);
    mem_free(feed->noroute_html);
    uv_close((uv_handle_t *)&feed->publish_timer, on_timer_closed);
}

// A change has come in, or the first table is due.
static void schedule(struct feed *feed)
{
    uint64_t delay_ms = coalesce_note(&feed->coalesce, clock_now_ms(), !feed->table);
    if (feed->is_synced)
        uv_timer_start(&feed->publish_timer, on_publish_timer, delay_ms, 0);
}

static void on_build_problem(void *ctx, const struct route_def *def, struct str text,
                             const char *reason, bool is_lost)
{
    struct feed *feed = ctx;
    problems_add(feed->problems, &(struct problem){
                                     .source = STR("table"),
                                     .service = def ? def->rule->service : STR_NULL,
                                     .instance = def ? route_def_instance(def) : STR_NULL,
                                     .text = text,
                                     .reason = str_of(reason),
                                     .is_lost = is_lost,
                                 });
}

static int by_order(const void *a, const void *b)
{
    const struct route_def *const *left = a, *const *right = b;
    return route_def_order(*left, *right);
}

// fabio's text behind a table: what the services say, in its order, and the manual commands.
static void print_sources(const struct feed *feed, struct buf *out)
{
    size_t count = 0, at = 0;
    struct map_entry entry;
    while (map_next(&feed->services, &at, &entry))
        count += ((const struct feed_service *)entry.value)->count;
    const struct route_def **defs = mem_zalloc_array(count, sizeof *defs);
    if (!defs)
        return;
    count = at = 0;
    while (map_next(&feed->services, &at, &entry)) {
        const struct feed_service *service = entry.value;
        for (size_t i = 0; i < service->count; i++) {
            if (service->defs[i]->health == ROUTE_UP)
                defs[count++] = service->defs[i];
        }
    }
    if (count > 0)
        qsort(defs, count, sizeof *defs, by_order);
    for (size_t i = 0; i < count; i++) {
        route_def_print(defs[i], defs[i]->rule->weight, out);
        buf_append_char(out, '\n');
    }
    mem_free(defs);
    buf_append_str(out, str_of(feed->manual));
}

static void log_change(struct feed *feed)
{
    if (feed->config.log_format == ROUTES_LOG_DELTA) {
        route_log_flush(&feed->log);
        return;
    }
    if (!log_is_on(LOG_INFO))
        return;
    struct buf text;
    buf_init(&text, LOG_TEXT_MAX);
    if (feed->config.log_format == ROUTES_LOG_ALL)
        print_sources(feed, &text);
    else
        table_print_detail(feed->table, &text);
    if (buf_status(&text) == 0)
        route_log_whole(buf_str(&text));
    buf_fini(&text);
}

static void feed_publish(struct feed *feed)
{
    struct table *table = NULL;
    uint64_t start_us = clock_now_us();
    problems_begin(feed->problems, STR("table"));
    int status = routes_build(feed->routes, &table, on_build_problem, feed);
    problems_end(feed->problems);
    if (status < 0) {
        log_error("cannot build the routing table: %s; the one before stays", err_text(status));
        uv_timer_start(&feed->publish_timer, on_publish_timer, RETRY_MS, 0);
        return;
    }
    feed->totals.build_us_last = clock_now_us() - start_us;
    feed->totals.build_us_max = MAX(feed->totals.build_us_max, feed->totals.build_us_last);
    feed->totals.tables_built++;
    coalesce_done(&feed->coalesce);
    if (!table) {
        // The text may have changed all the same: a comment, a command without effect.
        route_log_flush(&feed->log);
        return;
    }

    targets_publish(feed->targets, table);
    if (atomic_load(&targets_cell(feed->targets)->current) != table) {
        log_error("cannot publish the routing table: %s; the one before stays",
                  err_text(ERR_NOMEM));
        return;
    }
    feed->table = table;
    feed->totals.tables_published++;
    feed->totals.published_at_us = clock_wall_us();
    log_change(feed);
    if (feed->on_published)
        feed->on_published(feed->ctx, table);
}

static bool has_change_log(const struct feed *feed)
{
    return feed->config.log_format == ROUTES_LOG_DELTA && log_is_on(LOG_INFO);
}

static struct feed_service *service_new(struct str key, struct route_def *const *defs, size_t count)
{
    struct feed_service *service = mem_zalloc(sizeof *service + key.len + 1);
    if (!service)
        return NULL;
    service->defs = mem_zalloc_array(count, sizeof(struct route_def *));
    if (!service->defs) {
        mem_free(service);
        return NULL;
    }
    char *copy = (char *)(service + 1);
    if (key.len > 0)
        memcpy(copy, key.ptr, key.len);
    service->key = str_make(copy, key.len);
    for (size_t i = 0; i < count; i++)
        service->defs[i] = route_def_ref(defs[i]);
    service->count = count;
    return service;
}

void feed_share_defs(const struct feed *feed, struct str key, struct route_def **defs, size_t count)
{
    routes_share_defs(feed->routes, key, defs, count);
}

int feed_set_service(struct feed *feed, struct str key, struct route_def *const *defs, size_t count)
{
    struct feed_service *before = map_get(&feed->services, key);
    struct feed_service *after = NULL;
    if (!before && count == 0)
        return 0;
    if (count > 0) {
        after = service_new(key, defs, count);
        if (!after)
            return ERR_NOMEM;
        if (map_put(&feed->services, after->key, after) < 0) {
            service_free(after);
            return ERR_NOMEM;
        }
    }
    int status = routes_set_service(feed->routes, key, defs, count);
    if (status < 0) {
        // Replacing an entry and removing one need no memory.
        if (before && after && map_put(&feed->services, before->key, before) < 0)
            BUG_ON(true);
        else if (!before)
            map_remove(&feed->services, key);
        if (after)
            service_free(after);
        return status;
    }
    if (!after)
        map_remove(&feed->services, key);
    if (has_change_log(feed))
        route_log_defs(&feed->log, before ? before->defs : NULL, before ? before->count : 0, defs,
                       count);
    if (before)
        service_free(before);
    if (after)
        feed_share_defs(feed, key, after->defs, after->count);
    schedule(feed);
    return 0;
}

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    struct feed *feed = ctx;
    char instance[300];
    int len = snprintf(instance, sizeof instance, "%.*s line %u", STR_FMT(origin), line);
    problems_add(feed->problems,
                 &(struct problem){
                     .source = STR("manual"),
                     .instance = str_make(instance, MIN((size_t)len, sizeof instance - 1)),
                     .text = text,
                     .reason = str_of(reason),
                     .is_lost = true,
                 });
}

int feed_set_commands(struct feed *feed, struct command_list *commands, struct str text)
{
    char *copy = str_dup(text);
    if (!copy) {
        command_list_free(commands);
        return ERR_NOMEM;
    }
    int status = routes_set_manual(feed->routes, commands);
    if (status < 0) {
        mem_free(copy);
        return status;
    }
    if (has_change_log(feed))
        route_log_texts(&feed->log, str_of(feed->manual), text);
    mem_free(feed->manual);
    feed->manual = copy;
    schedule(feed);
    return 0;
}

int feed_set_manual(struct feed *feed, struct str origin, struct str text)
{
    problems_begin(feed->problems, STR("manual"));
    struct command_list *commands = command_list_parse(text, origin, on_bad_line, feed);
    problems_end(feed->problems);
    return commands ? feed_set_commands(feed, commands, text) : ERR_NOMEM;
}

int feed_set_noroute_html(struct feed *feed, struct str html)
{
    if (str_eq(html, str_of(feed->noroute_html)))
        return 0;
    char *copy = html.len > 0 ? str_dup(html) : NULL;
    if (html.len > 0 && !copy)
        return ERR_NOMEM;
    mem_free(feed->noroute_html);
    feed->noroute_html = copy;
    if (copy)
        log_info("Set noroute HTML (%zu bytes)", html.len);
    else
        log_info("Unset noroute HTML");
    if (feed->table && feed->on_published)
        feed->on_published(feed->ctx, feed->table);
    return 0;
}

void feed_set_synced(struct feed *feed, bool is_partial)
{
    feed->totals.is_partial = is_partial;
    if (feed->is_synced)
        return;
    feed->is_synced = true;
    schedule(feed);
}

bool feed_is_synced(const struct feed *feed)
{
    return feed->is_synced && feed->table;
}

const struct table *feed_table(const struct feed *feed)
{
    return feed->table;
}

struct str feed_noroute_html(const struct feed *feed)
{
    return str_of(feed->noroute_html);
}

void feed_totals_read(const struct feed *feed, struct feed_totals *totals)
{
    *totals = feed->totals;
}

int feed_copy(const struct feed *feed, struct snapshot *copy)
{
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&feed->services, &at, &entry)) {
        const struct feed_service *service = entry.value;
        struct def_list *defs = snapshot_add_service(copy, service->key);
        if (!defs)
            return ERR_NOMEM;
        for (size_t i = 0; i < service->count; i++) {
            if (def_list_add(defs, route_def_ref(service->defs[i])) < 0)
                return ERR_NOMEM;
        }
    }
    buf_append_str(&copy->manual, str_of(feed->manual));
    buf_append_str(&copy->page, str_of(feed->noroute_html));
    return buf_status(&copy->manual) < 0 ? buf_status(&copy->manual) : buf_status(&copy->page);
}
