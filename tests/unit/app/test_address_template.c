// SPDX-License-Identifier: Apache-2.0
#include "options_fixture.h"

#include "app/address.h"
#include "app/address_template.h"
#include "base/mem.h"
#include "net/addr.h"

// A machine with Docker, two networks, IPv6 and an interface that is down.
static struct interface_address MACHINE[] = {
    {.name = STR_INIT("lo"),
     .text = STR_INIT("127.0.0.1"),
     .bits = 104,
     .flags = IFF_UP | IFF_LOOPBACK},
    {.name = STR_INIT("docker0"), .text = STR_INIT("172.17.0.1"), .bits = 112, .flags = IFF_UP},
    {.name = STR_INIT("eth0"),
     .text = STR_INIT("10.0.0.5"),
     .bits = 120,
     .flags = IFF_UP,
     .has_default_route = true},
    {.name = STR_INIT("eth0"),
     .text = STR_INIT("fd00::5"),
     .bits = 64,
     .flags = IFF_UP,
     .has_default_route = true},
    {.name = STR_INIT("eth1"), .text = STR_INIT("198.51.100.7"), .bits = 120, .flags = IFF_UP},
    {.name = STR_INIT("eth1"), .text = STR_INIT("2001:db8::7"), .bits = 64, .flags = IFF_UP},
    {.name = STR_INIT("eth2"), .text = STR_INIT("10.9.0.1"), .bits = 120},
    {.name = STR_INIT("eth0"),
     .text = STR_INIT("fe80::1"),
     .bits = 64,
     .flags = IFF_UP,
     .has_default_route = true},
};

static const struct interface_list *machine(void)
{
    static const struct interface_list LIST = {MACHINE, ARRAY_LEN(MACHINE)};
    for (size_t i = 0; i < ARRAY_LEN(MACHINE); i++) {
        struct sockaddr_storage address;
        assert_true(addr_from_literal(MACHINE[i].text, 0, &address));
        assert_true(addr_bytes((const struct sockaddr *)&address, MACHINE[i].bytes));
        MACHINE[i].is_ipv6 = address.ss_family == AF_INET6;
        MACHINE[i].scope = interface_scope(MACHINE[i].bytes);
    }
    return &LIST;
}

static void chooses_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *want;
    } CASES[] = {
        {":80", ":80"},
        {"{{ GetPrivateIP }}:80", "10.0.0.5:80"}, // not Docker's: the default route's goes first
        {"{{GetPrivateIP}}", "10.0.0.5"},
        {"{{ GetPublicIP }}:80", "198.51.100.7:80"},
        {"{{ GetInterfaceIP \"eth1\" }}:80", "198.51.100.7:80"},
        {"{{ GetInterfaceIP `lo` }}", "127.0.0.1"},
        {"{{ GetInterfaceIP \"^dock\" }}", "172.17.0.1"},
        {"{{ GetPrivateIPs }}", "10.0.0.5 fd00::5 172.17.0.1"},
        {"{{ GetInterfaceIPs \"eth0\" }}", "10.0.0.5 fd00::5 fe80::1"},
        {"{{ GetPublicIPs }}", "198.51.100.7 2001:db8::7"},
        {"{{ GetAllInterfaces | include \"network\" \"172.16.0.0/12\" | attr \"address\" }}:1",
         "172.17.0.1:1"},
        {"{{ GetAllInterfaces | include \"name\" \"^eth[12]\" | include \"flags\" \"up\" "
         "| attr \"address\" }}",
         "198.51.100.7"},
        {"{{ GetPrivateInterfaces | exclude \"type\" \"ipv4\" | attr \"address\" }}:80",
         "[fd00::5]:80"},
        {"{{ GetPrivateInterfaces | exclude \"name\" \"eth0\" | attr \"address\" }}", "172.17.0.1"},
        {"{{ GetPublicInterfaces | include \"type\" \"IPv6\" | attr \"address\" }}", "2001:db8::7"},
        {"{{ GetDefaultInterfaces | attr \"address\" }}", "10.0.0.5"},
        {"{{ GetDefaultInterfaces | attr \"name\" }}", "eth0"},
        {"{{ GetAllInterfaces | exclude \"flags\" \"loopback\" | include \"flags\" "
         "\"forwardable\" | exclude \"address\" \"^172\" | limit 1 | attr \"address\" }}",
         "10.0.0.5"},
        {"{{ GetAllInterfaces | include \"rfc\" \"1918\" | sort \"-address\" | join \"address\" "
         "\",\" }}",
         "172.17.0.1,10.9.0.1,10.0.0.5"},
        {"{{ GetAllInterfaces | include \"type\" \"ip\" | sort \"size,name\" | limit 2 | join "
         "\"name\" \"+\" }}",
         "eth0+eth1"},
        {"{{ GetInterfaceIP \"^[a-z]{3,6}1$\" }}", "198.51.100.7"},
        {"{{ GetAllInterfaces | include \"address\" \"^(\\d{1,3}\\.){3}7$\" | attr \"address\" }}",
         "198.51.100.7"},
        {"{{ GetAllInterfaces | exclude \"name\" \"^eth++\" | join \"name\" \",\" }}",
         "lo,docker0"},
        {"{{ GetInterfaceIP \"eth1\" }}:1,{{ GetPrivateIP }}:2", "198.51.100.7:1,10.0.0.5:2"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct str out;
        struct err err = {0};
        int rc = address_template_expand(&arena, str_of(CASES[i].text), machine(), &out, &err);
        if (rc)
            fail_msg("%s: %s", CASES[i].text, err.text);
        assert_str(out, CASES[i].want);
        arena_fini(&arena);
    }
}

