// SPDX-License-Identifier: Apache-2.0
// Has zlib take its memory through base/mem, where it is counted and may be made to fail. Called
// by gzip.c and gunzip.c for each new stream, on a worker.
#pragma once

struct z_stream_s;

// Before deflateInit2 or inflateInit2.
void zlib_use_heap(struct z_stream_s *stream);
