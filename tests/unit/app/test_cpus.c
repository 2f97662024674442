// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include "app/cpus.h"

static void reads_quotas(void **state)
{
    (void)state;
    assert_int_equal(cpus_of_quota(STR("200000 100000\n")), 2);
    assert_int_equal(cpus_of_quota(STR("150000 100000")), 2);
    assert_int_equal(cpus_of_quota(STR("1000 100000")), 1);
    assert_int_equal(cpus_of_quota(STR("0 100000")), 1);
    assert_int_equal(cpus_of_quota(STR("max 100000\n")), 0);
    assert_int_equal(cpus_of_quota(STR("-1 100000")), 0);
    assert_int_equal(cpus_of_quota(STR("100000 0")), 0);
    assert_int_equal(cpus_of_quota(STR("100000")), 0);
    assert_int_equal(cpus_of_quota(STR("")), 0);
}

static void allows_at_least_one(void **state)
{
    (void)state;
    assert_in_range(cpus_allowed(), 1, (unsigned)sysconf(_SC_NPROCESSORS_CONF));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_quotas),
        cmocka_unit_test(allows_at_least_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
