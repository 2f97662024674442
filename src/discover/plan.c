// SPDX-License-Identifier: Apache-2.0
#include "discover/plan.h"

#include "base/attr.h"

enum {
    GUARD_WINDOW_MS = 10 * 1000,
    GUARD_MIN_REMOVED = 10,
    // Of the polls, every so many-th is kept free: a service that comes and goes would else put out
    // a quiet one each time, which is read when it loses its poll and when it has it back.
    FREE_SHARE = 8,
};

struct plan plan_watches(size_t services, unsigned watch_limit, bool is_digest_now)
{
    unsigned room = watch_limit > PLAN_FIXED_WATCHES ? watch_limit - PLAN_FIXED_WATCHES : 0;
    unsigned needed_room = is_digest_now ? room - room / 10 : room;
    if (services <= needed_room)
        return (struct plan){.own_watches = (unsigned)services, .set_watches = (unsigned)services};
    unsigned own_watches = room > PLAN_DIGEST_WATCHES ? room - PLAN_DIGEST_WATCHES : 0;
    return (struct plan){.is_digest = true,
                         .own_watches = own_watches,
                         .set_watches = own_watches - own_watches / FREE_SHARE};
}

void guard_init(struct guard *guard, unsigned percent)
{
    *guard = (struct guard){.percent = percent};
}

bool guard_admits(struct guard *guard, uint64_t now_ms, uint64_t total, uint64_t count)
{
    if (guard->percent == 0)
        return true;
    if (guard->removed == 0 || now_ms - guard->window_start_ms >= GUARD_WINDOW_MS) {
        guard->window_start_ms = now_ms;
        guard->baseline = total;
        guard->removed = 0;
    }
    uint64_t removed = guard->removed + count;
    if (removed >= GUARD_MIN_REMOVED && removed * 100 > guard->baseline * guard->percent)
        return false;
    guard->removed = removed;
    return true;
}
