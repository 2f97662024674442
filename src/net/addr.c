// SPDX-License-Identifier: Apache-2.0
#include "net/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "base/ip.h"

bool addr_from_literal(struct str host, uint16_t port, struct sockaddr_storage *addr)
{
    uint8_t bytes[4];
    memset(addr, 0, sizeof *addr);
    if (ip_parse_v4(host, bytes)) {
        struct sockaddr_in *v4 = (struct sockaddr_in *)addr;
        memcpy(&v4->sin_addr, bytes, sizeof bytes);
        v4->sin_family = AF_INET;
        v4->sin_port = htons(port);
        return true;
    }
    char text[INET6_ADDRSTRLEN];
    if (host.len >= sizeof text || str_find_char(host, ':') < 0)
        return false;
    memcpy(text, host.ptr, host.len);
    text[host.len] = '\0';
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)addr;
    if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons(port);
        return true;
    }
    return false;
}

size_t addr_host_text(const struct sockaddr *addr, char *out)
{
    out[0] = '\0';
    if (addr->sa_family == AF_INET) {
        inet_ntop(AF_INET, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, out,
                  ADDR_TEXT_MAX);
    } else if (addr->sa_family == AF_INET6) {
        const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr;
        if (IN6_IS_ADDR_V4MAPPED(v6))
            inet_ntop(AF_INET, v6->s6_addr + 12, out, ADDR_TEXT_MAX);
        else
            inet_ntop(AF_INET6, v6, out, ADDR_TEXT_MAX);
    }
    return strlen(out);
}

uint16_t addr_port(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)(const void *)addr)->sin_port);
    if (addr->sa_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)(const void *)addr)->sin6_port);
    return 0;
}

bool addr_bytes(const struct sockaddr *addr, uint8_t bytes[16])
{
    if (addr->sa_family == AF_INET6) {
        memcpy(bytes, &((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr, 16);
        return true;
    }
    if (addr->sa_family != AF_INET)
        return false;
    memset(bytes, 0, 10);
    memset(bytes + 10, 0xff, 2);
    memcpy(bytes + 12, &((const struct sockaddr_in *)(const void *)addr)->sin_addr, 4);
    return true;
}

socklen_t addr_len(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

bool addr_eq(const struct sockaddr *a, const struct sockaddr *b)
{
    uint8_t a_bytes[16];
    uint8_t b_bytes[16];
    return addr_bytes(a, a_bytes) && addr_bytes(b, b_bytes) && memcmp(a_bytes, b_bytes, 16) == 0 &&
           addr_port(a) == addr_port(b);
}
