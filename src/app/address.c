// SPDX-License-Identifier: Apache-2.0
#include "app/address.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/ip.h"
#include "net/addr.h"

enum { EXPANDED_MAX = 1024 };

enum scope { SCOPE_LOCAL, SCOPE_PRIVATE, SCOPE_PUBLIC };

static bool is_in(const uint8_t bytes[16], const char *text)
{
    struct ip_net net;
    return ip_net_parse(str_of(text), &net) && ip_net_has(&net, bytes);
}

// Loopback, link-local and what cannot be anybody's address are local; the private ranges are those
// of RFC 1918, RFC 6598 and RFC 4193.
static enum scope scope_of(const uint8_t bytes[16])
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

// What an interface address has to be.
struct wish {
    bool takes_local, takes_private, takes_public;
    struct str interface; // empty: any
};

static bool is_wished(const struct ifaddrs *at, const struct wish *wish, int family)
{
    uint8_t bytes[16];
    if (!at->ifa_addr || at->ifa_addr->sa_family != family || !(at->ifa_flags & IFF_UP) ||
        !addr_bytes(at->ifa_addr, bytes))
        return false;
    if (wish->interface.len && !str_eq(wish->interface, str_of(at->ifa_name)))
        return false;
    switch (scope_of(bytes)) {
    case SCOPE_LOCAL: return wish->takes_local;
    case SCOPE_PRIVATE: return wish->takes_private;
    case SCOPE_PUBLIC: return wish->takes_public;
    }
    return false;
}

// First interface address as wished, IPv4 before IPv6. False when there is none.
static bool find_ip(const struct wish *wish, char out[ADDR_TEXT_MAX])
{
    struct ifaddrs *list;
    if (getifaddrs(&list) != 0)
        return false;
    static const int FAMILIES[] = {AF_INET, AF_INET6};
    bool is_found = false;
    for (size_t i = 0; i < ARRAY_LEN(FAMILIES) && !is_found; i++) {
        for (struct ifaddrs *at = list; at && !is_found; at = at->ifa_next) {
            if (is_wished(at, wish, FAMILIES[i]))
                is_found = addr_host_text(at->ifa_addr, out) != 0;
        }
    }
    freeifaddrs(list);
    return is_found;
}

struct str address_local_ip(struct arena *arena)
{
    char ip[ADDR_TEXT_MAX];
    const struct wish wish = {.takes_private = true, .takes_public = true};
    return find_ip(&wish, ip) ? arena_str(arena, str_of(ip)) : STR("");
}

// The text between the braces.
static int template_ip(struct str text, char out[ADDR_TEXT_MAX], struct err *err)
{
    struct str rest = text;
    struct str name = STR_NULL;
    struct str argument = STR_NULL;
    struct str surplus;
    str_token_next(&rest, &name);
    bool has_argument = str_token_next(&rest, &argument);
    bool has_surplus = str_token_next(&rest, &surplus);

    struct wish wish = {0};
    if (str_eq(name, STR("GetPrivateIP")) && !has_argument) {
        wish.takes_private = true;
    } else if (str_eq(name, STR("GetPublicIP")) && !has_argument) {
        wish.takes_public = true;
    } else if (str_eq(name, STR("GetInterfaceIP")) && !has_surplus && argument.len > 2 &&
               *argument.ptr == '"' && argument.ptr[argument.len - 1] == '"') {
        wish = (struct wish){true, true, true, str_make(argument.ptr + 1, argument.len - 2)};
    } else {
        return err_set(err, ERR_INVALID,
                       "unknown template \"{{%.*s}}\": must be GetPrivateIP, GetPublicIP or "
                       "GetInterfaceIP \"name\"",
                       (int)MIN(text.len, 40), text.ptr);
    }
    if (!find_ip(&wish, out))
        return err_set(err, ERR_INVALID, "this machine has no address for \"{{%.*s}}\"",
                       (int)MIN(text.len, 40), text.ptr);
    return 0;
}

static int expand_into(struct buf *out, struct str text, struct err *err)
{
    for (ptrdiff_t at; (at = str_find(text, STR("{{"))) >= 0;) {
        buf_append_str(out, str_upto(text, (size_t)at));
        text = str_from(text, (size_t)at + 2);
        ptrdiff_t end = str_find(text, STR("}}"));
        if (end < 0)
            return err_set(err, ERR_INVALID, "template without \"}}\"");
        char ip[ADDR_TEXT_MAX];
        int rc = template_ip(str_upto(text, (size_t)end), ip, err);
        if (rc)
            return rc;
        text = str_from(text, (size_t)end + 2);
        bool needs_brackets = strchr(ip, ':') && str_starts_with(text, STR(":"));
        buf_printf(out, needs_brackets ? "[%s]" : "%s", ip);
    }
    buf_append_str(out, text);
    return buf_status(out) ? err_set(err, buf_status(out), "%s", err_text(buf_status(out))) : 0;
}

int address_expand(struct arena *arena, struct str text, struct str *expanded, struct err *err)
{
    *expanded = text;
    if (str_find(text, STR("{{")) < 0)
        return 0;
    struct buf out;
    buf_init(&out, EXPANDED_MAX);
    int rc = expand_into(&out, text, err);
    if (rc == 0) {
        *expanded = arena_str(arena, buf_str(&out));
        if (!expanded->ptr)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    buf_fini(&out);
    return rc;
}

int address_split(struct str text, struct str *host, uint16_t *port, struct err *err)
{
    ptrdiff_t colon = str_rfind_char(text, ':');
    uint64_t number;
    if (colon < 0)
        return err_set(err, ERR_INVALID, "need host:port");
    if (!str_to_u64(str_from(text, (size_t)colon + 1), &number) || number > UINT16_MAX)
        return err_set(err, ERR_INVALID, "port must be a number from 0 to 65535");
    *port = (uint16_t)number;
    *host = str_upto(text, (size_t)colon);
    if (host->len && *host->ptr == '[') {
        if (host->len < 3 || host->ptr[host->len - 1] != ']')
            return err_set(err, ERR_INVALID, "unbalanced brackets");
        *host = str_make(host->ptr + 1, host->len - 2);
    } else if (str_find_char(*host, ':') >= 0) {
        return err_set(err, ERR_INVALID, "an IPv6 address needs brackets");
    }
    return 0;
}

// Names and IPv6 addresses with a zone.
static int look_up(struct str host, uint16_t port, struct sockaddr_storage *address,
                   struct err *err)
{
    char name[256];
    if (host.len == 0 || host.len >= sizeof name || str_find_char(host, '\0') >= 0)
        return err_set(err, ERR_INVALID, "bad host");
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *list = NULL;
    int failure = getaddrinfo(name, NULL, &hints, &list);
    if (failure)
        return err_set(err, ERR_INVALID, "host \"%s\": %s", name, gai_strerror(failure));
    memcpy(address, list->ai_addr, MIN((size_t)list->ai_addrlen, sizeof *address));
    freeaddrinfo(list);
    if (address->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)address)->sin6_port = htons(port);
    else
        ((struct sockaddr_in *)address)->sin_port = htons(port);
    return 0;
}

int address_parse(struct str text, struct sockaddr_storage *address, struct err *err)
{
    struct str host = STR_NULL;
    uint16_t port = 0;
    int rc = address_split(text, &host, &port, err);
    if (rc)
        return rc;
    memset(address, 0, sizeof *address);
    if (addr_from_literal(host.len ? host : STR("::"), port, address))
        return 0;
    return look_up(host, port, address, err);
}

bool address_is_ip(struct str text)
{
    struct sockaddr_storage address;
    return addr_from_literal(text, 0, &address);
}
