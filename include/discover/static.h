// SPDX-License-Identifier: Apache-2.0
// The backends without a registry: `static` (route commands from the configuration) and `file`
// (route commands from a file that is watched; a version with any bad line is rejected as a whole,
// the old one kept and the reason reported). Control thread only.
#pragma once

#include "discover/backend.h"
#include "route/command.h"

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

// Other routes or files from now on (and config instead of the one before). An error says that
// what was served before is served on; a file is tried again when it changes. Of the backends that
// the two functions above made.
MUST_CHECK int static_backend_set_config(struct backend *backend,
                                         const struct static_config *config, struct err *err);
MUST_CHECK int file_backend_set_config(struct backend *backend, const struct file_config *config,
                                       struct err *err);

// Reads both files and judges the routes, without a backend: on_problem is called for each bad
// line. A file that cannot be read is an error, as at start.
MUST_CHECK int file_config_check(const struct file_config *config, command_problem_fn on_problem,
                                 void *ctx, struct err *err);
