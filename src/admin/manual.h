// SPDX-License-Identifier: Apache-2.0
// /api/paths and /api/manual: routes that people write, kept by the registry (Consul KV), as in
// Manual overrides, as fabio serves them. The only part of the admin that changes anything. Control
// thread.
#pragma once

#include "admin/api.h"

// Answers when `path` (without base) is one of them and the backend has overrides; else false.
bool manual_handle(struct api *api, struct server_conn *conn, const struct server_request *request,
                   struct str path);
