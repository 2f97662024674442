// SPDX-License-Identifier: Apache-2.0
// Hashed timer wheel for the many deadlines of connections: arming costs a store, moving a deadline
// back costs nothing until the old slot comes round (lazy). Resolution WHEEL_TICK_MS; a timer never
// fires early. One wheel per loop, used on that loop's thread only; it knows no clock, the owner
// ticks it.
#pragma once

#include <stdint.h>

#include "base/list.h"

enum { WHEEL_SLOTS = 512, WHEEL_TICK_MS = 50 };

struct timer;
// The timer is disarmed when its callback runs; it may be armed again there, or its owner freed.
typedef void (*timer_fn)(struct timer *timer);

struct timer {
    struct list link;     // in a slot while armed
    uint64_t deadline_ms; // when to fire
    uint64_t slot_ms;     // when its slot comes round; <= deadline_ms
    timer_fn on_expiry;
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint64_t now_tick; // last tick that was run
    uint32_t armed;    // timers in slots
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
// Fires everything due at now_ms.
void wheel_run(struct wheel *wheel, uint64_t now_ms);

void timer_init(struct timer *timer, timer_fn on_expiry);
// (Re)arms for now_ms + delay_ms; a delay of 0 disarms.
void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t now_ms, uint32_t delay_ms);
// Idempotent.
void timer_disarm(struct wheel *wheel, struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
    return list_is_linked(&timer->link);
}
