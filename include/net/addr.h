// SPDX-License-Identifier: Apache-2.0
// Socket addresses as text and as bytes. Pure helpers, any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/str.h"

enum { ADDR_TEXT_MAX = 46 + 8 }; // longest IPv6 text, brackets, port, NUL

// Literal IPv4 or IPv6 (no brackets) and port to a socket address. False when it is not a literal.
MUST_CHECK bool addr_from_literal(struct str host, uint16_t port, struct sockaddr_storage *addr);
// Address without port and brackets; IPv4-mapped IPv6 is written as IPv4. Returns the length; out
// holds at least ADDR_TEXT_MAX bytes and is terminated. 0 for other families.
size_t addr_host_text(const struct sockaddr *addr, char *out);
uint16_t addr_port(const struct sockaddr *addr);
// The bytes of the address as in base/ip.h. False for other families.
bool addr_bytes(const struct sockaddr *addr, uint8_t bytes[16]);
socklen_t addr_len(const struct sockaddr *addr);
bool addr_eq(const struct sockaddr *a, const struct sockaddr *b);
