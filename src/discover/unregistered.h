// SPDX-License-Identifier: Apache-2.0
// The backend functions of a source that is no registry: nothing is registered there, its data has
// no age, it has no metrics of its own, and overrides are empty and cannot be written. Shared by
// the backends `static`, `file` and `custom`.
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

void unregistered_deregister(void *self, void (*on_done)(void *ctx), void *ctx);
uint64_t unregistered_data_age_ms(void *self);
void unregistered_write_metrics(void *self, struct buf *out);

void unregistered_manual_paths(void *self, void (*on_done)(void *ctx, int status, struct str body),
                               void *ctx);
void unregistered_manual_get(void *self, struct str sub_path,
                             void (*on_done)(void *ctx, int status, struct str body), void *ctx);
void unregistered_manual_put(void *self, struct str sub_path, struct str value, struct str version,
                             void (*on_done)(void *ctx, int status, struct str body), void *ctx);
