// SPDX-License-Identifier: Apache-2.0
// 1. start: the catalog, the manual routes and the page are polled from the first moment.
// 2. on_catalog: names whose tags contain the prefix become services; new ones are read, vanished
//    ones are read once more before they go.
// 3. replan: each service gets a poll of its own while the budget lasts (consul_digest.c above it).
// 4. When everything known has answered once, or ten seconds after the catalog has, the feed is
// synced.
// 5. stop: every call is aborted; when the last handle is closed, on_stopped.
// Consul being away at any time, also at the start, is no error: the watches go on trying.
#include "discover/consul_internal.h"

#include <curl/curl.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/feed.h"
#include "route/tag.h"

enum {
    SYNC_WAIT_MS = 10 * 1000,
    TICK_MS = 1000,
    WAIT_MIN_MS = 1000,
    WAIT_MAX_MS = 10 * 60 * 1000,
    NEAR_MISSES_MAX = 100,
};

static void try_sync(struct consul *consul, bool is_late)
{
    bool is_complete = consul->awaited == 0;
    if (consul->is_synced || consul->is_catalog_awaited || (!is_complete && !is_late))
        return;
    consul->is_synced = true;
    if (!is_complete)
        log_warn("consul: %u answers are still missing after %d s; serving the routes known so far",
                 consul->awaited, SYNC_WAIT_MS / 1000);
    feed_set_synced(consul->feed, !is_complete);
}

void consul_answered(struct consul *consul, bool *is_awaited)
{
    if (!*is_awaited)
        return;
    *is_awaited = false;
    if (--consul->awaited > 0)
        return;
    if (consul->is_synced)
        feed_set_synced(consul->feed, false);
    else
        try_sync(consul, false);
}

void consul_replan(struct consul *consul)
{
    struct plan plan =
        plan_watches(consul->services.count, consul->agent.watch_limit, consul->plan.is_digest);
    bool was_digest = consul->plan.is_digest;
    consul->plan = plan;
    if (plan.is_digest && !was_digest)
        digest_start(consul);
    else if (!plan.is_digest && was_digest)
        digest_stop(consul);
    while (consul->polled_count > plan.own_watches)
        service_rest(CONTAINER_OF(consul->polled.prev, struct service, link));
    while (consul->polled_count < plan.set_watches && !list_is_empty(&consul->resting))
        service_poll(CONTAINER_OF(consul->resting.next, struct service, link));
}

void consul_note_acl_filter(struct consul *consul)
{
    problems_begin(consul->problems, STR("consul/acl"));
    problems_add(consul->problems,
                 &(struct problem){.source = STR("consul"),
                                   .reason = STR("the token may not read everything: Consul left "
                                                 "services or nodes out (see docs/consul.md, "
                                                 "\"Access\")")});
    problems_end(consul->problems);
}

struct catalog_pass {
    struct consul *consul;
    uint64_t number;
    unsigned near_misses;
};

static void report_near_miss(struct catalog_pass *pass, struct str name, struct str tag)
{
    if (pass->near_misses++ >= NEAR_MISSES_MAX)
        return;
    problems_add(pass->consul->problems,
                 &(struct problem){.source = STR("consul"),
                                   .service = name,
                                   .text = tag,
                                   .reason = STR("looks like a misspelt route tag and is ignored"),
                                   .is_lost = true});
}

// Also in what is not a route tag, which costs a read too many at most. A sum: the union has no
// order.
static uint64_t digest_of(const struct str *tags, size_t tag_count)
{
    uint64_t digest = tag_count;
    for (size_t i = 0; i < tag_count; i++)
        digest += hash_str(tags[i], 0);
    return digest;
}

