// SPDX-License-Identifier: Apache-2.0
// The event streams of the UI. Keeps, only while somebody looks, the list of rows as the viewers
// know it, and sends what is different: rows that came and went with a new table, figures that
// changed in the last second. All viewers get the same text; one that cannot take it in time is
// sent everything anew once it can. Control thread.
//
// Events: "hello" (settings_write, once), "table" (everything: rows, their figures),
// "rows" (changes: removed ids, added rows), "tick" (totals, changed figures; once a second).
#pragma once

#include <stdint.h>

#include "admin/admin.h"
#include "admin/sampler.h"
#include "admin/server.h"

enum {
    LIVE_ROWS_MAX = 20000,   // rows shown to a browser; the API has them all
    LIVE_FIGURES_MAX = 2000, // changed rows in one tick; the others follow in the next
    LIVE_LOOK_MS = 100,      // how soon a new table is noticed
};

struct live;

// All borrowed. `write_totals` appends the totals as one JSON object.
MUST_CHECK struct live *live_new(const struct admin_config *config,
                                 const struct admin_sources *sources,
                                 void (*write_totals)(void *ctx, struct buf *out), void *ctx);
void live_free(struct live *live);
// The server on whose streams it sends; before the first call of those below.
void live_set_server(struct live *live, struct server *server);

// The settings are others: tells them to all streams again, with the whole table.
void live_greet(struct live *live);

// A stream has begun (server_stream_begin) or ended.
void live_join(struct live *live, struct server_conn *conn);
void live_leave(struct live *live);
// Every LIVE_LOOK_MS: sends what a new table changes.
void live_look(struct live *live);
// After each sampler_tick: sends totals and changed figures.
void live_tick(struct live *live);
