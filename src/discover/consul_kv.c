// SPDX-License-Identifier: Apache-2.0
// What lies in Consul's KV store: the manual routes and the page for requests without a route (both
// watched), and the overrides that the admin pages read and write.
// Writing, as fabio does: first as a new key; if it exists already, only over the given version.
#include "discover/consul_internal.h"

#include <inttypes.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/decode.h"
#include "discover/feed.h"

enum {
    TEXT_MAX = 64 * 1024 * 1024,
    VALUE_MAX = 512 * 1024, // Consul's own limit for one value
    CALL_TIMEOUT_MS = 15 * 1000,
};

struct joined {
    struct buf text;
    bool has_headings;
    bool is_first;
};

// Values in key order, trimmed, a blank line between them.
static int join(void *ctx, struct str key, struct str value, uint64_t modify_index)
{
    (void)modify_index;
    struct joined *joined = ctx;
    if (!joined->is_first)
        buf_append_cstr(&joined->text, "\n\n");
    joined->is_first = false;
    if (joined->has_headings)
        buf_printf(&joined->text, "# --- %.*s\n", STR_FMT(key));
    buf_append_str(&joined->text, str_trim(value));
    return buf_status(&joined->text);
}

static int read_joined(struct joined *joined, bool has_headings, bool has_known,
                       const struct http_response *response, struct err *err)
{
    *joined = (struct joined){.has_headings = has_headings, .is_first = true};
    buf_init(&joined->text, TEXT_MAX);
    // Nothing is left of it because the token may not see it: that says nothing about the keys.
    if (response->status == 404 && has_known && response->is_filtered_by_acls)
        return err_set(err, ERR_DENIED, "the token may not read its keys any more");
    if (response->status == 404)
        return 0;
    return decode_kv(response->body, join, joined, err);
}

int consul_set_manual(struct consul *consul, struct str text)
{
    char *copy = str_dup(text);
    if (!copy)
        return ERR_NOMEM;
    int status = feed_set_manual(consul->feed, STR_NULL, text);
    if (status < 0) {
        mem_free(copy);
        return status;
    }
    mem_free(consul->manual_text);
    consul->manual_text = copy;
    return 0;
}

static int on_manual(struct watch *watch, const struct http_response *response, struct err *err)
{
    struct consul *consul = consul_of(watch);
    struct joined joined;
    bool has_known = consul->manual_text && *consul->manual_text;
    int status = read_joined(&joined, true, has_known, response, err);
    struct str text = buf_str(&joined.text);
    if (status == 0 && !str_eq(text, str_of(consul->manual_text))) {
        status = consul_set_manual(consul, text);
        if (status == 0)
            status = WATCH_CHANGED;
    }
    buf_fini(&joined.text);
    if (status >= 0)
        consul_answered(consul, &consul->is_manual_awaited);
    return status;
}

static int on_noroute(struct watch *watch, const struct http_response *response, struct err *err)
{
    struct consul *consul = consul_of(watch);
    struct joined joined;
    bool has_known = feed_noroute_html(consul->feed).len > 0;
    int status = read_joined(&joined, false, has_known, response, err);
    struct str html = buf_str(&joined.text);
    if (status == 0) {
        bool has_changed = !str_eq(html, feed_noroute_html(consul->feed));
        status = feed_set_noroute_html(consul->feed, html);
        if (status == 0 && has_changed)
            status = WATCH_CHANGED;
    }
    buf_fini(&joined.text);
    if (status >= 0)
        consul_answered(consul, &consul->is_noroute_awaited);
    return status;
}

// A token that may not read the KV path does not keep the services from being routed.
static void on_manual_refused(struct watch *watch)
{
    struct consul *consul = consul_of(watch);
    consul_answered(consul, &consul->is_manual_awaited);
}

static void on_noroute_refused(struct watch *watch)
{
    struct consul *consul = consul_of(watch);
    consul_answered(consul, &consul->is_noroute_awaited);
}

const struct watch_ops MANUAL_OPS = {
    .class = WATCH_KV,
    .burst = 3,
    .interval_ms = 1000,
    .slowest_interval_ms = 15 * 1000,
    .is_empty_when_missing = true,
    .on_answer = on_manual,
    .on_refused = on_manual_refused,
};

