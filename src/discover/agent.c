// SPDX-License-Identifier: Apache-2.0
// 1. A watch that needs a full read enqueues itself; agent_pump sends the reads, eight at a time.
// 2. Watches that fail or spin queue apart, and pass the gate one by one (gate.c); when nothing
// good
//    comes any more, so do all others. The catalog has every second turn, so that new services are
//    seen; any good answer makes the others try, two for each that succeeds.
// 3. No connection: the agent is away. Now and then a queued read goes out as a probe.
// 4. 429: the number of long polls allowed is halved and grows back one every ten seconds. Who was
//    refused is patient, except for one, which finds out when it is over.
#include "discover/agent.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/consul_config.h"
#include "discover/watch.h"

enum {
    READS_PER_S = 50,
    READS_BURST = 100,
    READS_PARALLEL = 8,
    PROBES_PARALLEL = 4,
    AWAY_FLOOR_MS = 1000,
    AWAY_CAP_MS = 1500, // one probe at a time is cheap, and routes shall move soon after a restart
    RETRY_CAP_MIN_MS = 2000,
    RETRY_CAP_MAX_MS = 15 * 1000,
    RETRY_CAP_PER_FAILING_MS = 250,
    WATCH_LIMIT_MIN = 4,
    RECOVERY_STEP_MS = 10 * 1000,
    CROWD_MS = 5 * 1000,   // refusals within it are of one crowd
    SETTLE_MS = 10 * 1000, // the usual interval of checks
};

const char *watch_class_text(enum watch_class class)
{
    static const char *const TEXTS[] = {
#define X(name, text) text,
        WATCH_CLASSES(X)
#undef X
    };
    return TEXTS[class];
}

static void on_timer(uv_timer_t *timer)
{
    agent_pump(timer->data);
}

int agent_init(struct agent *agent, uv_loop_t *loop, struct consul_settings *settings,
               struct problems *problems, unsigned watch_max)
{
    *agent = (struct agent){.settings = settings,
                            .problems = problems,
                            .watch_limit = watch_max,
                            .watch_max = watch_max};
    agent->client = http_client_new(loop, &settings->http, watch_max);
    if (!agent->client)
        return ERR_NOMEM;
    rng_init_random(&agent->rng);
    bucket_init(&agent->bucket, READS_BURST, 1000 / READS_PER_S, 1000 / READS_PER_S);
    gate_init(&agent->gate);
    list_init(&agent->queue);
    list_init(&agent->suspects);
    list_init(&agent->watches);
    uv_timer_init(loop, &agent->timer);
    agent->timer.data = agent;
    return 0;
}

void agent_close(struct agent *agent, uv_close_cb on_timer_closed, void (*on_closed)(void *ctx),
                 void *ctx)
{
    agent->is_stopping = true;
    uv_close((uv_handle_t *)&agent->timer, on_timer_closed);
    http_client_close(agent->client, on_closed, ctx);
    agent->client = NULL;
}

static bool is_suspect(const struct watch *watch)
{
    return watch->is_failing || watch->is_spinning;
}

static bool is_catalog(const struct watch *watch)
{
    return watch->ops->class == WATCH_CATALOG;
}

void agent_enqueue(struct agent *agent, struct watch *watch)
{
    struct list *queue = is_suspect(watch) ? &agent->suspects : &agent->queue;
    if (is_catalog(watch))
        list_push_front(queue, &watch->queue_link);
    else
        list_push_back(queue, &watch->queue_link);
    agent_pump(agent);
}

static struct watch *first_of(const struct list *queue)
{
    return list_is_empty(queue) ? NULL : CONTAINER_OF(queue->next, struct watch, queue_link);
}

// Who of those that need it passes the gate next, if there were a slot.
static struct watch *next_suspect(const struct agent *agent)
{
    struct watch *suspect = first_of(&agent->suspects);
    struct watch *sound = gate_is_closed(&agent->gate) ? first_of(&agent->queue) : NULL;
    if (!suspect || !sound) {
        suspect = suspect ? suspect : sound;
        if (!suspect || !is_catalog(suspect) || !agent->was_catalog)
            return suspect;
        struct list *link = suspect->queue_link.next;
        bool is_alone = link == &agent->suspects || link == &agent->queue;
        return is_alone ? suspect : CONTAINER_OF(link, struct watch, queue_link);
    }
    // One that has not failed yet says more.
    return is_catalog(suspect) && !agent->was_catalog ? suspect : sound;
}

static uint64_t suspect_delay_ms(struct agent *agent, uint64_t now_ms)
{
    if (agent->away_since_ms && now_ms < agent->retry_at_ms)
        return agent->retry_at_ms - now_ms;
    return gate_take(&agent->gate, now_ms, &agent->rng);
}

// The one to be sent now, which has been let through; else NULL and when to look again, 0: not
// before something happens.
static struct watch *next_watch(struct agent *agent, uint64_t *delay_ms, bool *is_gated)
{
    uint64_t now_ms = clock_now_ms();
    bool is_closed = gate_is_closed(&agent->gate);
    struct watch *sound = is_closed ? NULL : first_of(&agent->queue);
    *delay_ms = 0;
    *is_gated = false;
    if (agent->running >= (is_closed ? PROBES_PARALLEL : READS_PARALLEL))
        return NULL;
    if (sound) {
        // The first reads are bounded by their number and by going out eight at a time.
        *delay_ms = sound->has_answered ? bucket_delay_ms(&agent->bucket, now_ms) : 0;
        if (*delay_ms == 0) {
            if (sound->has_answered)
                (void)bucket_take(&agent->bucket, now_ms);
            return sound;
        }
    }
    struct watch *suspect = next_suspect(agent);
    if (!suspect)
        return NULL;
    uint64_t gate_ms = suspect_delay_ms(agent, now_ms);
    if (gate_ms == 0) {
        agent->was_catalog = is_catalog(suspect);
        *is_gated = true;
        return suspect;
    }
    *delay_ms = *delay_ms ? MIN(*delay_ms, gate_ms) : gate_ms;
    return NULL;
}

