// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/ip.h"
#include "base/rng.h"

static void addresses_become_bytes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *bytes;
    } rows[] = {
        {"10.1.2.3", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03"},
        {"::ffff:10.1.2.3", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03"},
        {"::ffff:a01:203", "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03"},
        {"::1", "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"},
        {"2001:DB8::", "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t bytes[IP_LEN];
        assert_true(ip_parse(str_of(rows[i].text), bytes));
        assert_memory_equal(bytes, rows[i].bytes, IP_LEN);
    }
}

static void everything_else_is_no_address(void **state)
{
    (void)state;
    static const struct str rows[] = {
        STR_INIT(""),
        STR_INIT("1.2.3"),
        STR_INIT("1.2.3.4.5"),
        STR_INIT("1.2.3.256"),
        STR_INIT("01.2.3.4"),
        STR_INIT("1.2.3.4 "),
        STR_INIT("[::1]"),
        STR_INIT("fe80::1%lo"),
        STR_INIT("1.2.3.4:80"),
        STR_INIT("localhost"),
        STR_INIT("0x7f.0.0.1"),
        STR_INIT("1.2.3.4\0"),
        STR_INIT("::1/128"),
        STR_INIT("2130706433"),
        STR_INIT("0000:0000:0000:0000:0000:0000:0000:0000:0000"),
    };
    uint8_t bytes[IP_LEN];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(ip_parse(rows[i], bytes));
}

static void dotted_addresses_read_as_inet_pton_reads_them(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1);
    unsigned accepted = 0;
    for (unsigned i = 0; i < 20000; i++) {
        char text[24];
        uint8_t own[4] = {0}, expected[4] = {0};
        size_t len =
            (size_t)snprintf(text, sizeof text, "%u.%u.%u.%u", rng_below(&rng, 300),
                             rng_below(&rng, 300), rng_below(&rng, 12), rng_below(&rng, 300));
        if (i % 2)
            text[rng_below(&rng, (uint32_t)len)] = "0123456789. x"[rng_below(&rng, 13)];
        bool is_one = inet_pton(AF_INET, text, expected) == 1;
        assert_int_equal(ip_parse_v4(str_of(text), own), is_one);
        if (is_one)
            assert_memory_equal(own, expected, sizeof own);
        accepted += is_one;
    }
    assert_true(accepted > 5000 && accepted < 19000);
}

static void blocks_have_a_length(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        unsigned bits;
    } rows[] = {
        {"10.0.0.0/8", 104}, {"10.1.2.3", 128},    {"0.0.0.0/0", 96},
        {"fc00::/7", 7},     {"::/0", 0},          {"::ffff:10.0.0.0/104", 104},
        {"::1", 128},        {"10.1.2.3/08", 104},
    };
    static const char *const bad[] = {"",          "/8",          "10.0.0.0/33", "fc00::/129",
                                      "10.0.0.0/", "10/8",        "10.0.0.0/-1", "host",
                                      "[::1]",     "10.0.0.0/8/8"};
    struct ip_net net;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_true(ip_net_parse(str_of(rows[i].text), &net));
        assert_int_equal(net.bits, rows[i].bits);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(ip_net_parse(str_of(bad[i]), &net));
}

static void membership(void **state)
{
    (void)state;
    static const struct {
        const char *net;
        const char *address;
        bool is_in;
    } rows[] = {
        {"10.0.0.0/8", "10.255.0.1", true},
        {"10.0.0.0/8", "11.0.0.1", false},
        {"10.9.9.9/8", "10.0.0.0", true},
        {"172.16.0.0/12", "172.31.9.9", true},
        {"172.16.0.0/12", "172.32.0.0", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "127.0.0.2", false},
        {"127.0.0.1", "::ffff:127.0.0.1", true},
        {"::ffff:127.0.0.0/104", "127.0.0.9", true},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "8.8.8.8", false},
        {"::/0", "::ffff:8.8.8.8", false},
        {"fc00::/7", "fd12::1", true},
        {"fc00::/7", "fe00::1", false},
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct ip_net net;
        uint8_t bytes[IP_LEN];
        assert_true(ip_net_parse(str_of(rows[i].net), &net));
        assert_true(ip_parse(str_of(rows[i].address), bytes));
        assert_int_equal(ip_net_has(&net, bytes), rows[i].is_in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_become_bytes),
        cmocka_unit_test(everything_else_is_no_address),
        cmocka_unit_test(dotted_addresses_read_as_inet_pton_reads_them),
        cmocka_unit_test(blocks_have_a_length),
        cmocka_unit_test(membership),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