const struct watch_ops NOROUTE_OPS = {
    .class = WATCH_KV,
    .burst = 3,
    .interval_ms = 1000,
    .slowest_interval_ms = 15 * 1000,
    .is_empty_when_missing = true,
    .on_answer = on_noroute,
    .on_refused = on_noroute_refused,
};

// One request of the admin pages.
struct override {
    struct consul *consul;
    struct list link;
    struct http_call *call;
    override_fn on_done;
    void *ctx;
    char *key;        // owned; without leading slash
    char *value;      // PUT: owned
    uint64_t version; // PUT
};

static struct str kv_prefix(const struct consul *consul)
{
    struct str path = consul->config->kv_path;
    return path.len > 0 && path.ptr[0] == '/' ? str_from(path, 1) : path;
}

static void override_free(struct override *override)
{
    list_remove(&override->link);
    mem_free(override->key);
    mem_free(override->value);
    mem_free(override);
}

static void finish(struct override *override, int status, struct str body)
{
    override_fn on_done = override->on_done;
    void *ctx = override->ctx;
    override_free(override);
    on_done(ctx, status, body);
}

static void finish_failed(struct override *override, const struct http_response *response)
{
    if (response->status == 0) {
        finish(override, 500, str_of(response->failure));
        return;
    }
    char text[256];
    struct str words = str_upto(str_trim(response->body), 200);
    snprintf(text, sizeof text, "Unexpected response code: %d (%.*s)\n", response->status,
             STR_FMT(words));
    finish(override, 500, str_of(text));
}

static struct override *override_new(struct consul *consul, struct str sub_path,
                                     override_fn on_done, void *ctx)
{
    struct override *override = mem_zalloc(sizeof *override);
    if (!override)
        return NULL;
    list_init(&override->link);
    override->consul = consul;
    override->on_done = on_done;
    override->ctx = ctx;
    struct buf key;
    buf_init(&key, 8192);
    buf_append_str(&key, kv_prefix(consul));
    buf_append_str(&key, sub_path);
    if (buf_status(&key) == 0)
        override->key = str_dup(buf_str(&key));
    buf_fini(&key);
    if (!override->key) {
        mem_free(override);
        return NULL;
    }
    list_push_back(&consul->overrides, &override->link);
    return override;
}

static int send_override(struct override *override, const char *method, const char *query,
                         http_done_fn on_done)
{
    struct consul *consul = override->consul;
    struct buf path;
    buf_init(&path, 16 * 1024);
    consul_settings_path(&consul->settings, &path, "kv/", str_of(override->key), query);
    struct http_request request = {
        .pool = HTTP_SHORT,
        .method = method,
        .path = buf_str(&path),
        .body = str_of(override->value),
        .timeout_ms = CALL_TIMEOUT_MS,
        .on_done = on_done,
        .ctx = override,
    };
    override->call =
        buf_status(&path) == 0 ? http_client_send(consul->agent.client, &request) : NULL;
    buf_fini(&path);
    return override->call ? 0 : ERR_NOMEM;
}

struct path_list {
    struct buf json;
    size_t prefix_len;
    bool is_first;
};

static int add_path(void *ctx, struct str key)
{
    struct path_list *list = ctx;
    buf_append_char(&list->json, list->is_first ? '[' : ',');
    list->is_first = false;
    buf_append_json(&list->json, str_from(key, list->prefix_len));
    return buf_status(&list->json);
}

static void on_paths(void *ctx, const struct http_response *response)
{
    struct override *override = ctx;
    struct path_list list = {.prefix_len = strlen(override->key), .is_first = true};
    struct err err = {0};
    if (response->status == 404) {
        finish(override, 200, STR("null"));
        return;
    }
    if (response->status != 200) {
        finish_failed(override, response);
        return;
    }
    buf_init(&list.json, TEXT_MAX);
    int status = decode_strings(response->body, add_path, &list, &err);
    buf_append_cstr(&list.json, list.is_first ? "null" : "]");
    if (status == 0)
        status = buf_status(&list.json);
    if (status == 0)
        finish(override, 200, buf_str(&list.json));
    else
        finish(override, 500, str_of(err_text(status)));
    buf_fini(&list.json);
}

