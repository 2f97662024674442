// SPDX-License-Identifier: Apache-2.0
#include "discover/consul_internal.h"

#include <inttypes.h>

#include "base/clock.h"
#include "stats/prom.h"

static const char *const OUTCOME_TEXTS[OUTCOMES] = {
    [OUTCOME_2XX] = "2xx", [OUTCOME_3XX] = "3xx",   [OUTCOME_4XX] = "4xx",
    [OUTCOME_5XX] = "5xx", [OUTCOME_NONE] = "none", [OUTCOME_BAD] = "bad",
};

static void single(struct buf *out, const char *name, const char *kind, const char *help,
                   uint64_t value)
{
    prom_family(out, name, kind, help);
    prom_sample_u64(out, name, NULL, 0, value);
}

static void write_classes(const struct consul *consul, struct buf *out)
{
    const struct agent_counters *counters = &consul->agent.counters;
    uint64_t now_ms = clock_now_ms();
    prom_family(
        out, "tagway_consul_requests_total", "counter",
        "Answers from Consul by endpoint class and status class; none: no answer came, bad: it "
        "could not be used.");
    for (unsigned class = 0; class < WATCH_CLASS_COUNT; class ++) {
        for (unsigned outcome = 0; outcome < OUTCOMES; outcome++) {
            const struct prom_label labels[] = {
                {"endpoint", str_of(watch_class_text((enum watch_class) class))},
                {"code", str_of(OUTCOME_TEXTS[outcome])}};
            prom_sample_u64(out, "tagway_consul_requests_total", labels, 2,
                            counters->requests[class][outcome]);
        }
    }
    prom_family(out, "tagway_consul_wakeups_total", "counter",
                "Good answers by endpoint class and whether they changed anything.");
    for (unsigned class = 0; class < WATCH_CLASS_COUNT; class ++) {
        struct str text = str_of(watch_class_text((enum watch_class) class));
        const struct prom_label changed[] = {{"endpoint", text}, {"result", STR("changed")}};
        const struct prom_label same[] = {{"endpoint", text}, {"result", STR("unchanged")}};
        prom_sample_u64(out, "tagway_consul_wakeups_total", changed, 2,
                        counters->wakeups_changed[class]);
        prom_sample_u64(out, "tagway_consul_wakeups_total", same, 2,
                        counters->wakeups_unchanged[class]);
    }
    prom_family(out, "tagway_consul_last_success_seconds", "gauge",
                "Time since the last good answer of the endpoint class.");
    for (unsigned class = 0; class < WATCH_CLASS_COUNT; class ++) {
        if (!counters->last_ok_ms[class])
            continue;
        const struct prom_label label = {"endpoint",
                                         str_of(watch_class_text((enum watch_class) class))};
        prom_sample_f64(out, "tagway_consul_last_success_seconds", &label, 1,
                        (double)(now_ms - counters->last_ok_ms[class]) / 1000);
    }
}

static unsigned count_degraded(const struct consul *consul)
{
    unsigned count = 0;
    LIST_FOREACH (link, &consul->agent.watches)
        count += bucket_is_degraded(&CONTAINER_OF(link, struct watch, link)->bucket);
    return count;
}

void consul_write_metrics(void *self, struct buf *out)
{
    const struct consul *consul = self;
    const struct agent *agent = &consul->agent;
    const struct agent_counters *counters = &agent->counters;
    write_classes(consul, out);
    single(out, "tagway_consul_up", "gauge", "1 while the agent can be reached.",
           agent->away_since_ms == 0);
    single(out, "tagway_consul_watches", "gauge", "Services with a poll of their own.",
           consul->polled_count);
    single(out, "tagway_consul_watches_wanted", "gauge", "Services with a route tag.",
           consul->services.count);
    single(out, "tagway_consul_watch_limit", "gauge",
           "Polls allowed now; lower than configured after 429 answers.", agent->watch_limit);
    single(out, "tagway_consul_watches_failing", "gauge", "Watches whose last request failed.",
           agent->failing);
    single(out, "tagway_consul_watches_spinning", "gauge",
           "Watches whose polls return at once though nothing has changed.", agent->spinning);
    single(out, "tagway_consul_watches_degraded", "gauge",
           "Watches slowed down because they wake up all the time.", count_degraded(consul));
    single(out, "tagway_consul_digest_mode", "gauge",
           "1 while all checks are watched together because there are too many services.",
           consul->plan.is_digest);
    single(out, "tagway_consul_instances", "gauge", "Instances with routes.",
           consul->instance_total);
    single(out, "tagway_consul_instances_up", "gauge", "Instances with routes that are healthy.",
           consul->up_total);
    single(out, "tagway_consul_index_resets_total", "counter", "Times an index went backwards.",
           counters->index_resets);
    single(out, "tagway_consul_deadlines_total", "counter",
           "Requests given up because no complete answer came in time.", counters->deadlines);
    single(out, "tagway_consul_limiter_delays_total", "counter",
           "Requests delayed by a rate limit.", counters->limiter_delays);
    single(out, "tagway_consul_guard_activations_total", "counter",
           "Times a mass removal was held back.", consul->guard_activations);
    single(out, "tagway_consul_received_bytes_total", "counter", "Bytes of answers.",
           counters->bytes);
}

