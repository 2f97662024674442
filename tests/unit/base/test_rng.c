// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/rng.h"

static void a_seed_gives_a_sequence(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 1);
    rng_init(&b, 1);
    rng_init(&c, 2);
    bool differs = false;
    for (int i = 0; i < 100; i++) {
        uint64_t value = rng_next(&a);
        assert_true(value == rng_next(&b));
        differs |= value != rng_next(&c);
    }
    assert_true(differs);
}

static void follows_the_reference(void **state)
{
    (void)state;
    // xoshiro256** from state {1, 2, 3, 4}: the values of the authors' C code.
    struct rng rng = {.state = {1, 2, 3, 4}};
    assert_true(rng_next(&rng) == 11520);
    assert_true(rng_next(&rng) == 0);
    assert_true(rng_next(&rng) == 1509978240);
    assert_true(rng_next(&rng) == 1215971899390074240);
}

static void stays_below_the_bound_and_reaches_all(void **state)
{
    (void)state;
    struct rng rng;
    int count[7] = {0};
    rng_init(&rng, 3);
    for (int i = 0; i < 7000; i++) {
        uint32_t value = rng_below(&rng, 7);
        assert_true(value < 7);
        count[value]++;
    }
    for (int i = 0; i < 7; i++)
        assert_in_range(count[i], 800, 1200);
    assert_int_equal(rng_below(&rng, 0), 0);
    assert_int_equal(rng_below(&rng, 1), 0);
}

static void random_seeds_differ(void **state)
{
    (void)state;
    struct rng a, b;
    rng_init_random(&a);
    rng_init_random(&b);
    assert_true(rng_next(&a) != rng_next(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_a_sequence),
        cmocka_unit_test(follows_the_reference),
        cmocka_unit_test(stays_below_the_bound_and_reaches_all),
        cmocka_unit_test(random_seeds_differ),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
