// SPDX-License-Identifier: Apache-2.0
#include "admin/reply.h"

#include "admin/assets.h"
#include "base/json_indent.h"

// Stands in the page where an address begins: the page is served at paths of any depth, and its
// policy allows no <base>.
#define BASE_MARK STR("{base}")

const struct asset *asset_find(struct str name)
{
    for (size_t i = 0; i < ASSET_COUNT; i++) {
        if (str_eq(ASSETS[i].name, name))
            return &ASSETS[i];
    }
    return NULL;
}

bool reply_has_param(const struct http_head *head, struct str key)
{
    struct str rest = head->query;
    struct str item;
    while (rest.len > 0 && str_split_next(&rest, '&', &item)) {
        ptrdiff_t equals = str_find_char(item, '=');
        if (str_eq(equals < 0 ? item : str_upto(item, (size_t)equals), key))
            return true;
    }
    return false;
}

void reply_json(struct server_conn *conn, bool is_pretty, struct buf *json)
{
    if (!is_pretty) {
        server_reply(conn, 200, TYPE_JSON, STR_NULL, json);
        return;
    }
    struct buf pretty;
    buf_init(&pretty, SERVER_ANSWER_MAX);
    json_indent(&pretty, buf_str(json));
    if (buf_status(json) != 0)
        pretty.failure = buf_status(json);
    buf_fini(json);
    server_reply(conn, 200, TYPE_JSON, STR_NULL, &pretty);
}

void reply_redirect(struct server_conn *conn, int status, const struct buf *location)
{
    struct buf extra;
    struct buf body;
    buf_init(&extra, 2 * SERVER_HEAD_MAX);
    buf_init(&body, 64);
    buf_printf(&extra, "Location: %.*s\r\n", STR_FMT(buf_str(location)));
    if (buf_status(location) != 0 || buf_status(&extra) != 0)
        server_reply_text(conn, 503, "out of memory\n");
    else
        server_reply(conn, status, STR_NULL, buf_str(&extra), &body);
    buf_fini(&extra);
}

void reply_not_allowed(struct server_conn *conn, const char *allow)
{
    struct buf extra;
    struct buf body;
    buf_init(&extra, 256);
    buf_init(&body, 64);
    buf_printf(&extra, "Allow: %s\r\n", allow);
    buf_append_cstr(&body, "not allowed\n");
    server_reply(conn, 405, TYPE_TEXT, buf_str(&extra), &body);
    buf_fini(&extra);
}

void reply_not_found(struct server_conn *conn)
{
    server_reply_text(conn, 404, "404 page not found\n");
}

void reply_asset(struct server_conn *conn, struct str name)
{
    const struct asset *asset = asset_find(name);
    if (asset && !str_eq(name, STR("index.html"))) // which is no file but a template
        server_reply_static(conn, 200, asset->type, STR_NULL, asset->bytes);
    else
        reply_not_found(conn);
}

static void append_html(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("&<>\"'", text.ptr[i]) || (unsigned char)text.ptr[i] < 0x20)
            buf_printf(out, "&#%d;", text.ptr[i]);
        else
            buf_append_char(out, text.ptr[i]);
    }
}

void reply_page(struct server_conn *conn, struct str base)
{
    const struct asset *page = asset_find(STR("index.html"));
    BUG_ON(!page); // it is built in
    struct buf out;
    buf_init(&out, SERVER_ANSWER_MAX);
    struct str rest = page->bytes;
    for (ptrdiff_t at; (at = str_find(rest, BASE_MARK)) >= 0;) {
        buf_append_str(&out, str_upto(rest, (size_t)at));
        append_html(&out, base);
        rest = str_from(rest, (size_t)at + BASE_MARK.len);
    }
    buf_append_str(&out, rest);
    server_reply(conn, 200, page->type, STR_NULL, &out);
}