static int on_catalog_service(void *ctx, struct str name, const struct str *tags, size_t tag_count)
{
    struct catalog_pass *pass = ctx;
    struct consul *consul = pass->consul;
    struct str prefix = consul->config->tag_prefix;
    bool is_routed = false;
    for (size_t i = 0; i < tag_count && !is_routed; i++)
        is_routed = tag_is_route(tags[i], prefix);
    if (!is_routed) {
        for (size_t i = 0; i < tag_count; i++) {
            if (tag_is_near_miss(tags[i], prefix))
                report_near_miss(pass, name, tags[i]);
        }
        return 0;
    }
    struct service *service = map_get(&consul->services, name);
    uint64_t tags_digest = digest_of(tags, tag_count);
    bool has_new_tags = service && service->tags_digest != tags_digest;
    if (!service) {
        service = service_new(consul, name);
        if (!service)
            return ERR_NOMEM;
    }
    service->tags_digest = tags_digest;
    service->listed_at = pass->number;
    if (has_new_tags && !service->watch.is_polling)
        watch_read(&service->watch, consul->base_mode);
    return 0;
}

static void check_vanished(struct consul *consul, struct list *services)
{
    LIST_FOREACH_SAFE (link, services) {
        struct service *service = CONTAINER_OF(link, struct service, link);
        if (service->listed_at < consul->catalog_pass)
            service_check_gone(service);
    }
}

// Services that have no poll of their own still need their first read.
static void read_new(struct consul *consul)
{
    LIST_FOREACH (link, &consul->resting) {
        struct service *service = CONTAINER_OF(link, struct service, link);
        bool is_unread = !service->has_data || service->is_restored;
        if (is_unread && service->watch.state == WATCH_IDLE)
            watch_read(&service->watch, consul->base_mode);
    }
}

static int on_catalog(struct watch *watch, const struct http_response *response, struct err *err)
{
    struct consul *consul = consul_of(watch);
    struct catalog_pass pass = {.consul = consul};
    uint64_t digest = 0;
    pass.number = ++consul->catalog_passes;
    problems_begin(consul->problems, STR("consul/catalog"));
    int status = decode_catalog(response->body, on_catalog_service, &pass, &digest, err);
    problems_end(consul->problems);
    if (status < 0)
        return status;
    bool is_first = consul->is_catalog_awaited;
    bool has_changed = is_first || digest != consul->catalog_digest;
    consul->catalog_digest = digest;
    consul->catalog_pass = pass.number;
    if (response->is_filtered_by_acls)
        consul_note_acl_filter(consul);
    else
        problems_clear(consul->problems, STR("consul/acl"));
    consul->is_catalog_awaited = false;
    if (!is_first)
        digest_catalog_answered(consul, has_changed);
    check_vanished(consul, &consul->polled);
    check_vanished(consul, &consul->resting);
    consul_replan(consul);
    read_new(consul);
    if (is_first) {
        consul->sync_deadline_ms = clock_now_ms() + SYNC_WAIT_MS;
        try_sync(consul, false);
    }
    return has_changed ? WATCH_CHANGED : WATCH_UNCHANGED;
}

static const struct watch_ops CATALOG_OPS = {
    .class = WATCH_CATALOG,
    .burst = 2,
    .interval_ms = 1000,
    .slowest_interval_ms = 1000, // that anything changes all the time is no fault of a new service
    .on_answer = on_catalog,
};

static void on_tick(uv_timer_t *timer)
{
    struct consul *consul = timer->data;
    consul->ticks++;
    agent_tick(&consul->agent);
    if (!consul->is_catalog_awaited)
        consul_replan(consul);
    digest_tick(consul);
    if (consul->registrar)
        registrar_tick(consul->registrar);
    if (!consul->is_synced && consul->sync_deadline_ms &&
        clock_now_ms() >= consul->sync_deadline_ms)
        try_sync(consul, true);
}

