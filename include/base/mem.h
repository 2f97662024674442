// SPDX-License-Identifier: Apache-2.0
// The one door to the heap. Every module allocates here, so that tests can make the Nth allocation
// fail and see that shortage costs at most the work at hand. Safe on any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

// As malloc, calloc(1, size), realloc, free. NULL means shortage, which every caller must survive.
MUST_CHECK void *mem_alloc(size_t size);
MUST_CHECK void *mem_zalloc(size_t size);
// Zeroed memory for `count` items of `size` bytes; NULL also when the product overflows.
MUST_CHECK void *mem_zalloc_array(size_t count, size_t size);
MUST_CHECK void *mem_realloc(void *ptr, size_t size);
void mem_free(void *ptr);
// Has the kernel give all whole pages of a large allocation now, in one call: taking them one by
// one as they are touched costs it several times as much. Only a hint.
void mem_populate(void *ptr, size_t size);

// Bytes of all that is allocated here now, of all threads together; what libraries allocate for
// themselves is not in it. May be a moment old.
uint64_t mem_in_use(void);

// Tests only: the next `n` allocations succeed, the one after fails, and so do all later ones until
// called again; n < 0 switches the fault off. Counted over all threads.
void mem_fail_after(int64_t n);
// For allocators that stand on this one: whether to fail now. Counts as one allocation.
bool mem_is_denied(void);
