// SPDX-License-Identifier: Apache-2.0
#include "discover/unregistered.h"

void unregistered_deregister(void *self, void (*on_done)(void *ctx), void *ctx)
{
    (void)self;
    on_done(ctx);
}

uint64_t unregistered_data_age_ms(void *self)
{
    (void)self;
    return 0;
}

void unregistered_write_metrics(void *self, struct buf *out)
{
    (void)self;
    (void)out;
}
