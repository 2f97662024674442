// SPDX-License-Identifier: Apache-2.0
#include "app/address.h"

#include <netdb.h>
#include <netinet/in.h>

#include "net/addr.h"

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
