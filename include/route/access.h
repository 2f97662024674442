// SPDX-License-Identifier: Apache-2.0
// Who may use a route: the options allow and deny of a definition, parsed once when it is made and
// asked by workers for each request. Whoever writes such a rule relies on it, so what cannot be
// understood lets nobody in. Pure; the rules live in the definition that owns them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/ip.h"
#include "base/str.h"

enum access_kind {
    ACCESS_OPEN,   // no rules
    ACCESS_ALLOW,  // an address must be in one of the blocks
    ACCESS_DENY,   // an address must be in none of them
    ACCESS_CLOSED, // the rules are wrong: nobody
};

struct access_rules {
    enum access_kind kind;
    size_t count;
    struct ip_net *nets;
};

// Number of blocks that a list may at most have, for the caller's room.
size_t access_room(struct str list);
// Parses both options, either of which may be empty: items "ip:ADDRESS" or "ip:ADDRESS/BITS"
// between ',', ';' or '|'. room holds access_room() of each. When an item is at fault, *bad_item is
// it, else its ptr is NULL.
void access_parse(struct access_rules *rules, struct str allow, struct str deny,
                  struct ip_net *room, struct str *bad_item);
bool access_permits(const struct access_rules *rules, const uint8_t address[IP_LEN]);
