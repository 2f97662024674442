// SPDX-License-Identifier: Apache-2.0
// The last good routes on disk, so that a start while the registry is away has something to serve.
// Saves what the feed knows some time after it has changed, as long as the registry is heard; loads
// it once, when the registry has not answered soon after the start, and has the backend restore it:
// from then on each service's first real answer replaces what was loaded. Whatever goes wrong with
// the file costs a problem in the list, nothing else. Owned by app/lifecycle; control thread, files
// are written on a thread of libuv's pool.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/str.h"
#include "discover/backend.h"
#include "discover/feed.h"
#include "discover/problems.h"

struct uv_loop_s;
struct snapshot_keeper;

struct snapshot_config {
    struct str path;  // registry.snapshot.path, terminated; empty: no snapshot
    uint32_t wait_ms; // registry.snapshot.wait: how long the registry is waited for at the start
};

// Borrows all; feed and backend must outlive it. NULL when memory is short. The backend must be
// able to restore.
MUST_CHECK struct snapshot_keeper *snapshot_keeper_new(struct uv_loop_s *loop,
                                                       const struct snapshot_config *config,
                                                       struct feed *feed,
                                                       const struct backend *backend,
                                                       struct problems *problems);
// The feed has published.
void snapshot_keeper_changed(struct snapshot_keeper *keeper);
// Another process keeps them from now on: nothing is written any more.
void snapshot_keeper_retire(struct snapshot_keeper *keeper);
// A running write is waited for; frees itself, then on_closed.
void snapshot_keeper_close(struct snapshot_keeper *keeper, void (*on_closed)(void *ctx), void *ctx);

// When the routes served now were saved, as long as some have not been confirmed by the registry
// since the start; 0: all are the registry's. keeper may be NULL.
uint64_t snapshot_keeper_serving_us(const struct snapshot_keeper *keeper);
void snapshot_keeper_write_metrics(const struct snapshot_keeper *keeper, struct buf *out);
