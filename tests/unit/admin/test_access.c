// SPDX-License-Identifier: Apache-2.0
// Who is let in: names against rebinding, origins against foreign pages, and clean paths.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "admin/access.h"

static void test_hosts(void **state)
{
    (void)state;
    const struct access_hosts hosts = {
        .hostname = STR("web1"),
        .fqdn = STR("web1.corp.example"),
        .more = STR("ui.example, Other.example"),
    };
    static const struct {
        const char *authority;
        bool is_ours;
    } cases[] = {
        {"127.0.0.1:9998", true},
        {"10.1.2.3", true},
        {"[::1]:9998", true},
        {"[fe80::1]", true},
        {"localhost", true},
        {"LOCALHOST:9998", true},
        {"web1:9998", true},
        {"WEB1.corp.example", true},
        {"web1.corp.example.:9998", true},
        {"fabio.service.consul", true},
        {"ui.example:80", true},
        {"other.example", true},
        {"evil.example", false},
        {"localhost.evil.example", false},
        {"127.0.0.1.evil.example", false},
        {"web1.evil.example", false},
        {"consul", false},
        {"xconsul", false},
        {"evil.consul.example", false},
        {"ui.example.evil", false},
        {"", false},
        {":9998", false},
        {"user@127.0.0.1", false},
        {"127.0.0.1:9998:1", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (access_host_is_ours(&hosts, str_of(cases[i].authority)) != cases[i].is_ours)
            fail_msg("%s", cases[i].authority);
    }
    const struct access_hosts unknown = {0};
    assert_false(access_host_is_ours(&unknown, STR("web1")));
    assert_true(access_host_is_ours(&unknown, STR("127.0.0.1")));
    const struct access_hosts any = {.more = STR("*")};
    assert_true(access_host_is_ours(&any, STR("evil.example")));
}

static enum access_verdict check(enum ui_access access, const char *method, const char *fields,
                                 bool is_loopback)
{
    static struct http_head head;
    char text[512];
    int len = snprintf(text, sizeof text,
                       "%s /api/manual HTTP/1.1\r\nHost: a.example:9998\r\n%s\r\n", method, fields);
    assert_int_equal(http_parse_request(&head, text, (size_t)len, &HTTP_REQUEST_LIMITS), 0);
    return access_check_manual(access, &head, is_loopback);
}

static void test_manual_access(void **state)
{
    (void)state;
    const char *none = "";
    assert_int_equal(check(UI_ACCESS_RO, "GET", none, true), ACCESS_READ_ONLY);
    assert_int_equal(check(UI_ACCESS_RO, "PUT", none, true), ACCESS_READ_ONLY);
    assert_int_equal(check(UI_ACCESS_DEFAULT, "GET", none, false), ACCESS_GRANTED);
    assert_int_equal(check(UI_ACCESS_DEFAULT, "PUT", none, false), ACCESS_NOT_LOOPBACK);
    assert_int_equal(check(UI_ACCESS_DEFAULT, "PUT", none, true), ACCESS_GRANTED);
    assert_int_equal(check(UI_ACCESS_RW, "PUT", none, false), ACCESS_GRANTED);
    static const char *const VIA_PROXY[] = {"X-Forwarded-For: 127.0.0.1\r\n",
                                            "Forwarded: for=10.1.2.3\r\n", "x-real-ip: ::1\r\n"};
    for (size_t i = 0; i < ARRAY_LEN(VIA_PROXY); i++) {
        assert_int_equal(check(UI_ACCESS_DEFAULT, "PUT", VIA_PROXY[i], true), ACCESS_NOT_LOOPBACK);
        assert_int_equal(check(UI_ACCESS_DEFAULT, "GET", VIA_PROXY[i], true), ACCESS_GRANTED);
        assert_int_equal(check(UI_ACCESS_RW, "PUT", VIA_PROXY[i], true), ACCESS_GRANTED);
    }
}

static void test_foreign_pages_cannot_write(void **state)
{
    (void)state;
    static const struct {
        const char *fields;
        enum access_verdict verdict;
    } cases[] = {
        {"Origin: http://a.example:9998\r\n", ACCESS_GRANTED},
        {"Origin: https://A.example:9998\r\n", ACCESS_GRANTED},
        {"Sec-Fetch-Site: same-origin\r\n", ACCESS_GRANTED},
        {"Origin: http://a.example:9998\r\nSec-Fetch-Site: same-origin\r\n", ACCESS_GRANTED},
        {"Origin: http://a.example\r\n", ACCESS_CROSS_SITE}, // another port is another origin
        {"Origin: http://evil.example\r\n", ACCESS_CROSS_SITE},
        {"Origin: null\r\n", ACCESS_CROSS_SITE},
        {"Origin: \r\n", ACCESS_CROSS_SITE},
        {"Origin: file://a.example:9998\r\n", ACCESS_CROSS_SITE},
        {"Sec-Fetch-Site: cross-site\r\n", ACCESS_CROSS_SITE},
        {"Sec-Fetch-Site: same-site\r\n", ACCESS_CROSS_SITE},
        {"Sec-Fetch-Site: none\r\n", ACCESS_CROSS_SITE},
        {"Origin: http://a.example:9998\r\nSec-Fetch-Site: cross-site\r\n", ACCESS_CROSS_SITE},
        {"Origin: http://a.example:9998\r\nOrigin: http://evil.example\r\n", ACCESS_CROSS_SITE},
        {"Sec-Fetch-Site: same-origin\r\nSec-Fetch-Site: none\r\n", ACCESS_CROSS_SITE},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        if (check(UI_ACCESS_RW, "PUT", cases[i].fields, true) != cases[i].verdict)
            fail_msg("%s", cases[i].fields);
    }
    assert_int_equal(check(UI_ACCESS_RW, "GET", "Origin: http://evil.example\r\n", true),
                     ACCESS_GRANTED);
}

static void test_clean_paths(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        const char *clean; // NULL: is clean
    } cases[] = {
        {"/", NULL},
        {"/api/routes", NULL},
        {"/api/", NULL},
        {"/a.b/..c", NULL},
        {"//", "/"},
        {"//x", "/x"},
        {"/a/../b", "/b"},
        {"/a/./b", "/a/b"},
        {"/..", "/"},
        {"/../../x", "/x"},
        {"/a/..", "/"},
        {"/a/../", "/"},
        {"/a//b/", "/a/b/"},
        {"/a/b/../../", "/"},
        {"/a/.", "/a"},
        {"/a/b/..", "/a"},
        {"//evil.example/", "/evil.example/"},
    };
    struct buf out;
    buf_init(&out, 256);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        buf_clear(&out);
        bool is_clean = access_path_is_clean(str_of(cases[i].path), &out);
        assert_int_equal(buf_status(&out), 0);
        const char *expected = cases[i].clean ? cases[i].clean : "";
        if (is_clean != !cases[i].clean || !str_eq(buf_str(&out), str_of(expected)))
            fail_msg("%s gave %.*s", cases[i].path, STR_FMT(buf_str(&out)));
    }
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts),
        cmocka_unit_test(test_manual_access),
        cmocka_unit_test(test_foreign_pages_cannot_write),
        cmocka_unit_test(test_clean_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
