// SPDX-License-Identifier: Apache-2.0
// Addresses as the operator writes them: listeners ("host:port", ":port") and the templates that
// stand for an address of this machine. Used by app/options, at start; may look a
// name up.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// Replaces the templates {{ GetPrivateIP }}, {{ GetPublicIP }} and {{ GetInterfaceIP "eth0" }} by
// the address. An IPv6 address in front of a ':' is put into brackets. ERR_INVALID for any other
// template or when the machine has no such address, ERR_NOMEM.
MUST_CHECK int address_expand(struct arena *arena, struct str text, struct str *expanded,
                              struct err *err);

// Parts of "host:port"; the host without brackets, maybe empty. ERR_INVALID.
MUST_CHECK int address_split(struct str text, struct str *host, uint16_t *port, struct err *err);
// Socket address of "host:port"; no host means every address, both families. ERR_INVALID.
MUST_CHECK int address_parse(struct str text, struct sockaddr_storage *address, struct err *err);
// Whether the text is an IPv4 or IPv6 address, without brackets.
bool address_is_ip(struct str text);

// The first global unicast address of this machine as text, link-local excluded, IPv4 first; empty
// when there is none. ptr NULL when memory is short.
MUST_CHECK struct str address_local_ip(struct arena *arena);
