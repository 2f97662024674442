// SPDX-License-Identifier: Apache-2.0
// The interface of a registry backend: one struct of functions. A backend watches its source and
// delivers to the feed; it never touches the data path. Control thread only. To add one:
// docs/hacking.md.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/err.h"
#include "discover/feed.h"

struct uv_loop_s;
struct snapshot;

struct backend_ops {
    const char *name; // value of registry.backend
    // Begins to watch. 0, or an err_code and text for what can never work (a bad path, a bad
    // address); a source that is merely unreachable is not an error: the backend goes on trying.
    int (*start)(void *self, struct err *err);
    // Stops at once, aborting long polls; on_stopped is called when nothing of it runs any more. If
    // it registered the process, it deregisters first when told to by deregister().
    void (*stop)(void *self, void (*on_stopped)(void *ctx), void *ctx);
    void (*free)(void *self); // after on_stopped
    // Withdraws the process's own registration (shutdown, first step); on_done when answered or
    // after 3 s.
    void (*deregister)(void *self, void (*on_done)(void *ctx), void *ctx);
    // For an upgrade: appends " HASH" for each name that is registered here. The process before,
    // which is told them, withdraws by hand_over what is not among them, and leaves the others to
    // us. Both NULL when the backend registers nothing.
    void (*write_registered)(void *self, struct buf *out);
    void (*hand_over)(void *self, struct str registered);
    // A table was published: what the routes ask to be registered may have changed. NULL when the
    // backend registers nothing.
    void (*on_published)(void *self);
    // Takes in what an earlier process was told (snapshot.h), as far as this backend has not been
    // told by its source yet, and delivers it. Its own answers replace it later, one by one; what
    // its source no longer knows goes as it would have gone then. 0 or ERR_NOMEM: some is missing.
    // NULL when the source is always there.
    int (*restore)(void *self, const struct snapshot *snapshot);
    // Appends what tells its source from another, for restore; no secrets. NULL as restore.
    void (*write_identity)(void *self, struct buf *out);
    // Age of the data in ms, 0 while it is current; UINT64_MAX when never read.
    uint64_t (*data_age_ms)(void *self);
    // Appends the backend's metrics in Prometheus text, and its state as one JSON object.
    void (*write_metrics)(void *self, struct buf *out);
    void (*write_json)(void *self, struct buf *out);
    // Overrides (KV): list of sub-paths as JSON array; read: value and version; write: with CAS.
    // NULL when the backend has none. Answers come through the callback, on the control thread.
    void (*manual_paths)(void *self, void (*on_done)(void *ctx, int status, struct str body),
                         void *ctx);
    void (*manual_get)(void *self, struct str sub_path,
                       void (*on_done)(void *ctx, int status, struct str body), void *ctx);
    void (*manual_put)(void *self, struct str sub_path, struct str value, struct str version,
                       void (*on_done)(void *ctx, int status, struct str body), void *ctx);
};

struct backend {
    const struct backend_ops *ops;
    void *self;
};
