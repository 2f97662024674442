// SPDX-License-Identifier: Apache-2.0
#include "admin/api.h"

#include <string.h>

#include "admin/login.h"
#include "admin/manual.h"
#include "admin/metrics.h"
#include "admin/ready.h"
#include "admin/reply.h"
#include "admin/rows.h"
#include "admin/settings.h"
#include "base/clock.h"

// ---- endpoints; `head` is gone once an answer is given

static void get_health(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)api;
    (void)head;
    server_reply_text(conn, 200, "OK\n");
}

static void get_ready(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)head;
    char reason[READY_REASON_MAX];
    bool is_ready = ready_check(api, reason);
    char text[READY_REASON_MAX + 1];
    snprintf(text, sizeof text, "%s\n", reason);
    server_reply_text(conn, is_ready ? 200 : 503, text);
}

void api_reply_metrics(struct api *api, struct server_conn *conn)
{
    sampler_read(api->sampler, clock_now_ms());
    char reason[READY_REASON_MAX];
    struct metrics_input input = {
        .config = &api->config,
        .sources = &api->sources,
        .sampler = api->sampler,
        .push = api->push,
        .is_ready = ready_check(api, reason),
        .started_us = api->started_us,
    };
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    metrics_write(&body, &input);
    server_reply(conn, 200, STR("text/plain; version=0.0.4; charset=utf-8"), STR_NULL, &body);
}

static void get_metrics(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)head;
    api_reply_metrics(api, conn);
}

static void get_routes(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    const struct table *table = feed_table(api->sources.feed);
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    if (!reply_has_param(head, STR("raw"))) {
        rows_write_routes(&body, table, reply_has_param(head, STR("all")));
        reply_json(conn, reply_has_param(head, STR("pretty")), &body);
        return;
    }
    if (table)
        table_print(table, &body);
    buf_append_char(&body, '\n');
    server_reply(conn, 200, TYPE_TEXT, STR_NULL, &body);
}

static void get_problems(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    rows_write_problems(&body, api->sources.problems);
    reply_json(conn, reply_has_param(head, STR("pretty")), &body);
}

static void get_version(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)head;
    server_reply_static(conn, 200, TYPE_TEXT, STR_NULL, api->config.version);
}

static void get_consul(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    const struct backend *backend = api->sources.backend;
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    if (backend)
        backend->ops->write_json(backend->self, &body);
    else
        buf_append_cstr(&body, "null");
    reply_json(conn, reply_has_param(head, STR("pretty")), &body);
}

static void get_config(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    api->sources.write_config_json(api->sources.ctx, &body);
    reply_json(conn, reply_has_param(head, STR("pretty")), &body);
}

static void get_stats(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    api_write_totals(api, &body);
    reply_json(conn, reply_has_param(head, STR("pretty")), &body);
}

static void get_events(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    if (head->method != HTTP_METHOD_GET)
        reply_not_allowed(conn, "GET");
    else if (server_stream_begin(conn))
        live_join(api->live, conn);
}

static void get_settings(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    struct buf body;
    buf_init(&body, SERVER_ANSWER_MAX);
    settings_write(&body, &api->config, &api->sources);
    reply_json(conn, reply_has_param(head, STR("pretty")), &body);
}

static void get_page(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)head;
    reply_page(conn, api->config.path);
}

static void get_favicon(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    (void)api;
    (void)head;
    reply_not_found(conn); // the page names its icon itself
}

struct endpoint_row {
    const char *path;
    void (*answer)(struct api *api, struct server_conn *conn, const struct http_head *head);
};

// Asked for by programs that know nothing of names and base paths: any Host, never prefixed.
static const struct endpoint_row PROBES[] = {
    {"/health", get_health},
    {"/ready", get_ready},
    {"/metrics", get_metrics},
};

// What a load balancer asks for says nothing that needs a password.
static bool is_public(const struct endpoint_row *row)
{
    return row && row->answer != get_metrics;
}

// Below the base path.
static const struct endpoint_row ENDPOINTS[] = {
    {"/routes", get_page},         {"/api/routes", get_routes}, {"/api/problems", get_problems},
    {"/api/version", get_version}, {"/api/consul", get_consul}, {"/api/config", get_config},
    {"/api/stats", get_stats},     {"/api/events", get_events}, {"/favicon.ico", get_favicon},
    {"/api/ui", get_settings},
};

static const struct endpoint_row *find(const struct endpoint_row *rows, size_t count,
                                       struct str path)
{
    for (size_t i = 0; i < count; i++) {
        if (str_eq(str_of(rows[i].path), path))
            return &rows[i];
    }
    return NULL;
}

static bool redirect_to_clean(struct server_conn *conn, const struct http_head *head)
{
    struct buf location;
    buf_init(&location, SERVER_HEAD_MAX);
    bool is_clean = access_path_is_clean(head->path, &location);
    if (!is_clean) {
        if (head->has_query) {
            buf_append_char(&location, '?');
            buf_append_str(&location, head->query);
        }
        reply_redirect(conn, 307, &location);
    }
    buf_fini(&location);
    return !is_clean;
}

// fabio's answer to the base path without the slash.
static void redirect_to_base(struct api *api, struct server_conn *conn)
{
    struct buf location;
    buf_init(&location, SERVER_HEAD_MAX);
    buf_append_str(&location, api->config.path);
    buf_append_char(&location, '/');
    reply_redirect(conn, 307, &location);
    buf_fini(&location);
}

static void redirect_to_routes(struct api *api, struct server_conn *conn)
{
    struct buf location;
    buf_init(&location, SERVER_HEAD_MAX);
    buf_append_str(&location, api->config.path);
    buf_append_cstr(&location, "/routes");
    reply_redirect(conn, 303, &location);
    buf_fini(&location);
}

void api_handle(struct api *api, struct server_conn *conn, const struct server_request *request)
{
    const struct http_head *head = request->head;
    const struct endpoint_row *row = find(PROBES, ARRAY_LEN(PROBES), head->path);
    if (api->login && !is_public(row) && !login_admit(api->login, conn, head))
        return;
    if (row) {
        row->answer(api, conn, head);
        return;
    }
    if (!access_host_is_ours(&api->hosts, head->host)) {
        server_reply_text(conn, 421,
                          "This name is not known to be this server's. Use an IP address, its host "
                          "name, or add the name to ui.hosts.\n");
        return;
    }
    if (head->path.len == 0 || head->path.ptr[0] != '/') { // OPTIONS *
        reply_not_found(conn);
        return;
    }
    if (redirect_to_clean(conn, head))
        return;
    struct str base = api->config.path;
    struct str path = str_from(head->path, base.len);
    if (!str_starts_with(head->path, base) || (path.len > 0 && path.ptr[0] != '/')) {
        reply_not_found(conn);
        return;
    }
    if (path.len == 0) {
        redirect_to_base(api, conn);
        return;
    }
    row = find(ENDPOINTS, ARRAY_LEN(ENDPOINTS), path);
    if (row)
        row->answer(api, conn, head);
    else if (str_starts_with(path, STR("/assets/")))
        reply_asset(conn, str_from(path, strlen("/assets/")));
    else if (!manual_handle(api, conn, request, path))
        redirect_to_routes(api, conn);
}
