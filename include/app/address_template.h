// SPDX-License-Identifier: Apache-2.0
// Templates in addresses, a part of HashiCorp's go-sockaddr language that fabio's users know from
// Consul: {{ GetPrivateIP }}, {{ GetInterfaceIP "eth0" }}, {{ GetAllInterfaces | include "network"
// "10.0.0.0/8" | attr "address" }}. Used by app/options, at start.
#pragma once

#include "app/interfaces.h"

// Replaces every template by the address it stands for; an IPv6 address in front of a ':' is put
// into brackets. interfaces NULL: those of this machine. ERR_INVALID for what is not understood and
// when no address fits, ERR_NOMEM.
MUST_CHECK int address_template_expand(struct arena *arena, struct str text,
                                       const struct interface_list *interfaces,
                                       struct str *expanded, struct err *err);
