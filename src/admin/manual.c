// SPDX-License-Identifier: Apache-2.0
#include "admin/manual.h"

#include "admin/check.h"
#include "admin/manual_body.h"
#include "admin/reply.h"
#include "base/mem.h"

#define MANUAL_PATH STR("/api/manual")

// An answer that the registry owes.
struct pending {
    struct server_conn *conn; // referenced
    bool is_pretty;
};

// The backend has answered. A body without a type of its own is an error text.
static void on_answer(void *ctx, int status, struct str body)
{
    struct pending *pending = ctx;
    struct server_conn *conn = pending->conn;
    struct buf copy;
    buf_init(&copy, SERVER_ANSWER_MAX);
    buf_append_str(&copy, body);
    if (status == 200 && body.len > 0) {
        reply_json(conn, pending->is_pretty, &copy);
    } else if (status == 200) {
        server_reply(conn, 200, STR_NULL, STR_NULL, &copy); // written
    } else {
        if (body.len == 0 || body.ptr[body.len - 1] != '\n')
            buf_append_char(&copy, '\n');
        server_reply(conn, status, TYPE_TEXT, STR_NULL, &copy);
    }
    server_conn_unref(conn);
    mem_free(pending);
}

static struct pending *pending_new(struct server_conn *conn, const struct http_head *head)
{
    struct pending *pending = mem_alloc(sizeof *pending);
    if (pending)
        *pending = (struct pending){server_conn_ref(conn), reply_has_param(head, STR("pretty"))};
    return pending;
}

bool manual_has_backend(const struct admin_sources *sources)
{
    return sources->backend && sources->backend->ops->manual_get;
}

// --- where a document is named ---

static bool is_at_or_below(struct str path, struct str top)
{
    return str_starts_with(path, top) && (path.len == top.len || path.ptr[top.len] == '/');
}

// --- reading and writing ---

static void put(struct api *api, struct server_conn *conn, const struct server_request *request,
                struct str sub_path)
{
    const struct backend *backend = api->sources.backend;
    struct manual_body body;
    struct pending *pending = NULL;
    if (!manual_body_read(&body, request->body))
        server_reply_text(conn, 400, "want {\"value\": \"...\", \"version\": \"...\"}\n");
    else if (!manual_has_backend(&api->sources))
        server_reply_text(conn, 409, "version mismatch: this registry keeps no overrides\n");
    else if (!(pending = pending_new(conn, request->head)))
        server_reply_text(conn, 503, "out of memory\n");
    else
        backend->ops->manual_put(backend->self, sub_path, body.value, body.version, on_answer,
                                 pending);
    manual_body_fini(&body);
}

static void handle_document(struct api *api, struct server_conn *conn,
                            const struct server_request *request, struct str sub_path)
{
    const struct backend *backend = api->sources.backend;
    const struct http_head *head = request->head;
    struct pending *pending;
    if (head->method == HTTP_METHOD_PUT)
        put(api, conn, request, sub_path);
    else if (head->method != HTTP_METHOD_GET)
        reply_not_allowed(conn, "GET, PUT");
    else if (!(pending = pending_new(conn, head)))
        server_reply_text(conn, 503, "out of memory\n");
    else if (manual_has_backend(&api->sources))
        backend->ops->manual_get(backend->self, sub_path, on_answer, pending);
    else
        on_answer(pending, 200, STR("{\"value\":\"\",\"version\":\"0\"}"));
}

static void handle_list(struct api *api, struct server_conn *conn, const struct http_head *head)
{
    const struct backend *backend = api->sources.backend;
    struct pending *pending;
    if (head->method != HTTP_METHOD_GET)
        reply_not_allowed(conn, "GET");
    else if (!(pending = pending_new(conn, head)))
        server_reply_text(conn, 503, "out of memory\n");
    else if (manual_has_backend(&api->sources))
        backend->ops->manual_paths(backend->self, on_answer, pending);
    else
        on_answer(pending, 200, STR("null"));
}

// fabio takes the raw rest of the request target, query and all.
static void handle_manual(struct api *api, struct server_conn *conn,
                          const struct server_request *request, struct str path)
{
    const struct http_head *head = request->head;
    struct str below = str_from(path, MANUAL_PATH.len);
    handle_document(api, conn, request,
                    head->has_query ? str_make(below.ptr, below.len + 1 + head->query.len) : below);
}

static void handle_override(struct api *api, struct server_conn *conn,
                            const struct server_request *request)
{
    struct buf sub_path;
    buf_init(&sub_path, SERVER_HEAD_MAX);
    if (manual_path_read(request->head->query, &sub_path))
        handle_document(api, conn, request, buf_str(&sub_path));
    else
        server_reply_text(conn, 400, "want ?path=, percent-encoded; empty for the main document\n");
    buf_fini(&sub_path);
}

// Changes nothing, so that it is there for everybody; but it is work, which a foreign page shall
// not order.
static void handle_check(struct server_conn *conn, const struct server_request *request)
{
    if (request->head->method != HTTP_METHOD_POST) {
        reply_not_allowed(conn, "POST");
        return;
    }
    if (!access_is_same_origin(request->head)) {
        server_reply_text(conn, 403, "Forbidden: the request comes from another site\n");
        return;
    }
    bool is_pretty = reply_has_param(request->head, STR("pretty"));
    struct buf json;
    buf_init(&json, SERVER_ANSWER_MAX);
    check_write(&json, request->body);
    reply_json(conn, is_pretty, &json);
}

static const char *refusal_text(enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_NOT_LOOPBACK:
        return "Forbidden: writes come from this machine only, and through no proxy, unless "
               "ui.access=rw\n";
    case ACCESS_CROSS_SITE: return "Forbidden: the request comes from another site\n";
    default: return "Forbidden\n";
    }
}

bool manual_handle(struct api *api, struct server_conn *conn, const struct server_request *request,
                   struct str path)
{
    bool is_list = str_eq(path, STR("/api/paths"));
    bool is_override = str_eq(path, STR("/api/override"));
    bool is_page = is_at_or_below(path, STR("/manual"));
    if (str_eq(path, STR("/api/override/check"))) {
        handle_check(conn, request);
        return true;
    }
    if (!is_list && !is_override && !is_page && !is_at_or_below(path, MANUAL_PATH))
        return false;

    enum access_verdict verdict =
        is_page ? access_check_page(api->config.access)
                : access_check_manual(api->config.access, request->head, request->is_peer_loopback);
    if (verdict != ACCESS_GRANTED)
        server_reply_text(conn, 403, refusal_text(verdict));
    else if (is_page)
        reply_page(conn, api->config.path);
    else if (is_list)
        handle_list(api, conn, request->head);
    else if (is_override)
        handle_override(api, conn, request);
    else
        handle_manual(api, conn, request, path);
    return true;
}
