// SPDX-License-Identifier: Apache-2.0
#include "net/own.h"

#include <ifaddrs.h>
#include <string.h>

#include "base/attr.h"
#include "base/ip.h"
#include "net/addr.h"

static const uint8_t V4_PREFIX[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t bytes[16])
{
    return memcmp(bytes, V4_PREFIX, sizeof V4_PREFIX) == 0;
}

// 0.0.0.0 or [::], to which a connection goes as to the loopback.
static bool is_unspecified(const uint8_t bytes[16])
{
    static const uint8_t ZERO[16];
    return is_v4(bytes) ? memcmp(bytes + 12, ZERO, 4) == 0 : memcmp(bytes, ZERO, 16) == 0;
}

static bool is_loopback(const uint8_t bytes[16])
{
    static const uint8_t V6[16] = {[15] = 1};
    return is_v4(bytes) ? bytes[12] == 127 : memcmp(bytes, V6, 16) == 0;
}

void own_addresses_set(struct own_addresses *own, const struct sockaddr_storage *listeners,
                       unsigned count)
{
    own->listener_count = MIN(count, (unsigned)OWN_LISTENERS_MAX);
    memcpy(own->listeners, listeners, own->listener_count * sizeof own->listeners[0]);
}

bool own_addresses_refresh(struct own_addresses *own, uint64_t now_ms)
{
    struct ifaddrs *list = NULL;
    if ((own->read_ms && now_ms - own->read_ms < OWN_REFRESH_MS) || getifaddrs(&list) != 0)
        return false; // those known stay
    uint8_t found[OWN_INTERFACES_MAX][16];
    unsigned count = 0;
    for (const struct ifaddrs *at = list; at && count < OWN_INTERFACES_MAX; at = at->ifa_next) {
        if (at->ifa_addr && addr_bytes(at->ifa_addr, found[count]))
            count++;
    }
    freeifaddrs(list);
    own->read_ms = now_ms;
    if (count == own->interface_count &&
        memcmp(found, own->interfaces, count * sizeof found[0]) == 0)
        return false;
    memcpy(own->interfaces, found, count * sizeof found[0]);
    own->interface_count = count;
    return true;
}

static bool is_of_the_machine(const struct own_addresses *own, const uint8_t bytes[16])
{
    if (is_loopback(bytes) || is_unspecified(bytes))
        return true;
    for (unsigned i = 0; i < own->interface_count; i++) {
        if (memcmp(own->interfaces[i], bytes, 16) == 0)
            return true;
    }
    return false;
}

bool own_addresses_have(const struct own_addresses *own, const struct sockaddr *addr)
{
    uint8_t bytes[16];
    uint8_t listener[16];
    uint16_t port = addr_port(addr);
    for (unsigned i = 0; i < own->listener_count; i++) {
        const struct sockaddr *at = (const struct sockaddr *)&own->listeners[i];
        if (addr_port(at) != port || !addr_bytes(at, listener) || !addr_bytes(addr, bytes))
            continue;
        bool takes_any = is_unspecified(listener) && (!is_v4(listener) || is_v4(bytes));
        if (takes_any ? is_of_the_machine(own, bytes)
                      : memcmp(bytes, listener, 16) == 0 ||
                            (is_unspecified(bytes) && is_loopback(listener)))
            return true;
    }
    return false;
}
