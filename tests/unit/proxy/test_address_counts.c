// SPDX-License-Identifier: Apache-2.0
#include "proxy/address_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct address_counts counts;

static bool add(const char *address, uint32_t max, struct address_mark *mark)
{
    uint8_t bytes[IP_LEN];
    assert_true(ip_parse(str_of(address), bytes));
    return address_counts_add(&counts, bytes, max, mark);
}

static void counts_up_to_the_maximum(void **state)
{
    (void)state;
    struct address_mark marks[4] = {0};
    counts = (struct address_counts){.seed = 1};
    assert_true(add("192.0.2.1", 2, &marks[0]));
    assert_true(add("192.0.2.1", 2, &marks[1]));
    assert_false(add("192.0.2.1", 2, &marks[2]));
    assert_true(add("192.0.2.2", 2, &marks[3]));
    address_counts_drop(&counts, &marks[2]); // never counted
    assert_false(add("192.0.2.1", 2, &marks[2]));
    address_counts_drop(&counts, &marks[0]);
    address_counts_drop(&counts, &marks[0]);
    assert_true(add("192.0.2.1", 2, &marks[2]));
    for (int i = 1; i < 4; i++)
        address_counts_drop(&counts, &marks[i]);
    for (int row = 0; row < ADDRESS_ROWS; row++)
        for (int i = 0; i < ADDRESS_CELLS; i++)
            assert_int_equal(counts.cells[row][i], 0);
}

static void an_ipv6_network_is_one_address(void **state)
{
    (void)state;
    struct address_mark mark;
    counts = (struct address_counts){.seed = 2};
    assert_true(add("2001:db8:0:1::1", 1, &mark));
    assert_false(add("2001:db8:0:1:ffff::2", 1, &mark));
    assert_true(add("2001:db8:0:2::1", 1, &mark));
}

// Of 5,000 addresses with one connection each nobody is taken for one that has many.
static void few_are_taken_for_others(void **state)
{
    (void)state;
    counts = (struct address_counts){.seed = 3};
    unsigned refused = 0;
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t bytes[IP_LEN] = {
            [10] = 0xff, [11] = 0xff, [12] = 10, [14] = (uint8_t)(i >> 8), [15] = (uint8_t)i};
        struct address_mark mark;
        refused += !address_counts_add(&counts, bytes, 8, &mark);
    }
    assert_int_equal(refused, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_up_to_the_maximum),
        cmocka_unit_test(an_ipv6_network_is_one_address),
        cmocka_unit_test(few_are_taken_for_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
