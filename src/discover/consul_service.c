// SPDX-License-Identifier: Apache-2.0
// 1. on_answer: decode; equal digest: nothing happened.
// 2. An empty list of a service that had instances is read again, not stale, before it is believed.
// 3. defs_build; removals may be held back (consul_guard.c), additions go through.
// 4. feed_set_service; the service moves to the front of those that deserve a poll of their own.
// A service that the catalog no longer lists is read once more and freed when no route is left.
// Any failure on the way leaves everything as it was; the watch reads again.
#include "discover/consul_internal.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/feed.h"

static int on_answer(struct watch *watch, const struct http_response *response, struct err *err);
static void on_refused(struct watch *watch);

static const struct watch_ops SERVICE_OPS = {
    .class = WATCH_SERVICE,
    .burst = 3,
    .interval_ms = 1000,
    .slowest_interval_ms = 15 * 1000,
    .on_answer = on_answer,
    .on_refused = on_refused,
};

struct service *service_new(struct consul *consul, struct str name)
{
    struct service *service = mem_zalloc(sizeof *service + name.len + 1);
    if (!service)
        return NULL;
    char *copy = (char *)(service + 1);
    if (name.len > 0)
        memcpy(copy, name.ptr, name.len);
    service->consul = consul;
    service->name = str_make(copy, name.len);
    list_init(&service->link);
    list_init(&service->held_link);
    if (map_put(&consul->services, service->name, service) < 0)
        goto fail;
    if (watch_init(&service->watch, &consul->agent, &SERVICE_OPS, "health/service/", service->name,
                   "", service->name, consul->base_mode) < 0) {
        map_remove(&consul->services, service->name);
        goto fail;
    }
    service->is_awaited = !consul->is_synced;
    consul->awaited += service->is_awaited;
    digest_note_new(service);
    list_push_back(&consul->resting, &service->link);
    return service;

fail:
    mem_free(service);
    return NULL;
}

static void on_closed(struct watch *watch)
{
    struct service *service = CONTAINER_OF(watch, struct service, watch);
    struct consul *consul = service->consul;
    def_list_fini(&service->defs);
    mem_free(service);
    if (consul->is_stopping)
        consul_closed_one(consul);
}

void service_close(struct service *service)
{
    struct consul *consul = service->consul;
    map_remove(&consul->services, service->name);
    consul->up_total -= service->defs.up;
    consul->instance_total -= service->defs.instances;
    consul->polled_count -= service->watch.is_polling;
    list_remove(&service->link);
    hold_end(service);
    consul->closing += consul->is_stopping;
    watch_close(&service->watch, on_closed);
    defs_forget(service->name, consul->problems);
    if (!consul->is_stopping)
        consul_answered(consul, &service->is_awaited);
}

void service_poll(struct service *service)
{
    struct consul *consul = service->consul;
    if (service->watch.is_polling)
        return;
    list_remove(&service->link);
    list_push_front(&consul->polled, &service->link);
    consul->polled_count++;
    watch_poll(&service->watch);
}

void service_rest(struct service *service)
{
    struct consul *consul = service->consul;
    if (!service->watch.is_polling)
        return;
    list_remove(&service->link);
    list_push_front(&consul->resting, &service->link);
    consul->polled_count--;
    watch_rest(&service->watch);
    // What came between its last answer and the last digest would go unnoticed.
    watch_read(&service->watch, consul->base_mode);
}

// A change makes another one likely: the service gets a poll of its own, at the expense of the one
// whose last change is longest ago.
static void service_touch(struct service *service)
{
    enum { STEADY_MS = 60 * 1000 };
    struct consul *consul = service->consul;
    service->changed_ms = clock_now_ms();
    if (service->watch.is_polling) {
        list_remove(&service->link);
        list_push_front(&consul->polled, &service->link);
        return;
    }
    if (consul->polled_count >= consul->plan.own_watches) {
        if (list_is_empty(&consul->polled))
            return;
        struct service *victim = CONTAINER_OF(consul->polled.prev, struct service, link);
        if (service->changed_ms - victim->changed_ms < STEADY_MS)
            return;
        service_rest(victim);
    }
    service_poll(service);
}

// Soon after its start a server may answer from a log that it has not yet read to its end.
static enum read_mode confirming_mode(const struct consul *consul)
{
    return clock_now_ms() < consul->agent.settled_at_ms ? READ_CONSISTENT : READ_DEFAULT;
}

void service_check_gone(struct service *service)
{
    if (!service->has_data || service->defs.count == 0) {
        if (feed_set_service(service->consul->feed, service->name, NULL, 0) == 0)
            service_close(service);
        return;
    }
    service->is_confirming = true;
    watch_read(&service->watch, confirming_mode(service->consul));
}

