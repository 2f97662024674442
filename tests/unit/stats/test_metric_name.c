// SPDX-License-Identifier: Apache-2.0
// Names from hostile texts: fabio's form where it is harmless, never a broken line.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "stats/metric_name.h"

static void assert_name(void (*write)(struct buf *out, struct str text), const char *text,
                        const char *expected)
{
    struct buf out;
    buf_init(&out, 256);
    write(&out, str_of(text));
    buf_append_char(&out, '\0');
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(out.ptr, expected);
    buf_fini(&out);
}

static void escape_for_tags(struct buf *out, struct str text)
{
    metric_escape(out, text, "|,");
}

static void names(void **state)
{
    (void)state;
    assert_name(metric_clean, "", "_");
    assert_name(metric_clean, "127.0.0.1:7001", "127_0_0_1_7001");
    assert_name(metric_clean, "/Foo-Bar", "/foo-bar");

    assert_name(metric_tidy, "", "_");
    assert_name(metric_tidy, "*.Example.com:80/x-y z", "__example_com_80_x-y_z");
    assert_name(metric_tidy, "a\nb|c#d@e,f", "a_b_c_d_e_f");

    assert_name(escape_for_tags, "http://127.0.0.1:7001/", "http://127.0.0.1:7001/");
    assert_name(escape_for_tags, "a|b,c\nd e\x7f", "a_b_c_d_e_");

    assert_name(metric_prometheus, "my-host_fabio_http.status", "my_host_fabio_http_status");
    assert_name(metric_prometheus, "1st_2nd", "_st_2nd");
    assert_name(metric_prometheus, "gr\xc3\xbc\xc3\x9f", "gr__");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
