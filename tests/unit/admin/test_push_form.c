// SPDX-License-Identifier: Apache-2.0
// The exact lines of each push protocol, in both sets of names, and that hostile labels cannot add
// or break one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin/push_form.h"

static const struct push_names FABIO = {true, STR_INIT("my-host.fabio")};
static const struct push_names OURS = {false, STR_INIT("my-host.tagway")};

static struct series series_of(enum series_family family, const char *first, const char *second)
{
    struct series series = {.family = family};
    if (family == SERIES_ROUTE) {
        series.label_count = 4;
        series.labels[0] = (struct prom_label){"service", str_of(first)};
        series.labels[1] = (struct prom_label){"host", STR("")};
        series.labels[2] = (struct prom_label){"path", STR("/")};
        series.labels[3] = (struct prom_label){"target", str_of(second)};
    } else if (family == SERIES_STATUS) {
        series.label_count = 2;
        series.labels[0] = (struct prom_label){"code", str_of(second)};
        series.labels[1] = (struct prom_label){"service", str_of(first)};
    } else if (first) {
        series.label_count = 1;
        series.labels[0] =
            (struct prom_label){family == SERIES_REDIRECTS ? "code" : "service", str_of(first)};
    }
    return series;
}

static void assert_lines(push_form_fn *form, const struct push_point *point, const char *expected)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    form(&out, point);
    buf_append_char(&out, '\0');
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(out.ptr, expected);
    buf_fini(&out);
}

// One timing of 1.337 ms.
static struct hist_sum one_timing(void)
{
    struct hist hist = {0};
    struct hist_sum sum = {0};
    hist_record(&hist, 1337);
    hist_add(&sum, &hist);
    return sum;
}

static void timers(void **state)
{
    (void)state;
    struct hist_sum hist = one_timing();
    struct series route = series_of(SERIES_ROUTE, "Svc.x", "http://u:p@127.0.0.1:7001/x?y");
    struct series status = series_of(SERIES_STATUS, "svc.x", "200");
    struct push_point point = {.hist = &hist, .sum_us = 1337, .now_s = 1795432549};

    point.names = &FABIO;
    point.series = &route;
    assert_lines(push_form_statsd, &point, "my-host.fabiosvc_x._./.127_0_0_1_7001:1.337000|ms\n");
    assert_lines(push_form_dogstatsd, &point,
                 "my-host.fabioroute:0.001337|h|#fabio-service:Svc.x,fabio-host:,path:/,"
                 "target:http://u:p@127.0.0.1:7001/x?y\n");
    assert_lines(push_form_flat, &point, ":my-host.fabio.route.service.host.path.target:1|ms\n");
    point.series = &status;
    assert_lines(push_form_statsd, &point,
                 "my-host.fabiohttp.status.code.200.service.svc.x:1.337000|ms\n");
    assert_lines(push_form_label, &point,
                 "my-host.fabio.http.status:1|ms|#code:200,service:svc.x\n");

    point.names = &OURS;
    point.series = &route;
    assert_lines(push_form_statsd, &point,
                 "my-host.tagway.route.svc_x._._.127_0_0_1_7001:1.337000|ms\n");
    assert_lines(push_form_dogstatsd, &point,
                 "my-host.tagway.route:0.001337|h|#tagway-service:Svc.x,tagway-host:,path:/,"
                 "target:http://u:p@127.0.0.1:7001/x?y\n");
    assert_lines(push_form_flat, &point,
                 "my-host.tagway.route.service.host.path.target:1.337|ms\n");
    point.series = &status;
    assert_lines(push_form_statsd, &point,
                 "my-host.tagway.http.status.code.200.service.svc_x:1.337000|ms\n");
    assert_lines(push_form_graphite, &point,
                 "my-host.tagway.http.status.code.200.service.svc_x.p50 1.407000 1795432549\n"
                 "my-host.tagway.http.status.code.200.service.svc_x.p90 1.407000 1795432549\n"
                 "my-host.tagway.http.status.code.200.service.svc_x.p95 1.407000 1795432549\n"
                 "my-host.tagway.http.status.code.200.service.svc_x.p99 1.407000 1795432549\n"
                 "my-host.tagway.http.status.code.200.service.svc_x.count 1.000000 1795432549\n");
}

static void counters_and_gauges(void **state)
{
    (void)state;
    struct series redirects = series_of(SERIES_REDIRECTS, "301", NULL);
    redirects.value = 9;
    struct push_point point = {.series = &redirects, .names = &FABIO, .gained = 2, .now_s = 5};
    assert_lines(push_form_statsd, &point,
                 "my-host.fabiohttp.redirect.count.code.301:2.000000|c\n");
    assert_lines(push_form_dogstatsd, &point,
                 "my-host.fabiohttp.redirect.count:2.000000|c|#code:301\n");
    assert_lines(push_form_flat, &point, "my-host.fabio.http.redirect.count.code:9|c\n");
    assert_lines(push_form_label, &point, "my-host.fabio.http.redirect.count:9|c|#code:301\n");
    assert_lines(push_form_graphite, &point,
                 "my-host.fabiohttp.redirect.count.code.301 2.000000 5\n");

    struct series open = series_of(SERIES_WEBSOCKETS, NULL, NULL);
    open.value = 3;
    point = (struct push_point){.series = &open, .names = &OURS, .is_changed = true, .now_s = 5};
    assert_lines(push_form_statsd, &point, "my-host.tagway.ws.conn:3.000000|g\n");
    assert_lines(push_form_dogstatsd, &point, "my-host.tagway.ws.conn:3.000000|g\n");
    assert_lines(push_form_flat, &point, "my-host.tagway.ws.conn:3|g\n");
    assert_lines(push_form_graphite, &point, "my-host.tagway.ws.conn 3.000000 5\n");
}

