// SPDX-License-Identifier: Apache-2.0
#include "net/listener.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <unistd.h>

#include "net/addr.h"
#include "net/sock.h"

// As fabio asks: what stands between does not forget a quiet websocket, and a peer that is gone is
// found out even where no other time limits the connection.
enum { KEEPALIVE_IDLE_S = 180, KEEPALIVE_INTERVAL_S = 30 };

static int bind_one(const struct sockaddr *addr, bool shares_port)
{
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    int off = 0;
    int notsent = SOCK_NOTSENT_MAX;
    int idle = KEEPALIVE_IDLE_S;
    int interval = KEEPALIVE_INTERVAL_S;
    bool is_ok = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
                 (!shares_port || setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0) &&
                 setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
                 setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on) == 0;
    // Connections inherit all of it.
    setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &notsent, sizeof notsent);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof idle);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof interval);
    if (is_ok && addr->sa_family == AF_INET6)
        is_ok = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) == 0;
    if (is_ok && bind(fd, addr, addr_len(addr)) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

static int bind_any(const struct sockaddr_storage *addr, bool shares_port)
{
    int fd = bind_one((const struct sockaddr *)addr, shares_port);
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)addr;
    if (fd < 0 && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL) &&
        addr->ss_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr)) {
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = v6->sin6_port};
        fd = bind_one((const struct sockaddr *)&v4, shares_port);
    }
    return fd;
}

int listener_bind(const struct sockaddr_storage *addr, bool is_first, const char *name,
                  struct err *err)
{
    int fd = -1;
    // Another process that also uses SO_REUSEPORT would silently get half of the connections: a
    // plain socket finds out whether the port is free.
    int probe = is_first ? bind_any(addr, false) : -1;
    if (probe >= 0)
        close(probe);
    if (probe >= 0 || !is_first)
        fd = bind_any(addr, true);
    if (fd < 0)
        err_set(err, ERR_IO, "listen on %s: %s", name, strerror(errno));
    return fd;
}

int listener_listen(int fd, const char *name, struct err *err)
{
    if (listen(fd, LISTENER_BACKLOG) == 0)
        return 0;
    return err_set(err, ERR_IO, "listen on %s: %s", name, strerror(errno));
}

int listener_accept(int fd)
{
    int socket;
    do {
        socket = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    } while (socket < 0 && (errno == EINTR || errno == ECONNABORTED));
    return socket;
}

bool listener_addr(int fd, struct sockaddr_storage *addr)
{
    struct sockaddr_storage found = {0};
    socklen_t len = sizeof found;
    if (getsockname(fd, (struct sockaddr *)&found, &len) != 0)
        return false;
    *addr = found;
    return true;
}

uint16_t listener_port(int fd)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    if (getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        return 0;
    return addr_port((const struct sockaddr *)&addr);
}

void listener_set_port(struct sockaddr_storage *addr, uint16_t port)
{
    if (addr->ss_family == AF_INET)
        ((struct sockaddr_in *)addr)->sin_port = htons(port);
    else if (addr->ss_family == AF_INET6)
        ((struct sockaddr_in6 *)addr)->sin6_port = htons(port);
}
