// SPDX-License-Identifier: Apache-2.0
// fabio's Prometheus names: <prefix>_[<subsystem>_]<name>, labels in the order of their names,
// timers as histograms in seconds. Not repeated: that help texts are empty.
#include <string.h>

#include "admin/metrics_parts.h"
#include "admin/series.h"
#include "base/err.h"
#include "stats/metric_name.h"

enum { NAME_MAX_LEN = 2048 };

struct writer {
    struct buf *out;
    struct buf name; // terminated
    const double *bounds;
    size_t bound_count;
};

static void set_name(struct writer *writer, const struct metrics_config *config,
                     enum series_family family)
{
    struct buf dotted;
    buf_init(&dotted, NAME_MAX_LEN);
    metric_clean(&dotted, config->prefix);
    buf_append_char(&dotted, '_');
    if (config->subsystem.len) {
        metric_clean(&dotted, config->subsystem);
        buf_append_char(&dotted, '_');
    }
    metric_clean(&dotted, str_of(series_name(family)));
    buf_clear(&writer->name);
    metric_prometheus(&writer->name, buf_str(&dotted));
    buf_append_char(&writer->name, '\0');
    if (buf_status(&dotted) != 0 || buf_status(&writer->name) != 0)
        writer->out->failure = ERR_NOMEM;
    buf_fini(&dotted);
}

static void sort_labels(struct prom_label *labels, unsigned count)
{
    for (unsigned i = 1; i < count; i++) {
        for (unsigned k = i; k > 0 && strcmp(labels[k].name, labels[k - 1].name) < 0; k--) {
            struct prom_label moved = labels[k];
            labels[k] = labels[k - 1];
            labels[k - 1] = moved;
        }
    }
}

static void write_series(void *ctx, const struct series *series)
{
    struct writer *writer = ctx;
    struct prom_label labels[ARRAY_LEN(series->labels)];
    memcpy(labels, series->labels, sizeof labels);
    sort_labels(labels, series->label_count);
    if (series->hist)
        prom_histogram(writer->out, writer->name.ptr, labels, series->label_count, series->hist,
                       (double)series->sum_us / 1e6, writer->bounds, writer->bound_count);
    else
        prom_sample_u64(writer->out, writer->name.ptr, labels, series->label_count, series->value);
}

static void write_routes(struct writer *writer, const struct metrics_input *input)
{
    struct target_list list;
    if (target_list_init(&list, input) != 0) {
        writer->out->failure = ERR_NOMEM;
        return;
    }
    for (size_t i = 0; i < list.count;) {
        struct hist_sum hist = {0};
        struct series series;
        series_of_target(&series, list.at[i]);
        series.hist = &hist;
        for (size_t end = i + target_list_group(&list, i); i < end; i++)
            series.sum_us += series_add_target(&hist, list.at[i], list.worker_count);
        write_series(writer, &series);
    }
    target_list_fini(&list);
}

void metrics_write_fabio(struct buf *out, const struct metrics_input *input)
{
    static const char *const KINDS[] = {"counter", "gauge", "histogram"}; // as series_kind
    const struct metrics_config *config = &input->config->metrics;
    const struct series_input series = {.sources = input->sources, .sampler = input->sampler};
    struct writer writer = {.out = out};
    buf_init(&writer.name, NAME_MAX_LEN);
    writer.bounds = metrics_bounds(config, &writer.bound_count);
    for (unsigned i = 0; i < SERIES_FAMILY_COUNT && buf_status(out) == 0; i++) {
        enum series_family family = (enum series_family)i;
        set_name(&writer, config, family);
        if (buf_status(out) != 0)
            break;
        prom_family(out, writer.name.ptr, KINDS[series_kind(family)], series_help(family));
        if (family == SERIES_ROUTE)
            write_routes(&writer, input);
        else
            series_each(&series, family, write_series, &writer);
    }
    buf_fini(&writer.name);
}
