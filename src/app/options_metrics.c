// SPDX-License-Identifier: Apache-2.0
// What the keys metrics.* mean beyond their type, judged by fabio's rules.
#include <errno.h> // program_invocation_short_name
#include <unistd.h>

#include "app/address.h"
#include "app/metrics_prefix.h"
#include "options_row.h"

static const struct {
    const char *name;
    enum push_target target;
} PUSH_NAMES[] = {
    {"stdout", PUSH_STDOUT},     {"flat", PUSH_STDOUT},         {"label", PUSH_LABEL},
    {"statsd_raw", PUSH_STATSD}, {"dogstatsd", PUSH_DOGSTATSD}, {"graphite", PUSH_GRAPHITE},
};

static int apply_target(struct metrics_config *metrics, struct str name, struct err *err)
{
    if (str_eq(name, STR("prometheus")))
        return 0; // always there
    for (size_t i = 0; i < ARRAY_LEN(PUSH_NAMES); i++) {
        if (str_eq(name, str_of(PUSH_NAMES[i].name))) {
            metrics->is_pushed_to[PUSH_NAMES[i].target] = true;
            return 0;
        }
    }
    if (str_eq(name, STR("statsd")))
        return err_set(err, ERR_INVALID, "statsd support has been removed in favor of statsd_raw");
    if (str_eq(name, STR("circonus")))
        return err_set(err, ERR_INVALID,
                       "circonus is not supported: use prometheus, statsd_raw, dogstatsd or "
                       "graphite");
    return err_set(err, ERR_INVALID,
                   "invalid metrics backend \"%.*s\": must be stdout, flat, label, statsd_raw, "
                   "dogstatsd, graphite or prometheus",
                   (int)MIN(name.len, 40), name.ptr);
}

int option_apply_metrics_target(struct options *options, struct option_storage *storage,
                                const struct option_row *row, struct err *err)
{
    struct str rest = option_text(storage, row->key);
    for (struct str member; value_list_next(&rest, &member);) {
        int rc = apply_target(&options->admin.metrics, member, err);
        if (rc)
            return rc;
    }
    return 0;
}

int option_apply_metrics_interval(struct options *options, struct option_storage *storage,
                                  const struct option_row *row, struct err *err)
{
    (void)storage;
    (void)row;
    const struct metrics_config *metrics = &options->admin.metrics;
    for (unsigned i = 0; i < PUSH_TARGETS && metrics->interval_ms == 0; i++) {
        if (metrics->is_pushed_to[i])
            return err_set(err, ERR_INVALID,
                           "must be more than 0, for metrics.target says to push");
    }
    return 0;
}

int option_apply_metrics_prefix(struct options *options, struct option_storage *storage,
                                const struct option_row *row, struct err *err)
{
    char hostname[256] = "";
    if (gethostname(hostname, sizeof hostname - 1) != 0)
        return err_set(err, ERR_INVALID, "the host name is not known");
    struct str exec = str_of(program_invocation_short_name);
    // Whoever asks for fabio's names wants those that the dashboards have.
    if (options->admin.metrics.uses_fabio_names && str_eq(exec, STR("tagway")))
        exec = STR("fabio");
    return metrics_prefix_expand(&storage->arena, option_text(storage, row->key), str_of(hostname),
                                 exec, &options->admin.metrics.prefix, err);
}

// The key's name says for which target the address is.
int option_apply_metrics_addr(struct options *options, struct option_storage *storage,
                              const struct option_row *row, struct err *err)
{
    struct metrics_config *metrics = &options->admin.metrics;
    enum push_target target = strstr(row->key, ".graphite.")    ? PUSH_GRAPHITE
                              : strstr(row->key, ".dogstatsd.") ? PUSH_DOGSTATSD
                                                                : PUSH_STATSD;
    struct str text = str_trim(option_text(storage, row->key));
    if (!metrics->is_pushed_to[target])
        return 0;
    if (text.len == 0)
        return err_set(err, ERR_INVALID,
                       "must be host:port, for metrics.target says to push there");
    struct sockaddr_storage unused;
    metrics->addrs[target] = text;
    return address_parse(text, &unused, err);
}

int option_apply_metrics_path(struct options *options, struct option_storage *storage,
                              const struct option_row *row, struct err *err)
{
    struct str text = option_text(storage, row->key);
    if (!str_starts_with(text, STR("/")))
        return err_set(err, ERR_INVALID, "must begin with /");
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7f ||
            strchr("?#", text.ptr[i]))
            return err_set(err, ERR_INVALID, "is not the path of a URL");
    }
    options->admin.metrics.path = text;
    return 0;
}

int option_apply_metrics_subsystem(struct options *options, struct option_storage *storage,
                                   const struct option_row *row, struct err *err)
{
    (void)err;
    struct metrics_config *metrics = &options->admin.metrics;
    metrics->subsystem = option_text(storage, row->key);
    if (metrics->subsystem.len && !metrics->uses_fabio_names)
        option_warn(storage,
                    "%s from %.*s has no effect: it is part of fabio's names, see "
                    "metrics.names.compat",
                    row->key, STR_FMT(str_upto(option_value(storage, row->key)->origin, 100)));
    return 0;
}

int option_apply_metrics_buckets(struct options *options, struct option_storage *storage,
                                 const struct option_row *row, struct err *err)
{
    struct metrics_config *metrics = &options->admin.metrics;
    const struct option_value *value = option_value(storage, row->key);
    if (str_eq(value->text, str_of(row->preset)) && !metrics->uses_fabio_names)
        return 0;
    struct str rest = value->text;
    for (struct str member; value_list_next(&rest, &member);) {
        double bound;
        if (metrics->bucket_count == METRICS_BUCKETS_MAX)
            return err_set(err, ERR_INVALID, "more than %d buckets", METRICS_BUCKETS_MAX);
        if (!value_to_double(member, &bound))
            return err_set(err, ERR_INVALID, "must be numbers separated by commas");
        if (metrics->bucket_count && bound <= metrics->buckets[metrics->bucket_count - 1])
            return err_set(err, ERR_INVALID, "must be in increasing order");
        metrics->buckets[metrics->bucket_count++] = bound;
    }
    return 0;
}