void consul_manual_paths(void *self, override_fn on_done, void *ctx)
{
    struct override *override = override_new(self, STR_NULL, on_done, ctx);
    if (!override)
        on_done(ctx, 500, str_of(err_text(ERR_NOMEM)));
    else if (send_override(override, "GET", "keys=&", on_paths) < 0)
        finish(override, 500, str_of(err_text(ERR_NOMEM)));
}

static int add_value(void *ctx, struct str key, struct str value, uint64_t modify_index)
{
    (void)key;
    struct buf *json = ctx;
    buf_append_cstr(json, "{\"value\":");
    buf_append_json(json, str_trim(value));
    buf_printf(json, ",\"version\":\"%" PRIu64 "\"}", modify_index);
    return buf_status(json);
}

static void on_value(void *ctx, const struct http_response *response)
{
    struct override *override = ctx;
    struct buf json;
    struct err err = {0};
    buf_init(&json, TEXT_MAX);
    int status = 0;
    if (response->status == 404)
        status = add_value(&json, STR_NULL, STR_NULL, response->has_index ? response->index : 0);
    else if (response->status == 200)
        status = decode_kv(response->body, add_value, &json, &err);
    else {
        finish_failed(override, response);
        return;
    }
    if (status == 0)
        finish(override, 200, buf_str(&json));
    else
        finish(override, 500, str_of(err_text(status)));
    buf_fini(&json);
}

void consul_manual_get(void *self, struct str sub_path, override_fn on_done, void *ctx)
{
    struct override *override = override_new(self, sub_path, on_done, ctx);
    if (!override)
        on_done(ctx, 500, str_of(err_text(ERR_NOMEM)));
    else if (send_override(override, "GET", "", on_value) < 0)
        finish(override, 500, str_of(err_text(ERR_NOMEM)));
}

static void on_put_over(void *ctx, const struct http_response *response)
{
    struct override *override = ctx;
    if (response->status != 200)
        finish_failed(override, response);
    else if (str_eq(str_trim(response->body), STR("true")))
        finish(override, 200, STR_NULL);
    else
        finish(override, 409, STR("version mismatch\n"));
}

static void on_put_new(void *ctx, const struct http_response *response)
{
    struct override *override = ctx;
    override->call = NULL;
    if (response->status != 200) {
        finish_failed(override, response);
        return;
    }
    if (str_eq(str_trim(response->body), STR("true"))) {
        finish(override, 200, STR_NULL);
        return;
    }
    if (override->version == 0) { // would mean "as a new key" once more
        finish(override, 409, STR("version mismatch\n"));
        return;
    }
    char query[64];
    snprintf(query, sizeof query, "cas=%" PRIu64 "&", override->version);
    if (send_override(override, "PUT", query, on_put_over) < 0)
        finish(override, 500, str_of(err_text(ERR_NOMEM)));
}

void consul_manual_put(void *self, struct str sub_path, struct str value, struct str version,
                       override_fn on_done, void *ctx)
{
    uint64_t number = 0;
    if (value.len > VALUE_MAX) {
        on_done(ctx, 413, STR("value is larger than 512 KB\n"));
        return;
    }
    if (!str_to_u64(version, &number)) {
        on_done(ctx, 400, STR("version is not a number\n"));
        return;
    }
    struct override *override = override_new(self, sub_path, on_done, ctx);
    if (!override) {
        on_done(ctx, 500, str_of(err_text(ERR_NOMEM)));
        return;
    }
    override->version = number;
    override->value = str_dup(value);
    if (!override->value || send_override(override, "PUT", "cas=0&", on_put_new) < 0)
        finish(override, 500, str_of(err_text(ERR_NOMEM)));
}

void consul_overrides_cancel(struct consul *consul)
{
    while (!list_is_empty(&consul->overrides)) {
        struct override *override = CONTAINER_OF(consul->overrides.next, struct override, link);
        if (override->call)
            http_call_cancel(override->call);
        finish(override, 503, STR("shutting down\n"));
    }
}
