// SPDX-License-Identifier: Apache-2.0
// The addresses of this machine's network interfaces, as listener templates choose among them. Used
// by app/address_template and app/options, at start.
#pragma once

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/ip.h"
#include "base/str.h"

// Loopback, link-local, multicast and what can be nobody's address is local.
enum address_scope { SCOPE_LOCAL, SCOPE_PRIVATE, SCOPE_PUBLIC };

struct interface_address {
    struct str name; // of the interface
    struct str text; // of the address
    uint8_t bytes[IP_LEN];
    unsigned bits;  // of its network, as for 16 bytes
    unsigned flags; // IFF_UP and so on
    bool is_ipv6;
    bool has_default_route; // its interface
    enum address_scope scope;
};

struct interface_list {
    struct interface_address *items;
    size_t count;
};

// In the kernel's order. ERR_IO, ERR_NOMEM.
MUST_CHECK int interface_list_read(struct arena *arena, struct interface_list *list,
                                   struct err *err);
enum address_scope interface_scope(const uint8_t bytes[16]);

// The first global unicast address of this machine as text, link-local excluded, IPv4 first; empty
// when there is none. ptr NULL when memory is short.
MUST_CHECK struct str interface_local_ip(struct arena *arena);
