// SPDX-License-Identifier: Apache-2.0
// Slots are taken in the order of codes, bounded, and survive shortage.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/attr.h"
#include "base/mem.h"
#include "stats/code_hists.h"

static uint64_t count_of(const struct hist *hist)
{
    struct hist_sum sum = {0};
    hist_add(&sum, hist);
    return sum.count;
}

static void assert_slot(const struct code_hists *hists, unsigned slot, unsigned code,
                        uint64_t count, uint64_t sum_us)
{
    unsigned found;
    const struct hist *hist = code_hists_at(hists, slot, &found);
    assert_non_null(hist);
    assert_int_equal(found, code);
    assert_int_equal(count_of(hist), count);
    assert_int_equal(code_hists_sum_us(hists, slot), sum_us);
}

static void each_code_has_its_slot(void **state)
{
    (void)state;
    struct code_hists hists = {0};
    code_hists_record(&hists, 200, 5);
    code_hists_record(&hists, 404, 7);
    code_hists_record(&hists, 200, 6);
    code_hists_record(&hists, CODE_TUNNEL, 1000);
    code_hists_record(&hists, CODE_CLIENT_ABORT, 1000);
    assert_slot(&hists, 0, 200, 2, 11);
    assert_slot(&hists, 1, 404, 1, 7);
    assert_slot(&hists, 2, CODE_TUNNEL, 1, 1000);
    unsigned code;
    assert_null(code_hists_at(&hists, 4, &code));

    struct hist_sum sum = {0};
    code_hists_add(&sum, &hists);
    assert_int_equal(sum.count, 3); // complete responses
    code_hists_fini(&hists);
}

static void further_codes_share_the_last_slot(void **state)
{
    (void)state;
    struct code_hists hists = {0};
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned code = 200; code < 600; code++)
            code_hists_record(&hists, code, 1);
    }
    for (unsigned slot = 0; slot < CODE_SLOTS - 1; slot++)
        assert_slot(&hists, slot, 200 + slot, 2, 2);
    unsigned others = 2 * (400 - (CODE_SLOTS - 1));
    assert_slot(&hists, CODE_SLOTS - 1, CODE_OTHER, others, others);
    code_hists_fini(&hists);
}

static void shortage_loses_only_the_duration(void **state)
{
    (void)state;
    struct code_hists hists = {0};
    mem_fail_after(0);
    code_hists_record(&hists, 200, 1); // needs no memory
    code_hists_record(&hists, 404, 1);
    mem_fail_after(-1);
    code_hists_record(&hists, 404, 1);
    assert_slot(&hists, 0, 200, 1, 1);
    assert_slot(&hists, 1, 404, 1, 1);
    code_hists_fini(&hists);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_code_has_its_slot),
        cmocka_unit_test(further_codes_share_the_last_slot),
        cmocka_unit_test(shortage_loses_only_the_duration),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
