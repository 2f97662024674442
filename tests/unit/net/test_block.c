// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/block.h"

static void gives_the_smallest_size_that_fits(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool);
    static const size_t sizes[] = {1,     1024,  1025,  4352,  4353,
                                   16384, 16385, 33792, 33793, BLOCK_MAX};
    static const size_t rooms[] = {1024,  1024,  4352,  4352,      16384,
                                   16384, 33792, 33792, BLOCK_MAX, BLOCK_MAX};
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        struct block *block = block_get(&pool, sizes[i]);
        assert_non_null(block);
        assert_int_equal(block->cap, rooms[i]);
        assert_int_equal(pool.in_use_bytes, rooms[i]);
        block_put(&pool, block);
        assert_int_equal(pool.in_use_bytes, 0);
    }
    block_pool_fini(&pool);
}

static void reuses_what_was_given_back(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool);
    struct block *first = block_get(&pool, 100);
    block_put(&pool, first);
    mem_fail_after(0); // nothing may be allocated now
    struct block *second = block_get(&pool, 200);
    struct block *third = block_get(&pool, 200);
    mem_fail_after(-1);
    assert_ptr_equal(second, first);
    assert_null(third);
    block_put(&pool, second);
    block_put(&pool, NULL);
    block_pool_fini(&pool);
}

static void append_grows_up_to_the_maximum(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool);
    struct block *block = NULL;
    char bytes[1000];
    for (unsigned i = 0; i < 20; i++) {
        memset(bytes, 'a' + (int)i, sizeof bytes);
        assert_int_equal(block_append(&pool, &block, bytes, sizeof bytes, 20000), 0);
    }
    assert_int_equal(block_append(&pool, &block, "x", 1, 20000), ERR_TOO_LARGE);
    assert_int_equal(block_len(block), 20000);
    for (unsigned i = 0; i < 20000; i++)
        assert_int_equal(block_start(block)[i], 'a' + (int)(i / 1000));
    block_put(&pool, block);
    block_pool_fini(&pool);
}

static void append_behind_a_consumed_start(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool);
    struct block *block = NULL;
    char bytes[4096];
    memset(bytes, 'a', sizeof bytes);
    assert_int_equal(block_append(&pool, &block, bytes, sizeof bytes, BLOCK_MAX), 0);
    block->from = 4090;
    assert_int_equal(block_append(&pool, &block, "bcd", 3, BLOCK_MAX), 0);
    assert_int_equal(block_len(block), 9);
    assert_memory_equal(block_start(block), "aaaaaabcd", 9);
    block_put(&pool, block);
    block_pool_fini(&pool);
}

static void shortage_leaves_the_block_as_it_was(void **state)
{
    (void)state;
    struct block_pool pool;
    block_pool_init(&pool);
    struct block *block = NULL;
    assert_int_equal(block_append(&pool, &block, "abc", 3, BLOCK_MAX), 0);
    char bytes[8000] = {0};
    mem_fail_after(0);
    assert_int_equal(block_append(&pool, &block, bytes, sizeof bytes, BLOCK_MAX), ERR_NOMEM);
    mem_fail_after(-1);
    assert_int_equal(block_len(block), 3);
    assert_memory_equal(block_start(block), "abc", 3);
    block_put(&pool, block);
    block_pool_fini(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_the_smallest_size_that_fits),
        cmocka_unit_test(reuses_what_was_given_back),
        cmocka_unit_test(append_grows_up_to_the_maximum),
        cmocka_unit_test(append_behind_a_consumed_start),
        cmocka_unit_test(shortage_leaves_the_block_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
