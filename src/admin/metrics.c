// SPDX-License-Identifier: Apache-2.0
#include "admin/metrics.h"

#include "admin/metrics_parts.h"
#include "admin/push.h"
#include "admin/rows.h"
#include "http/refusal.h"

// Upper bounds of the duration histogram, seconds: fabio's defaults and one decade finer below.
static const double DURATION_BOUNDS[] = {.0005, .001, .0025, .005, .01, .025, .05,
                                         .1,    .25,  .5,    1,    2.5, 5,    10};
enum { FINER_BOUNDS = 3 };

const double *metrics_bounds(const struct metrics_config *config, size_t *count)
{
    size_t first = config->uses_fabio_names ? FINER_BOUNDS : 0;
    *count = config->bucket_count ? config->bucket_count : ARRAY_LEN(DURATION_BOUNDS) - first;
    return config->bucket_count ? config->buckets : DURATION_BOUNDS + first;
}

static const char *const CODE_CLASSES[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

static void counter_u64(struct buf *out, const char *name, const char *help, uint64_t value)
{
    prom_family(out, name, "counter", help);
    prom_sample_u64(out, name, NULL, 0, value);
}

static void labelled_u64(struct buf *out, const char *name, const char *label, const char *value,
                         uint64_t number)
{
    struct prom_label labels[] = {{label, str_of(value)}};
    prom_sample_u64(out, name, labels, 1, number);
}

// ---- the data path as a whole

static void write_proxy(struct buf *out, const struct admin_sources *sources)
{
    struct worker_totals totals = {0};
    sources->read_workers(sources->ctx, &totals);
#define X(name, help) counter_u64(out, "tagway_proxy_" #name "_total", help, totals.name);
    WORKER_COUNTERS(X)
#undef X
    metrics_gauge_u64(out, "tagway_open_connections", "Client connections open now.",
                      sources->read_open_connections(sources->ctx));
    prom_family(out, "tagway_worker_connections", "gauge", "Client connections of each worker.");
    uint64_t count;
    for (unsigned w = 0; sources->read_worker_connections(sources->ctx, w, &count); w++) {
        char text[16];
        snprintf(text, sizeof text, "%u", w);
        labelled_u64(out, "tagway_worker_connections", "worker", text, count);
    }

    static const struct {
        const char *name;
        const char *help;
        bool is_response;
    } refusals[] = {
        {"tagway_refused_requests_total", "Requests refused as malformed or over a limit.", false},
        {"tagway_refused_responses_total", "Responses of targets refused as malformed.", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
        prom_family(out, refusals[i].name, "counter", refusals[i].help);
        for (unsigned r = HTTP_ACCEPTED + 1; r < HTTP_REFUSAL_COUNT; r++)
            labelled_u64(out, refusals[i].name, "reason", http_refusal_label((enum http_refusal)r),
                         sources->read_refusals(sources->ctx, r, refusals[i].is_response));
    }
}

// By exact code, only those that were given.
static void write_answers(struct buf *out, const struct admin_sources *sources)
{
    prom_family(out, "tagway_answers_total", "counter",
                "Answers of the proxy's own to requests that no target was chosen for.");
    for (unsigned code = STATUS_MIN; code < STATUS_MIN + STATUS_CODES; code++) {
        uint64_t count = sources->read_answers(sources->ctx, code, false);
        char text[16];
        snprintf(text, sizeof text, "%u", code);
        if (count > 0)
            labelled_u64(out, "tagway_answers_total", "code", text, count);
    }
}

// ---- table, feed, problems

static void write_control(struct buf *out, const struct metrics_input *input)
{
    const struct admin_sources *sources = input->sources;
    const struct table *table = feed_table(sources->feed);
    struct rows_counts counts = rows_count_targets(table);
    struct feed_totals feed = {0};
    feed_totals_read(sources->feed, &feed);

    struct prom_label version = {"version", input->config->version};
    prom_family(out, "tagway_build_info", "gauge", "Constant 1, labelled with the version.");
    prom_sample_u64(out, "tagway_build_info", &version, 1, 1);
    metrics_gauge_u64(out, "tagway_ready", "1 while /ready answers 200.", input->is_ready);
    metrics_gauge_u64(out, "tagway_hosts", "Hosts of the routing table.",
                      table ? table_host_count(table) : 0);
    metrics_gauge_u64(out, "tagway_routes", "Routes of the routing table.",
                      table ? table_route_count(table) : 0);
    prom_family(out, "tagway_targets", "gauge",
                "Targets of the routing table. Ejected ones are among those up.");
    labelled_u64(out, "tagway_targets", "state", "up", counts.up);
    labelled_u64(out, "tagway_targets", "state", "down", counts.down);
    labelled_u64(out, "tagway_targets", "state", "ejected", counts.ejected);
    metrics_gauge_u64(out, "tagway_table_version", "Version of the routing table in this process.",
                      table ? table_version(table) : 0);
    metrics_gauge_u64(out, "tagway_table_digest",
                      "Low 48 bits of the digest of the table: equal tables have equal digests.",
                      table ? table_digest(table) & ((UINT64_C(1) << 48) - 1) : 0);
    counter_u64(out, "tagway_tables_built_total", "Tables built.", feed.tables_built);
    counter_u64(out, "tagway_tables_published_total", "Tables published.", feed.tables_published);
    metrics_gauge_f64(out, "tagway_table_build_seconds", "Duration of the last table build.",
                      (double)feed.build_us_last / 1e6);
    metrics_gauge_f64(out, "tagway_table_build_max_seconds", "Duration of the longest table build.",
                      (double)feed.build_us_max / 1e6);
    metrics_gauge_f64(out, "tagway_table_published_timestamp_seconds",
                      "When the current table was published.", (double)feed.published_at_us / 1e6);

    if (sources->read_reloads) {
        struct admin_reloads reloads = sources->read_reloads(sources->ctx);
        prom_family(out, "tagway_config_reloads_total", "counter",
                    "Attempts to reload the configuration.");
        labelled_u64(out, "tagway_config_reloads_total", "result", "success", reloads.succeeded);
        labelled_u64(out, "tagway_config_reloads_total", "result", "failure", reloads.failed);
        metrics_gauge_f64(out, "tagway_config_last_reload_success_timestamp_seconds",
                          "When the configuration in use was read.",
                          (double)reloads.last_success_us / 1e6);
    }

    uint64_t listed = problems_count(sources->problems);
    uint64_t lost = rows_count_lost(sources->problems);
    prom_family(out, "tagway_problems", "gauge",
                "Problems of the input; lost: what it says is not in effect.");
    labelled_u64(out, "tagway_problems", "lost", "true", lost);
    labelled_u64(out, "tagway_problems", "lost", "false", listed - lost);
    labelled_u64(out, "tagway_problems", "lost", "unlisted",
                 problems_total(sources->problems) - listed);
}

// ---- services

static void write_services(struct buf *out, const struct metrics_input *input)
{
    size_t bound_count;
    const double *bounds = metrics_bounds(&input->config->metrics, &bound_count);
    const struct list *services = sampler_services(input->sampler);
    size_t index = 0;
    prom_family(out, "tagway_requests_total", "counter",
                "Final responses by service and class of status code; 1xx: interim ones.");
    LIST_FOREACH (node, services) {
        if (index++ >= METRICS_SERVICES_MAX)
            continue;
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        const uint64_t counts[] = {service->totals.responses_1xx, service->totals.responses_2xx,
                                   service->totals.responses_3xx, service->totals.responses_4xx,
                                   service->totals.responses_5xx};
        for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
            struct prom_label labels[] = {{"service", service->name},
                                          {"code", str_of(CODE_CLASSES[i])}};
            prom_sample_u64(out, "tagway_requests_total", labels, 2, counts[i]);
        }
    }
    index = 0;
    prom_family(out, "tagway_request_duration_seconds", "histogram",
                "Time from a request to its complete response, by service.");
    LIST_FOREACH (node, services) {
        if (index++ >= METRICS_SERVICES_MAX)
            continue;
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        struct prom_label label = {"service", service->name};
        prom_histogram(out, "tagway_request_duration_seconds", &label, 1, &service->totals.latency,
                       (double)service->totals.latency_us_sum / 1e6, bounds, bound_count);
    }
    index = 0;
    prom_family(
        out, "tagway_service_responses_total", "counter",
        "Requests that ended, by service and status code: 101 a websocket session, 499 given "
        "up by the client.");
    LIST_FOREACH (node, services) {
        if (index++ >= METRICS_SERVICES_MAX)
            continue;
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        for (unsigned i = 0; i < service->code_count; i++) {
            char room[STR_U64_MAX];
            unsigned code = service->codes[i]->code;
            struct prom_label labels[] = {
                {"service", service->name},
                {"code", code == CODE_OTHER ? STR("other") : str_from_u64(code, room)}};
            prom_sample_u64(out, "tagway_service_responses_total", labels, 2,
                            service->codes[i]->hist.count);
        }
    }
    metrics_gauge_u64(out, "tagway_metrics_omitted_services",
                      "Services without series of their own, for there are too many.",
                      index > METRICS_SERVICES_MAX ? index - METRICS_SERVICES_MAX : 0);
}

void metrics_write(struct buf *out, const struct metrics_input *input)
{
    const struct admin_sources *sources = input->sources;
    write_control(out, input);
    write_proxy(out, sources);
    write_answers(out, sources);
    if (input->push)
        push_write_metrics(input->push, out);
    if (input->config->metrics.uses_fabio_names) {
        metrics_write_fabio(out, input);
    } else {
        write_services(out, input);
        metrics_write_targets(out, input);
    }
    if (sources->backend) {
        uint64_t age_ms = sources->backend->ops->data_age_ms(sources->backend->self);
        if (age_ms != UINT64_MAX)
            metrics_gauge_f64(out, "tagway_data_age_seconds",
                              "Age of the registry's data; 0: current.", (double)age_ms / 1000);
        sources->backend->ops->write_metrics(sources->backend->self, out);
        if (sources->snapshot)
            snapshot_keeper_write_metrics(sources->snapshot, out);
    }
    metrics_write_process(out, input->started_us);
}
