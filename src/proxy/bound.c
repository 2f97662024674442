// SPDX-License-Identifier: Apache-2.0
#include "proxy/bound.h"

#include <stdio.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/inherited.h"
#include "net/listener.h"

enum { NAME_MAX_LEN = 128 };

static void name_of(const struct listener_config *listener, char name[NAME_MAX_LEN])
{
    snprintf(name, NAME_MAX_LEN, "%.*s", STR_FMT(listener->addr));
}

// A further socket of the address. Where the first does not share its port (systemd's without
// ReusePort=yes), workers share the socket itself.
static int open_further(const struct bound *bound, const struct sockaddr_storage *addr,
                        bool is_inherited, const char *name, struct err *err)
{
    int fd = listener_bind(addr, false, name, err);
    return fd < 0 && is_inherited ? dup(bound->sockets[0]) : fd;
}

int bound_open(struct bound *bound, const struct listener_config *listener, unsigned workers,
               struct inherited *inherited, struct err *err)
{
    char name[NAME_MAX_LEN];
    name_of(listener, name);
    const struct sockaddr *configured = (const struct sockaddr *)&listener->sockaddr;
    unsigned found = inherited ? inherited_count(inherited, configured) : 0;
    *bound = (struct bound){.sockaddr = listener->sockaddr};
    bound->sockets = mem_alloc(MAX(found, workers) * sizeof bound->sockets[0]);
    if (!bound->sockets)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    while (bound->count < found)
        bound->sockets[bound->count++] = inherited_take(inherited, configured);
    struct sockaddr_storage addr = listener->sockaddr;
    if (found > 0)
        listener_addr(bound->sockets[0], &addr);
    while (bound->count < workers) {
        int fd = bound->count == 0 ? listener_bind(&addr, true, name, err)
                                   : open_further(bound, &addr, found > 0, name, err);
        if (fd < 0) {
            bound_close(bound);
            return err->code;
        }
        bound->sockets[bound->count++] = fd;
        // ":0": the first socket has chosen the port for all.
        listener_set_port(&addr, listener_port(bound->sockets[0]));
    }
    bound->port = listener_port(bound->sockets[0]);
    return 0;
}

int bound_listen(const struct bound *bound, const struct listener_config *listener, struct err *err)
{
    char name[NAME_MAX_LEN];
    name_of(listener, name);
    for (unsigned i = 0; i < bound->count; i++) {
        int rc = listener_listen(bound->sockets[i], name, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void bound_close(struct bound *bound)
{
    for (unsigned i = 0; i < bound->count; i++)
        close(bound->sockets[i]);
    bound_forget(bound);
}

void bound_forget(struct bound *bound)
{
    mem_free(bound->sockets);
    *bound = (struct bound){0};
}