static const char *state_text(const struct watch *watch)
{
    switch (watch->state) {
    case WATCH_IDLE: return "idle";
    case WATCH_WAITING: return watch->is_failing ? "retrying" : "paced";
    case WATCH_QUEUED: return "queued";
    case WATCH_RUNNING: return watch->was_full ? "reading" : "polling";
    case WATCH_CLOSING: return "closing";
    }
    return "";
}

static void write_watch(const struct watch *watch, uint64_t now_ms, bool is_first, struct buf *out)
{
    buf_append_cstr(out, is_first ? "{" : ",{");
    buf_printf(out, "\"class\":\"%s\",\"name\":", watch_class_text(watch->ops->class));
    buf_append_json(out, watch->label);
    buf_printf(out,
               ",\"state\":\"%s\",\"index\":%" PRIu64 ",\"status\":%d,\"is_failing\":%s,"
               "\"is_stale\":%s,\"is_flapping\":%s,\"wakeups\":%" PRIu64 ",\"changes\":%" PRIu64
               ",\"failures\":%" PRIu64,
               state_text(watch), watch->index.value, watch->last_status,
               watch->is_failing ? "true" : "false", watch->is_stale ? "true" : "false",
               bucket_is_degraded(&watch->bucket) ? "true" : "false", watch->wakeups,
               watch->changes, watch->failures);
    if (watch->last_ok_ms)
        buf_printf(out, ",\"last_ok_ms_ago\":%" PRIu64, now_ms - watch->last_ok_ms);
    buf_append_char(out, '}');
}

void consul_write_json(void *self, struct buf *out)
{
    const struct consul *consul = self;
    const struct agent *agent = &consul->agent;
    uint64_t now_ms = clock_now_ms();
    uint64_t age_ms = consul->backend.ops->data_age_ms(self);
    buf_append_cstr(out, "{\"backend\":\"consul\",\"address\":");
    buf_append_json(out, str_of(agent->settings->http.base_url));
    buf_printf(out, ",\"is_up\":%s,\"mode\":\"%s\",\"read_mode\":\"%s\"",
               agent->away_since_ms ? "false" : "true",
               consul->plan.is_digest ? "digest" : "watches",
               consul->base_mode == READ_STALE     ? "stale"
               : consul->base_mode == READ_DEFAULT ? "default"
                                                   : "consistent");
    if (age_ms == UINT64_MAX)
        buf_append_cstr(out, ",\"data_age_ms\":null");
    else
        buf_printf(out, ",\"data_age_ms\":%" PRIu64, age_ms);
    buf_printf(out,
               ",\"services\":%zu,\"polled\":%u,\"watch_limit\":%u,\"failing\":%u,"
               "\"instances\":%" PRIu64 ",\"instances_up\":%" PRIu64 ",\"index_resets\":%" PRIu64
               ",\"deadlines\":%" PRIu64 ",\"guard_activations\":%" PRIu64 ",\"watches\":[",
               consul->services.count, consul->polled_count, agent->watch_limit, agent->failing,
               consul->instance_total, consul->up_total, agent->counters.index_resets,
               agent->counters.deadlines, consul->guard_activations);
    // The table has a row for each poll and for each failing read; services at rest are only
    // counted.
    bool is_first = true;
    size_t rows = 0;
    LIST_FOREACH (link, &agent->watches) {
        const struct watch *watch = CONTAINER_OF(link, struct watch, link);
        if ((!watch->is_polling && !watch->is_failing) || rows++ >= 2 * WATCHES_CEILING)
            continue;
        write_watch(watch, now_ms, is_first, out);
        is_first = false;
    }
    buf_append_cstr(out, "]}");
}
