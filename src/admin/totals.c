// SPDX-License-Identifier: Apache-2.0
#include "admin/api.h"
#include "admin/json_write.h"
#include "admin/ready.h"
#include "admin/rows.h"
#include "base/clock.h"

void api_tick(struct api *api, uint64_t now_ms)
{
    struct worker_totals workers = {0};
    api->sources.read_workers(api->sources.ctx, &workers);
    const struct target_totals *targets = sampler_sums(api->sampler);
    struct api_sums now = {
        .at_ms = now_ms,
        .requests = workers.requests,
        // What a client sees as a server error: 5xx of targets, 502 and 504 of ours, 503 without
        // target.
        .errors = targets->responses_5xx + workers.no_target,
        .no_route = workers.no_route,
    };
    struct api_sums *slot =
        &api->old_sums[sampler_tick_count(api->sampler) % ARRAY_LEN(api->old_sums)];
    double seconds = slot->at_ms > 0 && now_ms > slot->at_ms
                         ? (double)(now_ms - slot->at_ms) / 1000
                         : (double)SAMPLER_RATE_TICKS * SAMPLER_PERIOD_MS / 1000;
    api->request_rate = (double)(now.requests - slot->requests) / seconds;
    api->error_rate = (double)(now.errors - slot->errors) / seconds;
    api->no_route_rate = (double)(now.no_route - slot->no_route) / seconds;
    *slot = now;
}

void api_write_totals(void *ctx, struct buf *out)
{
    struct api *api = ctx;
    const struct admin_sources *sources = &api->sources;
    const struct table *table = feed_table(sources->feed);
    struct rows_counts counts = rows_count_targets(table);
    const struct target_totals *targets = sampler_sums(api->sampler);
    struct worker_totals workers = {0};
    sources->read_workers(sources->ctx, &workers);

    buf_append_char(out, '{');
    json_field_f64(out, "req_s", api->request_rate);
    json_field_f64(out, "err_s", api->error_rate);
    json_field_f64(out, "no_route_s", api->no_route_rate);
    json_field_u64(out, "requests", workers.requests);
    json_field_u64(out, "errors", targets->responses_5xx + workers.no_target);
    json_field_u64(out, "no_route", workers.no_route);
    json_field_u64(out, "retries", targets->retries);
    json_field_u64(out, "open", sources->read_open_connections(sources->ctx));
    json_field_u64(out, "in_flight", targets->in_flight);
    json_field_u64(out, "hosts", table ? table_host_count(table) : 0);
    json_field_u64(out, "routes", table ? table_route_count(table) : 0);
    json_field_u64(out, "up", counts.up);
    json_field_u64(out, "down", counts.down);
    json_field_u64(out, "ejected", counts.ejected);
    json_field_u64(out, "problems", problems_total(sources->problems));
    json_field_u64(out, "lost", rows_count_lost(sources->problems));
    json_field_u64(out, "problems_version", problems_version(sources->problems));
    json_field_u64(out, "table_version", table ? table_version(table) : 0);
    char digest[20];
    snprintf(digest, sizeof digest, "%016llx",
             (unsigned long long)(table ? table_digest(table) : 0));
    json_field_str(out, "table_digest", str_of(digest));
    uint64_t age_ms = ready_data_age_ms(api);
    if (age_ms != UINT64_MAX)
        json_field_u64(out, "data_age_ms", age_ms);
    uint64_t snapshot_us = snapshot_keeper_serving_us(sources->snapshot);
    if (snapshot_us)
        json_field_u64(out, "snapshot_ms", snapshot_us / 1000);
    char reason[READY_REASON_MAX];
    bool is_ready = ready_check(api, reason);
    json_field_bool(out, "ready", is_ready);
    json_field_str(out, "ready_text", str_of(reason));
    json_field_f64(out, "uptime_s", (double)(clock_wall_us() - api->started_us) / 1e6);
    buf_append_char(out, '}');
}
