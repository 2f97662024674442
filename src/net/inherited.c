// SPDX-License-Identifier: Apache-2.0
#include "net/inherited.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/str.h"
#include "net/addr.h"

enum { SOCKETS_MAX = 4096 };

struct inherited {
    int pipe; // -1: none
    unsigned count;
    struct inherited_socket {
        int fd; // -1: taken
        struct sockaddr_storage addr;
    } sockets[];
};

static bool number_in(const char *name, uint64_t *number)
{
    const char *text = getenv(name);
    return text && str_to_u64(str_of(text), number);
}

// A listening TCP socket; anything else that a unit file may name is none of ours.
static bool judge(int fd, struct sockaddr_storage *addr)
{
    int listens = 0;
    int on = 1;
    socklen_t len = sizeof listens, addr_size = sizeof *addr;
    memset(addr, 0, sizeof *addr);
    // As listener_bind sets them; connections get them from the listener. Failing does little harm.
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 &&
           getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) == 0 && listens &&
           getsockname(fd, (struct sockaddr *)addr, &addr_size) == 0 &&
           (addr->ss_family == AF_INET || addr->ss_family == AF_INET6);
}

struct inherited *inherited_new(void)
{
    uint64_t count = 0, pid = 0, pipe = 0;
    bool has_pipe = number_in("TAGWAY_UPGRADE", &pipe) && pipe <= INT32_MAX &&
                    fcntl((int)pipe, F_SETFD, FD_CLOEXEC) == 0;
    // A predecessor cannot know our number before we run; systemd can, and means nobody else.
    bool is_ours = has_pipe || (number_in("LISTEN_PID", &pid) && pid == (uint64_t)getpid());
    if (!is_ours || !number_in("LISTEN_FDS", &count) || count > SOCKETS_MAX)
        count = 0;
    struct inherited *inherited =
        mem_zalloc(sizeof *inherited + count * sizeof inherited->sockets[0]);
    if (!inherited)
        return NULL;
    inherited->pipe = has_pipe ? (int)pipe : -1;
    for (unsigned i = 0; i < count; i++) {
        struct inherited_socket *socket = &inherited->sockets[inherited->count];
        socket->fd = INHERITED_FIRST + (int)i;
        if (judge(socket->fd, &socket->addr))
            inherited->count++;
        else
            log_warn("inherited descriptor %d is no listening TCP socket; ignored", socket->fd);
    }
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDNAMES");
    unsetenv("TAGWAY_UPGRADE");
    return inherited;
}

static bool is_any(const struct sockaddr *addr)
{
    if (addr->sa_family == AF_INET)
        return ((const struct sockaddr_in *)(const void *)addr)->sin_addr.s_addr == 0;
    return addr->sa_family == AF_INET6 &&
           IN6_IS_ADDR_UNSPECIFIED(&((const struct sockaddr_in6 *)(const void *)addr)->sin6_addr);
}

static bool is_for(const struct inherited_socket *socket, const struct sockaddr *addr)
{
    const struct sockaddr *own = (const struct sockaddr *)&socket->addr;
    if (socket->fd < 0 || addr_port(own) != addr_port(addr))
        return false;
    return addr_eq(own, addr) || (addr->sa_family == AF_INET6 && own->sa_family == AF_INET &&
                                  is_any(own) && is_any(addr));
}

unsigned inherited_count(const struct inherited *inherited, const struct sockaddr *addr)
{
    unsigned count = 0;
    for (unsigned i = 0; i < inherited->count; i++)
        count += is_for(&inherited->sockets[i], addr);
    return count;
}

int inherited_take(struct inherited *inherited, const struct sockaddr *addr)
{
    for (unsigned i = 0; i < inherited->count; i++) {
        struct inherited_socket *socket = &inherited->sockets[i];
        if (!is_for(socket, addr))
            continue;
        int fd = socket->fd;
        socket->fd = -1;
        return fd;
    }
    return -1;
}

void inherited_close_rest(struct inherited *inherited)
{
    for (unsigned i = 0; i < inherited->count; i++) {
        struct inherited_socket *socket = &inherited->sockets[i];
        char host[ADDR_TEXT_MAX];
        if (socket->fd < 0)
            continue;
        addr_host_text((const struct sockaddr *)&socket->addr, host);
        log_warn("an inherited socket of %s port %u is not configured; closed", host,
                 addr_port((const struct sockaddr *)&socket->addr));
        close(socket->fd);
        socket->fd = -1;
    }
}

int inherited_take_successor_pipe(struct inherited *inherited)
{
    int fd = inherited->pipe;
    inherited->pipe = -1;
    return fd;
}

void inherited_free(struct inherited *inherited)
{
    if (!inherited)
        return;
    for (unsigned i = 0; i < inherited->count; i++) {
        if (inherited->sockets[i].fd >= 0)
            close(inherited->sockets[i].fd);
    }
    if (inherited->pipe >= 0)
        close(inherited->pipe);
    mem_free(inherited);
}
