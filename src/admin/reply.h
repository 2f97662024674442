// SPDX-License-Identifier: Apache-2.0
// The kinds of answers that several endpoints give. `head` is gone once an answer is given. Control
// thread.
#pragma once

#include "admin/server.h"

#define TYPE_JSON STR("application/json; charset=utf-8")
#define TYPE_TEXT STR("text/plain; charset=utf-8")

// Whether the query has the key, with or without a value.
bool reply_has_param(const struct http_head *head, struct str key);

// 200 with the JSON text, which is taken over; indented as fabio's ?pretty does when is_pretty.
void reply_json(struct server_conn *conn, bool is_pretty, struct buf *json);
void reply_redirect(struct server_conn *conn, int status, const struct buf *location);
// 405 with fabio's text; `allow` lists the methods that are ("GET, PUT").
void reply_not_allowed(struct server_conn *conn, const char *allow);
void reply_not_found(struct server_conn *conn);
// A file of the UI, or 404.
void reply_asset(struct server_conn *conn, struct str name);
// The UI's page, whose addresses begin with `base` (admin_config.path).
void reply_page(struct server_conn *conn, struct str base);
