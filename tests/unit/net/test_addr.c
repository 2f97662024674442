// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/addr.h"

static struct sockaddr_storage literal(const char *text, uint16_t port)
{
    struct sockaddr_storage addr;
    assert_true(addr_from_literal(str_of(text), port, &addr));
    return addr;
}

static void literals_round_trip(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *shown;
    } rows[] = {
        {"127.0.0.1", "127.0.0.1"},         {"255.255.255.255", "255.255.255.255"}, {"::1", "::1"},
        {"2001:DB8:0:0::1", "2001:db8::1"}, {"::ffff:10.1.2.3", "10.1.2.3"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct sockaddr_storage addr = literal(rows[i].text, 8080);
        char text[ADDR_TEXT_MAX];
        size_t len = addr_host_text((struct sockaddr *)&addr, text);
        assert_string_equal(text, rows[i].shown);
        assert_int_equal(len, strlen(text));
        assert_int_equal(addr_port((struct sockaddr *)&addr), 8080);
    }
}

static void names_and_rubbish_are_no_literals(void **state)
{
    (void)state;
    static const char *const rows[] = {
        "",          "localhost", "1.2.3",
        "1.2.3.4.5", "1.2.3.256", "[::1]",
        ":::1",      "1.2.3.4 ",  "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000:0000",
    };
    struct sockaddr_storage addr;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_false(addr_from_literal(str_of(rows[i]), 1, &addr));
}

static void equality_takes_mapped_addresses_as_the_same(void **state)
{
    (void)state;
    struct sockaddr_storage v4 = literal("10.0.0.1", 80);
    struct sockaddr_storage mapped = literal("::ffff:10.0.0.1", 80);
    struct sockaddr_storage other_port = literal("10.0.0.1", 81);
    assert_true(addr_eq((struct sockaddr *)&v4, (struct sockaddr *)&mapped));
    assert_false(addr_eq((struct sockaddr *)&v4, (struct sockaddr *)&other_port));
    struct sockaddr_storage none = {0};
    uint8_t bytes[16];
    char text[ADDR_TEXT_MAX];
    assert_false(addr_bytes((struct sockaddr *)&none, bytes));
    assert_int_equal(addr_port((struct sockaddr *)&none), 0);
    assert_int_equal(addr_host_text((struct sockaddr *)&none, text), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals_round_trip),
        cmocka_unit_test(names_and_rubbish_are_no_literals),
        cmocka_unit_test(equality_takes_mapped_addresses_as_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
