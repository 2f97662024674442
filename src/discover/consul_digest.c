// SPDX-License-Identifier: Apache-2.0
// Above the budget of polls, services without one of their own are watched together:
// 1. `/v1/health/state/critical` and `.../warning` are polled: what they list is little, and any
// change
//    of health is something that enters or leaves one of them. A service whose number changed is
//    read.
// 2. `/v1/health/state/any` is polled too, but costs Consul a millisecond for every hundred
// services:
//    seldom, and at once only when something has happened that the small ones do not tell: the
//    catalog wakes up with the same content (an instance came or went, say), or the checks of a
//    node changed.
// 3. Neither tells of ports, meta data and addresses. The catalog wakes up for ports and meta data
//    of anything, and for instances that come and go (not for health). A round over all nodes
//    (consul_nodes.c), or over all services where nodes are not fewer, finds what has moved: soon
//    when nothing else explains the wake-up, else when it has not been made for a while.
// 4. The same round is made once a minute at least (longer where there are many nodes or services).
//    It finds what nothing tells of (node addresses).
#include "discover/consul_internal.h"

#include "base/clock.h"
#include "base/log.h"

enum {
    EXPLAIN_MS = 2000, // how long a wake-up of the catalog waits for a change that explains it
    SWEEP_PAUSE_MS = 5000,
    SWEEP_READS_PER_S = 40, // within the agent's 50 reads a second
    // A port may have changed beside an instance that came or went: looked for the more often the
    // less it takes.
    EXPLAINED_PAUSE_PER_READ_MS = 1500,
    EXPLAINED_PAUSE_MAX_MS = 30 * 1000,
    EXPLAINED_READS_MAX = 400,
    ROUND_S = 60,
    ROUND_READS_PER_S = 20,
};

static struct check_poll *poll_of(struct watch *watch)
{
    return CONTAINER_OF(watch, struct check_poll, watch);
}

static void on_send(struct watch *watch)
{
    struct check_poll *poll = poll_of(watch);
    state_digest_fini(&poll->digest);
    state_digest_init(&poll->digest);
}

static int on_data(void *ctx, struct str bytes)
{
    return state_digest_feed(&poll_of(ctx)->digest, bytes);
}

// Reads the services whose numbers have changed; how many.
static size_t read_changed(struct consul *consul, enum check_state state)
{
    const struct state_digest *digest = &consul->checks[state].seen;
    size_t changed = 0, at = 0;
    struct map_entry entry;
    // Reading may move services between the lists, so the map is walked, which it does not change.
    while (map_next(&consul->services, &at, &entry)) {
        struct service *service = entry.value;
        uint64_t value = state_digest_of(digest, service->name);
        bool is_ahead = service->ahead & 1u << state;
        service->ahead &= ~(1u << state);
        if (value == service->check_values[state] && !is_ahead)
            continue;
        service->check_values[state] = value;
        changed++;
        // One whose first read is out is read once more: that read may be older than this answer.
        if (!service->watch.is_polling)
            watch_read(&service->watch, consul->base_mode);
    }
    return changed;
}

static void hurry(struct consul *consul)
{
    watch_hurry(&consul->checks[CHECKS_ANY].watch,
                bucket_take_eased(&consul->hurry, clock_now_ms()));
}

static int on_answer(struct watch *watch, const struct http_response *response, struct err *err)
{
    (void)response;
    struct check_poll *poll = poll_of(watch);
    struct consul *consul = consul_of(watch);
    enum check_state state = (enum check_state)(poll - consul->checks);
    int status = state_digest_finish(&poll->digest);
    if (status < 0)
        return err_set(err, status, "state answer: %s", err_text(status));
    bool is_first = !watch->has_answered;
    bool has_new_members = poll->digest.members != poll->seen.members;
    bool has_new_nodes = poll->digest.nodes != poll->seen.nodes;
    state_digest_fini(&poll->seen);
    poll->seen = poll->digest;
    state_digest_init(&poll->digest);
    if (state == CHECKS_ANY && has_new_members)
        consul->explained_ms = clock_now_ms();
    else if (state != CHECKS_ANY && has_new_nodes && !is_first)
        hurry(consul);
    return read_changed(consul, state) > 0 ? WATCH_CHANGED : WATCH_UNCHANGED;
}

