// SPDX-License-Identifier: Apache-2.0
#include "net/wheel.h"

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (int i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->now_tick = now_ms / WHEEL_TICK_MS;
    wheel->armed = 0;
}

// Puts the timer into the slot of its deadline, or the furthest slot when it lies beyond one turn.
static void link_timer(struct wheel *wheel, struct timer *timer)
{
    uint64_t tick = timer->deadline_ms / WHEEL_TICK_MS + 1; // rounded up: never early
    if (tick <= wheel->now_tick)
        tick = wheel->now_tick + 1;
    if (tick > wheel->now_tick + WHEEL_SLOTS - 1)
        tick = wheel->now_tick + WHEEL_SLOTS - 1;
    timer->slot_ms = tick * WHEEL_TICK_MS;
    list_push_back(&wheel->slots[tick % WHEEL_SLOTS], &timer->link);
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t target = now_ms / WHEEL_TICK_MS;
    // After a long stall one turn over all slots reaches every timer.
    if (target > wheel->now_tick + WHEEL_SLOTS)
        wheel->now_tick = target - WHEEL_SLOTS;
    while (wheel->now_tick < target) {
        wheel->now_tick++;
        struct list due;
        list_init(&due);
        list_splice_back(&due, &wheel->slots[wheel->now_tick % WHEEL_SLOTS]);
        while (!list_is_empty(&due)) {
            struct timer *timer = CONTAINER_OF(list_take_front(&due), struct timer, link);
            if (timer->deadline_ms > now_ms) {
                link_timer(wheel, timer);
                continue;
            }
            wheel->armed--;
            timer->on_expiry(timer);
        }
    }
}

void timer_init(struct timer *timer, timer_fn on_expiry)
{
    list_init(&timer->link);
    timer->deadline_ms = 0;
    timer->slot_ms = 0;
    timer->on_expiry = on_expiry;
}

void timer_arm(struct wheel *wheel, struct timer *timer, uint64_t now_ms, uint32_t delay_ms)
{
    if (delay_ms == 0) {
        timer_disarm(wheel, timer);
        return;
    }
    // An empty wheel is not ticked and has fallen behind.
    if (wheel->armed == 0)
        wheel->now_tick = now_ms / WHEEL_TICK_MS;
    timer->deadline_ms = now_ms + delay_ms;
    if (timer_is_armed(timer)) {
        if (timer->deadline_ms >= timer->slot_ms)
            return; // its slot comes round first and relinks it
        list_remove(&timer->link);
        wheel->armed--;
    }
    link_timer(wheel, timer);
    wheel->armed++;
}

void timer_disarm(struct wheel *wheel, struct timer *timer)
{
    if (!timer_is_armed(timer))
        return;
    list_remove(&timer->link);
    wheel->armed--;
}
