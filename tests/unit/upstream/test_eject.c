// SPDX-License-Identifier: Apache-2.0
// The state machine with a clock of its own.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "upstream/eject.h"

static const struct eject_config CONFIG = {.failures = 3, .first_ms = 5000, .max_ms = 60000};
enum { NOW = 1000000 };

static struct rng rng;
static struct ejection ejection;

static int setup(void **state)
{
    (void)state;
    rng_init(&rng, 1);
    ejection = (struct ejection){0};
    return 0;
}

static bool fail_at(uint64_t now_ms, bool is_probe)
{
    return ejection_fail(&ejection, &CONFIG, &rng, now_ms, EJECT_CONNECT, is_probe, true);
}

// Takes it out; when it is due again.
static uint64_t eject(void)
{
    fail_at(NOW, false);
    fail_at(NOW, false);
    assert_true(fail_at(NOW, false));
    return ejection_until_ms(&ejection);
}

static void three_failures_in_a_row_take_it_out(void **state)
{
    (void)state;
    assert_false(fail_at(NOW, false));
    assert_false(fail_at(NOW, false));
    ejection_succeed(&ejection);
    assert_false(fail_at(NOW, false));
    assert_false(fail_at(NOW, false));
    assert_true(ejection_admits(&ejection, NOW, true));
    assert_true(fail_at(NOW, false));
    assert_false(ejection_admits(&ejection, NOW, true));
    assert_int_equal(atomic_load(&ejection.cause), EJECT_CONNECT);
    assert_in_range(ejection_until_ms(&ejection) - NOW, 4500, 5500);
}

static void what_was_under_way_does_not_prolong_it(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    for (unsigned i = 0; i < 10; i++)
        assert_false(fail_at(NOW + 100, false));
    assert_int_equal(ejection_until_ms(&ejection), due_ms);
}

static void one_probe_at_a_time(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    assert_false(ejection_begin(&ejection, due_ms - 1)); // sent for want of others: no probe
    assert_false(ejection_admits(&ejection, due_ms - 1, true));
    assert_true(ejection_admits(&ejection, due_ms, true));
    assert_true(ejection_begin(&ejection, due_ms));
    assert_false(ejection_admits(&ejection, due_ms + 3600 * 1000, true));
    assert_false(ejection_begin(&ejection, due_ms + 3600 * 1000));
}

static void a_probe_that_succeeds_brings_it_back(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    assert_true(ejection_begin(&ejection, due_ms));
    ejection_succeed(&ejection);
    ejection_end_probe(&ejection);
    assert_true(ejection_admits(&ejection, due_ms, true));
    assert_false(ejection_begin(&ejection, due_ms));
    // And with a clean record.
    assert_false(fail_at(due_ms, false));
    assert_false(fail_at(due_ms, false));
    assert_true(fail_at(due_ms, false));
    assert_in_range(ejection_until_ms(&ejection) - due_ms, 4500, 5500);
}

static void a_probe_that_fails_doubles_the_time(void **state)
{
    (void)state;
    uint64_t due_ms = eject(), expected_ms = CONFIG.first_ms;
    for (unsigned i = 0; i < 20; i++) {
        assert_true(ejection_begin(&ejection, due_ms));
        assert_true(fail_at(due_ms, true));
        ejection_end_probe(&ejection);
        expected_ms = expected_ms * 2 < CONFIG.max_ms ? expected_ms * 2 : CONFIG.max_ms;
        uint64_t hold_ms = ejection_until_ms(&ejection) - due_ms;
        assert_in_range(hold_ms, expected_ms * 9 / 10, expected_ms * 11 / 10);
        due_ms += hold_ms;
    }
}

static void a_probe_without_a_verdict_is_followed_by_another(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    assert_true(ejection_begin(&ejection, due_ms));
    ejection_end_probe(&ejection); // its client went away
    assert_true(ejection_admits(&ejection, due_ms, true));
    assert_true(ejection_begin(&ejection, due_ms));
}

static void others_do_not_judge_while_it_is_probed(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    assert_true(ejection_begin(&ejection, due_ms));
    assert_false(fail_at(due_ms, false));
    assert_int_equal(ejection_until_ms(&ejection), due_ms);
}

static void a_request_that_cannot_be_repeated_leaves_the_probe_to_others(void **state)
{
    (void)state;
    uint64_t due_ms = eject();
    assert_false(ejection_admits(&ejection, due_ms, false));
    assert_true(ejection_admits(&ejection, due_ms + EJECT_PROBE_PATIENCE_MS, false)); // no others
}

static void the_only_one_stays(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_false(ejection_fail(&ejection, &CONFIG, &rng, NOW, EJECT_CONNECT, false, false));
    assert_true(ejection_admits(&ejection, NOW, true));
}

static void zero_failures_is_off(void **state)
{
    (void)state;
    struct eject_config off = CONFIG;
    off.failures = 0;
    for (unsigned i = 0; i < 10; i++)
        assert_false(ejection_fail(&ejection, &off, &rng, NOW, EJECT_CONNECT, false, true));
    assert_true(ejection_admits(&ejection, NOW, true));
}

static void every_cause_has_words(void **state)
{
    (void)state;
    assert_string_equal(eject_cause_text(EJECT_NONE), "");
    for (int cause = EJECT_CONNECT; cause <= EJECT_GATEWAY; cause++)
        assert_string_not_equal(eject_cause_text((enum eject_cause)cause), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(three_failures_in_a_row_take_it_out, setup),
        cmocka_unit_test_setup(what_was_under_way_does_not_prolong_it, setup),
        cmocka_unit_test_setup(one_probe_at_a_time, setup),
        cmocka_unit_test_setup(a_probe_that_succeeds_brings_it_back, setup),
        cmocka_unit_test_setup(a_probe_that_fails_doubles_the_time, setup),
        cmocka_unit_test_setup(a_probe_without_a_verdict_is_followed_by_another, setup),
        cmocka_unit_test_setup(others_do_not_judge_while_it_is_probed, setup),
        cmocka_unit_test_setup(a_request_that_cannot_be_repeated_leaves_the_probe_to_others, setup),
        cmocka_unit_test_setup(the_only_one_stays, setup),
        cmocka_unit_test_setup(zero_failures_is_off, setup),
        cmocka_unit_test(every_cause_has_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
