// SPDX-License-Identifier: Apache-2.0
// What the route tests share: definitions from a few words, tables from command text, a binding
// that counts, and problems as text.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "route/routes.h"
#include "route/tag.h"

// Counts what is bound; target pointers lead nowhere.
struct bindings {
    int64_t bound;
    int64_t total;
    int64_t fail_after; // binds that succeed; < 0: all
};

struct routes_binding binding_of(struct bindings *bindings);

// Routes with the default configuration but for what is set in config (may be NULL).
struct routes *routes_make(struct bindings *bindings, const struct routes_config *config);
// Sets `text` as manual commands; no line may be bad.
void routes_set_text(struct routes *routes, const char *text);
// Builds; the test fails when that fails. NULL when nothing changed.
struct table *routes_build_now(struct routes *routes);
// As above, with the problems in `problems`, one line each: "lost|kept <text>: <reason>".
struct table *routes_build_noting(struct routes *routes, struct buf *problems);

// A definition from a command line "route add ...", for instance "i".
struct route_def *def_make(const char *line);
struct route_def *def_make_down(const char *line, enum route_health health, const char *instance);
// Sets one service to the lines given, ended by NULL.
void routes_set_lines(struct routes *routes, const char *key, const char *const *lines);

// "host path service dst" of what a lookup gives first, or "-".
void assert_lookup(const struct table *table, const char *host, const char *path, bool is_tls,
                   const char *expected_src);
void assert_printed(const struct table *table, const char *expected);
