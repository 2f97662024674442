// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "route/access.h"

static struct ip_net room[64];

static struct access_rules parse(const char *allow, const char *deny, struct str *bad_item)
{
    struct access_rules rules;
    assert_true(access_room(str_of(allow)) + access_room(str_of(deny)) <= ARRAY_LEN(room));
    access_parse(&rules, str_of(allow), str_of(deny), room, bad_item);
    assert_true(rules.count <= MAX(access_room(str_of(allow)), access_room(str_of(deny))));
    return rules;
}

static bool permits(const struct access_rules *rules, const char *address)
{
    uint8_t bytes[IP_LEN];
    assert_true(ip_parse(str_of(address), bytes));
    return access_permits(rules, bytes);
}

static void rules(void **state)
{
    (void)state;
    static const struct {
        const char *allow;
        const char *deny;
        enum access_kind kind;
        const char *permitted; // NULL: nobody is
        const char *denied;    // NULL: nobody is
    } rows[] = {
        {"", "", ACCESS_OPEN, "1.2.3.4", NULL},
        {"ip:10.0.0.0/8", "", ACCESS_ALLOW, "10.1.1.1", "11.1.1.1"},
        {"ip:10.0.0.0/8,ip:192.168.1.2", "", ACCESS_ALLOW, "192.168.1.2", "192.168.1.3"},
        {"ip:10.0.0.0/8;ip:192.168.1.2", "", ACCESS_ALLOW, "192.168.1.2", "192.168.1.3"},
        {"ip:10.0.0.0/8|ip:192.168.1.2", "", ACCESS_ALLOW, "192.168.1.2", "192.168.1.3"},
        {"IP:10.0.0.0/8", "", ACCESS_ALLOW, "10.1.1.1", "11.1.1.1"},
        {" ip : 10.0.0.0/8 , ip:1.1.1.1 ", "", ACCESS_ALLOW, "1.1.1.1", "1.1.1.2"},
        {"ip:10.9.8.7/8", "", ACCESS_ALLOW, "10.0.0.0", "11.0.0.0"},
        {"ip:10.0.0.0/8,", "", ACCESS_ALLOW, "10.1.1.1", "11.1.1.1"},
        {";ip:10.0.0.0/8", "", ACCESS_ALLOW, "10.1.1.1", "11.1.1.1"},
        {"ip:2001:db8::/32", "", ACCESS_ALLOW, "2001:db8::1", "10.0.0.1"},
        {"ip:::1", "", ACCESS_ALLOW, "::1", "::2"},
        {"ip:::/0", "", ACCESS_ALLOW, "::2", "1.2.3.4"},
        {"ip:0.0.0.0/0", "", ACCESS_ALLOW, "1.2.3.4", "::2"},
        {"ip:1.2.3.4", "", ACCESS_ALLOW, "::ffff:1.2.3.4", "::ffff:1.2.3.5"},
        {"ip:::ffff:1.2.3.0/120", "", ACCESS_ALLOW, "1.2.3.4", "1.2.4.4"},
        {"", "ip:10.0.0.0/8", ACCESS_DENY, "11.1.1.1", "10.1.1.1"},
        {"", "ip:10.0.0.0/8;ip:fd00::/8", ACCESS_DENY, "fc00::1", "fd00::1"},
        {"", "ip:1.2.3.4/32", ACCESS_DENY, "1.2.3.5", "::ffff:1.2.3.4"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str bad_item;
        struct access_rules parsed = parse(rows[i].allow, rows[i].deny, &bad_item);
        assert_int_equal(parsed.kind, rows[i].kind);
        assert_null(bad_item.ptr);
        assert_true(permits(&parsed, rows[i].permitted));
        if (rows[i].denied)
            assert_false(permits(&parsed, rows[i].denied));
    }
}

static void what_is_wrong_lets_nobody_in(void **state)
{
    (void)state;
    static const struct {
        const char *allow;
        const char *deny;
        const char *bad_item; // NULL: none in particular
    } rows[] = {
        {"ip:10.0.0.0/8", "ip:10.0.0.1", NULL},
        {"10.0.0.0/8", "", "10.0.0.0/8"},
        {"", "10.0.0.0/8", "10.0.0.0/8"},
        {"", "foo:10.0.0.0/8", "foo:10.0.0.0/8"},
        {"", "ip:10.0.0.0/33", "ip:10.0.0.0/33"},
        {"", "ip:2001:db8::/129", "ip:2001:db8::/129"},
        {"", "ip:", "ip:"},
        {"", "ip:host.example", "ip:host.example"},
        {"", "ip:10.0.0.1,oops", "oops"},
        {"", "oops;ip:10.0.0.1", "oops"},
        {"", "ip:10.0.0.1-10.0.0.9", "ip:10.0.0.1-10.0.0.9"},
        {"", "ip:[::1]", "ip:[::1]"},
        {"", "ip:fe80::1%eth0", "ip:fe80::1%eth0"},
        {",", "", ","},
        {"", " ; |", " ; |"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str bad_item;
        struct access_rules parsed = parse(rows[i].allow, rows[i].deny, &bad_item);
        assert_int_equal(parsed.kind, ACCESS_CLOSED);
        assert_true(str_eq(bad_item, str_of(rows[i].bad_item)));
        assert_false(permits(&parsed, "10.0.0.1"));
        assert_false(permits(&parsed, "9.9.9.9"));
        assert_false(permits(&parsed, "::1"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules),
        cmocka_unit_test(what_is_wrong_lets_nobody_in),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