static const struct watch_ops ANY_OPS = {
    .class = WATCH_STATE,
    .burst = 1,
    .interval_ms = 1000,
    .slowest_interval_ms = 15 * 1000,
    .is_costly = true,
    .on_send = on_send,
    .on_data = on_data,
    .on_answer = on_answer,
};

static const struct watch_ops SINGLE_OPS = {
    .class = WATCH_STATE,
    .burst = 2,
    .interval_ms = 1000,
    .slowest_interval_ms = 1000, // an empty list wakes up with any check, and costs nothing
    .on_send = on_send,
    .on_data = on_data,
    .on_answer = on_answer,
};

int digest_init(struct consul *consul)
{
    enum { HURRY_BURST = 2, HURRY_INTERVAL_MS = 1000 };
    static const struct {
        const struct watch_ops *ops;
        const char *path, *label;
    } POLLS[] = {
        [CHECKS_ANY] = {&ANY_OPS, "health/state/any", "checks"},
        [CHECKS_CRITICAL] = {&SINGLE_OPS, "health/state/critical", "critical checks"},
        [CHECKS_WARNING] = {&SINGLE_OPS, "health/state/warning", "checks with a warning"},
    };
    bucket_init(&consul->hurry, HURRY_BURST, HURRY_INTERVAL_MS, HURRY_INTERVAL_MS);
    for (size_t i = 0; i < CHECK_STATES; i++) {
        struct check_poll *poll = &consul->checks[i];
        state_digest_init(&poll->digest);
        state_digest_init(&poll->seen);
        int status = watch_init(&poll->watch, &consul->agent, POLLS[i].ops, POLLS[i].path, STR_NULL,
                                "", str_of(POLLS[i].label), consul->base_mode);
        if (status < 0)
            return status;
    }
    return 0;
}

void digest_fini(struct consul *consul)
{
    for (size_t i = 0; i < CHECK_STATES; i++) {
        state_digest_fini(&consul->checks[i].digest);
        state_digest_fini(&consul->checks[i].seen);
    }
}

void digest_note_new(struct service *service)
{
    for (size_t i = 0; i < CHECK_STATES; i++)
        service->check_values[i] = state_digest_of(&service->consul->checks[i].seen, service->name);
}

// A poll that waits for its pace may not see a state that comes and goes meanwhile, which this
// answer has seen; one that is out wakes up for it.
void digest_note_read(struct service *service)
{
    for (size_t i = 0; i < CHECK_STATES; i++) {
        const struct watch *watch = &service->consul->checks[i].watch;
        if (watch->is_polling && watch->state != WATCH_RUNNING)
            service->ahead |= 1u << i;
    }
}

// The next round that needs no reason.
static void set_round(struct consul *consul, uint64_t now_ms)
{
    uint64_t round_ms = MAX((uint64_t)ROUND_S, consul->nodes.count / ROUND_READS_PER_S) * 1000;
    consul->round_due_ms = now_ms + pace_wait_ms((uint32_t)round_ms, &consul->agent.rng);
}

void digest_start(struct consul *consul)
{
    log_info("consul: %zu services and %u watches allowed: watching all checks together",
             consul->services.count, consul->agent.watch_limit);
    for (size_t i = 0; i < CHECK_STATES; i++)
        watch_poll(&consul->checks[i].watch);
    consul->nodes.count = 0; // as many as there are: the first round finds out
    set_round(consul, clock_now_ms());
}

