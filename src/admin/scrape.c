// SPDX-License-Identifier: Apache-2.0
#include "admin/scrape.h"

#include "base/log.h"
#include "base/mem.h"

struct scrape {
    struct api *api;
    struct server *servers[METRICS_LISTENERS_MAX];
    unsigned server_count;
    unsigned open_servers;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

static void on_request(void *ctx, struct server_conn *conn, const struct server_request *request)
{
    struct scrape *scrape = ctx;
    struct str path = scrape->api->config.metrics.path;
    if (str_eq(request->head->path, path) || str_eq(path, STR("/"))) {
        api_reply_metrics(scrape->api, conn);
        return;
    }
    struct buf extra;
    struct buf body;
    buf_init(&extra, SERVER_HEAD_MAX);
    buf_init(&body, 1);
    buf_printf(&extra, "Location: %.*s\r\n", STR_FMT(path));
    if (buf_status(&extra) != 0)
        server_reply_text(conn, 503, "out of memory\n");
    else
        server_reply(conn, 308, STR_NULL, buf_str(&extra), &body);
    buf_fini(&extra);
}

static void on_stream_end(void *ctx, struct server_conn *conn)
{
    (void)ctx;
    (void)conn; // there are no streams
}

static void on_server_closed(void *ctx)
{
    struct scrape *scrape = ctx;
    if (--scrape->open_servers > 0)
        return;
    void (*on_closed)(void *) = scrape->on_closed;
    void *closed_ctx = scrape->on_closed_ctx;
    mem_free(scrape);
    if (on_closed)
        on_closed(closed_ctx);
}

void scrape_close(struct scrape *scrape, void (*on_closed)(void *ctx), void *ctx)
{
    scrape->on_closed = on_closed;
    scrape->on_closed_ctx = ctx;
    scrape->open_servers = scrape->server_count + 1;
    for (unsigned i = 0; i < scrape->server_count; i++)
        server_close(scrape->servers[i], on_server_closed, scrape);
    on_server_closed(scrape); // there may be none
}

void scrape_listen(struct scrape *scrape)
{
    for (unsigned i = 0; i < scrape->server_count; i++)
        server_listen(scrape->servers[i]);
}

unsigned scrape_sockets(const struct scrape *scrape, int *sockets, unsigned max)
{
    unsigned count = 0;
    for (unsigned i = 0; i < scrape->server_count && count < max; i++)
        count += server_socket(scrape->servers[i], &sockets[count]);
    return count;
}

void scrape_retire(struct scrape *scrape)
{
    for (unsigned i = 0; i < scrape->server_count; i++)
        server_retire(scrape->servers[i]);
}

int scrape_start(struct uv_loop_s *loop, struct api *api, struct inherited *inherited,
                 struct scrape **result, struct err *err)
{
    const struct metrics_config *config = &api->config.metrics;
    *result = NULL;
    if (config->listener_count == 0)
        return 0;
    struct scrape *scrape = mem_zalloc(sizeof *scrape);
    if (!scrape)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    scrape->api = api;
    const struct server_ops ops = {
        .on_request = on_request, .on_stream_end = on_stream_end, .ctx = scrape};
    for (unsigned i = 0; i < config->listener_count; i++) {
        struct server *server = server_start(loop, config->listeners[i], inherited, &ops, err);
        if (!server) {
            err_wrap(err, "proxy.addr");
            scrape_close(scrape, NULL, NULL);
            return err->code;
        }
        scrape->servers[scrape->server_count++] = server;
        struct str addr = config->listeners[i];
        struct str host = str_upto(addr, (size_t)str_rfind_char(addr, ':'));
        log_info("PROMETHEUS listening on %.*s:%u", STR_FMT(host), server_port(server));
    }
    *result = scrape;
    return 0;
}
