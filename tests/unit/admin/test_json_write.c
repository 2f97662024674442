// SPDX-License-Identifier: Apache-2.0
// Numbers, times and indentation as fabio writes them.
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "admin/json_write.h"
#include "base/json_indent.h"
#include "base/rng.h"

static void assert_text(struct buf *out, const char *expected)
{
    assert_int_equal(buf_status(out), 0);
    buf_append_char(out, '\0');
    assert_string_equal(out->ptr, expected);
    buf_clear(out);
}

static void test_fields(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    buf_append_char(&out, '{');
    json_field_str(&out, "a", STR("<x>"));
    json_field_u64(&out, "b", 7);
    json_field_bool(&out, "c", true);
    json_field_bool(&out, "d", false);
    json_field_f64(&out, "e", 0.25);
    json_key(&out, "since");
    json_time(&out, UINT64_C(1795432549123456));
    buf_append_char(&out, '}');
    assert_text(&out, "{\"a\":\"\\u003cx\\u003e\",\"b\":7,\"c\":true,\"d\":false,\"e\":0.25,"
                      "\"since\":\"2026-11-23T11:15:49.123Z\"}");
    buf_fini(&out);
}

static void test_numbers_are_short_and_read_back(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0, "0"},     {1, "1"},
        {0.5, "0.5"}, {1.0 / 3, "0.3333333333333333"},
        {0.1, "0.1"}, {1234567, "1234567"},
        {NAN, "0"},   {INFINITY, "0"},
    };
    struct buf out;
    buf_init(&out, 4096);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        json_f64(&out, cases[i].value);
        assert_text(&out, cases[i].text);
    }
    struct rng rng;
    rng_init(&rng, 3);
    for (unsigned i = 0; i < 1000; i++) {
        double value = (double)rng_next(&rng) / (double)(1 + rng_below(&rng, 1000000));
        json_f64(&out, value);
        buf_append_char(&out, '\0');
        assert_true(strtod(out.ptr, NULL) == value);
        buf_clear(&out);
    }
    buf_fini(&out);
}

static void test_indent(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 4096);
    json_indent(&out, STR("null"));
    assert_text(&out, "null");
    json_indent(&out, STR("[{\"a\":\"x,{\\\"}:[\",\"b\":[],\"c\":{},\"d\":[1,2]}]"));
    assert_text(&out, "[\n    {\n        \"a\": \"x,{\\\"}:[\",\n        \"b\": [],\n"
                      "        \"c\": {},\n        \"d\": [\n            1,\n            2\n"
                      "        ]\n    }\n]");
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_numbers_are_short_and_read_back),
        cmocka_unit_test(test_indent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
