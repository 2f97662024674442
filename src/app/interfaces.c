// SPDX-License-Identifier: Apache-2.0
#include "app/interfaces.h"

#include <errno.h>
#include <ifaddrs.h>
#include <string.h>

#include "base/ip.h"
#include "net/addr.h"

enum { ROUTES_MAX = 64 * 1024 }; // bytes of /proc/net/route that are looked at

static bool is_in(const uint8_t bytes[16], const char *text)
{
    struct ip_net net;
    return ip_net_parse(str_of(text), &net) && ip_net_has(&net, bytes);
}

// The private ranges are those of RFC 1918, RFC 6598 and RFC 4193.
enum address_scope interface_scope(const uint8_t bytes[16])
{
    static const char *const LOCAL[] = {
        "127.0.0.0/8", "169.254.0.0/16", "0.0.0.0/8", "224.0.0.0/3", "::1",
        "::",          "fe80::/10",      "ff00::/8"};
    static const char *const PRIVATE[] = {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16",
                                          "100.64.0.0/10", "fc00::/7"};
    for (size_t i = 0; i < ARRAY_LEN(LOCAL); i++) {
        if (is_in(bytes, LOCAL[i]))
            return SCOPE_LOCAL;
    }
    for (size_t i = 0; i < ARRAY_LEN(PRIVATE); i++) {
        if (is_in(bytes, PRIVATE[i]))
            return SCOPE_PRIVATE;
    }
    return SCOPE_PUBLIC;
}

// Name of the interface of the IPv4 default route: destination and mask are 0. Empty when there is
// none.
static void read_default_interface(char name[IF_NAMESIZE])
{
    char line[256], destination[16], mask[16];
    *name = '\0';
    FILE *file = fopen("/proc/net/route", "re");
    if (!file)
        return;
    for (size_t read = 0; read < ROUTES_MAX && fgets(line, sizeof line, file);
         read += strlen(line)) {
        char candidate[IF_NAMESIZE];
        if (sscanf(line, "%15s %15s %*s %*s %*s %*s %*s %15s", candidate, destination, mask) == 3 &&
            strcmp(destination, "00000000") == 0 && strcmp(mask, "00000000") == 0) {
            memcpy(name, candidate, sizeof candidate);
            break;
        }
    }
    fclose(file);
}

static unsigned count_bits(const struct sockaddr *mask, int family)
{
    uint8_t bytes[16];
    if (!mask || !addr_bytes(mask, bytes))
        return 128;
    unsigned bits = 0;
    for (unsigned i = family == AF_INET ? 12 : 0; i < 16; i++)
        bits += (unsigned)__builtin_popcount(bytes[i]);
    return family == AF_INET ? 96 + bits : bits;
}

static bool is_internet(const struct ifaddrs *at)
{
    return at->ifa_addr &&
           (at->ifa_addr->sa_family == AF_INET || at->ifa_addr->sa_family == AF_INET6);
}

static int fill(struct arena *arena, const struct ifaddrs *at, struct interface_address *out)
{
    char ip[ADDR_TEXT_MAX];
    int family = at->ifa_addr->sa_family;
    size_t len = addr_host_text(at->ifa_addr, ip);
    out->name = arena_str(arena, str_of(at->ifa_name));
    out->text = arena_str(arena, str_make(ip, len));
    if (!out->name.ptr || !out->text.ptr || !addr_bytes(at->ifa_addr, out->bytes))
        return ERR_NOMEM;
    out->is_ipv6 = family == AF_INET6;
    out->bits = count_bits(at->ifa_netmask, family);
    out->flags = at->ifa_flags;
    out->scope = interface_scope(out->bytes);
    return 0;
}

int interface_list_read(struct arena *arena, struct interface_list *list, struct err *err)
{
    struct ifaddrs *all;
    *list = (struct interface_list){0};
    if (getifaddrs(&all) != 0)
        return err_set(err, ERR_IO, "network interfaces: %s", strerror(errno));
    size_t count = 0;
    for (struct ifaddrs *at = all; at; at = at->ifa_next)
        count += is_internet(at);
    char default_name[IF_NAMESIZE];
    read_default_interface(default_name);
    int rc = 0;
    list->items = arena_alloc_array(arena, count + 1, sizeof *list->items);
    if (!list->items)
        rc = ERR_NOMEM;
    for (struct ifaddrs *at = all; at && rc == 0; at = at->ifa_next) {
        if (!is_internet(at))
            continue;
        struct interface_address *item = &list->items[list->count++];
        rc = fill(arena, at, item);
        item->has_default_route = *default_name && strcmp(at->ifa_name, default_name) == 0;
    }
    freeifaddrs(all);
    return rc ? err_set(err, rc, "out of memory") : 0;
}

struct str interface_local_ip(struct arena *arena)
{
    struct interface_list list;
    struct err err = {0};
    if (interface_list_read(arena, &list, &err) != 0)
        return err.code == ERR_NOMEM ? STR_NULL : STR("");
    for (int family = 0; family < 2; family++) {
        for (size_t i = 0; i < list.count; i++) {
            const struct interface_address *at = &list.items[i];
            if (at->is_ipv6 == (family == 1) && (at->flags & IFF_UP) && at->scope != SCOPE_LOCAL)
                return at->text;
        }
    }
    return STR("");
}
