// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"
#include "net/wheel.h"

struct probe {
    struct timer timer;
    uint64_t fired_at_ms;
    unsigned fired;
    unsigned again; // arms itself so many times more
};

static struct wheel wheel;
static uint64_t now_ms;

static void on_expiry(struct timer *timer)
{
    struct probe *probe = CONTAINER_OF(timer, struct probe, timer);
    probe->fired_at_ms = now_ms;
    probe->fired++;
    if (probe->again > 0) {
        probe->again--;
        timer_arm(&wheel, timer, now_ms, 1000);
    }
}

static void run_to(uint64_t to_ms)
{
    for (; now_ms < to_ms; now_ms += 10)
        wheel_run(&wheel, now_ms);
    wheel_run(&wheel, now_ms);
}

static int setup(void **state)
{
    (void)state;
    now_ms = 123456;
    wheel_init(&wheel, now_ms);
    return 0;
}

static void fires_once_and_never_early(void **state)
{
    (void)state;
    static const uint32_t delays[] = {1, 49, 50, 51, 999, 25599, 25600, 25601, 60000, 3600000};
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        struct probe probe = {0};
        timer_init(&probe.timer, on_expiry);
        uint64_t start_ms = now_ms;
        timer_arm(&wheel, &probe.timer, now_ms, delays[i]);
        run_to(now_ms + delays[i] + 3 * WHEEL_TICK_MS);
        assert_int_equal(probe.fired, 1);
        assert_true(probe.fired_at_ms >= start_ms + delays[i]);
        assert_true(probe.fired_at_ms <= start_ms + delays[i] + 2 * WHEEL_TICK_MS);
        assert_int_equal(wheel.armed, 0);
    }
}

static void moving_a_deadline_back_keeps_the_slot(void **state)
{
    (void)state;
    struct probe probe = {0};
    timer_init(&probe.timer, on_expiry);
    timer_arm(&wheel, &probe.timer, now_ms, 500);
    uint64_t slot_ms = probe.timer.slot_ms;
    run_to(now_ms + 300);
    uint64_t moved_at_ms = now_ms;
    timer_arm(&wheel, &probe.timer, now_ms, 500);
    assert_int_equal(probe.timer.slot_ms, slot_ms);
    run_to(moved_at_ms + 450);
    assert_int_equal(probe.fired, 0);
    run_to(moved_at_ms + 500 + 2 * WHEEL_TICK_MS);
    assert_int_equal(probe.fired, 1);
}

static void an_earlier_deadline_counts(void **state)
{
    (void)state;
    struct probe probe = {0};
    timer_init(&probe.timer, on_expiry);
    timer_arm(&wheel, &probe.timer, now_ms, 60000);
    timer_arm(&wheel, &probe.timer, now_ms, 100);
    assert_int_equal(wheel.armed, 1);
    run_to(now_ms + 100 + 2 * WHEEL_TICK_MS);
    assert_int_equal(probe.fired, 1);
}

static void disarming_and_delay_zero(void **state)
{
    (void)state;
    struct probe probe = {0};
    timer_init(&probe.timer, on_expiry);
    timer_disarm(&wheel, &probe.timer);
    timer_arm(&wheel, &probe.timer, now_ms, 100);
    timer_disarm(&wheel, &probe.timer);
    timer_disarm(&wheel, &probe.timer);
    timer_arm(&wheel, &probe.timer, now_ms, 100);
    timer_arm(&wheel, &probe.timer, now_ms, 0);
    assert_int_equal(wheel.armed, 0);
    run_to(now_ms + 1000);
    assert_int_equal(probe.fired, 0);
}

static void a_timer_may_arm_itself_again(void **state)
{
    (void)state;
    struct probe probe = {.again = 2};
    timer_init(&probe.timer, on_expiry);
    timer_arm(&wheel, &probe.timer, now_ms, 1000);
    run_to(now_ms + 3500);
    assert_int_equal(probe.fired, 3);
}

static void an_idle_wheel_catches_up(void **state)
{
    (void)state;
    now_ms += 10 * 3600 * 1000; // nobody ticked an empty wheel for hours
    struct probe probe = {0};
    timer_init(&probe.timer, on_expiry);
    timer_arm(&wheel, &probe.timer, now_ms, 200);
    wheel_run(&wheel, now_ms);
    assert_int_equal(probe.fired, 0);
    run_to(now_ms + 200 + 2 * WHEEL_TICK_MS);
    assert_int_equal(probe.fired, 1);
}

static void a_stalled_loop_fires_what_is_due(void **state)
{
    (void)state;
    struct probe due = {0}, later = {0};
    timer_init(&due.timer, on_expiry);
    timer_init(&later.timer, on_expiry);
    timer_arm(&wheel, &due.timer, now_ms, 1000);
    timer_arm(&wheel, &later.timer, now_ms, 100000);
    now_ms += 50000; // one long turn
    wheel_run(&wheel, now_ms);
    assert_int_equal(due.fired, 1);
    assert_int_equal(later.fired, 0);
    run_to(now_ms + 50000 + 2 * WHEEL_TICK_MS);
    assert_int_equal(later.fired, 1);
}

// Against the plain model: a list of deadlines.
static void many_random_timers(void **state)
{
    (void)state;
    enum { COUNT = 300, STEPS = 20000 };
    static struct probe probes[COUNT];
    static uint64_t expected_ms[COUNT]; // 0: disarmed
    struct rng rng;
    rng_init(&rng, 7);
    for (int i = 0; i < COUNT; i++) {
        probes[i] = (struct probe){0};
        timer_init(&probes[i].timer, on_expiry);
        expected_ms[i] = 0;
    }
    for (int step = 0; step < STEPS; step++) {
        uint32_t i = rng_below(&rng, COUNT);
        uint32_t delay_ms = rng_below(&rng, 40000);
        if (delay_ms % 8 == 0)
            delay_ms = 0;
        timer_arm(&wheel, &probes[i].timer, now_ms, delay_ms);
        expected_ms[i] = delay_ms ? now_ms + delay_ms : 0;
        now_ms += rng_below(&rng, 60);
        for (int k = 0; k < COUNT; k++)
            probes[k].fired = 0;
        wheel_run(&wheel, now_ms);
        for (int k = 0; k < COUNT; k++) {
            if (probes[k].fired) {
                assert_true(expected_ms[k] != 0 && expected_ms[k] <= now_ms);
                expected_ms[k] = 0;
            } else if (expected_ms[k]) {
                assert_true(expected_ms[k] + 2 * WHEEL_TICK_MS > now_ms);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(fires_once_and_never_early, setup),
        cmocka_unit_test_setup(moving_a_deadline_back_keeps_the_slot, setup),
        cmocka_unit_test_setup(an_earlier_deadline_counts, setup),
        cmocka_unit_test_setup(disarming_and_delay_zero, setup),
        cmocka_unit_test_setup(a_timer_may_arm_itself_again, setup),
        cmocka_unit_test_setup(an_idle_wheel_catches_up, setup),
        cmocka_unit_test_setup(a_stalled_loop_fires_what_is_due, setup),
        cmocka_unit_test_setup(many_random_timers, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
