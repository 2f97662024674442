// SPDX-License-Identifier: Apache-2.0
// Who may see the admin pages: the users of an htpasswd file (ui.auth), by HTTP basic
// authentication. Owns the users and re-reads them when the file changes. Slow hashes are checked
// on the loop's thread pool, one at a time, and a password found right is remembered. Control
// thread.
#pragma once

#include "admin/admin.h"
#include "admin/server.h"

struct uv_loop_s;
struct login;

enum {
    LOGIN_WAITING_MAX = 64, // requests whose password is not checked yet
};

// Reads the file. NULL and err when it cannot be read or memory is short.
MUST_CHECK struct login *login_open(struct uv_loop_s *loop, const struct admin_login *config,
                                    struct err *err);
// As login_close, for another login that is asked from now on: the requests that wait come again.
void login_replace(struct login *login, void (*on_closed)(void *ctx), void *ctx);
// Checks no more; frees itself, then on_closed. Before the server's memory goes.
void login_close(struct login *login, void (*on_closed)(void *ctx), void *ctx);

// What it goes by from now on, with the same meaning.
void login_set_config(struct login *login, const struct admin_login *config);

// True: the request may go on. False: it has been answered, or it comes again (server_ask_again)
// once its password is checked.
bool login_admit(struct login *login, struct server_conn *conn, const struct http_head *head);
