// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "discover/coalesce.h"

static void a_change_after_quiet_goes_out_at_once(void **state)
{
    (void)state;
    struct coalesce coalesce = {.quiet_ms = 20, .max_ms = 200};
    assert_int_equal(coalesce_note(&coalesce, 1000, false), 0);
    coalesce_done(&coalesce);
    assert_int_equal(coalesce_note(&coalesce, 1020, false), 0);
}

static void a_few_changes_go_out_at_once_and_a_burst_when_it_ends(void **state)
{
    (void)state;
    struct coalesce coalesce = {.quiet_ms = 20, .max_ms = 200};
    for (uint64_t now_ms = 1000; now_ms < 1012; now_ms += 3) {
        assert_int_equal(coalesce_note(&coalesce, now_ms, false), 0);
        assert_int_equal(coalesce_note(&coalesce, now_ms, false), 0); // with the one before
        coalesce_done(&coalesce);
    }
    assert_int_equal(coalesce_note(&coalesce, 1015, false), 20);
    assert_int_equal(coalesce_note(&coalesce, 1034, false), 20);
    coalesce_done(&coalesce);
    assert_int_equal(coalesce_note(&coalesce, 1053, false), 20);
    coalesce_done(&coalesce);
    assert_int_equal(coalesce_note(&coalesce, 1073, false), 0);
}

static void the_first_table_does_not_wait(void **state)
{
    (void)state;
    struct coalesce coalesce = {.quiet_ms = 20, .max_ms = 200};
    assert_int_equal(coalesce_note(&coalesce, 1000, true), 0);
    assert_int_equal(coalesce_note(&coalesce, 1001, true), 0);
}

// A change every 2 ms for ever, each moving the timer: after the first four something goes
// out every 200 ms.
static void continuous_change_cannot_put_it_off_for_ever(void **state)
{
    (void)state;
    struct coalesce coalesce = {.quiet_ms = 20, .max_ms = 200};
    unsigned published = 0;
    uint64_t due_ms = UINT64_MAX, last_ms = 1000;
    for (uint64_t now_ms = 1000; now_ms < 11000; now_ms++) {
        if (now_ms >= due_ms) {
            assert_true(now_ms - last_ms <= 202);
            last_ms = now_ms;
            published++;
            due_ms = UINT64_MAX;
            coalesce_done(&coalesce);
        }
        if (now_ms % 2 == 0)
            due_ms = now_ms + coalesce_note(&coalesce, now_ms, false);
    }
    assert_in_range(published, 52, 54);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_after_quiet_goes_out_at_once),
        cmocka_unit_test(a_few_changes_go_out_at_once_and_a_burst_when_it_ends),
        cmocka_unit_test(the_first_table_does_not_wait),
        cmocka_unit_test(continuous_change_cannot_put_it_off_for_ever),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
