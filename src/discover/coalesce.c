// SPDX-License-Identifier: Apache-2.0
#include "discover/coalesce.h"

#include "base/attr.h"

uint64_t coalesce_note(struct coalesce *coalesce, uint64_t now_ms, bool is_urgent)
{
    uint64_t last_change_ms = coalesce->last_change_ms;
    coalesce->last_change_ms = now_ms;
    if (coalesce->first_change_ms == 0)
        coalesce->first_change_ms = now_ms;
    if (is_urgent || now_ms - last_change_ms >= coalesce->quiet_ms)
        return 0;
    uint64_t waited_ms = now_ms - coalesce->first_change_ms;
    uint64_t left_ms = coalesce->max_ms > waited_ms ? coalesce->max_ms - waited_ms : 0;
    return MIN((uint64_t)coalesce->quiet_ms, left_ms);
}

void coalesce_done(struct coalesce *coalesce)
{
    coalesce->first_change_ms = 0;
}