#define PLUSES "++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++"

static void refuses_what_it_does_not_know(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *reason;
    } CASES[] = {
        {"{{ GetAllInterfaces }}", "a list needs attr"},
        {"{{}}", "nothing to do"},
        {"{{ GetPrivateIP x }}", "wrong number of arguments of \"GetPrivateIP\""},
        {"{{ GetInterfaceIP }}", "wrong number of arguments of \"GetInterfaceIP\""},
        {"{{ GetNoIP }}", "unknown function \"GetNoIP\""},
        {"{{ GetInterfaceIP \"lo\" | sort \"name\" }}",
         "there is only an address left for \"sort\""},
        {"{{ GetInterfaceIP \"no-such-if0\" }}", "this machine has no address for"},
        {"{{ GetInterfaceIP \"lo }}", "unbalanced quotes"},
        {"{{ GetInterfaceIP \"[\" }}",
         "not a regular expression: \"[\": missing terminating ] for character class at offset 1"},
        {"{{ GetAllInterfaces | exclude \"name\" \"a+++\" | attr \"address\" }}",
         "not a regular expression: \"a+++\": quantifier does not follow"},
        // glibc would take gigabytes for each of these two
        {"{{ GetAllInterfaces | exclude \"name\" f" PLUSES " | attr \"address\" }}",
         "not a regular expression: \"f++++"},
        {"{{ GetAllInterfaces | include \"address\" ((((1{1,255}){1,255}){1,255}){1,255}) "
         "| attr \"address\" }}",
         "regular expression is too large"},
        {"{{ GetPrivateIP", "template without"},
        {"{{ GetAllInterfaces | | attr \"address\" }}", "nothing to do"},
        {"{{ GetAllInterfaces | math \"address\" \"+1\" }}", "unknown function or wrong arguments"},
        {"{{ GetAllInterfaces | limit x }}", "unknown function or wrong arguments of \"limit\""},
        {"{{ GetAllInterfaces | sort \"colour\" }}", "cannot sort by \"colour\""},
        {"{{ GetAllInterfaces | attr \"size\" }}", "unknown property \"size\""},
        {"{{ GetAllInterfaces | include \"size\" \"1\" }}", "unknown property \"size\""},
        {"{{ GetAllInterfaces | include \"type\" \"unix\" }}", "unknown type \"unix\""},
        {"{{ GetAllInterfaces | include \"flags\" \"up|red\" }}", "unknown flags \"up|red\""},
        {"{{ GetAllInterfaces | include \"network\" \"x\" }}", "not a network: \"x\""},
        {"{{ GetAllInterfaces | include \"rfc\" \"1\" }}", "unknown property \"rfc\""},
        {"{{ a b c d e }}", "too many arguments"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct arena arena;
        arena_init(&arena);
        struct str out;
        struct err err = {0};
        int rc = address_template_expand(&arena, str_of(CASES[i].text), machine(), &out, &err);
        if (rc != ERR_INVALID || !strstr(err.text, CASES[i].reason))
            fail_msg("%s gave %d: %s", CASES[i].text, rc, err.text);
        arena_fini(&arena);
    }
}

static void knows_the_machine(void **state)
{
    (void)state;
    struct arena arena;
    arena_init(&arena);
    struct str ip = interface_local_ip(&arena);
    assert_non_null(ip.ptr);
    assert_true(ip.len == 0 || address_is_ip(ip));
    assert_false(str_starts_with(ip, STR("127.")));
    assert_false(str_starts_with(ip, STR("169.254.")));
    struct str out;
    struct err err = {0};
    assert_int_equal(
        address_template_expand(&arena, STR("{{ GetInterfaceIP \"lo\" }}:80"), NULL, &out, &err),
        0);
    assert_str(out, "127.0.0.1:80");
    arena_fini(&arena);
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t allowed = 0;; allowed++) {
        struct arena arena;
        arena_init(&arena);
        struct str out;
        struct err err = {0};
        mem_fail_after(allowed);
        int rc =
            address_template_expand(&arena, STR("{{GetInterfaceIP \"lo\"}}"), NULL, &out, &err);
        mem_fail_after(-1);
        arena_fini(&arena);
        if (rc == 0)
            break;
        assert_int_equal(rc, ERR_NOMEM);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chooses_addresses),
        cmocka_unit_test(refuses_what_it_does_not_know),
        cmocka_unit_test(knows_the_machine),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