// Delivers the list and takes it over; on failure it is freed and nothing has changed.
static int apply(struct service *service, struct def_list *defs)
{
    struct consul *consul = service->consul;
    int status = feed_set_service(consul->feed, service->name, defs->items, defs->count);
    if (status < 0) {
        def_list_fini(defs);
        return status;
    }
    feed_share_defs(consul->feed, service->name, defs->items, defs->count);
    consul->up_total += defs->up;
    consul->up_total -= service->defs.up;
    consul->instance_total += defs->instances;
    consul->instance_total -= service->defs.instances;
    def_list_fini(&service->defs);
    service->defs = *defs;
    return 0;
}

static int take_in(struct service *service, const struct health_answer *answer, bool is_verified)
{
    struct consul *consul = service->consul;
    struct def_list defs = {0};
    int status = defs_build(&defs, answer, service->name, consul->config, consul->problems);
    if (status < 0) {
        def_list_fini(&defs);
        return status;
    }
    // Maintenance is somebody's decision, not an accident: the guard lets it pass.
    unsigned left = defs.up + defs.in_maintenance;
    unsigned removed = service->defs.up > left ? service->defs.up - left : 0;
    bool is_doubtful = service->has_data && removed > 0 && !is_verified;
    enum hold_reason reason = HOLD_NONE;
    if (is_doubtful)
        reason = hold_reason_of(service, removed, answer->count > 0);
    if (reason != HOLD_NONE) {
        // After a restart of the agent only checks are in doubt, not whether an instance exists.
        status = defs_keep(&defs, &service->defs, reason == HOLD_MASS, consul->config);
        if (status < 0) {
            def_list_fini(&defs);
            return status;
        }
    }
    status = apply(service, &defs);
    if (status < 0)
        return status;
    if (service->has_data)
        digest_note_read(service);
    service->has_data = true;
    if (reason != HOLD_NONE) {
        // Not remembered as seen: the next answer is looked at whatever it says.
        service->digest = 0;
        hold_begin(service, reason);
    } else {
        service->digest = answer->digest;
        hold_end(service);
    }
    return WATCH_CHANGED;
}

static int on_answer(struct watch *watch, const struct http_response *response, struct err *err)
{
    struct service *service = CONTAINER_OF(watch, struct service, watch);
    struct consul *consul = service->consul;
    struct decode_rules rules = {.accepted_status = consul->config->accepted_status,
                                 .checks_required = consul->config->checks_required};
    struct health_answer answer;
    int status = decode_health(response->body, &rules, &answer, err);
    if (status < 0)
        return status;
    if (response->is_filtered_by_acls)
        consul_note_acl_filter(consul);

    // Nothing is left of it because the token may not see it: that says nothing about the service.
    if (answer.count == 0 && service->defs.up > 0 && response->is_filtered_by_acls) {
        health_answer_fini(&answer);
        return err_set(err, ERR_DENIED, "the token may not read its instances any more");
    }
    bool is_fresh = watch->was_full && watch->sent_mode >= confirming_mode(consul);
    bool is_confirmed = service->is_confirming && is_fresh;
    bool is_verified = service->hold && watch->was_full && watch->sent_mode == READ_CONSISTENT;
    if (answer.count == 0 && service->defs.up > 0 && !is_confirmed && !is_verified) {
        service->is_confirming = true;
        watch_read(watch, confirming_mode(consul));
        health_answer_fini(&answer);
        return WATCH_UNCHANGED;
    }
    service->places = answer.places;
    bool is_news = !service->has_data || service->digest != answer.digest ||
                   (answer.count == 0 && service->defs.count > 0);
    status = WATCH_UNCHANGED;
    if (is_news)
        status = take_in(service, &answer, is_verified);
    health_answer_fini(&answer);
    if (status < 0)
        return status;
    if (is_fresh)
        service->is_confirming = false;

    bool was_awaited = service->is_awaited;
    service->is_restored = false;
    consul_answered(consul, &service->is_awaited);
    bool is_listed = service->listed_at >= consul->catalog_pass;
    if (!is_listed && service->defs.count == 0 && !service->hold) {
        service_close(service);
        return status;
    }
    if (status == WATCH_CHANGED && !was_awaited)
        service_touch(service);
    return status;
}

static void on_refused(struct watch *watch)
{
    struct service *service = CONTAINER_OF(watch, struct service, watch);
    consul_answered(service->consul, &service->is_awaited);
}
