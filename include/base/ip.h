// SPDX-License-Identifier: Apache-2.0
// IP addresses and blocks of them as bytes: 16 of them, IPv4 as ::ffff:a.b.c.d. Pure; any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

enum { IP_LEN = 16 };

struct ip_net {
    uint8_t bytes[IP_LEN];
    uint8_t bits; // of all 128
};

// "10.0.0.1" and nothing else: four numbers without leading zeros, as inet_pton takes them.
MUST_CHECK bool ip_parse_v4(struct str text, uint8_t bytes[4]);
// A literal without brackets, port or zone. False when it is none.
MUST_CHECK bool ip_parse(struct str text, uint8_t bytes[IP_LEN]);
// "10.0.0.0/8" or a single address. The bits behind the prefix do not matter.
MUST_CHECK bool ip_net_parse(struct str text, struct ip_net *net);
// An IPv4 address is in IPv4 blocks only: ::/0 means every IPv6 address.
bool ip_net_has(const struct ip_net *net, const uint8_t bytes[IP_LEN]);