void digest_stop(struct consul *consul)
{
    log_info("consul: watching each service by itself again");
    for (size_t i = 0; i < CHECK_STATES; i++)
        watch_rest(&consul->checks[i].watch);
    consul->sweep_left = 0;
    consul->sweep_due_ms = 0;
}

void digest_catalog_answered(struct consul *consul, bool has_changed)
{
    if (!consul->plan.is_digest || consul->catalog.is_spinning)
        return;
    uint64_t now_ms = clock_now_ms();
    if (has_changed)
        consul->explained_ms = now_ms;
    else
        hurry(consul);
    if (!consul->sweep_due_ms)
        consul->sweep_due_ms = now_ms + EXPLAIN_MS;
}

static void read_next(struct consul *consul, size_t count)
{
    for (size_t i = 0; i < count && !list_is_empty(&consul->resting); i++) {
        struct list *link = list_take_front(&consul->resting);
        list_push_back(&consul->resting, link);
        struct service *service = CONTAINER_OF(link, struct service, link);
        if (service->watch.state == WATCH_IDLE)
            watch_read(&service->watch, consul->base_mode);
    }
}

static void sweep(struct consul *consul, size_t resting, uint64_t now_ms)
{
    consul->sweep_due_ms = 0;
    consul->swept_ms = now_ms;
    set_round(consul, now_ms);
    if (!nodes_sweep(consul))
        consul->sweep_left = resting;
}

static void sweep_if_due(struct consul *consul, size_t resting, uint64_t now_ms)
{
    if (!consul->sweep_due_ms || now_ms < consul->sweep_due_ms || consul->nodes.is_running)
        return;
    size_t reads = MIN(MAX(consul->nodes.count, (size_t)1), resting);
    bool is_explained = consul->explained_ms + 2 * EXPLAIN_MS > consul->sweep_due_ms;
    uint64_t pause_ms = SWEEP_PAUSE_MS;
    if (is_explained)
        pause_ms = MIN(MAX(pause_ms, reads * EXPLAINED_PAUSE_PER_READ_MS),
                       (uint64_t)EXPLAINED_PAUSE_MAX_MS);
    if (is_explained && reads > EXPLAINED_READS_MAX) {
        consul->sweep_due_ms = 0;
    } else if (now_ms - consul->swept_ms >= pause_ms) {
        sweep(consul, resting, now_ms);
    }
}

static bool is_spinning(const struct consul *consul)
{
    bool is_any = consul->catalog.is_spinning;
    for (size_t i = 0; i < CHECK_STATES; i++)
        is_any = is_any || consul->checks[i].watch.is_spinning;
    return is_any;
}

// Where nodes are not fewer, the services themselves are read, some each second.
static size_t next_of_round(const struct consul *consul, size_t resting)
{
    size_t second = consul->ticks % ROUND_S;
    size_t count = resting * (second + 1) / ROUND_S - resting * second / ROUND_S;
    return MIN(count, (size_t)ROUND_READS_PER_S);
}

void digest_tick(struct consul *consul)
{
    if (!consul->plan.is_digest)
        return;
    size_t resting = consul->services.count - consul->polled_count;
    // Nothing is asked of a Consul in trouble but what it has not answered.
    if (is_spinning(consul) || gate_is_closed(&consul->agent.gate))
        return;
    uint64_t now_ms = clock_now_ms();
    sweep_if_due(consul, resting, now_ms);
    // Nothing is added to a queue that has more urgent things in it.
    if (!list_is_empty(&consul->agent.queue))
        return;
    bool is_by_nodes = nodes_pay_off(consul);
    if (is_by_nodes && now_ms >= consul->round_due_ms && !consul->nodes.is_running)
        sweep(consul, resting, now_ms);
    size_t count = is_by_nodes ? 0 : next_of_round(consul, resting);
    if (consul->sweep_left > 0) {
        count = MIN(consul->sweep_left, (size_t)SWEEP_READS_PER_S);
        consul->sweep_left -= count;
    }
    read_next(consul, count);
}
