// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/addr.h"
#include "net/own.h"

static struct own_addresses own;

static void listen_at(const char *host, uint16_t port)
{
    struct sockaddr_storage listener;
    assert_true(addr_from_literal(str_of(host), port, &listener));
    own_addresses_set(&own, &listener, 1);
}

static bool has(const char *host, uint16_t port)
{
    struct sockaddr_storage addr;
    assert_true(addr_from_literal(str_of(host), port, &addr));
    return own_addresses_have(&own, (struct sockaddr *)&addr);
}

// As if the machine had that address and no other.
static void set_interface(const char *host)
{
    struct sockaddr_storage addr;
    assert_true(addr_from_literal(str_of(host), 0, &addr));
    assert_true(addr_bytes((struct sockaddr *)&addr, own.interfaces[0]));
    own.interface_count = 1;
}

static void one_address_is_that_address(void **state)
{
    (void)state;
    listen_at("127.0.0.1", 80);
    assert_true(has("127.0.0.1", 80));
    assert_true(has("::ffff:127.0.0.1", 80));
    assert_true(has("0.0.0.0", 80));
    assert_false(has("127.0.0.1", 81));
    assert_false(has("127.0.0.2", 80));
    assert_false(has("::1", 80));
    set_interface("10.0.0.1");
    assert_false(has("10.0.0.1", 80));
    listen_at("10.0.0.1", 80);
    assert_true(has("10.0.0.1", 80));
    assert_false(has("0.0.0.0", 80));
}

static void any_address_is_every_interface(void **state)
{
    (void)state;
    set_interface("10.0.0.1");
    static const char *const ANY[] = {"::", "0.0.0.0"};
    for (size_t i = 0; i < ARRAY_LEN(ANY); i++) {
        listen_at(ANY[i], 80);
        assert_true(has("127.0.0.1", 80));
        assert_true(has("127.9.9.9", 80));
        assert_true(has("0.0.0.0", 80));
        assert_true(has("10.0.0.1", 80));
        assert_false(has("10.0.0.2", 80));
        assert_false(has("10.0.0.1", 8080));
        // Of IPv6 only where it is listened to.
        assert_int_equal(has("::1", 80), i == 0);
        assert_int_equal(has("::", 80), i == 0);
    }
    set_interface("2001:db8::1");
    listen_at("::", 80);
    assert_true(has("2001:db8::1", 80));
    assert_false(has("2001:db8::2", 80));
}

static void interfaces_are_read_now_and_then(void **state)
{
    (void)state;
    own = (struct own_addresses){0};
    assert_true(own_addresses_refresh(&own, 1000));
    assert_true(own.interface_count > 0);
    listen_at("0.0.0.0", 80);
    set_interface("192.0.2.99"); // no longer there
    assert_false(own_addresses_refresh(&own, 1000 + OWN_REFRESH_MS - 1));
    assert_true(has("192.0.2.99", 80));
    assert_true(own_addresses_refresh(&own, 1000 + OWN_REFRESH_MS));
    assert_false(has("192.0.2.99", 80));
    assert_false(own_addresses_refresh(&own, 1000 + 2 * OWN_REFRESH_MS)); // the same
}

static void nothing_is_ours_before_we_listen(void **state)
{
    (void)state;
    own = (struct own_addresses){0};
    assert_false(has("127.0.0.1", 0));
    assert_false(has("127.0.0.1", 80));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_address_is_that_address),
        cmocka_unit_test(any_address_is_every_interface),
        cmocka_unit_test(interfaces_are_read_now_and_then),
        cmocka_unit_test(nothing_is_ours_before_we_listen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
