// SPDX-License-Identifier: Apache-2.0
// The custom backend (registry.backend=custom): route commands as a JSON array that an HTTP server
// is asked for at an interval (docs/routing.md, "Custom backend"). An answer that cannot be used
// changes nothing; a bad element loses only itself. Control thread only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "discover/backend.h"

struct custom_config {
    bool is_plain;           // http instead of https
    struct str host;         // host[:port]
    struct str path;         // without leading slash
    struct str query_params; // empty: none; a secret
    struct str noroute_html;
    bool skips_tls_verify;
    uint32_t timeout_ms;       // of one request; 0: none
    uint32_t poll_interval_ms; // above 0
};

// Borrows all; they must outlive the backend. NULL and err when memory is short.
MUST_CHECK struct backend *custom_backend_new(struct uv_loop_s *loop,
                                              const struct custom_config *config, struct feed *feed,
                                              struct problems *problems, struct err *err);
