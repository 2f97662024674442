// SPDX-License-Identifier: Apache-2.0
// The backend functions of a source that is no registry: nothing is registered there, its data has
// no age, and it has no metrics of its own. It keeps no overrides either. Shared by the backends
// `static`, `file` and `custom`.
#pragma once

#include <stdint.h>

#include "base/buf.h"

void unregistered_deregister(void *self, void (*on_done)(void *ctx), void *ctx);
uint64_t unregistered_data_age_ms(void *self);
void unregistered_write_metrics(void *self, struct buf *out);
