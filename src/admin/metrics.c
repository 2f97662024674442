// SPDX-License-Identifier: Apache-2.0
#include "admin/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "admin/rows.h"
#include "base/err.h"
#include "base/mem.h"
#include "http/refusal.h"
#include "stats/prom.h"

// Upper bounds of the duration histogram, seconds: fabio's defaults and one decade finer below.
static const double DURATION_BOUNDS[] = {.0005, .001, .0025, .005, .01, .025, .05,
                                         .1,    .25,  .5,    1,    2.5, 5,    10};

static const char *const CODE_CLASSES[] = {"1xx", "2xx", "3xx", "4xx", "5xx"};

static void gauge_u64(struct buf *out, const char *name, const char *help, uint64_t value)
{
    prom_family(out, name, "gauge", help);
    prom_sample_u64(out, name, NULL, 0, value);
}

static void gauge_f64(struct buf *out, const char *name, const char *help, double value)
{
    prom_family(out, name, "gauge", help);
    prom_sample_f64(out, name, NULL, 0, value);
}

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

// ---- the process

static void write_process(struct buf *out, uint64_t started_us)
{
    struct rusage usage;
    if (getrusage(RUSAGE_SELF, &usage) == 0) {
        double seconds = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        prom_family(out, "process_cpu_seconds_total", "counter", "User and system CPU time spent.");
        prom_sample_f64(out, "process_cpu_seconds_total", NULL, 0, seconds);
    }
    size_t resident;
    if (uv_resident_set_memory(&resident) == 0)
        gauge_u64(out, "process_resident_memory_bytes", "Resident memory size.", resident);
    DIR *dir = opendir("/proc/self/fd");
    if (dir) {
        uint64_t count = 0;
        while (readdir(dir))
            count++;
        closedir(dir);
        // ".", ".." and the directory's own descriptor.
        gauge_u64(out, "process_open_fds", "Open file descriptors.", count > 3 ? count - 3 : 0);
    }
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        gauge_f64(out, "process_max_fds", "Limit of open file descriptors.",
                  (double)limit.rlim_cur);
    gauge_f64(out, "process_start_time_seconds", "Start time of the process since the Unix epoch.",
              (double)started_us / 1e6);
}

// ---- the data path as a whole

static void write_proxy(struct buf *out, const struct admin_sources *sources)
{
    struct worker_totals totals = {0};
    sources->read_workers(sources->ctx, &totals);
#define X(name, help) counter_u64(out, "tagway_proxy_" #name "_total", help, totals.name);
    WORKER_COUNTERS(X)
#undef X
    gauge_u64(out, "tagway_open_connections", "Client connections open now.",
              sources->read_open_connections(sources->ctx));

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
    gauge_u64(out, "tagway_ready", "1 while /ready answers 200.", input->is_ready);
    gauge_u64(out, "tagway_hosts", "Hosts of the routing table.",
              table ? table_host_count(table) : 0);
    gauge_u64(out, "tagway_routes", "Routes of the routing table.",
              table ? table_route_count(table) : 0);
    prom_family(out, "tagway_targets", "gauge",
                "Targets of the routing table. Ejected ones are among those up.");
    labelled_u64(out, "tagway_targets", "state", "up", counts.up);
    labelled_u64(out, "tagway_targets", "state", "down", counts.down);
    labelled_u64(out, "tagway_targets", "state", "ejected", counts.ejected);
    gauge_u64(out, "tagway_table_version", "Version of the routing table in this process.",
              table ? table_version(table) : 0);
    gauge_u64(out, "tagway_table_digest",
              "Low 48 bits of the digest of the table: equal tables have equal digests.",
              table ? table_digest(table) & ((UINT64_C(1) << 48) - 1) : 0);
    counter_u64(out, "tagway_tables_built_total", "Tables built.", feed.tables_built);
    counter_u64(out, "tagway_tables_published_total", "Tables published.", feed.tables_published);
    gauge_f64(out, "tagway_table_build_seconds", "Duration of the last table build.",
              (double)feed.build_us_last / 1e6);
    gauge_f64(out, "tagway_table_build_max_seconds", "Duration of the longest table build.",
              (double)feed.build_us_max / 1e6);
    gauge_f64(out, "tagway_table_published_timestamp_seconds",
              "When the current table was published.", (double)feed.published_at_us / 1e6);

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

static void write_services(struct buf *out, const struct sampler *sampler)
{
    const struct list *services = sampler_services(sampler);
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
                       (double)service->totals.latency_us_sum / 1e6, DURATION_BOUNDS,
                       ARRAY_LEN(DURATION_BOUNDS));
    }
    gauge_u64(out, "tagway_metrics_omitted_services",
              "Services without series of their own, for there are too many.",
              index > METRICS_SERVICES_MAX ? index - METRICS_SERVICES_MAX : 0);
}

// ---- targets

// The targets that get series, those with equal labels (they differ in TLS options only) side by
// side. Silent targets get none: 100,000 of them would be a million series of zeros.
struct target_list {
    const struct target **at;
    size_t count;
    size_t omitted;
    unsigned worker_count;
};

static int compare_keys(const void *a, const void *b)
{
    return str_cmp((*(const struct target *const *)a)->key,
                   (*(const struct target *const *)b)->key);
}

static int target_list_init(struct target_list *list, struct targets *targets)
{
    size_t max = MIN(targets_count(targets), (size_t)METRICS_TARGETS_MAX);
    *list = (struct target_list){.worker_count = targets_worker_count(targets)};
    list->at = mem_zalloc_array(max, sizeof(*list->at));
    if (!list->at)
        return ERR_NOMEM;
    struct target *target = NULL;
    while ((target = targets_next(targets, target))) {
        if (!target->sample)
            continue;
        if (list->count < max)
            list->at[list->count++] = target;
        else
            list->omitted++;
    }
    qsort(list->at, list->count, sizeof(*list->at), compare_keys);
    return 0;
}

