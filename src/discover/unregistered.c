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

void unregistered_manual_paths(void *self, void (*on_done)(void *ctx, int status, struct str body),
                               void *ctx)
{
    (void)self;
    on_done(ctx, 200, STR("null"));
}

void unregistered_manual_get(void *self, struct str sub_path,
                             void (*on_done)(void *ctx, int status, struct str body), void *ctx)
{
    (void)self;
    (void)sub_path;
    on_done(ctx, 200, STR("{\"value\":\"\",\"version\":\"0\"}"));
}

void unregistered_manual_put(void *self, struct str sub_path, struct str value, struct str version,
                             void (*on_done)(void *ctx, int status, struct str body), void *ctx)
{
    (void)self;
    (void)sub_path;
    (void)value;
    (void)version;
    on_done(ctx, 409, STR("version mismatch\n"));
}
