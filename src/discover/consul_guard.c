// SPDX-License-Identifier: Apache-2.0
// Removals that look like Consul's trouble rather than the services' are held back for a while:
// - Mass: more than half of all instances gone within ten seconds (consul.md C17).
// - Restart: an agent that starts again calls every check critical until it has run once. Instances
//   that were up before keep their routes for SETTLE_MS after the agent's return; if they are
//   really dead, passive ejection keeps traffic away from them.
// When the time is over, the services are read with `consistent`, and that answer counts.
#include "discover/consul_internal.h"

#include "base/clock.h"
#include "base/log.h"

enum { MASS_HOLD_MS = 5000 };

enum hold_reason hold_reason_of(struct service *service, unsigned removed, bool is_listed)
{
    struct consul *consul = service->consul;
    uint64_t now_ms = clock_now_ms();
    if (service->hold != HOLD_NONE)
        return service->hold;
    if (is_listed && now_ms < consul->agent.settled_at_ms)
        return HOLD_RESTART;
    bool is_admitted = guard_admits(&consul->guard, now_ms, consul->up_total, removed);
    return is_admitted ? HOLD_NONE : HOLD_MASS;
}

static void on_timer(uv_timer_t *timer)
{
    struct consul *consul = timer->data;
    uint64_t now_ms = clock_now_ms();
    uint64_t settled_at_ms = consul->agent.settled_at_ms;
    bool is_settling = false;
    LIST_FOREACH (link, &consul->held) {
        struct service *service = CONTAINER_OF(link, struct service, held_link);
        if (service->hold == HOLD_RESTART && now_ms < settled_at_ms)
            is_settling = true;
        else
            watch_read(&service->watch, READ_CONSISTENT);
    }
    if (is_settling)
        uv_timer_start(timer, on_timer, settled_at_ms - now_ms, 0);
}

static void announce(struct consul *consul, enum hold_reason reason)
{
    static const char *const TEXTS[] = {
        [HOLD_MASS] = "too many instances went at once: removals are held until confirmed",
        [HOLD_RESTART] = "Consul has restarted: critical checks are not believed for a while",
    };
    consul->guard_activations++;
    log_warn("consul: %s", TEXTS[reason]);
    problems_begin(consul->problems, STR("consul/guard"));
    problems_add(consul->problems,
                 &(struct problem){.source = STR("consul"), .reason = str_of(TEXTS[reason])});
    problems_end(consul->problems);
}

void hold_begin(struct service *service, enum hold_reason reason)
{
    struct consul *consul = service->consul;
    if (service->hold != HOLD_NONE)
        return;
    if (list_is_empty(&consul->held))
        announce(consul, reason);
    service->hold = reason;
    list_push_back(&consul->held, &service->held_link);

    uint64_t now_ms = clock_now_ms();
    uint64_t wait_ms = MASS_HOLD_MS;
    if (reason == HOLD_RESTART)
        wait_ms = consul->agent.settled_at_ms - MIN(now_ms, consul->agent.settled_at_ms);
    bool is_timed = uv_is_active((uv_handle_t *)&consul->guard_timer);
    if (!is_timed || uv_timer_get_due_in(&consul->guard_timer) > wait_ms)
        uv_timer_start(&consul->guard_timer, on_timer, wait_ms, 0);
}

void hold_end(struct service *service)
{
    struct consul *consul = service->consul;
    if (service->hold == HOLD_NONE)
        return;
    service->hold = HOLD_NONE;
    list_remove(&service->held_link);
    if (!list_is_empty(&consul->held))
        return;
    uv_timer_stop(&consul->guard_timer);
    guard_init(&consul->guard, consul->config->mass_drop_percent);
    problems_clear(consul->problems, STR("consul/guard"));
}
