// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"

static void gives_memory(void **state)
{
    (void)state;
    char *ptr = mem_alloc(10);
    memset(ptr, 'x', 10);
    ptr = mem_realloc(ptr, 20);
    assert_memory_equal(ptr, "xxxxxxxxxx", 10);
    mem_free(ptr);
    ptr = mem_zalloc(16);
    for (int i = 0; i < 16; i++)
        assert_int_equal(ptr[i], 0);
    mem_free(ptr);
    mem_free(NULL);
}

static void nothing_is_something(void **state)
{
    (void)state;
    // NULL means shortage and nothing else.
    void *ptrs[] = {mem_alloc(0), mem_zalloc(0), mem_zalloc_array(0, 8), mem_realloc(NULL, 0)};
    for (size_t i = 0; i < ARRAY_LEN(ptrs); i++) {
        assert_non_null(ptrs[i]);
        mem_free(ptrs[i]);
    }
}

static void refuses_products_that_overflow(void **state)
{
    (void)state;
    volatile size_t count = SIZE_MAX / 2; // volatile: the compiler would warn of the constant
    assert_null(mem_zalloc_array(count, 4));
}

static void fails_when_told(void **state)
{
    (void)state;
    mem_fail_after(2);
    void *first = mem_alloc(1);
    void *second = mem_zalloc(1);
    void *third = mem_alloc(1);
    void *fourth = mem_realloc(first, 100);
    mem_fail_after(-1);
    assert_non_null(first);
    assert_non_null(second);
    assert_null(third);
    assert_null(fourth);
    void *fifth = mem_alloc(1);
    assert_non_null(fifth);
    mem_free(first);
    mem_free(second);
    mem_free(fifth);
}

// How many of the block's whole pages are there.
static size_t resident_pages(char *ptr, size_t size, size_t page)
{
    unsigned char states[64];
    char *start = (char *)(((uintptr_t)ptr + page - 1) / page * page);
    size_t count = (size_t)(ptr + size - start) / page, there = 0;
    assert_true(count > 0 && count <= sizeof states);
    assert_int_equal(mincore(start, count * page, states), 0);
    for (size_t i = 0; i < count; i++)
        there += states[i] & 1;
    return there;
}

static void populates_whole_pages_only(void **state)
{
    (void)state;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), size = 40 * page;
    // Fresh from the kernel, unlike what the heap may give.
    char *ptr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(ptr, MAP_FAILED);
    assert_int_equal(resident_pages(ptr, size, page), 0);
    mem_populate(ptr + 1, page - 2); // no whole page
    assert_int_equal(resident_pages(ptr, size, page), 0);
    mem_populate(ptr + 1, 38 * page);
    size_t there = resident_pages(ptr, size, page);
    assert_true(there == 37 || there == 0); // an older kernel does not know how
    munmap(ptr, size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_memory),
        cmocka_unit_test(nothing_is_something),
        cmocka_unit_test(refuses_products_that_overflow),
        cmocka_unit_test(fails_when_told),
        cmocka_unit_test(populates_whole_pages_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
