// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include <arpa/inet.h>

#include "app/address.h"

static void parses_listeners(void **state)
{
    (void)state;
    struct sockaddr_storage address;
    const struct sockaddr_in *ipv4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *ipv6 = (const struct sockaddr_in6 *)&address;
    struct err err = {0};

    assert_int_equal(address_parse(STR(":9999"), &address, &err), 0);
    assert_int_equal(address.ss_family, AF_INET6);
    assert_int_equal(ntohs(ipv6->sin6_port), 9999);
    assert_memory_equal(&ipv6->sin6_addr, &in6addr_any, 16);

    assert_int_equal(address_parse(STR("127.0.0.1:0"), &address, &err), 0);
    assert_int_equal(address.ss_family, AF_INET);
    assert_int_equal(ipv4->sin_port, 0);
    assert_int_equal(ntohl(ipv4->sin_addr.s_addr), INADDR_LOOPBACK);

    assert_int_equal(address_parse(STR("[::1]:65535"), &address, &err), 0);
    assert_memory_equal(&ipv6->sin6_addr, &in6addr_loopback, 16);
    assert_int_equal(ntohs(ipv6->sin6_port), 65535);

    assert_int_equal(address_parse(STR("localhost:80"), &address, &err), 0);
    assert_int_equal(ntohs(address.ss_family == AF_INET ? ipv4->sin_port : ipv6->sin6_port), 80);
}

static void refuses_listeners(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } CASES[] = {
        {"", "need host:port"},
        {"9999", "need host:port"},
        {":", "port must be a number"},
        {":http", "port must be a number"},
        {":65536", "port must be a number"},
        {"::1:80", "an IPv6 address needs brackets"},
        {"[]:80", "unbalanced brackets"},
        {"[::1:80", "unbalanced brackets"},
        {"no.such.name.invalid:80", "no.such.name.invalid"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct sockaddr_storage address;
        struct err err = {0};
        assert_int_equal(address_parse(str_of(CASES[i].text), &address, &err), ERR_INVALID);
        assert_non_null(strstr(err.text, CASES[i].reason));
    }
    char name[300];
    memset(name, 'x', sizeof name);
    memcpy(name + sizeof name - 3, ":80", 3);
    struct sockaddr_storage address;
    struct err err = {0};
    assert_int_equal(address_parse(str_make(name, sizeof name), &address, &err), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parses_listeners),
        cmocka_unit_test(refuses_listeners),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
