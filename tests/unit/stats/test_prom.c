// SPDX-License-Identifier: Apache-2.0
// The exact text of the Prometheus exposition format, escaping of hostile labels included.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stats/hist.h"
#include "stats/prom.h"

static void assert_text(struct buf *out, const char *expected)
{
    assert_int_equal(buf_status(out), 0);
    buf_append_char(out, '\0');
    assert_int_equal(buf_status(out), 0);
    assert_string_equal(out->ptr, expected);
    buf_clear(out);
}

static void test_family_and_samples(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    prom_family(&out, "a_total", "counter", "Say \"a\" \\ b\nc.");
    assert_text(&out, "# HELP a_total Say \"a\" \\\\ b\\nc.\n# TYPE a_total counter\n");

    prom_sample_u64(&out, "a_total", NULL, 0, UINT64_MAX);
    assert_text(&out, "a_total 18446744073709551615\n");

    struct prom_label labels[] = {{"service", STR("web")}, {"host", STR("")}};
    prom_sample_f64(&out, "b", labels, 2, 0.25);
    assert_text(&out, "b{service=\"web\",host=\"\"} 0.25\n");
    prom_sample_f64(&out, "b", NULL, 0, NAN);
    prom_sample_f64(&out, "b", NULL, 0, INFINITY);
    prom_sample_f64(&out, "b", NULL, 0, -INFINITY);
    prom_sample_f64(&out, "b", NULL, 0, 1795432549.123);
    assert_text(&out, "b NaN\nb +Inf\nb -Inf\nb 1795432549.123\n");
    buf_fini(&out);
}

static void test_label_values_are_escaped(void **state)
{
    (void)state;
    static const struct {
        const char *value;
        const char *expected;
    } cases[] = {
        {"a\"} 1\nb{x=\"", "m{l=\"a\\\"} 1\\nb{x=\\\"\"} 1\n"},
        {"back\\slash", "m{l=\"back\\\\slash\"} 1\n"},
        {"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x90", "m{l=\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x8c\x90\"} 1\n"},
        {"\xff|\xc3|\xed\xa0\x80",
         "m{l=\"\xef\xbf\xbd|\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"} 1\n"},
        {"cut \xe2\x82", "m{l=\"cut \xef\xbf\xbd\xef\xbf\xbd\"} 1\n"},
    };
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct prom_label label = {"l", str_of(cases[i].value)};
        prom_sample_u64(&out, "m", &label, 1, 1);
        assert_text(&out, cases[i].expected);
    }
    buf_fini(&out);
}

static void test_histogram(void **state)
{
    (void)state;
    static const double bounds[] = {0.000007, 0.001, 1};
    struct hist hist = {0};
    hist_record(&hist, 7);
    hist_record(&hist, 8);
    hist_record(&hist, 1000); // bucket 960..1023 straddles 1 ms: counted above it
    hist_record(&hist, 900);
    hist_record(&hist, 5000000);
    struct hist_sum sum = {0};
    hist_add(&sum, &hist);

    struct buf out;
    buf_init(&out, 4096);
    struct prom_label label = {"service", STR("web")};
    prom_histogram(&out, "d_seconds", &label, 1, &sum, 5.001915, bounds, ARRAY_LEN(bounds));
    assert_text(&out, "d_seconds_bucket{service=\"web\",le=\"7e-06\"} 1\n"
                      "d_seconds_bucket{service=\"web\",le=\"0.001\"} 3\n"
                      "d_seconds_bucket{service=\"web\",le=\"1\"} 4\n"
                      "d_seconds_bucket{service=\"web\",le=\"+Inf\"} 5\n"
                      "d_seconds_sum{service=\"web\"} 5.001915\n"
                      "d_seconds_count{service=\"web\"} 5\n");
    prom_histogram(&out, "d", NULL, 0, &sum, 2, NULL, 0);
    assert_text(&out, "d_bucket{le=\"+Inf\"} 5\nd_sum 2\nd_count 5\n");
    buf_fini(&out);
}

// Texts of Go's strconv.FormatFloat(f, 'g', -1, 64).
static void test_bounds_are_written_as_go_writes_them(void **state)
{
    (void)state;
    static const struct {
        double bound;
        const char *text;
    } cases[] = {
        {0.005, "0.005"},
        {2.5, "2.5"},
        {10, "10"},
        {100000, "100000"},
        {1e6, "1e+06"},
        {1234567, "1.234567e+06"},
        {123456789012, "1.23456789012e+11"},
        {1.0 / 3, "0.3333333333333333"},
        {0.0001, "0.0001"},
        {0.00001, "1e-05"},
        {-2.5, "-2.5"},
        {0, "0"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[PROM_BOUND_TEXT_MAX];
        prom_bound_text(cases[i].bound, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_family_and_samples),
        cmocka_unit_test(test_label_values_are_escaped),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_bounds_are_written_as_go_writes_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
