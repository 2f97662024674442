// SPDX-License-Identifier: Apache-2.0
#include "admin/push_form.h"

#include <math.h>

#include "stats/metric_name.h"
#include "stats/samples.h"

// ---- names

// "http://user@host:80/x" -> "host:80".
static struct str authority_of(struct str url)
{
    ptrdiff_t scheme = str_find(url, STR("://"));
    struct str rest = scheme < 0 ? url : str_from(url, (size_t)scheme + 3);
    size_t len = 0;
    while (len < rest.len && !strchr("/?#", rest.ptr[len]))
        len++;
    rest = str_upto(rest, len);
    ptrdiff_t at = str_rfind_char(rest, '@');
    return at < 0 ? rest : str_from(rest, (size_t)at + 1);
}

static void append_prefix(struct buf *out, const struct push_names *names, bool has_dot)
{
    metric_escape(out, names->prefix, "|#@:");
    if (names->prefix.len && has_dot)
        buf_append_char(out, '.');
}

static void append_node(struct buf *out, const struct push_names *names, struct str text,
                        bool is_cleaned)
{
    if (!names->are_fabio) {
        metric_tidy(out, text);
        return;
    }
    if (!is_cleaned) {
        metric_escape(out, text, "|#@:");
        return;
    }
    struct buf clean;
    buf_init(&clean, text.len + 1);
    metric_clean(&clean, text);
    metric_escape(out, buf_str(&clean), "|#@:");
    if (buf_status(&clean) != 0)
        out->failure = buf_status(&clean);
    buf_fini(&clean);
}

// For servers that know no labels. fabio glues prefix and name together, names a target only by its
// labels, and cleans only those.
static void append_flat_name(struct buf *out, const struct push_point *point)
{
    const struct push_names *names = point->names;
    const struct series *series = point->series;
    bool is_route = series->family == SERIES_ROUTE;
    append_prefix(out, names, !names->are_fabio);
    if (!is_route || !names->are_fabio)
        buf_append_cstr(out, series_name(series->family));
    for (unsigned i = 0; i < series->label_count; i++) {
        const struct prom_label *label = &series->labels[i];
        if (!is_route) {
            buf_append_char(out, '.');
            buf_append_cstr(out, label->name);
        }
        if (!is_route || !names->are_fabio || i > 0)
            buf_append_char(out, '.');
        bool is_url = is_route && i == 3;
        append_node(out, names, is_url ? authority_of(label->value) : label->value, is_route);
    }
}

static void append_labels(struct buf *out, const struct push_point *point, const char *reserved)
{
    // Keys that mean something of their own to Datadog.
    static const char *const RESERVED[] = {"host", "device", "source", "env", "service", "version"};
    const struct series *series = point->series;
    for (unsigned i = 0; i < series->label_count; i++) {
        const struct prom_label *label = &series->labels[i];
        buf_append_cstr(out, i == 0 ? "|#" : ",");
        for (size_t k = 0; reserved && k < ARRAY_LEN(RESERVED); k++) {
            if (strcmp(label->name, RESERVED[k]) == 0)
                buf_append_cstr(out, reserved);
        }
        buf_append_cstr(out, label->name);
        buf_append_char(out, ':');
        metric_escape(out, label->value, "|,");
    }
}

// ---- timers as single values

struct samples {
    struct hist_sample at[PUSH_SAMPLES_MAX];
    size_t count;
};

// What is no timer has one line, or none when there is nothing new.
static enum series_kind take_samples(struct samples *samples, const struct push_point *point)
{
    enum series_kind kind = series_kind(point->series->family);
    if (kind == SERIES_TIMER) {
        samples->count = samples_of_hist(point->hist, point->sum_us, samples->at, PUSH_SAMPLES_MAX);
    } else {
        samples->count = kind == SERIES_COUNTER ? point->gained > 0 : point->is_changed;
        samples->at[0].weight = 1;
    }
    return kind;
}

// Rounded down: servers that cut 1/rate off to a whole number must not miss it.
static void append_rate(struct buf *out, const struct hist_sample *sample)
{
    if (sample->weight > 1)
        buf_printf(out, "|@%.12f", floor(1e12 / (double)sample->weight) / 1e12);
}

