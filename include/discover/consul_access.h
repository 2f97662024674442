// SPDX-License-Identifier: Apache-2.0
// What the configured token may do at the configured Consul, permission by permission, with the ACL
// rule that grants each. For `tagway check -consul`, before anything runs: the call blocks until
// Consul has answered, on a loop of its own. Changes nothing in Consul.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "discover/consul.h"

enum need { NEED_NONE, NEED_OPTIONAL, NEED_REQUIRED };

// Whether address, token and certificate files are fit for use, without asking Consul. The text is
// what the start would say.
MUST_CHECK int consul_access_check_settings(const struct consul_config *config, struct err *err);

// Asks Consul and appends one line per permission. kv_write tells whether overrides are to be
// written. 0 when nothing required is missing; ERR_DENIED when something is; ERR_IO with a text
// when Consul cannot be reached or answers what it should not.
MUST_CHECK int consul_access_report(const struct consul_config *config, enum need kv_write,
                                    struct buf *report, struct err *err);
