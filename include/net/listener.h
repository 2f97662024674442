// SPDX-License-Identifier: Apache-2.0
// Listening sockets. One is opened per worker and address with SO_REUSEPORT, so that workers share
// nothing; TCP_NODELAY is set on the listener and inherited by what it accepts (Linux). Opening is
// done on the control thread, before the loops run, so that every error is known at start.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/err.h"
#include "net/loop.h"

enum { LISTENER_BACKLOG = 4096 };

// Binds and returns the descriptor, not yet listening (bound sockets of one address must all exist
// before any listens, or early connections pile up on the first). is_first: the first socket of
// this address in the process; fails when anybody else holds the port. `:port` addresses (IPv6 any)
// are dual-stack and fall back to IPv4 where the host has no IPv6. -1 and err on failure.
MUST_CHECK int listener_bind(const struct sockaddr_storage *addr, bool is_first, const char *name,
                             struct err *err);
// Puts it among those that take connections. 0, or a code and err.
MUST_CHECK int listener_listen(int fd, const char *name, struct err *err);
// The next waiting connection; -1: none, or no descriptors.
int listener_accept(int fd);
// The port a bound descriptor has.
uint16_t listener_port(int fd);
// The address it has. False: none, and addr is as before.
bool listener_addr(int fd, struct sockaddr_storage *addr);
void listener_set_port(struct sockaddr_storage *addr, uint16_t port);
