// SPDX-License-Identifier: Apache-2.0
// Runs libcurl transfers on a uv loop: one curl multi handle, a uv_poll per socket, one uv_timer
// for curl's timeouts. Knows nothing of HTTP or Consul. Control thread only. The caller owns the
// easy handles.
#pragma once

#include <curl/curl.h>

#include "base/attr.h"

struct uv_loop_s;
struct curl_loop;

// A transfer has ended; the handle is already removed from the loop and belongs to the callee.
typedef void (*curl_done_fn)(void *ctx, CURL *easy, CURLcode result);

// max_connections: never more open at once; further transfers wait. NULL when memory is short.
MUST_CHECK struct curl_loop *curl_loop_new(struct uv_loop_s *loop, long max_connections,
                                           curl_done_fn on_done, void *ctx);
// All transfers must have been removed. Frees itself once its handles are closed, then on_closed.
void curl_loop_close(struct curl_loop *curl, void (*on_closed)(void *ctx), void *ctx);

// 0 or ERR_NOMEM.
MUST_CHECK int curl_loop_add(struct curl_loop *curl, CURL *easy);
// Takes a running transfer out; no callback comes for it.
void curl_loop_remove(struct curl_loop *curl, CURL *easy);
