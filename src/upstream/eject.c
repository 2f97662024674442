// SPDX-License-Identifier: Apache-2.0
#include "upstream/eject.h"

#include "base/attr.h"

enum { DOUBLINGS_MAX = 16 };

const char *eject_cause_text(enum eject_cause cause)
{
    switch (cause) {
    case EJECT_NONE: break;
#define X(name, words) \
    case EJECT_##name: return words;
        EJECT_CAUSES(X)
#undef X
    }
    return "";
}

bool ejection_admits(const struct ejection *ejection, uint64_t now_ms, bool can_repeat)
{
    uint64_t until_ms = ejection_until_ms(ejection);
    if (until_ms == 0)
        return true;
    return !ejection->is_probing && now_ms >= until_ms + (can_repeat ? 0 : EJECT_PROBE_PATIENCE_MS);
}

bool ejection_begin(struct ejection *ejection, uint64_t now_ms)
{
    uint64_t until_ms = ejection_until_ms(ejection);
    if (until_ms == 0 || now_ms < until_ms || ejection->is_probing)
        return false;
    ejection->is_probing = true;
    return true;
}

void ejection_end_probe(struct ejection *ejection)
{
    ejection->is_probing = false;
}

void ejection_succeed(struct ejection *ejection)
{
    ejection->failures = 0;
    ejection->times = 0;
    atomic_store_explicit(&ejection->until_ms, 0, memory_order_relaxed);
}

bool ejection_fail(struct ejection *ejection, const struct eject_config *config, struct rng *rng,
                   uint64_t now_ms, enum eject_cause cause, bool was_probe, bool may_eject)
{
    bool is_out = ejection_until_ms(ejection) != 0;
    ejection->failures++;
    // Requests that were under way when it was taken out say nothing new.
    if (config->failures == 0 || !may_eject || (is_out && !was_probe) ||
        (!is_out && ejection->failures < config->failures))
        return false;
    uint64_t hold_ms = (uint64_t)config->first_ms << MIN(ejection->times, (uint32_t)DOUBLINGS_MAX);
    hold_ms = MIN(hold_ms, (uint64_t)config->max_ms);
    // So that workers and proxies do not probe in step.
    hold_ms += rng_below(rng, (uint32_t)hold_ms / 5) - hold_ms / 10;
    ejection->times++;
    atomic_store_explicit(&ejection->cause, cause, memory_order_relaxed);
    atomic_store_explicit(&ejection->until_ms, now_ms + hold_ms, memory_order_relaxed);
    return true;
}
