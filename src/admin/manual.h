// SPDX-License-Identifier: Apache-2.0
// Manual overrides: routes that people write, kept by the registry (Consul KV). /api/paths,
// /api/manual and /manual are fabio's. /api/override?path= reads and writes any document, also
// those whose name fabio's addresses cannot carry; /api/override/check says what is wrong with a
// text. The only part of the admin that changes anything. Control thread.
#pragma once

#include "admin/api.h"

// Answers when `path` (without base) is one of them; else false.
bool manual_handle(struct api *api, struct server_conn *conn, const struct server_request *request,
                   struct str path);
// Whether the registry keeps overrides.
bool manual_has_backend(const struct admin_sources *sources);