static int start(void *self, struct err *err)
{
    struct consul *consul = self;
    const struct consul_config *config = consul->config;
    struct str manual = config->kv_path, page = config->noroute_path;
    if (manual.len > 0 && manual.ptr[0] == '/')
        manual = str_from(manual, 1);
    if (page.len > 0 && page.ptr[0] == '/')
        page = str_from(page, 1);
    if (watch_init(&consul->catalog, &consul->agent, &CATALOG_OPS, "catalog/services", STR_NULL, "",
                   STR("services"), consul->base_mode) < 0 ||
        digest_init(consul) < 0 || nodes_init(consul) < 0 ||
        watch_init(&consul->manual, &consul->agent, &MANUAL_OPS, "kv/", manual, "recurse=&",
                   config->kv_path, consul->base_mode) < 0 ||
        watch_init(&consul->noroute, &consul->agent, &NOROUTE_OPS, "kv/", page, "recurse=&",
                   config->noroute_path, consul->base_mode) < 0)
        return err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
    consul->is_catalog_awaited = true;
    watch_poll(&consul->catalog);
    if (manual.len > 0) {
        consul->is_manual_awaited = true;
        consul->awaited++;
        watch_poll(&consul->manual);
    }
    if (page.len > 0) {
        consul->is_noroute_awaited = true;
        consul->awaited++;
        watch_poll(&consul->noroute);
    }
    // Also when the process's own name is not to be registered: routes may ask for names
    // (register=).
    if (config->register_addr.len > 0) {
        consul->registrar = registrar_new(consul, err);
        if (!consul->registrar && config->registers)
            return err->code;
    }
    if (consul->settings.proxy_variable)
        log_info("consul: %s is reached through the proxy that %s names",
                 consul->settings.http.base_url, consul->settings.proxy_variable);
    uv_timer_start(&consul->tick, on_tick, TICK_MS, TICK_MS);
    return 0;
}

void consul_closed_one(struct consul *consul)
{
    if (--consul->closing == 0)
        consul->on_stopped(consul->stopped_ctx);
}

static void on_handle_closed(uv_handle_t *handle)
{
    consul_closed_one(handle->data);
}

static void on_agent_timer_closed(uv_handle_t *handle)
{
    consul_closed_one(CONTAINER_OF(handle->data, struct consul, agent));
}

static void on_client_closed(void *ctx)
{
    consul_closed_one(ctx);
}

static void on_fixed_watch_closed(struct watch *watch)
{
    consul_closed_one(consul_of(watch));
}

static void stop(void *self, void (*on_stopped)(void *ctx), void *ctx)
{
    struct consul *consul = self;
    consul->on_stopped = on_stopped;
    consul->stopped_ctx = ctx;
    consul->is_stopping = true;
    consul->agent.is_stopping = true;
    consul->closing = 4; // both timers here, the agent's timer, the HTTP client

    registrar_free(consul->registrar);
    consul->registrar = NULL;
    consul_overrides_cancel(consul);
    struct watch *fixed[] = {&consul->catalog,
                             &consul->checks[CHECKS_ANY].watch,
                             &consul->checks[CHECKS_CRITICAL].watch,
                             &consul->checks[CHECKS_WARNING].watch,
                             &consul->nodes.watch,
                             &consul->manual,
                             &consul->noroute};
    for (size_t i = 0; i < ARRAY_LEN(fixed); i++) {
        if (!fixed[i]->path)
            continue; // start() did not get that far
        consul->closing++;
        watch_close(fixed[i], on_fixed_watch_closed);
    }
    struct list *lists[] = {&consul->polled, &consul->resting};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (!list_is_empty(lists[i]))
            service_close(CONTAINER_OF(lists[i]->next, struct service, link));
    }
    uv_close((uv_handle_t *)&consul->tick, on_handle_closed);
    uv_close((uv_handle_t *)&consul->guard_timer, on_handle_closed);
    agent_close(&consul->agent, on_agent_timer_closed, on_client_closed, consul);
}

static void consul_free(void *self)
{
    struct consul *consul = self;
    map_fini(&consul->services);
    digest_fini(consul);
    nodes_fini(consul);
    mem_free(consul->manual_text);
    consul_settings_fini(&consul->settings);
    mem_free(consul);
}

