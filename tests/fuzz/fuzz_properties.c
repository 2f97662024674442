// SPDX-License-Identifier: Apache-2.0
// Everything an operator writes that has a grammar: properties files, key-value lists, durations,
// numbers, addresses and templates. They must neither crash nor ask for more than their bounds.
#include <stdlib.h>

#include "app/address.h"
#include "app/address_template.h"
#include "app/properties.h"
#include "app/tls_names.h"
#include "app/value.h"
#include "base/ip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse_value(struct arena *arena, struct str text)
{
    struct err err;
    struct value_entries entries;
    struct ip_net net;
    struct str host;
    uint16_t port;
    int64_t number;
    uint32_t ms;
    double real;
    bool is_set;
    if (value_to_entries(arena, text, &entries, &err) == 0) {
        struct str value;
        for (size_t i = 0; i < entries.count; i++) {
            BUG_ON(entries.items[i].count == 0);
            BUG_ON(!value_entry_get(&entries.items[i], entries.items[i].pairs[0].key, &value));
        }
    }
    struct str rest = text, member;
    while (value_list_next(&rest, &member))
        BUG_ON(member.len == 0 || str_find_char(member, ',') >= 0);
    uint16_t version;
    (void)!tls_version_parse(text, &version, &err);
    if (value_to_duration_ms(text, &ms))
        BUG_ON(!value_to_duration_ns(text, &number));
    uint8_t bytes[IP_LEN];
    if (ip_parse(text, bytes))
        BUG_ON(!ip_net_parse(text, &net));
    if (ip_net_parse(text, &net))
        BUG_ON(net.bits > 128);
    if (address_split(text, &host, &port, &err) == 0)
        BUG_ON(host.len > text.len);
    uint16_t ciphers[4];
    unsigned count;
    if (tls_ciphers_parse(text, ciphers, ARRAY_LEN(ciphers), &count, &err) == 0)
        BUG_ON(count == 0 || count > ARRAY_LEN(ciphers));
    static struct interface_address ADDRESSES[] = {
        {.name = STR_INIT("lo"), .text = STR_INIT("127.0.0.1"), .bits = 8, .flags = IFF_UP},
        {.name = STR_INIT("eth0"),
         .text = STR_INIT("10.0.0.1"),
         .bits = 16,
         .has_default_route = true,
         .flags = IFF_UP | IFF_BROADCAST},
        {.name = STR_INIT("eth0"), .text = STR_INIT("2001:db8::1"), .is_ipv6 = true, .bits = 64},
    };
    const struct interface_list list = {ADDRESSES, ARRAY_LEN(ADDRESSES)};
    struct str expanded;
    if (address_template_expand(arena, text, &list, &expanded, &err) == 0)
        BUG_ON(text.len && !expanded.ptr);
    BUG_ON(value_to_int(text, &number) && text.len == 0);
    BUG_ON(value_to_bool(text, &is_set) && text.len > 5);
    BUG_ON(value_to_double(text, &real) && text.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const ENVIRONMENT[] = {"HOME=${a}", "X=y", NULL};
    struct arena arena;
    arena_init(&arena);
    struct str text = str_make((const char *)data, size);
    struct properties properties;
    struct err err;
    parse_value(&arena, text);
    if (properties_parse(&arena, text, (char *const *)ENVIRONMENT, &properties, &err) == 0) {
        for (size_t i = 0; i < properties.count; i++) {
            const struct property *property = &properties.items[i];
            BUG_ON(property->key.len == 0);
            BUG_ON(properties_find(&properties, property->key) != property); // no key twice
            parse_value(&arena, property->value);
        }
    }
    arena_fini(&arena);
    return 0;
}

extern const int fuzz_survives_shortage;
const int fuzz_survives_shortage = 1;
