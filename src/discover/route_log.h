// SPDX-License-Identifier: Apache-2.0
// The log of routing changes (log.routes.format): collects removed and added command lines between
// two published tables and writes them as "- route add ..." and "+ route add ...". Used by the feed
// on the control thread.
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"
#include "route/def.h"
#include "route/table.h"

struct route_log {
    struct buf lines; // pending, one per line
    size_t line_count;
    size_t dropped; // lines beyond the limits
};

void route_log_init(struct route_log *log);
void route_log_fini(struct route_log *log);

// Notes the difference between two sets of definitions; those that are not up count as absent.
// When memory is short the difference is not logged.
void route_log_defs(struct route_log *log, struct route_def *const *before, size_t before_count,
                    struct route_def *const *after, size_t after_count);
// The same for two texts, line by line, comments too.
void route_log_texts(struct route_log *log, struct str before, struct str after);

// Writes what was noted as one message "Config updates" and forgets it; silent if nothing was.
void route_log_flush(struct route_log *log);
// Writes a whole text as one message "Updated config to".
void route_log_whole(struct str text);
