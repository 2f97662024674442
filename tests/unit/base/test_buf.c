// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"

static void assert_text(const struct buf *buf, const char *want)
{
    assert_int_equal(buf_status(buf), 0);
    assert_int_equal(buf->len, strlen(want));
    assert_memory_equal(buf->ptr ? buf->ptr : "", want, buf->len);
}

static void appends(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    assert_null(buf.ptr);
    buf_append(&buf, "", 0);
    assert_null(buf.ptr);
    buf_append_cstr(&buf, "a=");
    buf_append_str(&buf, STR("b;"));
    buf_append_char(&buf, 'c');
    buf_append_u64(&buf, 0);
    buf_append_char(&buf, ',');
    buf_append_u64(&buf, UINT64_MAX);
    buf_printf(&buf, "[%d %s]", -5, "x");
    assert_text(&buf, "a=b;c0,18446744073709551615[-5 x]");
    assert_true(str_eq(buf_str(&buf), STR("a=b;c0,18446744073709551615[-5 x]")));
    buf_consume(&buf, 4);
    assert_text(&buf, "c0,18446744073709551615[-5 x]");
    buf_consume(&buf, 0);
    buf_consume(&buf, buf.len);
    assert_text(&buf, "");
    buf_fini(&buf);
    assert_null(buf.ptr);
    assert_int_equal(buf.max, 1000);
}

static void grows_to_its_maximum_and_no_further(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 700);
    for (int i = 0; i < 700; i++)
        buf_append_char(&buf, (char)('a' + i % 26));
    assert_int_equal(buf_status(&buf), 0);
    assert_int_equal(buf.len, 700);
    assert_true(buf.cap <= 700);
    buf_append_char(&buf, 'x');
    assert_int_equal(buf_status(&buf), ERR_TOO_LARGE);
    // The failure stays: nothing is added behind a hole.
    buf_consume(&buf, 100);
    buf_append_char(&buf, 'x');
    buf_printf(&buf, "%d", 1);
    assert_int_equal(buf.len, 600);
    assert_int_equal(buf_status(&buf), ERR_TOO_LARGE);
    buf_clear(&buf);
    buf_append_cstr(&buf, "again");
    assert_text(&buf, "again");
    buf_fini(&buf);
}

static void survives_shortage(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1000);
    mem_fail_after(0);
    buf_append_cstr(&buf, "abc");
    mem_fail_after(-1);
    assert_int_equal(buf_status(&buf), ERR_NOMEM);
    assert_int_equal(buf.len, 0);
    buf_append_cstr(&buf, "abc");
    assert_int_equal(buf.len, 0);
    buf_fini(&buf);
}

static void writes_json_strings(void **state)
{
    (void)state;
    const struct {
        struct str in;
        const char *want;
    } cases[] = {
        {STR(""), "\"\""},
        {STR("plain /x?y=z"), "\"plain /x?y=z\""},
        {STR("a\"b\\c"), "\"a\\\"b\\\\c\""},
        {STR("\n\r\t\x01\x7f"), "\"\\n\\r\\t\\u0001\\u007f\""},
        {STR("a\0b"), "\"a\\u0000b\""},
        {STR("</script>&"), "\"\\u003c/script\\u003e\\u0026\""},
        {STR("\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaa"), "\"\\u2028\\u2029\xe2\x80\xaa\""},
        {STR("\xc3\xa4\xf0\x9f\x98\x80"), "\"\xc3\xa4\xf0\x9f\x98\x80\""},
        {STR("a\xff\xc3"), "\"a\\ufffd\\ufffd\""},
        {STR("\xed\xa0\x80"), "\"\\ufffd\\ufffd\\ufffd\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf buf;
        buf_init(&buf, 1000);
        buf_append_json(&buf, cases[i].in);
        assert_text(&buf, cases[i].want);
        buf_fini(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(appends),
        cmocka_unit_test(grows_to_its_maximum_and_no_further),
        cmocka_unit_test(survives_shortage),
        cmocka_unit_test(writes_json_strings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
