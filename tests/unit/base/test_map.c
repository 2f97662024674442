// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/rng.h"

enum { KEY_COUNT = 400 };

static void gets_puts_and_removes(void **state)
{
    (void)state;
    struct map map;
    int one = 1, two = 2;
    map_init(&map);
    assert_null(map_get(&map, STR("a")));
    assert_null(map_remove(&map, STR("a")));
    assert_int_equal(map_put(&map, STR("a"), &one), 0);
    assert_ptr_equal(map_get(&map, STR("a")), &one);
    assert_null(map_get(&map, STR("b")));
    assert_null(map_remove(&map, STR("b")));
    assert_int_equal(map_put(&map, STR("a"), &two), 0);
    assert_int_equal(map.count, 1);
    assert_ptr_equal(map_remove(&map, STR("a")), &two);
    assert_int_equal(map.count, 0);
    map_fini(&map);
}

static void the_empty_key_is_a_key(void **state)
{
    (void)state;
    struct map map;
    int one = 1;
    map_init(&map);
    assert_int_equal(map_put(&map, STR_NULL, &one), 0);
    assert_ptr_equal(map_get(&map, STR("")), &one);
    assert_ptr_equal(map_remove(&map, STR_NULL), &one);
    assert_null(map_get(&map, STR_NULL));
    map_fini(&map);
}

// Random operations against an array that says what the map must hold.
static void agrees_with_a_naive_model(void **state)
{
    (void)state;
    static char names[KEY_COUNT][16];
    static int values[KEY_COUNT];
    int *model[KEY_COUNT] = {0};
    struct map map;
    struct rng rng;
    rng_init(&rng, 42);
    map_init(&map);
    for (int i = 0; i < KEY_COUNT; i++)
        snprintf(names[i], sizeof names[i], "key-%d", i);

    for (int round = 0; round < 50000; round++) {
        uint32_t i = rng_below(&rng, KEY_COUNT);
        // Phases that mostly add and phases that mostly remove, so that the map fills and empties.
        if (rng_below(&rng, 100) < (round / 5000 % 2 ? 25u : 75u)) {
            assert_int_equal(map_put(&map, str_of(names[i]), &values[i]), 0);
            model[i] = &values[i];
        } else {
            assert_ptr_equal(map_remove(&map, str_of(names[i])), model[i]);
            model[i] = NULL;
        }
        uint32_t k = rng_below(&rng, KEY_COUNT);
        assert_ptr_equal(map_get(&map, str_of(names[k])), model[k]);
    }

    size_t want = 0;
    for (int i = 0; i < KEY_COUNT; i++)
        want += model[i] != NULL;
    assert_int_equal(map.count, want);
    size_t at = 0, seen = 0;
    struct map_entry entry;
    while (map_next(&map, &at, &entry)) {
        size_t i = (size_t)((int *)entry.value - values);
        assert_ptr_equal(model[i], entry.value);
        assert_true(str_eq(entry.key, str_of(names[i])));
        model[i] = NULL;
        seen++;
    }
    assert_int_equal(seen, want);
    map_fini(&map);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct map map;
    static char names[13][16];
    int value = 0;
    map_init(&map);
    mem_fail_after(0);
    assert_int_equal(map_put(&map, STR("a"), &value), ERR_NOMEM);
    mem_fail_after(-1);
    assert_null(map_get(&map, STR("a")));
    for (int i = 0; i < 12; i++) {
        snprintf(names[i], sizeof names[i], "%d", i);
        assert_int_equal(map_put(&map, str_of(names[i]), &value), 0);
    }
    mem_fail_after(0);
    assert_int_equal(map_put(&map, STR("one more"), &value), ERR_NOMEM);
    mem_fail_after(-1);
    for (int i = 0; i < 12; i++)
        assert_ptr_equal(map_get(&map, str_of(names[i])), &value);
    assert_int_equal(map.count, 12);
    map_fini(&map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gets_puts_and_removes),
        cmocka_unit_test(the_empty_key_is_a_key),
        cmocka_unit_test(agrees_with_a_naive_model),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
