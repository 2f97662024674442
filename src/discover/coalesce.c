// SPDX-License-Identifier: Apache-2.0
#include "discover/coalesce.h"

#include "base/attr.h"

enum { AT_ONCE = 4 }; // publications of a burst that do not wait for its end

uint64_t coalesce_note(struct coalesce *coalesce, uint64_t now_ms, bool is_urgent)
{
    uint64_t last_change_ms = coalesce->last_change_ms;
    coalesce->last_change_ms = now_ms;
    if (coalesce->first_change_ms == 0)
        coalesce->first_change_ms = now_ms;
    if (now_ms - last_change_ms >= coalesce->quiet_ms)
        coalesce->published = 0;
    if (is_urgent || coalesce->published < AT_ONCE)
        return 0;
    uint64_t waited_ms = now_ms - coalesce->first_change_ms;
    uint64_t left_ms = coalesce->max_ms > waited_ms ? coalesce->max_ms - waited_ms : 0;
    return MIN((uint64_t)coalesce->quiet_ms, left_ms);
}

void coalesce_done(struct coalesce *coalesce)
{
    coalesce->first_change_ms = 0;
    coalesce->published++;
}
