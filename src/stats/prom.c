// SPDX-License-Identifier: Apache-2.0
#include "stats/prom.h"

#include <math.h>
#include <stdlib.h>

#include "stats/hist.h"

// Label values may be any UTF-8; backslash, quote and line feed are escaped. HELP texts escape only
// the backslash and the line feed.
static void write_escaped(struct buf *out, struct str text, bool escapes_quotes)
{
    size_t plain_from = 0;
    size_t at = 0;
    while (at < text.len) {
        size_t len = str_utf8_len(str_from(text, at));
        char c = text.ptr[at];
        const char *escape = NULL;
        if (len == 0)
            escape = "\xef\xbf\xbd"; // U+FFFD
        else if (c == '\\')
            escape = "\\\\";
        else if (c == '\n')
            escape = "\\n";
        else if (c == '"' && escapes_quotes)
            escape = "\\\"";
        len = len ? len : 1;
        if (escape) {
            buf_append(out, text.ptr + plain_from, at - plain_from);
            buf_append_cstr(out, escape);
            plain_from = at + len;
        }
        at += len;
    }
    buf_append_str(out, str_from(text, plain_from));
}

void prom_family(struct buf *out, const char *name, const char *kind, const char *help)
{
    buf_append_cstr(out, "# HELP ");
    buf_append_cstr(out, name);
    buf_append_char(out, ' ');
    write_escaped(out, str_of(help), false);
    buf_append_cstr(out, "\n# TYPE ");
    buf_append_cstr(out, name);
    buf_append_char(out, ' ');
    buf_append_cstr(out, kind);
    buf_append_char(out, '\n');
}

// Name and labels, with `le` as a further label when it is not NULL, and the space before the
// value.
static void write_series(struct buf *out, const char *name, const char *suffix,
                         const struct prom_label *labels, size_t count, const char *le)
{
    buf_append_cstr(out, name);
    buf_append_cstr(out, suffix);
    char separator = '{';
    for (size_t i = 0; i < count; i++) {
        buf_append_char(out, separator);
        buf_append_cstr(out, labels[i].name);
        buf_append_cstr(out, "=\"");
        write_escaped(out, labels[i].value, true);
        buf_append_char(out, '"');
        separator = ',';
    }
    if (le) {
        buf_append_char(out, separator);
        buf_append_cstr(out, "le=\"");
        buf_append_cstr(out, le);
        buf_append_char(out, '"');
        separator = ',';
    }
    if (separator == ',')
        buf_append_char(out, '}');
    buf_append_char(out, ' ');
}

static void write_f64(struct buf *out, double value)
{
    if (isnan(value))
        buf_append_cstr(out, "NaN");
    else if (isinf(value))
        buf_append_cstr(out, value > 0 ? "+Inf" : "-Inf");
    else
        buf_printf(out, "%.15g", value);
}

void prom_bound_text(double bound, char text[PROM_BOUND_TEXT_MAX])
{
    int digits = 1;
    char scientific[PROM_BOUND_TEXT_MAX];
    for (; digits < 18; digits++) {
        snprintf(scientific, sizeof scientific, "%.*e", digits - 1, bound);
        if (strtod(scientific, NULL) == bound)
            break;
    }
    int exponent = (int)strtol(strchr(scientific, 'e') + 1, NULL, 10);
    if (exponent < -4 || exponent >= 6)
        memcpy(text, scientific, sizeof scientific);
    else
        snprintf(text, PROM_BOUND_TEXT_MAX, "%.*f", MAX(digits - 1 - exponent, 0), bound);
}

void prom_sample_u64(struct buf *out, const char *name, const struct prom_label *labels,
                     size_t count, uint64_t value)
{
    write_series(out, name, "", labels, count, NULL);
    buf_append_u64(out, value);
    buf_append_char(out, '\n');
}

void prom_sample_f64(struct buf *out, const char *name, const struct prom_label *labels,
                     size_t count, double value)
{
    write_series(out, name, "", labels, count, NULL);
    write_f64(out, value);
    buf_append_char(out, '\n');
}

void prom_histogram(struct buf *out, const char *name, const struct prom_label *labels,
                    size_t count, const struct hist_sum *hist, double sum_seconds,
                    const double *bounds, size_t bound_count)
{
    uint64_t seen = 0;
    unsigned bucket = 0;
    for (size_t i = 0; i < bound_count; i++) {
        // A bucket that straddles the bound counts for the next one: never too few above a bound.
        while (bucket < HIST_BUCKETS && (double)hist_bucket_max_us(bucket) <= bounds[i] * 1e6)
            seen += hist->buckets[bucket++];
        char le[PROM_BOUND_TEXT_MAX];
        prom_bound_text(bounds[i], le);
        write_series(out, name, "_bucket", labels, count, le);
        buf_append_u64(out, seen);
        buf_append_char(out, '\n');
    }
    write_series(out, name, "_bucket", labels, count, "+Inf");
    buf_append_u64(out, hist->count);
    buf_append_char(out, '\n');
    write_series(out, name, "_sum", labels, count, NULL);
    write_f64(out, sum_seconds);
    buf_append_char(out, '\n');
    write_series(out, name, "_count", labels, count, NULL);
    buf_append_u64(out, hist->count);
    buf_append_char(out, '\n');
}