void agent_pump(struct agent *agent)
{
    while (!agent->is_stopping) {
        uint64_t delay_ms;
        bool is_gated;
        struct watch *watch = next_watch(agent, &delay_ms, &is_gated);
        if (!watch) {
            if (delay_ms > 0 && !uv_is_active((uv_handle_t *)&agent->timer))
                agent->counters.limiter_delays++;
            if (delay_ms > 0)
                uv_timer_start(&agent->timer, on_timer, delay_ms, 0);
            return;
        }
        list_remove(&watch->queue_link);
        watch_send_queued(watch, is_gated);
    }
}

void agent_note_broken(struct agent *agent)
{
    agent->is_broken = true;
}

void agent_note_answer(struct agent *agent)
{
    if (agent->is_broken) {
        agent->is_broken = false;
        agent->settled_at_ms = clock_now_ms() + SETTLE_MS;
    }
    if (!agent->away_since_ms)
        return;
    log_info("consul at %s answers again after %llu ms", agent->settings->http.base_url,
             (unsigned long long)(clock_now_ms() - agent->away_since_ms));
    agent->away_since_ms = 0;
    backoff_reset(&agent->backoff);
    problems_clear(agent->problems, STR("consul/agent"));
}

// Texts differ in milliseconds and ports; what comes first is what went wrong.
static bool is_same_failure(const char *before, const char *now)
{
    enum { TELLING = 12 };
    return strncmp(before, now, TELLING) == 0;
}

void agent_note_away(struct agent *agent, const char *failure)
{
    uint64_t now_ms = clock_now_ms();
    agent->is_broken = true;
    gate_close(&agent->gate);
    agent->retry_at_ms =
        now_ms + backoff_next_probe(&agent->backoff, &agent->rng, AWAY_FLOOR_MS, AWAY_CAP_MS);
    if (agent->away_since_ms && is_same_failure(agent->failure, failure))
        return;
    if (!agent->away_since_ms)
        agent->away_since_ms = now_ms;
    snprintf(agent->failure, sizeof agent->failure, "%s", failure);
    log_warn("consul at %s cannot be reached: %s; routes stay as they are",
             agent->settings->http.base_url, failure);
    problems_begin(agent->problems, STR("consul/agent"));
    problems_add(agent->problems, &(struct problem){.source = STR("consul"),
                                                    .text = str_of(agent->settings->http.base_url),
                                                    .reason = str_of(failure)});
    problems_end(agent->problems);
}

void agent_note_crowded(struct agent *agent)
{
    uint64_t now_ms = clock_now_ms();
    // All polls of one crowd are refused together: one halving for them all.
    if (agent->crowded_at_ms && now_ms - agent->crowded_at_ms < CROWD_MS)
        return;
    agent->crowded_at_ms = now_ms;
    agent->watch_limit = MAX(agent->watch_limit / 2, (unsigned)WATCH_LIMIT_MIN);
    log_warn("consul says too many requests: at most %u watches for now", agent->watch_limit);
}

uint32_t agent_retry_cap_ms(const struct agent *agent)
{
    uint32_t cap_ms = MIN(agent->failing, 1000u) * RETRY_CAP_PER_FAILING_MS;
    return MAX((uint32_t)RETRY_CAP_MIN_MS, MIN(cap_ms, (uint32_t)RETRY_CAP_MAX_MS));
}

void agent_note_bad(struct agent *agent)
{
    gate_note_bad(&agent->gate);
}

static unsigned suspects(const struct agent *agent)
{
    return agent->failing + agent->spinning;
}

void agent_note_good(struct agent *agent, bool was_gated)
{
    if (gate_note_good(&agent->gate, clock_now_ms(), was_gated, suspects(agent)))
        agent_kick(agent);
    if (suspects(agent) == 0)
        gate_note_calm(&agent->gate);
}

void agent_note_blocking(struct agent *agent)
{
    if (!gate_note_good(&agent->gate, clock_now_ms(), true, suspects(agent)))
        return;
    LIST_FOREACH_SAFE (link, &agent->watches)
        watch_believe(CONTAINER_OF(link, struct watch, link));
    agent_kick(agent);
}

void agent_kick(struct agent *agent)
{
    LIST_FOREACH_SAFE (link, &agent->watches)
        watch_kick(CONTAINER_OF(link, struct watch, link));
}

void agent_tick(struct agent *agent)
{
    struct err err = {0};
    if (consul_settings_refresh(agent->settings, false, &err)) {
        log_info("consul: token or certificate files read again");
        agent_kick(agent);
    }
    uint64_t now_ms = clock_now_ms();
    if (agent->crowded_at_ms && now_ms - agent->crowded_at_ms >= RECOVERY_STEP_MS) {
        agent->crowded_at_ms = now_ms;
        if (++agent->watch_limit >= agent->watch_max) {
            agent->watch_limit = agent->watch_max;
            agent->crowded_at_ms = 0;
        }
    }
}
