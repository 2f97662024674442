// SPDX-License-Identifier: Apache-2.0
// The body with which the process is registered as a service in Consul: the one that fabio sends.
// Used by consul_register.c. Pure.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"
#include "discover/consul.h"

struct registration {
    const struct consul_config *config;
    struct str id; // at most 1024 bytes
    struct str name;
    const char *address; // without brackets
    uint16_t port;
};

// Appends the JSON of PUT /v1/agent/service/register.
void registration_write(const struct registration *registration, struct buf *out);
