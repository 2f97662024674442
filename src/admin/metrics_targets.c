// SPDX-License-Identifier: Apache-2.0
#include <stdlib.h>

#include "admin/metrics_parts.h"
#include "base/err.h"
#include "base/mem.h"

static int compare_labels(const void *a, const void *b)
{
    const struct target *left = *(const struct target *const *)a;
    const struct target *right = *(const struct target *const *)b;
    int order = str_cmp(left->rule->service, right->rule->service);
    if (order == 0)
        order = str_cmp(left->rule->host, right->rule->host);
    if (order == 0)
        order = str_cmp(left->rule->path, right->rule->path);
    return order != 0 ? order : str_cmp(target_dst(left), target_dst(right));
}

int target_list_init(struct target_list *list, const struct metrics_input *input)
{
    struct targets *targets = input->sources->targets;
    size_t max = MIN(targets_count(targets), (size_t)METRICS_TARGETS_MAX);
    *list = (struct target_list){.worker_count = targets_worker_count(targets)};
    list->at = mem_zalloc_array(max, sizeof(*list->at));
    if (!list->at)
        return ERR_NOMEM;
    struct target *target = NULL;
    while ((target = sampler_next(input->sampler, target))) {
        if (list->count < max)
            list->at[list->count++] = target;
        else
            list->omitted++;
    }
    qsort(list->at, list->count, sizeof(*list->at), compare_labels);
    return 0;
}

void target_list_fini(struct target_list *list)
{
    mem_free(list->at);
}

static bool have_equal_labels(const struct target *a, const struct target *b)
{
    return compare_labels(&a, &b) == 0;
}

size_t target_list_group(const struct target_list *list, size_t first)
{
    size_t end = first + 1;
    while (end < list->count && have_equal_labels(list->at[first], list->at[end]))
        end++;
    return end - first;
}

static uint64_t counter_at(const struct target *target, unsigned worker_count, size_t offset)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        const struct target_counters *counters = target_counters_at(target, i);
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
        for (size_t end = i + target_list_group(list, i); i < end; i++)
            value += read(list->at[i], list->worker_count);
        struct prom_label labels[] = {{"service", first->rule->service},
                                      {"host", first->rule->host},
                                      {"path", first->rule->path},
                                      {"target", target_dst(first)},
                                      {"code", str_of(code)}};
        size_t label_count = code ? 5 : 4;
        if (unit == 1)
            prom_sample_u64(out, name, labels, label_count, value);
        else
            prom_sample_f64(out, name, labels, label_count, (double)value * unit);
    }
}

void metrics_write_targets(struct buf *out, const struct metrics_input *input)
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
        {"tagway_target_retries_denied_total", "counter",
         "Further tries not made because the retry budget was used up.", read_retries_denied, 1},
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
    static const struct {
        const char *code;
        target_value_fn read;
    } classes[] = {{"1xx", read_responses_1xx},
                   {"2xx", read_responses_2xx},
                   {"3xx", read_responses_3xx},
                   {"4xx", read_responses_4xx},
                   {"5xx", read_responses_5xx}};
    struct target_list list;
    if (target_list_init(&list, input) != 0) {
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
    for (size_t i = 0; i < ARRAY_LEN(classes); i++)
        write_target_samples(out, &list, "tagway_target_responses_total", classes[i].code,
                             classes[i].read, 1);
    metrics_gauge_u64(out, "tagway_metrics_omitted_targets",
                      "Targets without series of their own, for there are too many.", list.omitted);
    target_list_fini(&list);
}
