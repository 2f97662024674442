// SPDX-License-Identifier: Apache-2.0
// Above the budget of polls, services without one of their own are watched together:
// 1. `/v1/health/state/any` is polled, at most once a second; a service whose number changed is
// read.
// 2. It does not tell of ports, meta data and addresses. The catalog wakes up for ports and meta
//    data of anything, and for instances that come and go (not for health): when its content is the
//    same and no check came or went either, all are read, at most once in five seconds; when one
//    did, at most once in fifteen, and not if there are many services.
// 3. A slow round over all services, one minute or longer, finds what is left (node addresses).
#include "discover/consul_internal.h"

#include "base/clock.h"
#include "base/log.h"

enum {
    EXPLAIN_MS = 1000, // how long a wake-up of the catalog waits for a change that explains it
    SWEEP_PAUSE_MS = 5000,
    SWEEP_READS_PER_S = 40, // within the agent's 50 reads a second
    // A port may have changed beside an instance that came or went: looked for when it is cheap.
    EXPLAINED_PAUSE_MS = 15 * 1000,
    EXPLAINED_SERVICES_MAX = 400,
    ROUND_S = 60,
    ROUND_READS_PER_S = 20,
};

static struct consul *consul_of(struct watch *watch)
{
    return CONTAINER_OF(watch, struct consul, state);
}

static void on_send(struct watch *watch)
{
    struct consul *consul = consul_of(watch);
    state_digest_fini(&consul->digest);
    state_digest_init(&consul->digest);
}

static int on_data(void *ctx, struct str bytes)
{
    return state_digest_feed(&consul_of(ctx)->digest, bytes);
}

static int on_answer(struct watch *watch, const struct http_response *response, struct err *err)
{
    (void)response;
    struct consul *consul = consul_of(watch);
    int status = state_digest_finish(&consul->digest);
    if (status < 0)
        return err_set(err, status, "state answer: %s", err_text(status));
    bool has_changed = false;
    // Reading may move services between the lists, so the map is walked, which it does not change.
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&consul->services, &at, &entry)) {
        struct service *service = entry.value;
        uint64_t value = state_digest_of(&consul->digest, service->name);
        if (value == service->state_value)
            continue;
        service->state_value = value;
        has_changed = true;
        if (!service->watch.is_polling && service->has_data)
            watch_read(&service->watch, consul->base_mode);
    }
    if (consul->digest.members != consul->state_members) {
        consul->state_members = consul->digest.members;
        consul->members_changed_ms = clock_now_ms();
    }
    state_digest_fini(&consul->digest);
    return has_changed ? WATCH_CHANGED : WATCH_UNCHANGED;
}

const struct watch_ops STATE_OPS = {
    .class = WATCH_STATE,
    .burst = 2,
    .interval_ms = 1000,
    .slowest_interval_ms = 15 * 1000,
    .on_send = on_send,
    .on_data = on_data,
    .on_answer = on_answer,
};

void digest_start(struct consul *consul)
{
    log_info("consul: %zu services and %u watches allowed: watching all checks together",
             consul->services.count, consul->agent.watch_limit);
    watch_poll(&consul->state);
}

void digest_stop(struct consul *consul)
{
    log_info("consul: watching each service by itself again");
    watch_rest(&consul->state);
    consul->sweep_left = 0;
    consul->sweep_due_ms = 0;
}

void digest_catalog_unchanged(struct consul *consul)
{
    if (consul->plan.is_digest && !consul->sweep_due_ms)
        consul->sweep_due_ms = clock_now_ms() + EXPLAIN_MS;
}

static void read_next(struct consul *consul, size_t count)
{
    for (size_t i = 0; i < count && !list_is_empty(&consul->resting); i++) {
        struct list *link = list_pop_front(&consul->resting);
        list_push_back(&consul->resting, link);
        struct service *service = CONTAINER_OF(link, struct service, link);
        if (service->watch.state == WATCH_IDLE)
            watch_read(&service->watch, consul->base_mode);
    }
}

void digest_tick(struct consul *consul)
{
    if (!consul->plan.is_digest)
        return;
    uint64_t now_ms = clock_now_ms();
    size_t resting = consul->services.count - consul->polled_count;
    bool is_due = consul->sweep_due_ms && now_ms >= consul->sweep_due_ms;
    bool is_explained = consul->members_changed_ms + 2 * EXPLAIN_MS > consul->sweep_due_ms;
    uint64_t pause_ms = is_explained ? EXPLAINED_PAUSE_MS : SWEEP_PAUSE_MS;
    if (is_due && is_explained && resting > EXPLAINED_SERVICES_MAX) {
        consul->sweep_due_ms = 0;
    } else if (is_due && now_ms - consul->swept_ms >= pause_ms) {
        consul->sweep_due_ms = 0;
        consul->swept_ms = now_ms;
        consul->sweep_left = resting;
    }
    // Nothing is added to a queue that has more urgent things in it.
    if (!list_is_empty(&consul->agent.queue) || consul->agent.away_since_ms)
        return;
    size_t count = MIN((resting + ROUND_S - 1) / ROUND_S, (size_t)ROUND_READS_PER_S);
    if (consul->sweep_left > 0) {
        count = MIN(consul->sweep_left, (size_t)SWEEP_READS_PER_S);
        consul->sweep_left -= count;
    }
    read_next(consul, count);
}
