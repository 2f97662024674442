// SPDX-License-Identifier: Apache-2.0
// When changes that come in are to be published: at once as long as they are few, so that what
// comes in two or three steps does not wait for itself; those of a longer burst together when it
// ends, and none later than a maximum after the first of them. Pure: the caller brings the clock.
// Used by feed.c.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct coalesce {
    uint32_t quiet_ms;        // changes less than this apart are a burst
    uint32_t max_ms;          // how long the first of a burst waits at most
    uint64_t first_change_ms; // of those not published yet; 0: none
    uint64_t last_change_ms;
    unsigned published; // during this burst
};

// A change at now_ms (above 0). Returns after how many milliseconds to publish, in place of what
// was said before; is_urgent: nothing has been published yet.
uint64_t coalesce_note(struct coalesce *coalesce, uint64_t now_ms, bool is_urgent);
// All is published.
void coalesce_done(struct coalesce *coalesce);