static void nothing_new_is_silence_but_for_graphite(void **state)
{
    (void)state;
    static push_form_fn *const FORMS[] = {push_form_flat, push_form_label, push_form_statsd,
                                          push_form_dogstatsd};
    struct hist_sum empty = {0};
    struct series timer = series_of(SERIES_REQUESTS, "svc", NULL);
    struct series counter = series_of(SERIES_NOT_FOUND, NULL, NULL);
    struct series gauge = series_of(SERIES_WEBSOCKETS, NULL, NULL);
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        struct push_point point = {.names = &FABIO, .series = &timer, .hist = &empty};
        assert_lines(FORMS[i], &point, "");
        point = (struct push_point){.names = &FABIO, .series = &counter};
        assert_lines(FORMS[i], &point, "");
        point = (struct push_point){.names = &FABIO, .series = &gauge};
        assert_lines(FORMS[i], &point, "");
    }
    struct push_point point = {.names = &FABIO, .series = &timer, .hist = &empty, .now_s = 7};
    assert_lines(push_form_graphite, &point,
                 "my-host.fabiorequests.service.svc.p50 -1.000000 7\n"
                 "my-host.fabiorequests.service.svc.p90 -1.000000 7\n"
                 "my-host.fabiorequests.service.svc.p95 -1.000000 7\n"
                 "my-host.fabiorequests.service.svc.p99 -1.000000 7\n"
                 "my-host.fabiorequests.service.svc.count 0.000000 7\n");
    point = (struct push_point){.names = &FABIO, .series = &counter, .now_s = 7};
    assert_lines(push_form_graphite, &point, "my-host.fabionotfound 0.000000 7\n");
}

// Adds up what a server makes of the lines: those that weigh values, and those that take each
// sample int(1/rate) times.
static void assert_count(push_form_fn *form, const struct push_point *point, uint64_t count)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    form(&out, point);
    assert_int_equal(buf_status(&out), 0);
    double weighed = 0;
    uint64_t whole = 0;
    unsigned lines = 0;
    struct str rest = buf_str(&out);
    for (struct str line; rest.len && str_split_next(&rest, '\n', &line); lines++) {
        ptrdiff_t at = str_find(line, STR("|@"));
        double rate = at < 0 ? 1 : strtod(line.ptr + at + 2, NULL);
        weighed += 1 / rate;
        whole += (uint64_t)(1 / rate);
    }
    assert_true(lines <= PUSH_SAMPLES_MAX);
    assert_int_equal(whole, count);
    assert_true(weighed > (double)count - 0.01 && weighed < (double)count + 0.01);
    buf_fini(&out);
}

static void many_timings_are_sampled(void **state)
{
    (void)state;
    static const unsigned COUNTS[] = {99, 100, 101, 150, 151, 997, 12345, 100000};
    struct series series = series_of(SERIES_REQUESTS, "svc", NULL);
    for (size_t i = 0; i < ARRAY_LEN(COUNTS); i++) {
        struct hist hist = {0};
        struct hist_sum sum = {0};
        for (unsigned k = 0; k < COUNTS[i]; k++)
            hist_record(&hist, 100 + k);
        hist_add(&sum, &hist);
        struct push_point point = {.series = &series, .names = &OURS, .hist = &sum};
        assert_count(push_form_statsd, &point, COUNTS[i]);
        assert_count(push_form_dogstatsd, &point, COUNTS[i]);
        assert_count(push_form_flat, &point, COUNTS[i]);
    }
}

static void hostile_labels_break_no_line(void **state)
{
    (void)state;
    static const char HOSTILE[] = "a\nb:1|c|#x:y,z @\x01\x7f";
    static push_form_fn *const FORMS[] = {push_form_flat, push_form_label, push_form_statsd,
                                          push_form_dogstatsd, push_form_graphite};
    struct hist_sum hist = one_timing();
    const enum series_family families[] = {SERIES_REQUESTS, SERIES_STATUS, SERIES_ROUTE};
    for (size_t i = 0; i < ARRAY_LEN(FORMS); i++) {
        for (size_t k = 0; k < ARRAY_LEN(families); k++) {
            for (unsigned is_fabio = 0; is_fabio < 2; is_fabio++) {
                struct series series = series_of(families[k], HOSTILE, HOSTILE);
                struct push_point point = {.series = &series,
                                           .names = is_fabio ? &FABIO : &OURS,
                                           .hist = &hist,
                                           .sum_us = 1337,
                                           .now_s = 5};
                struct buf out;
                buf_init(&out, 1 << 16);
                FORMS[i](&out, &point);
                unsigned lines = 0;
                unsigned blanks = 0;
                unsigned bars = 0;
                for (size_t at = 0; at < out.len; at++) {
                    lines += out.ptr[at] == '\n';
                    blanks += out.ptr[at] == ' ';
                    bars += out.ptr[at] == '|';
                    assert_true(out.ptr[at] == '\n' || (unsigned char)out.ptr[at] >= ' ');
                }
                bool is_graphite = FORMS[i] == push_form_graphite;
                bool has_tags = FORMS[i] == push_form_label || FORMS[i] == push_form_dogstatsd;
                assert_int_equal(lines, is_graphite ? 5 : 1);
                assert_int_equal(blanks, is_graphite ? 10 : 0);
                assert_int_equal(bars, is_graphite ? 0 : has_tags ? 2 : 1);
                buf_fini(&out);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers),
        cmocka_unit_test(counters_and_gauges),
        cmocka_unit_test(nothing_new_is_silence_but_for_graphite),
        cmocka_unit_test(many_timings_are_sampled),
        cmocka_unit_test(hostile_labels_break_no_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
