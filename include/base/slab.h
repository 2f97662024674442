// SPDX-License-Identifier: Apache-2.0
// Memory for very many small things that come and go one by one, as the targets and endpoints of
// the registry: no header before each and no rounding beyond eight bytes, and what is freed is kept
// for the next thing of that size. Larger things come from the heap. Chunks double in size, so that
// few things cost little, and go back with the slab only: it stays as large as it ever was. Under a
// sanitizer each thing is an allocation of its own. Not thread-safe.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"

enum {
    SLAB_UNIT = 8,       // what sizes are rounded up to, and what things are aligned to
    SLAB_ITEM_MAX = 512, // above that: the heap
};

struct slab {
    struct slab_chunk *newest; // owned chain
    char *next;                // what of it was never given away
    char *end;
    struct slab_item *spare[SLAB_ITEM_MAX / SLAB_UNIT]; // freed things by size
};

void slab_init(struct slab *slab);
// Frees all memory; larger things must have been freed before.
void slab_fini(struct slab *slab);

// Zeroed; NULL when memory is short.
MUST_CHECK void *slab_alloc(struct slab *slab, size_t size);
// size: as it was asked for. NULL is ignored.
void slab_free(struct slab *slab, void *ptr, size_t size);
