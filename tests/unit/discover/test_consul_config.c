// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <unistd.h>

#include "base/err.h"
#include "discover/consul_config.h"

static const char *const *env_pairs; // name, value, ..., NULL

static const char *env(const char *name)
{
    for (size_t i = 0; env_pairs && env_pairs[i]; i += 2) {
        if (strcmp(env_pairs[i], name) == 0)
            return env_pairs[i + 1];
    }
    return NULL;
}

static int setup(void **state)
{
    (void)state;
    env_pairs = NULL;
    return 0;
}

static void write_file(const char *path, const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static void addresses_are_taken_apart(void **state)
{
    (void)state;
    static const struct {
        const char *addr;
        const char *base_url;
        const char *unix_path;
        bool is_https;
    } CASES[] = {
        {"", "http://localhost:8500", NULL, false},
        {"127.0.0.1:8500", "http://127.0.0.1:8500", NULL, false},
        {"HTTP://Consul.Local:80/ui/", "http://consul.local:80", NULL, false},
        {"https://consul:8501", "https://consul:8501", NULL, true},
        {"[::1]:8500", "http://[::1]:8500", NULL, false},
        {"[::1]", "http://[::1]", NULL, false},
        {"unix:///run/Consul.sock", "http://localhost", "/run/Consul.sock", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct consul_config config = {.addr = str_of(CASES[i].addr)};
        struct consul_settings settings;
        struct err err = {0};
        assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
        assert_string_equal(settings.http.base_url, CASES[i].base_url);
        assert_int_equal(settings.http.is_https, CASES[i].is_https);
        if (CASES[i].unix_path)
            assert_string_equal(settings.http.unix_path, CASES[i].unix_path);
        else
            assert_null(settings.http.unix_path);
        consul_settings_fini(&settings);
    }
}

static void impossible_addresses_are_refused(void **state)
{
    (void)state;
    static const char *const ADDRS[] = {"http://",    "a b:80",     "user@host:1",
                                        "host:0",     "host:65536", "host:x",
                                        "unix://run", "host?x:1",   "http://a:80:90x"};
    for (size_t i = 0; i < ARRAY_LEN(ADDRS); i++) {
        struct consul_config config = {.addr = str_of(ADDRS[i])};
        struct consul_settings settings;
        struct err err = {0};
        assert_int_equal(consul_settings_init(&settings, &config, env, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, "registry.consul.addr"));
    }
}

static void the_environment_fills_gaps_only(void **state)
{
    (void)state;
    static const char *const PAIRS[] = {"CONSUL_HTTP_TOKEN",
                                        "from-env",
                                        "CONSUL_NAMESPACE",
                                        "ns-env",
                                        "CONSUL_PARTITION",
                                        "part",
                                        "CONSUL_CAPATH",
                                        "/ca",
                                        "CONSUL_HTTP_SSL_VERIFY",
                                        "false",
                                        "CONSUL_TLS_SERVER_NAME",
                                        "server.dc1.consul",
                                        NULL};
    env_pairs = PAIRS;
    struct consul_config config = {.addr = STR("https://10.0.0.1:8501")};
    struct consul_settings settings;
    struct err err = {0};
    assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
    assert_true(str_eq(buf_str(&settings.http.token), STR("from-env")));
    assert_string_equal(settings.namespace_name, "ns-env");
    assert_string_equal(settings.partition, "part");
    assert_string_equal(settings.http.ca_path, "/ca");
    assert_true(settings.http.skips_tls_verify);
    assert_string_equal(settings.http.base_url, "https://server.dc1.consul:8501");
    assert_non_null(settings.http.connect_to);
    consul_settings_fini(&settings);

    config.token = STR("own");
    config.namespace_name = STR("mine");
    assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
    assert_true(str_eq(buf_str(&settings.http.token), STR("own")));
    assert_string_equal(settings.namespace_name, "mine");
    consul_settings_fini(&settings);
}

// fabio row 3.2: HTTP_PROXY and NO_PROXY, by Go's rules.
static void a_proxy_comes_from_the_environment(void **state)
{
    (void)state;
    static const char *const PAIRS[] = {"HTTP_PROXY", "http://one:3128", "http_proxy",
                                        "http://two", "https_proxy",     "http://three",
                                        "no_proxy",   ".example.com",    NULL};
    env_pairs = PAIRS;
    static const struct {
        const char *addr;
        const char *proxy;
        const char *variable;
    } CASES[] = {
        {"consul.example.com:8500", "http://one:3128", "HTTP_PROXY"},
        {"https://consul:8501", "http://three", "https_proxy"},
        {"", NULL, NULL},
        {"127.0.0.5:8500", NULL, NULL},
        {"LOCALHOST", NULL, NULL},
        {"[::1]:8500", NULL, NULL},
        {"unix:///run/consul.sock", NULL, NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct consul_config config = {.addr = str_of(CASES[i].addr)};
        struct consul_settings settings;
        struct err err = {0};
        assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
        if (CASES[i].proxy) {
            assert_string_equal(settings.http.proxy, CASES[i].proxy);
            assert_string_equal(settings.http.no_proxy, ".example.com");
            assert_string_equal(settings.proxy_variable, CASES[i].variable);
        } else {
            assert_null(settings.http.proxy);
            assert_null(settings.proxy_variable);
        }
        consul_settings_fini(&settings);
    }
}

static void the_token_file_is_read_and_read_again(void **state)
{
    (void)state;
    char path[] = "/tmp/tagway-token-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    write_file(path, "  first\n");
    struct consul_config config = {.token_file = str_of(path)};
    struct consul_settings settings;
    struct err err = {0};
    assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
    assert_true(str_eq(buf_str(&settings.http.token), STR("first")));
    assert_false(consul_settings_refresh(&settings, false, &err));
    write_file(path, "second one\n"); // white space within: no token
    assert_true(consul_settings_refresh(&settings, false, &err));
    assert_int_equal(settings.http.token.len, 0);
    write_file(path, "third");
    assert_true(consul_settings_refresh(&settings, false, &err));
    assert_true(str_eq(buf_str(&settings.http.token), STR("third")));
    // A file that goes away takes nothing with it.
    unlink(path);
    assert_false(consul_settings_refresh(&settings, false, &err));
    assert_int_equal(err.code, ERR_NOT_FOUND);
    assert_true(str_eq(buf_str(&settings.http.token), STR("third")));
    consul_settings_fini(&settings);
}

static void a_file_that_is_missing_at_the_start_is_an_error(void **state)
{
    (void)state;
    struct consul_config config = {.addr = STR("https://a:1"), .ca_file = STR("/nonexistent/ca")};
    struct consul_settings settings;
    struct err err = {0};
    assert_int_equal(consul_settings_init(&settings, &config, env, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.text, "/nonexistent/ca"));
}

static void paths_are_escaped_and_carry_what_every_request_carries(void **state)
{
    (void)state;
    struct consul_config config = {.namespace_name = STR("n&s"), .datacenter = STR("dc1")};
    struct consul_settings settings;
    struct err err = {0};
    struct buf path;
    buf_init(&path, 1000);
    assert_int_equal(consul_settings_init(&settings, &config, env, &err), 0);
    consul_settings_path(&settings, &path, "kv/", STR("a b/\xc3\xa9?#"), "recurse=&");
    assert_true(str_eq(buf_str(&path), STR("/v1/kv/a%20b/%C3%A9%3F%23?recurse=&ns=n%26s&dc=dc1&")));
    buf_fini(&path);
    consul_settings_fini(&settings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(addresses_are_taken_apart, setup),
        cmocka_unit_test_setup(impossible_addresses_are_refused, setup),
        cmocka_unit_test_setup(the_environment_fills_gaps_only, setup),
        cmocka_unit_test_setup(a_proxy_comes_from_the_environment, setup),
        cmocka_unit_test_setup(the_token_file_is_read_and_read_again, setup),
        cmocka_unit_test_setup(a_file_that_is_missing_at_the_start_is_an_error, setup),
        cmocka_unit_test_setup(paths_are_escaped_and_carry_what_every_request_carries, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
