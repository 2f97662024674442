// SPDX-License-Identifier: Apache-2.0
// The endpoints: which path answers what (fabio's, and ours). Control thread.
#pragma once

#include "admin/access.h"
#include "admin/admin.h"
#include "admin/live.h"
#include "admin/push.h"
#include "admin/sampler.h"
#include "admin/server.h"

struct api {
    struct admin_config config;
    struct admin_sources sources;
    struct access_hosts hosts;
    struct sampler *sampler;
    struct live *live;
    struct login *login; // NULL: everybody may see everything
    struct push *push;   // NULL: nothing is pushed
    bool is_draining;
    uint64_t started_us; // wall clock

    // What the whole process does, as means of the last SAMPLER_RATE_TICKS seconds.
    struct api_sums {
        uint64_t at_ms, requests, errors, no_route;
    } old_sums[SAMPLER_RATE_TICKS];
    double request_rate, error_rate, no_route_rate;
};

// /metrics.
void api_reply_metrics(struct api *api, struct server_conn *conn);
// on_request of server_ops.
void api_handle(struct api *api, struct server_conn *conn, const struct server_request *request);
// Once a second, after sampler_tick.
void api_tick(struct api *api, uint64_t now_ms);
// Totals as one JSON object: /api/stats and the event streams.
void api_write_totals(void *api, struct buf *out);
