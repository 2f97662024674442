// SPDX-License-Identifier: Apache-2.0
#include "admin/series.h"

#include "admin/metrics.h"

static const struct {
    const char *name;
    enum series_kind kind;
    const char *help;
} FAMILIES[] = {
#define X(id, name, kind, help) {name, kind, help},
    SERIES_FAMILIES(X)
#undef X
};

const char *series_name(enum series_family family)
{
    return FAMILIES[family].name;
}

const char *series_help(enum series_family family)
{
    return FAMILIES[family].help;
}

enum series_kind series_kind(enum series_family family)
{
    return FAMILIES[family].kind;
}

typedef void series_fn(void *ctx, const struct series *series);

static void each_service(const struct series_input *input, series_fn *fn, void *ctx)
{
    unsigned index = 0;
    LIST_FOREACH (node, sampler_services(input->sampler)) {
        if (index++ >= METRICS_SERVICES_MAX)
            return;
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        struct hist_sum hist = {0};
        struct series series = {.family = SERIES_REQUESTS, .label_count = 1, .hist = &hist};
        series.labels[0] = (struct prom_label){"service", service->name};
        for (unsigned i = 0; i < service->code_count; i++) {
            hist_merge(&hist, &service->codes[i]->hist);
            series.sum_us += service->codes[i]->sum_us;
        }
        fn(ctx, &series);
    }
}

static void each_status(const struct series_input *input, series_fn *fn, void *ctx)
{
    unsigned index = 0;
    LIST_FOREACH (node, sampler_services(input->sampler)) {
        if (index++ >= METRICS_SERVICES_MAX)
            return;
        const struct service_sums *service = CONTAINER_OF(node, struct service_sums, link);
        for (unsigned i = 0; i < service->code_count; i++) {
            const struct code_sums *code = service->codes[i];
            char room[STR_U64_MAX];
            struct series series = {.family = SERIES_STATUS,
                                    .label_count = 2,
                                    .hist = &code->hist,
                                    .sum_us = code->sum_us};
            series.labels[0] = (struct prom_label){
                "code",
                code->code == CODE_OTHER ? STR("other") : str_from_u64(code->code, room),
            };
            series.labels[1] = (struct prom_label){"service", service->name};
            fn(ctx, &series);
        }
    }
}

static void each_redirect(const struct series_input *input, series_fn *fn, void *ctx)
{
    const struct admin_sources *sources = input->sources;
    for (unsigned code = 300; code < 400; code++) {
        char room[STR_U64_MAX];
        struct series series = {.family = SERIES_REDIRECTS, .label_count = 1};
        series.value = sources->read_answers(sources->ctx, code, true);
        series.labels[0] = (struct prom_label){"code", str_from_u64(code, room)};
        if (series.value > 0)
            fn(ctx, &series);
    }
}

void series_each(const struct series_input *input, enum series_family family, series_fn *fn,
                 void *ctx)
{
    if (family == SERIES_REQUESTS) {
        each_service(input, fn, ctx);
    } else if (family == SERIES_STATUS) {
        each_status(input, fn, ctx);
    } else if (family == SERIES_REDIRECTS) {
        each_redirect(input, fn, ctx);
    } else {
        struct worker_totals workers = {0};
        input->sources->read_workers(input->sources->ctx, &workers);
        // Both are counted by the same thread, but read one after the other.
        uint64_t open = workers.upgrades - MIN(workers.upgrades, workers.upgrades_ended);
        const struct series series = {
            .family = family, .value = family == SERIES_NOT_FOUND ? workers.no_route : open};
        fn(ctx, &series);
    }
}

void series_of_target(struct series *series, const struct target *target)
{
    *series = (struct series){
        .family = SERIES_ROUTE,
        .label_count = 4,
        .labels = {{"service", target->rule->service},
                   {"host", target->rule->host},
                   {"path", target->rule->path},
                   {"target", target_dst(target)}},
    };
}

uint64_t series_add_target(struct hist_sum *hist, const struct target *target,
                           unsigned worker_count)
{
    uint64_t sum_us = 0;
    for (unsigned i = 0; i < worker_count; i++) {
        const struct target_counters *counters = target_counters_at(target, i);
        for (unsigned slot = 0; counters && slot < CODE_SLOTS; slot++) {
            unsigned code;
            const struct hist *own = code_hists_at(&counters->durations, slot, &code);
            if (!own)
                break;
            sum_us += code_hists_sum_us(&counters->durations, slot);
            hist_add(hist, own);
        }
    }
    return sum_us;
}
