// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

static void goes_on_and_never_back(void **state)
{
    (void)state;
    uint64_t start_us = clock_now_us();
    uint64_t last_us = start_us;
    do {
        uint64_t now_us = clock_now_us();
        assert_true(now_us >= last_us);
        last_us = now_us;
    } while (last_us - start_us < 2000);
    uint64_t ms = clock_now_ms();
    assert_true(ms >= last_us / 1000 && ms <= clock_now_us() / 1000);
}

static void wall_time_is_the_systems(void **state)
{
    (void)state;
    uint64_t before_s = (uint64_t)time(NULL);
    uint64_t wall_s = clock_wall_us() / 1000000;
    assert_in_range(wall_s, before_s - 1, before_s + 60);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_on_and_never_back),
        cmocka_unit_test(wall_time_is_the_systems),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
