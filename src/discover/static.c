// SPDX-License-Identifier: Apache-2.0
#include "discover/static.h"

#include "base/mem.h"
#include "discover/feed.h"
#include "discover/unregistered.h"

struct static_backend {
    struct backend backend;
    const struct static_config *config; // borrowed
    struct feed *feed;                  // borrowed
};

static int deliver(struct static_backend *fixed, struct err *err)
{
    int status = feed_set_manual(fixed->feed, STR("registry.static.routes"), fixed->config->routes);
    if (status == 0)
        status = feed_set_noroute_html(fixed->feed, fixed->config->noroute_html);
    if (status < 0)
        return err_set(err, status, "static routes: %s", err_text(status));
    return 0;
}

static int start(void *self, struct err *err)
{
    struct static_backend *fixed = self;
    int status = deliver(fixed, err);
    if (status == 0)
        feed_set_synced(fixed->feed, false);
    return status;
}

int static_backend_set_config(struct backend *backend, const struct static_config *config,
                              struct err *err)
{
    struct static_backend *fixed = backend->self;
    fixed->config = config;
    return deliver(fixed, err);
}

static void stop(void *self, void (*on_stopped)(void *ctx), void *ctx)
{
    (void)self;
    on_stopped(ctx);
}

static void write_json(void *self, struct buf *out)
{
    (void)self;
    buf_append_cstr(out, "{\"backend\":\"static\"}");
}

static const struct backend_ops OPS = {
    .name = "static",
    .start = start,
    .stop = stop,
    .free = mem_free,
    .deregister = unregistered_deregister,
    .data_age_ms = unregistered_data_age_ms,
    .write_metrics = unregistered_write_metrics,
    .write_json = write_json,
};

struct backend *static_backend_new(const struct static_config *config, struct feed *feed,
                                   struct err *err)
{
    struct static_backend *fixed = mem_zalloc(sizeof *fixed);
    if (!fixed) {
        err_set(err, ERR_NOMEM, "static routes: %s", err_text(ERR_NOMEM));
        return NULL;
    }
    fixed->backend = (struct backend){.ops = &OPS, .self = fixed};
    fixed->config = config;
    fixed->feed = feed;
    return &fixed->backend;
}