// ---- forms

// fabio prints names, not values, of labels behind the name; and a timer's with a colon in front.
static void append_printed_name(struct buf *out, const struct push_point *point, bool has_labels)
{
    append_prefix(out, point->names, true);
    buf_append_cstr(out, series_name(point->series->family));
    for (unsigned i = 0; has_labels && i < point->series->label_count; i++) {
        buf_append_char(out, '.');
        buf_append_cstr(out, point->series->labels[i].name);
    }
}

static void print(struct buf *out, const struct push_point *point, bool is_flat)
{
    struct samples samples;
    enum series_kind kind = take_samples(&samples, point);
    for (size_t i = 0; i < samples.count; i++) {
        if (kind == SERIES_TIMER && is_flat && point->names->are_fabio)
            buf_append_char(out, ':');
        append_printed_name(out, point, is_flat);
        if (kind == SERIES_TIMER)
            buf_printf(out, point->names->are_fabio ? ":%.0f|ms" : ":%.3f|ms",
                       samples.at[i].us / 1e3);
        else
            buf_printf(out, ":%llu|%s", (unsigned long long)point->series->value,
                       kind == SERIES_COUNTER ? "c" : "g");
        append_rate(out, &samples.at[i]);
        if (!is_flat)
            append_labels(out, point, NULL);
        buf_append_char(out, '\n');
    }
}

void push_form_flat(struct buf *out, const struct push_point *point)
{
    print(out, point, true);
}

void push_form_label(struct buf *out, const struct push_point *point)
{
    print(out, point, false);
}

static void write_statsd(struct buf *out, const struct push_point *point, bool is_dog)
{
    struct samples samples;
    enum series_kind kind = take_samples(&samples, point);
    for (size_t i = 0; i < samples.count; i++) {
        if (is_dog) {
            append_prefix(out, point->names, !point->names->are_fabio);
            buf_append_cstr(out, series_name(point->series->family));
        } else {
            append_flat_name(out, point);
        }
        if (kind == SERIES_TIMER)
            buf_printf(out, ":%.6f|%s", samples.at[i].us / (is_dog ? 1e6 : 1e3),
                       is_dog ? "h" : "ms");
        else if (kind == SERIES_COUNTER)
            buf_printf(out, ":%llu.000000|c", (unsigned long long)point->gained);
        else
            buf_printf(out, ":%llu.000000|g", (unsigned long long)point->series->value);
        append_rate(out, &samples.at[i]);
        if (is_dog)
            append_labels(out, point, point->names->are_fabio ? "fabio-" : "tagway-");
        buf_append_char(out, '\n');
    }
}

void push_form_statsd(struct buf *out, const struct push_point *point)
{
    write_statsd(out, point, false);
}

void push_form_dogstatsd(struct buf *out, const struct push_point *point)
{
    write_statsd(out, point, true);
}

static void append_graphite_line(struct buf *out, const struct push_point *point,
                                 const char *suffix, double value)
{
    append_flat_name(out, point);
    buf_printf(out, "%s %.6f %llu\n", suffix, value, (unsigned long long)point->now_s);
}

void push_form_graphite(struct buf *out, const struct push_point *point)
{
    static const struct {
        const char *suffix;
        double quantile;
    } QUANTILES[] = {{".p50", 0.5}, {".p90", 0.9}, {".p95", 0.95}, {".p99", 0.99}};
    enum series_kind kind = series_kind(point->series->family);
    if (kind != SERIES_TIMER) {
        append_graphite_line(
            out, point, "",
            (double)(kind == SERIES_COUNTER ? point->gained : point->series->value));
        return;
    }
    bool is_empty = point->hist->count == 0;
    for (size_t i = 0; i < ARRAY_LEN(QUANTILES); i++)
        append_graphite_line(
            out, point, QUANTILES[i].suffix,
            is_empty ? -1 : (double)hist_quantile_us(point->hist, QUANTILES[i].quantile) / 1e3);
    append_graphite_line(out, point, ".count", (double)point->hist->count);
}
