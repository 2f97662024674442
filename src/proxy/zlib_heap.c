// SPDX-License-Identifier: Apache-2.0
#include "proxy/zlib_heap.h"

#include <zlib.h>

#include "base/mem.h"

static void *take(void *ignored, unsigned count, unsigned size)
{
    (void)ignored;
    return mem_zalloc_array(count, size);
}

static void give(void *ignored, void *bytes)
{
    (void)ignored;
    mem_free(bytes);
}

void zlib_use_heap(struct z_stream_s *stream)
{
    stream->zalloc = take;
    stream->zfree = give;
}
