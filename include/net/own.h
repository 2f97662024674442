// SPDX-License-Identifier: Apache-2.0
// Which addresses lead back to this process: those it listens at and, where it listens at any
// address of the machine, those of the machine's interfaces. Used by upstream/registry.c, on the
// control thread. What another host translates to one of them (a published port of a container) is
// not known here.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum {
    OWN_LISTENERS_MAX = 16,
    OWN_INTERFACES_MAX = 256, // addresses of interfaces; further ones are not known
    OWN_REFRESH_MS = 30000,   // interfaces come and go with containers
};

struct own_addresses {
    struct sockaddr_storage listeners[OWN_LISTENERS_MAX];
    unsigned listener_count;
    uint8_t interfaces[OWN_INTERFACES_MAX][16]; // as in base/ip.h
    unsigned interface_count;
    uint64_t read_ms; // 0: not yet
};

// Replaces the listeners; their ports are those they are bound to.
void own_addresses_set(struct own_addresses *own, const struct sockaddr_storage *listeners,
                       unsigned count);
// Reads the interfaces again when it is time. True: they are others than before.
bool own_addresses_refresh(struct own_addresses *own, uint64_t now_ms);
bool own_addresses_have(const struct own_addresses *own, const struct sockaddr *addr);
