// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

static atomic_bool fault_is_armed;
static atomic_llong allocations_left;

static bool must_fail(void)
{
    if (LIKELY(!atomic_load_explicit(&fault_is_armed, memory_order_relaxed)))
        return false;
    return atomic_fetch_sub(&allocations_left, 1) <= 0;
}

void mem_fail_after(int64_t n)
{
    atomic_store(&allocations_left, n);
    atomic_store(&fault_is_armed, n >= 0);
}

void *mem_alloc(size_t size)
{
    return must_fail() ? NULL : malloc(size ? size : 1);
}

void *mem_zalloc(size_t size)
{
    return mem_zalloc_array(1, size ? size : 1);
}

void *mem_zalloc_array(size_t count, size_t size)
{
    return must_fail() ? NULL : calloc(count ? count : 1, size);
}

void *mem_realloc(void *ptr, size_t size)
{
    return must_fail() ? NULL : realloc(ptr, size ? size : 1);
}

void mem_free(void *ptr)
{
    free(ptr);
}
