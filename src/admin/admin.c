// SPDX-License-Identifier: Apache-2.0
// Puts the admin together: servers, sampler, live view, pushed metrics and their timers.
#include "admin/admin.h"

#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "admin/api.h"
#include "admin/login.h"
#include "admin/scrape.h"
#include "base/clock.h"
#include "base/mem.h"

struct admin {
    struct api api;
    struct server *server;
    struct scrape *scrape; // NULL: no listener for it
    uv_timer_t sample_timer;
    uv_timer_t look_timer;
    uv_getaddrinfo_t lookup; // of our own canonical name
    char hostname[256];
    char fqdn[256];
    uint32_t open_handles; // timers, servers, push, lookup, login
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

static void release(struct admin *admin)
{
    if (--admin->open_handles > 0)
        return;
    void (*on_closed)(void *) = admin->on_closed;
    void *ctx = admin->on_closed_ctx;
    live_free(admin->api.live);
    mem_free(admin);
    if (on_closed)
        on_closed(ctx);
}

static void on_request(void *ctx, struct server_conn *conn, const struct server_request *request)
{
    struct admin *admin = ctx;
    api_handle(&admin->api, conn, request);
}

static void on_stream_end(void *ctx, struct server_conn *conn)
{
    struct admin *admin = ctx;
    (void)conn;
    live_leave(admin->api.live);
}

static void on_sample(uv_timer_t *timer)
{
    struct admin *admin = timer->data;
    uint64_t now_ms = clock_now_ms();
    sampler_tick(admin->api.sampler, now_ms);
    api_tick(&admin->api, now_ms);
    live_tick(admin->api.live);
}

static void on_look(uv_timer_t *timer)
{
    struct admin *admin = timer->data;
    live_look(admin->api.live);
}

static void on_name_found(uv_getaddrinfo_t *lookup, int status, struct addrinfo *found)
{
    struct admin *admin = lookup->data;
    if (status == 0 && found && found->ai_canonname) {
        snprintf(admin->fqdn, sizeof admin->fqdn, "%s", found->ai_canonname);
        admin->api.hosts.fqdn = str_of(admin->fqdn);
    }
    uv_freeaddrinfo(found);
    release(admin);
}

// The names a browser may call us by. Failure only means that the fully qualified one is not known.
static void find_own_names(struct admin *admin, uv_loop_t *loop)
{
    admin->api.hosts.more = admin->api.config.hosts;
    if (gethostname(admin->hostname, sizeof admin->hostname - 1) != 0)
        return;
    admin->api.hosts.hostname = str_of(admin->hostname);
    struct addrinfo hints = {.ai_flags = AI_CANONNAME, .ai_socktype = SOCK_STREAM};
    admin->lookup.data = admin;
    if (uv_getaddrinfo(loop, &admin->lookup, on_name_found, admin->hostname, NULL, &hints) == 0)
        admin->open_handles++;
}

struct admin *admin_start(struct uv_loop_s *loop, const struct admin_config *config,
                          const struct admin_sources *sources, struct inherited *inherited,
                          bool is_waiting, struct err *err)
{
    struct admin *admin = mem_zalloc(sizeof *admin);
    if (!admin)
        goto nomem;
    admin->api.config = *config;
    admin->api.sources = *sources;
    admin->api.started_us = clock_wall_us();
    admin->api.sampler = sampler_new(sources->targets);
    admin->api.live =
        live_new(&admin->api.config, &admin->api.sources, api_write_totals, &admin->api);
    if (!admin->api.sampler || !admin->api.live)
        goto nomem;
    if (config->login.is_required) {
        admin->api.login = login_open(loop, &admin->api.config.login, err);
        if (!admin->api.login) {
            err_wrap(err, "ui.auth");
            goto fail;
        }
    }
    struct server_ops ops = {
        .on_request = on_request, .on_stream_end = on_stream_end, .ctx = admin};
    admin->server = server_start(loop, config->addr, inherited, &ops, err);
    if (!admin->server) {
        err_wrap(err, "ui.addr");
        goto fail;
    }
    if (scrape_start(loop, &admin->api, inherited, &admin->scrape, err) != 0)
        goto fail;
    if (push_start(loop, &admin->api.config.metrics, &admin->api.sources, admin->api.sampler,
                   &admin->api.push) != 0)
        goto nomem;
    live_set_server(admin->api.live, admin->server);
    uv_timer_init(loop, &admin->sample_timer);
    uv_timer_init(loop, &admin->look_timer);
    admin->sample_timer.data = admin;
    admin->look_timer.data = admin;
    uv_timer_start(&admin->sample_timer, on_sample, SAMPLER_PERIOD_MS, SAMPLER_PERIOD_MS);
    uv_timer_start(&admin->look_timer, on_look, LIVE_LOOK_MS, LIVE_LOOK_MS);
    admin->open_handles =
        3 + (admin->scrape != NULL) + (admin->api.push != NULL) + (admin->api.login != NULL);
    find_own_names(admin, loop);
    if (!is_waiting)
        admin_listen(admin);
    return admin;
nomem:
    err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
fail:
    if (admin) {
        if (admin->api.login)
            login_close(admin->api.login, NULL, NULL);
        if (admin->scrape)
            scrape_close(admin->scrape, NULL, NULL);
        if (admin->server)
            server_close(admin->server, NULL, NULL);
        sampler_free(admin->api.sampler);
        live_free(admin->api.live);
        mem_free(admin);
    }
    return NULL;
}

void admin_listen(struct admin *admin)
{
    server_listen(admin->server);
    if (admin->scrape)
        scrape_listen(admin->scrape);
}

int admin_prepare_config(struct admin *admin, const struct admin_config *config,
                         struct login **login, struct err *err)
{
    *login = NULL;
    if (!config->login.is_required)
        return 0;
    *login = login_open(admin->sample_timer.loop, &config->login, err);
    if (*login)
        return 0;
    err_wrap(err, "ui.auth");
    return err->code;
}

void admin_drop_config(struct login *login)
{
    if (login)
        login_close(login, NULL, NULL);
}

static void on_part_closed(void *ctx);

void admin_set_config(struct admin *admin, const struct admin_config *config, struct login *login)
{
    struct admin_config *own = &admin->api.config;
    struct str addr = own->addr;
    struct metrics_config metrics = own->metrics;
    *own = *config;
    own->addr = addr; // both as at start
    own->metrics = metrics;
    admin->api.hosts.more = own->hosts;
    struct login *before = admin->api.login;
    admin->open_handles += login != NULL;
    admin->api.login = login;
    if (login)
        login_set_config(login, &own->login);
    if (before) // stays among the open handles until it has closed
        login_replace(before, on_part_closed, admin);
    live_greet(admin->api.live);
}

unsigned admin_sockets(const struct admin *admin, int *sockets, unsigned max)
{
    unsigned count = 0;
    if (max > 0 && server_socket(admin->server, &sockets[0]))
        count = 1;
    if (admin->scrape)
        count += scrape_sockets(admin->scrape, sockets + count, max - count);
    return count;
}

void admin_retire(struct admin *admin)
{
    server_retire(admin->server);
    if (admin->scrape)
        scrape_retire(admin->scrape);
}

uint16_t admin_port(const struct admin *admin)
{
    return server_port(admin->server);
}

void admin_set_draining(struct admin *admin)
{
    admin->api.is_draining = true;
}

void admin_push_metrics(struct admin *admin)
{
    if (admin->api.push)
        push_now(admin->api.push);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_part_closed(void *ctx)
{
    release(ctx);
}

void admin_close(struct admin *admin, void (*on_closed)(void *ctx), void *ctx)
{
    admin->on_closed = on_closed;
    admin->on_closed_ctx = ctx;
    if (admin->api.push)
        push_close(admin->api.push, on_part_closed, admin);
    admin->api.push = NULL;
    if (admin->scrape)
        scrape_close(admin->scrape, on_part_closed, admin);
    // Last readings are not needed; the targets may be freed as soon as this returns.
    sampler_free(admin->api.sampler);
    admin->api.sampler = NULL;
    uv_cancel((uv_req_t *)&admin->lookup); // fails when there is none: it has ended or never begun
    uv_close((uv_handle_t *)&admin->sample_timer, on_timer_closed);
    uv_close((uv_handle_t *)&admin->look_timer, on_timer_closed);
    server_close(admin->server, on_part_closed, admin);
    if (admin->api.login)
        login_close(admin->api.login, on_part_closed, admin);
}
