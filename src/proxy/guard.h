// SPDX-License-Identifier: Apache-2.0
// Who may use a route: its access rules against the addresses a request has come from. Asked by
// forward.c with worker->request_head, before anything is sent or answered for the route.
#pragma once

#include <stdbool.h>

#include "http/head.h"
#include "proxy/config.h"
#include "route/def.h"

struct stream;

// Whether the access rules let the request pass: the peer's address must be permitted, and, from a
// trusted peer, every address in X-Forwarded-For too. What an untrusted peer says there counts for
// nothing.
bool guard_permits(const struct route_def *def, const struct http_head *head,
                   const struct stream *stream, const struct proxy_config *config);
