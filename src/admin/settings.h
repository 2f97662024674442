// SPDX-License-Identifier: Apache-2.0
// What the page must know of the configuration: /api/ui and the "hello" of the event streams.
// Control thread; pure.
#pragma once

#include "admin/admin.h"
#include "base/buf.h"

// Appends one JSON object.
void settings_write(struct buf *out, const struct admin_config *config,
                    const struct admin_sources *sources);
