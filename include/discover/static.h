// SPDX-License-Identifier: Apache-2.0
// The backends without a registry: `static` (route commands from the configuration) and `file`
// (route commands from a file that is watched; a version with any bad line is rejected as a whole,
// the old one kept and the reason reported). Control thread only.
#pragma once

#include "discover/backend.h"

struct static_config {
    struct str routes;       // registry.static.routes
    struct str noroute_html; // registry.static.noroutehtml
};

struct file_config {
    struct str path;              // registry.file.path
    struct str noroute_html_path; // registry.file.noroutehtmlpath; empty: none
};

MUST_CHECK struct backend *static_backend_new(const struct static_config *config, struct feed *feed,
                                              struct err *err);
MUST_CHECK struct backend *file_backend_new(struct uv_loop_s *loop,
                                            const struct file_config *config, struct feed *feed,
                                            struct problems *problems, struct err *err);