static bool have_equal_labels(const struct target *a, const struct target *b)
{
    return str_eq(a->service, b->service) && str_eq(a->host, b->host) && str_eq(a->path, b->path) &&
           str_eq(a->dst, b->dst);
}

static uint64_t counter_at(const struct target *target, unsigned worker_count, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        const struct target_counters *counters = atomic_load_explicit(
            (_Atomic(struct target_counters *) *)&target->counters[i], memory_order_acquire);
        if (counters)
            sum += counter_get(
                (const _Atomic uint64_t *)(const void *)((const char *)counters + offset));
    }
    return sum;
}

#define X(name, help)                                                                    \
    static uint64_t read_##name(const struct target *target, unsigned worker_count)      \
    {                                                                                    \
        return counter_at(target, worker_count, offsetof(struct target_counters, name)); \
    }
TARGET_COUNTERS(X)
X(in_flight, "")
#undef X

static uint64_t read_ejected(const struct target *target, unsigned worker_count)
{
    (void)worker_count;
    const struct target_figures *figures = sampler_figures(target);
    return figures && figures->ejected_by > 0;
}

typedef uint64_t (*target_value_fn)(const struct target *target, unsigned worker_count);

// One sample per set of labels; `unit` is what 1 of the counter is in the metric's unit.
static void write_target_samples(struct buf *out, const struct target_list *list, const char *name,
                                 const char *code, target_value_fn read, double unit)
{
    for (size_t i = 0; i < list->count;) {
        const struct target *first = list->at[i];
        uint64_t value = 0;
        for (; i < list->count && have_equal_labels(first, list->at[i]); i++)
            value += read(list->at[i], list->worker_count);
        struct prom_label labels[] = {{"service", first->service},
                                      {"host", first->host},
                                      {"path", first->path},
                                      {"target", first->dst},
                                      {"code", str_of(code)}};
        size_t label_count = code ? 5 : 4;
        if (unit == 1)
            prom_sample_u64(out, name, labels, label_count, value);
        else
            prom_sample_f64(out, name, labels, label_count, (double)value * unit);
    }
}

static void write_targets(struct buf *out, struct targets *targets)
{
    static const struct {
        const char *name;
        const char *kind;
        const char *help;
        target_value_fn read;
        double unit;
    } families[] = {
        {"tagway_target_requests_total", "counter",
         "Requests sent to the target, retries not counted again.", read_requests, 1},
        {"tagway_target_duration_seconds_total", "counter",
         "Sum of the times from request to complete response.", read_latency_us_sum, 1e-6},
        {"tagway_target_connects_total", "counter", "Connections opened to the target.",
         read_connects, 1},
        {"tagway_target_connect_failures_total", "counter",
         "Connections to the target that failed.", read_connect_failures, 1},
        {"tagway_target_tls_failures_total", "counter",
         "Of these, those whose TLS handshake failed.", read_tls_failures, 1},
        {"tagway_target_failures_total", "counter",
         "Requests that failed at the target: no, broken or late response.", read_failures, 1},
        {"tagway_target_retries_total", "counter", "Requests taken from the target to another try.",
         read_retries, 1},
        {"tagway_target_ejections_total", "counter",
         "Times the target was taken out for consecutive failures.", read_ejections, 1},
        {"tagway_target_received_bytes_total", "counter", "Body bytes received from the target.",
         read_bytes_out, 1},
        {"tagway_target_sent_bytes_total", "counter", "Body bytes sent to the target.",
         read_bytes_in, 1},
        {"tagway_target_in_flight", "gauge", "Requests and tunnels now at the target.",
         read_in_flight, 1},
        {"tagway_target_ejected", "gauge", "1 while a worker holds the target ejected.",
         read_ejected, 1},
    };
    static const target_value_fn by_class[] = {read_responses_1xx, read_responses_2xx,
                                               read_responses_3xx, read_responses_4xx,
                                               read_responses_5xx};
    struct target_list list;
    if (target_list_init(&list, targets) != 0) {
        out->failure = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < ARRAY_LEN(families); i++) {
        prom_family(out, families[i].name, families[i].kind, families[i].help);
        write_target_samples(out, &list, families[i].name, NULL, families[i].read,
                             families[i].unit);
    }
    prom_family(out, "tagway_target_responses_total", "counter",
                "Responses of the target by class; 5xx: with the proxy's own 502 and 504.");
    for (size_t i = 0; i < ARRAY_LEN(by_class); i++)
        write_target_samples(out, &list, "tagway_target_responses_total", CODE_CLASSES[i],
                             by_class[i], 1);
    gauge_u64(out, "tagway_metrics_omitted_targets",
              "Targets without series of their own, for there are too many.", list.omitted);
    mem_free(list.at);
}

void metrics_write(struct buf *out, const struct metrics_input *input)
{
    const struct admin_sources *sources = input->sources;
    write_control(out, input);
    write_proxy(out, sources);
    write_services(out, input->sampler);
    write_targets(out, sources->targets);
    if (sources->backend) {
        uint64_t age_ms = sources->backend->ops->data_age_ms(sources->backend->self);
        if (age_ms != UINT64_MAX)
            gauge_f64(out, "tagway_data_age_seconds", "Age of the registry's data; 0: current.",
                      (double)age_ms / 1000);
        sources->backend->ops->write_metrics(sources->backend->self, out);
    }
    write_process(out, input->started_us);
}
