// SPDX-License-Identifier: Apache-2.0
// Listening sockets that the process was started with: from systemd (socket activation) or from the
// process it takes over from. Both are named by LISTEN_FDS and lie from descriptor 3 on. They are
// told apart by their addresses alone. Read once, at start, by app/; then proxy/ and admin/ take
// what is theirs. Control thread.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/attr.h"

enum { INHERITED_FIRST = 3 }; // descriptor, as systemd has it

struct inherited;

// Takes the descriptors and removes the variables from the environment, so that no child takes them
// for its own. Never NULL but for want of memory; without variables it is empty.
MUST_CHECK struct inherited *inherited_new(void);
// Closes what nobody has taken, and frees.
void inherited_free(struct inherited *inherited);

// Sockets for the address that are not taken yet. The wildcard of IPv6 stands for that of IPv4 too,
// which listener_bind falls back to.
unsigned inherited_count(const struct inherited *inherited, const struct sockaddr *addr);
// One of them; the caller's. -1: none is left.
int inherited_take(struct inherited *inherited, const struct sockaddr *addr);
// Closes those that no address of the configuration wanted, with a log line each.
void inherited_close_rest(struct inherited *inherited);

// The descriptor on which the predecessor waits to hear "serving"; the caller's. -1: there is none.
int inherited_take_successor_pipe(struct inherited *inherited);