static void deregister(void *self, void (*on_done)(void *ctx), void *ctx)
{
    struct consul *consul = self;
    if (consul->registrar)
        registrar_deregister(consul->registrar, on_done, ctx);
    else
        on_done(ctx);
}

static void write_registered(void *self, struct buf *out)
{
    const struct consul *consul = self;
    if (consul->registrar)
        registrar_write_hashes(consul->registrar, out);
}

static void hand_over(void *self, struct str registered)
{
    struct consul *consul = self;
    if (consul->registrar)
        registrar_hand_over(consul->registrar, registered);
}

static void on_published(void *self)
{
    const struct consul *consul = self;
    if (consul->registrar)
        registrar_tick(consul->registrar);
}

static uint64_t data_age_ms(void *self)
{
    const struct consul *consul = self;
    const struct watch *catalog = &consul->catalog;
    if (!catalog->has_answered && consul->restored_us) {
        uint64_t now_us = clock_wall_us();
        return (now_us - MIN(now_us, consul->restored_us)) / 1000 + 1;
    }
    if (!catalog->has_answered)
        return UINT64_MAX;
    bool is_current = !catalog->is_failing && !consul->agent.away_since_ms;
    return is_current ? 0 : clock_now_ms() - catalog->last_ok_ms;
}

static const struct backend_ops OPS = {
    .name = "consul",
    .start = start,
    .stop = stop,
    .free = consul_free,
    .deregister = deregister,
    .write_registered = write_registered,
    .hand_over = hand_over,
    .on_published = on_published,
    .restore = consul_restore,
    .write_identity = consul_write_identity,
    .data_age_ms = data_age_ms,
    .write_metrics = consul_write_metrics,
    .write_json = consul_write_json,
    .manual_paths = consul_manual_paths,
    .manual_get = consul_manual_get,
    .manual_put = consul_manual_put,
};

static const char *get_env(const char *name)
{
    return getenv(name);
}

struct backend *consul_backend_new(struct uv_loop_s *loop, const struct consul_config *config,
                                   struct feed *feed, struct problems *problems, struct err *err)
{
    struct consul *consul = mem_zalloc(sizeof *consul);
    if (!consul) {
        err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
        return NULL;
    }
    consul->config = config;
    consul->feed = feed;
    consul->problems = problems;
    consul->loop = loop;
    consul->backend = (struct backend){.ops = &OPS, .self = consul};
    consul->base_mode = config->is_consistent  ? READ_CONSISTENT
                        : config->allows_stale ? READ_STALE
                                               : READ_DEFAULT;
    map_init(&consul->services);
    list_init(&consul->polled);
    list_init(&consul->resting);
    list_init(&consul->held);
    list_init(&consul->overrides);
    guard_init(&consul->guard, config->mass_drop_percent);

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        err_set(err, ERR_NOMEM, "libcurl cannot be initialised");
        goto fail;
    }
    if (consul_settings_init(&consul->settings, config, get_env, err) < 0)
        goto fail;
    enum { WATCHES_MIN = PLAN_FIXED_WATCHES + PLAN_DIGEST_WATCHES };
    unsigned watches = MIN(MAX(config->max_watches, (unsigned)WATCHES_MIN), WATCHES_CEILING);
    if (agent_init(&consul->agent, loop, &consul->settings, problems, watches) < 0) {
        err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
        consul_settings_fini(&consul->settings);
        goto fail;
    }
    // Consul takes 0 for five minutes and caps at ten.
    consul->agent.wait_ms = MIN(MAX(config->wait_ms, (uint32_t)WAIT_MIN_MS), (uint32_t)WAIT_MAX_MS);
    consul->agent.poll_interval_ms = config->poll_interval_ms;
    uv_timer_init(loop, &consul->tick);
    uv_timer_init(loop, &consul->guard_timer);
    consul->tick.data = consul;
    consul->guard_timer.data = consul;
    return &consul->backend;

fail:
    mem_free(consul);
    return NULL;
}
