// SPDX-License-Identifier: Apache-2.0
#include "base/mem.h"

#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// Bytes allocated less bytes freed, by thread: what one thread allocates another may free, so only
// the sum means something. Threads beyond the last slot share it.
enum { SLOTS = 128 };

static struct {
    _Alignas(64) _Atomic int64_t bytes;
} slots[SLOTS];
static atomic_uint slot_count;
static _Thread_local unsigned own_slot; // + 1; 0: none yet

static atomic_bool fault_is_armed;
static atomic_llong allocations_left;

static void count(int64_t change)
{
    if (UNLIKELY(own_slot == 0))
        own_slot = 1 + MIN(atomic_fetch_add(&slot_count, 1), SLOTS - 1u);
    _Atomic int64_t *bytes = &slots[own_slot - 1].bytes;
    if (UNLIKELY(own_slot == SLOTS))
        atomic_fetch_add_explicit(bytes, change, memory_order_relaxed);
    else
        atomic_store_explicit(bytes, atomic_load_explicit(bytes, memory_order_relaxed) + change,
                              memory_order_relaxed);
}

static void *counted(void *ptr)
{
    if (LIKELY(ptr != NULL))
        count((int64_t)malloc_usable_size(ptr));
    return ptr;
}

uint64_t mem_in_use(void)
{
    int64_t sum = 0;
    for (unsigned i = 0; i < SLOTS; i++)
        sum += atomic_load_explicit(&slots[i].bytes, memory_order_relaxed);
    return sum > 0 ? (uint64_t)sum : 0;
}

bool mem_is_denied(void)
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
    return mem_is_denied() ? NULL : counted(malloc(size ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return mem_zalloc_array(1, size ? size : 1);
}

void *mem_zalloc_array(size_t count, size_t size)
{
    return mem_is_denied() ? NULL : counted(calloc(count ? count : 1, size));
}

void mem_populate(void *ptr, size_t size)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t start = ((uintptr_t)ptr + page - 1) / page * page;
    uintptr_t end = ((uintptr_t)ptr + size) / page * page;
    if (start < end)
        (void)madvise((void *)start, end - start, MADV_POPULATE_WRITE);
}

void *mem_realloc(void *ptr, size_t size)
{
    if (mem_is_denied())
        return NULL;
    int64_t before = ptr ? (int64_t)malloc_usable_size(ptr) : 0;
    void *moved = realloc(ptr, size ? size : 1);
    if (LIKELY(moved != NULL))
        count((int64_t)malloc_usable_size(moved) - before);
    return moved;
}

void mem_free(void *ptr)
{
    if (ptr)
        count(-(int64_t)malloc_usable_size(ptr));
    free(ptr);
}
