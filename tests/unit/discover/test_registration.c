// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "discover/registration.h"

static void expect(const struct consul_config *config, const char *address, const char *text)
{
    const struct registration registration = {.config = config,
                                              .id = STR("fabio-vm-9998"),
                                              .name = STR("fabio"),
                                              .address = address,
                                              .port = 9998};
    struct buf out;
    buf_init(&out, 4096);
    registration_write(&registration, &out);
    buf_append_char(&out, '\0');
    assert_int_equal(buf_status(&out), 0);
    assert_string_equal(out.ptr, text);
    buf_fini(&out);
}

// What fabio 1.7.3 was seen to send.
static void the_body_is_fabios(void **state)
{
    (void)state;
    const struct consul_config config = {.check_interval_ms = 1000, .check_timeout_ms = 3000};
    expect(&config, "192.0.2.2",
           "{\"ID\":\"fabio-vm-9998\",\"Name\":\"fabio\",\"Port\":9998,\"Address\":\"192.0.2.2\","
           "\"Check\":null,\"Checks\":[{\"CheckID\":\"fabio-vm-9998-ttl\",\"TTL\":\"15s\","
           "\"DeregisterCriticalServiceAfter\":\"1m0s\"},{\"Interval\":\"1s\",\"Timeout\":\"3s\","
           "\"HTTP\":\"http://192.0.2.2:9998/health\"}]}");
}

static void everything_that_can_be_set(void **state)
{
    (void)state;
    const struct consul_config config = {.check_interval_ms = 90500,
                                         .check_timeout_ms = 20,
                                         .register_tags = STR("a, b\"c"),
                                         .register_check_is_https = true,
                                         .register_check_skips_tls_verify = true,
                                         .check_deregister_after = STR("2h"),
                                         .namespace_name = STR("team")};
    expect(&config, "fd00::1",
           "{\"ID\":\"fabio-vm-9998\",\"Name\":\"fabio\",\"Tags\":[\"a\",\"b\\\"c\"],\"Port\":9998,"
           "\"Address\":\"fd00::1\",\"Check\":null,\"Checks\":[{\"CheckID\":\"fabio-vm-9998-ttl\","
           "\"TTL\":\"15s\",\"DeregisterCriticalServiceAfter\":\"1m0s\"},{\"Interval\":\"1m30.5s\","
           "\"Timeout\":\"20ms\",\"HTTP\":\"https://[fd00::1]:9998/health\",\"TLSSkipVerify\":true,"
           "\"DeregisterCriticalServiceAfter\":\"2h\"}],\"Namespace\":\"team\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_body_is_fabios),
        cmocka_unit_test(everything_that_can_be_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
