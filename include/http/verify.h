// SPDX-License-Identifier: Apache-2.0
// Proof that a composed head says what it should: it is parsed again, strictly, and compared with
// the message it was made from. Fuzzers and tests call it on every output; the proxy does in builds
// without NDEBUG. Pure; not on the fast path.
#pragma once

#include <stdbool.h>

#include "http/compose.h"
#include "http/head.h"

// Whether out[0..len) is exactly one request head with the method, target, Host, framing and
// upgrade intended, with every end-to-end field of `head` in its order and no field that neither
// came from there nor is ours.
MUST_CHECK bool http_verify_request(const struct http_head *head,
                                    const struct http_forward *forward,
                                    const struct http_compose_config *config, const char *out,
                                    size_t len);

// The same for a response head composed for a client whose request had the method `request`.
MUST_CHECK bool http_verify_response(const struct http_head *head, const struct http_answer *answer,
                                     enum http_method request, const char *out, size_t len);
