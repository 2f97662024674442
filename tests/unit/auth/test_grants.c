// SPDX-License-Identifier: Apache-2.0
// What is remembered of passwords that were right, and what is not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "auth/grants.h"
#include "base/mem.h"

static void test_grants(void **state)
{
    (void)state;
    struct htpasswd *set = htpasswd_parse(STR("a:x\nb:x\nab:c\n"), NULL, NULL);
    struct htpasswd *later = htpasswd_parse(STR("a:y\nb:x\n"), NULL, NULL);
    struct grants *grants = grants_new();
    assert_false(grants_has(grants, set, STR("a"), STR("x")));
    grants_add(grants, set, STR("a"), STR("x"));
    grants_add(grants, set, STR("nobody"), STR("x")); // is not remembered
    assert_true(grants_has(grants, set, STR("a"), STR("x")));
    assert_false(grants_has(grants, set, STR("a"), STR("y")));
    assert_false(grants_has(grants, set, STR("a"), STR("")));
    assert_false(grants_has(grants, set, STR("b"), STR("x")));
    assert_false(grants_has(grants, set, STR("nobody"), STR("x")));
    assert_false(grants_has(grants, later, STR("a"), STR("x"))); // the line has changed
    grants_add(grants, set, STR("b"), STR("x"));
    assert_true(grants_has(grants, later, STR("b"), STR("x"))); // this one has not
    grants_add(grants, set, STR("ab"), STR("c"));
    assert_false(grants_has(grants, set, STR("a"), STR("bc")));
    grants_free(grants);
    grants = grants_new();
    assert_false(grants_has(grants, set, STR("a"), STR("x")));
    grants_free(grants);
    htpasswd_unref(set);
    htpasswd_unref(later);
}

static void test_grants_are_bounded(void **state)
{
    (void)state;
    struct htpasswd *set = htpasswd_parse(STR("a:x\n"), NULL, NULL);
    struct grants *grants = grants_new();
    char password[16];
    for (int i = 0; i < 3 * GRANTS_MAX; i++) {
        snprintf(password, sizeof password, "%d", i);
        grants_add(grants, set, STR("a"), str_of(password));
        assert_true(grants_has(grants, set, STR("a"), str_of(password)));
    }
    int known = 0;
    for (int i = 0; i < 3 * GRANTS_MAX; i++) {
        snprintf(password, sizeof password, "%d", i);
        known += grants_has(grants, set, STR("a"), str_of(password));
    }
    assert_in_range(known, GRANTS_MAX / 2, GRANTS_MAX);
    grants_free(grants);
    htpasswd_unref(set);
}

static void test_shortage(void **state)
{
    (void)state;
    mem_fail_after(0);
    assert_null(grants_new());
    mem_fail_after(-1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grants),
        cmocka_unit_test(test_grants_are_bounded),
        cmocka_unit_test(test_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
