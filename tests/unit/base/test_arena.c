// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/mem.h"

static void gives_zeroed_aligned_separate_memory(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    unsigned char *objects[300];
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        objects[i] = arena_alloc(&arena, i);
        assert_non_null(objects[i]);
        assert_int_equal((uintptr_t)objects[i] % alignof(max_align_t), 0);
        for (size_t k = 0; k < i; k++)
            assert_int_equal(objects[i][k], 0);
        memset(objects[i], (int)(i & 0xff), i);
    }
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        for (size_t k = 0; k < i; k++)
            assert_int_equal(objects[i][k], i & 0xff);
    }
    assert_true(arena.total >= 300 * 299 / 2);
    arena_fini(&arena);
    assert_null(arena.newest);
    assert_int_equal(arena.total, 0);
}

static void takes_objects_larger_than_a_block(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    char *big = arena_alloc(&arena, 1 << 20);
    assert_non_null(big);
    big[(1 << 20) - 1] = 1;
    assert_non_null(arena_alloc(&arena, 8));
    arena_fini(&arena);
}

static void refuses_sizes_that_overflow(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    assert_null(arena_alloc(&arena, SIZE_MAX));
    assert_null(arena_alloc_array(&arena, SIZE_MAX / 4, 8));
    assert_non_null(arena_alloc_array(&arena, 4, 8));
    assert_non_null(arena_alloc_array(&arena, 4, 0));
    arena_fini(&arena);
}

static void copies_text(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct str copy = arena_str(&arena, str_make("abcdef", 3));
    assert_string_equal(copy.ptr, "abc");
    assert_int_equal(copy.len, 3);
    copy = arena_str(&arena, STR_NULL);
    assert_string_equal(copy.ptr, "");
    arena_fini(&arena);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    mem_fail_after(0);
    assert_null(arena_alloc(&arena, 8));
    assert_null(arena_str(&arena, STR("x")).ptr);
    mem_fail_after(-1);
    assert_non_null(arena_alloc(&arena, 8));
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_separate_memory),
        cmocka_unit_test(takes_objects_larger_than_a_block),
        cmocka_unit_test(refuses_sizes_that_overflow),
        cmocka_unit_test(copies_text),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
