// SPDX-License-Identifier: Apache-2.0
// Addresses as the operator writes them: listeners ("host:port", ":port"). Used by app/options, at
// start; may look a name up.
#pragma once

#include <stdbool.h>
#include <sys/socket.h>

#include "base/err.h"
#include "base/str.h"

// Parts of "host:port"; the host without brackets, maybe empty. ERR_INVALID.
MUST_CHECK int address_split(struct str text, struct str *host, uint16_t *port, struct err *err);
// Socket address of "host:port"; no host means every address, both families. ERR_INVALID.
MUST_CHECK int address_parse(struct str text, struct sockaddr_storage *address, struct err *err);
// Whether the text is an IPv4 or IPv6 address, without brackets.
bool address_is_ip(struct str text);
