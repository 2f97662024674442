// SPDX-License-Identifier: Apache-2.0
#include "admin/manual.h"

#include <string.h>

#include <cjson/cJSON.h>

#include "http/target.h"

#define MANUAL_PATH STR("/api/manual")

// The backend has answered. A body without a type of its own is an error text.
static void on_answer(void *ctx, int status, struct str body)
{
    struct server_conn *conn = ctx;
    bool is_json = body.len > 0 && status == 200;
    struct buf copy;
    buf_init(&copy, SERVER_ANSWER_MAX);
    buf_append_str(&copy, body);
    if (status != 200 && (body.len == 0 || body.ptr[body.len - 1] != '\n'))
        buf_append_char(&copy, '\n');
    server_reply(conn, status,
                 is_json ? STR("application/json; charset=utf-8")
                         : STR("text/plain; charset=utf-8"),
                 STR_NULL, &copy);
    server_conn_unref(conn);
}

static void put(struct api *api, struct server_conn *conn, struct str sub_path, struct str body)
{
    const struct backend *backend = api->sources.backend;
    cJSON *json = cJSON_ParseWithLength(body.ptr, body.len);
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "value");
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(json, "version");
    if (cJSON_IsString(value) && cJSON_IsString(version))
        backend->ops->manual_put(backend->self, sub_path, str_of(value->valuestring),
                                 str_of(version->valuestring), on_answer, server_conn_ref(conn));
    else
        server_reply_text(conn, 400, "want {\"value\": \"...\", \"version\": \"...\"}\n");
    cJSON_Delete(json);
}

static const char *refusal_text(enum access_verdict verdict)
{
    switch (verdict) {
    case ACCESS_NOT_LOOPBACK:
        return "Forbidden: writes come from this machine only unless ui.access=rw\n";
    case ACCESS_CROSS_SITE: return "Forbidden: the request comes from another site\n";
    default: return "Forbidden\n";
    }
}

bool manual_handle(struct api *api, struct server_conn *conn, const struct server_request *request,
                   struct str path)
{
    const struct backend *backend = api->sources.backend;
    const struct http_head *head = request->head;
    bool is_list = str_eq(path, STR("/api/paths"));
    struct str below = str_from(path, MANUAL_PATH.len);
    bool is_manual = str_starts_with(path, MANUAL_PATH) && (below.len == 0 || below.ptr[0] == '/');
    if ((!is_list && !is_manual) || !backend || !backend->ops->manual_get)
        return false;

    enum access_verdict verdict =
        access_check_manual(api->config.access, head, request->is_peer_loopback);
    if (verdict != ACCESS_GRANTED) {
        server_reply_text(conn, 403, refusal_text(verdict));
        return true;
    }
    // fabio takes the raw rest of the request target, query and all.
    struct str sub_path =
        head->has_query ? str_make(below.ptr, below.len + 1 + head->query.len) : below;
    bool is_get = head->method == HTTP_METHOD_GET;
    if (is_list && is_get)
        backend->ops->manual_paths(backend->self, on_answer, server_conn_ref(conn));
    else if (is_manual && is_get)
        backend->ops->manual_get(backend->self, sub_path, on_answer, server_conn_ref(conn));
    else if (is_manual && head->method == HTTP_METHOD_PUT)
        put(api, conn, sub_path, request->body);
    else
        server_reply_text(conn, 405, "not allowed\n");
    return true;
}
