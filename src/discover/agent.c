// SPDX-License-Identifier: Apache-2.0
// 1. A watch that needs a full read enqueues itself; agent_pump sends the reads, eight at a time.
// 2. No connection: the agent is away. Queued reads stay queued; now and then one goes out as a
// probe,
//    with growing delay up to AWAY_CAP_MS. Any answer at all ends this, and the queue runs again.
// 3. 429: the number of long polls allowed is halved and grows back one every ten seconds.
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
    PROBE_PAUSE_MS = 1000,
    AWAY_FLOOR_MS = 1000,
    AWAY_CAP_MS = 1500, // one probe at a time is cheap, and routes shall move soon after a restart
    // With the catalog's own retries (watch.c) less than one request a second to a broken agent.
    RETRIES_BURST = 4,
    RETRY_INTERVAL_MS = 1000,
    RETRY_INTERVAL_BROKEN_MS = 6000,
    KICK_PAUSE_MS = 15 * 1000,
    RETRY_CAP_MIN_MS = 2000,
    RETRY_CAP_MAX_MS = 15 * 1000,
    RETRY_CAP_PER_FAILING_MS = 250,
    WATCH_LIMIT_MIN = 4,
    RECOVERY_STEP_MS = 10 * 1000,
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

static void reset_retries(struct agent *agent)
{
    uint32_t interval_ms = agent->is_catalog_failing ? RETRY_INTERVAL_BROKEN_MS : RETRY_INTERVAL_MS;
    unsigned burst = agent->is_catalog_failing ? 1 : RETRIES_BURST;
    bucket_init(&agent->retries, burst, interval_ms, interval_ms);
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
    reset_retries(agent);
    list_init(&agent->queue);
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

void agent_enqueue(struct agent *agent, struct watch *watch)
{
    list_push_back(&agent->queue, &watch->queue_link);
    agent_pump(agent);
}

void agent_pump(struct agent *agent)
{
    while (!agent->is_stopping && !list_is_empty(&agent->queue)) {
        uint64_t now_ms = clock_now_ms();
        if (agent->running >= (agent->away_since_ms ? PROBES_PARALLEL : READS_PARALLEL))
            return;
        if (agent->away_since_ms && now_ms < agent->retry_at_ms) {
            uv_timer_start(&agent->timer, on_timer, agent->retry_at_ms - now_ms, 0);
            return;
        }
        if (uv_is_active((uv_handle_t *)&agent->timer) && !agent->away_since_ms)
            return;
        struct watch *watch = CONTAINER_OF(agent->queue.next, struct watch, queue_link);
        // The first reads are bounded by their number and by going out eight at a time.
        bool needs_token = watch->has_answered && !agent->has_token;
        uint64_t delay_ms = needs_token ? bucket_take(&agent->bucket, now_ms) : 0;
        agent->has_token = delay_ms > 0;
        if (delay_ms > 0) {
            agent->counters.limiter_delays++;
            uv_timer_start(&agent->timer, on_timer, delay_ms, 0);
            return;
        }
        // A server that has no leader yet may sit on a probe for many seconds.
        if (agent->away_since_ms)
            agent->retry_at_ms = now_ms + PROBE_PAUSE_MS;
        list_remove(&watch->queue_link);
        watch_send_queued(watch);
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
    uv_timer_stop(&agent->timer);
    agent_kick(agent);
    agent_pump(agent);
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
    if (agent->crowded_at_ms && now_ms - agent->crowded_at_ms < 1000)
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

uint64_t agent_retry_delay_ms(struct agent *agent, uint64_t delay_ms)
{
    return MAX(delay_ms, bucket_take(&agent->retries, clock_now_ms()));
}

void agent_note_catalog(struct agent *agent, bool is_failing)
{
    if (is_failing == agent->is_catalog_failing)
        return;
    agent->is_catalog_failing = is_failing;
    if (is_failing)
        reset_retries(agent);
    else if (!agent->is_stopping)
        agent_kick(agent);
}

void agent_note_recovery(struct agent *agent)
{
    uint64_t now_ms = clock_now_ms();
    if (agent->failing == 0 || agent->is_catalog_failing ||
        now_ms - agent->kicked_ms < KICK_PAUSE_MS)
        return;
    agent->kicked_ms = now_ms;
    agent_kick(agent);
}

void agent_kick(struct agent *agent)
{
    reset_retries(agent); // what was reserved is not needed any more
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
