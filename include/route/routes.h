// SPDX-License-Identifier: Apache-2.0
// The write side of routing: the set of definitions per service, the manual commands on top, and
// the building of table versions. A build redoes only the hosts that a change touched; all other
// host nodes are shared with the version before. Control thread only; pure (no I/O, no locks).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "route/command.h"
#include "route/def.h"
#include "route/table.h"

struct routes;

struct routes_config {
    enum route_matcher matcher;
    enum route_strategy strategy;
    bool are_globs_disabled;      // glob.matching.disabled: hosts compare literally
    const struct str *auth_names; // schemes that auth= may name, auth_count of them; borrowed
    size_t auth_count;
    bool is_weight_zero_none; // proxy.weightzero=none: weight=0 means no traffic instead of dynamic
};

// With 100,000 targets what is looked up for them is in no cache, and waiting for it would be half
// of a build: so many are bound together, and may be of several routes.
enum { ROUTES_BIND_TOGETHER = 32 };

struct routes_unbound {
    struct route_target *target; // with its definition
    uint64_t hash;               // of service, host, path and destination
};

// How targets come and go. bind gives each of up to ROUTES_BIND_TOGETHER the target behind it (a
// borrowed pointer that stays valid until the matching unbind). 0, or ERR_NOMEM: those left without
// are NULL, and the build fails. Each target given is matched by one unbind when the last table
// with it is freed. expect (may be NULL) says how many targets more a build may bind.
struct routes_binding {
    void (*expect)(void *ctx, size_t count);
    int (*bind)(void *ctx, const struct routes_unbound *unbound, size_t count);
    void (*unbind)(void *ctx, struct target *target);
    void *ctx;
};

// Something that loses one definition but is found only when tables are built (a bad host glob, a
// duplicate with different options, `route weight` without a match).
typedef void (*routes_problem_fn)(void *ctx, const struct route_def *def, struct str text,
                                  const char *reason, bool is_lost);

MUST_CHECK struct routes *routes_new(const struct routes_config *config,
                                     const struct routes_binding *binding);
// All tables must have been freed before. What the newest one had bound is unbound here.
void routes_free(struct routes *routes);

// Another matcher, strategy, meaning of weight=0 and other schemes from the next build on, which
// makes everything anew. are_globs_disabled stays as it was. What the configuration before had
// borrowed may go.
void routes_set_config(struct routes *routes, const struct routes_config *config);

// Replaces all definitions of one service (key: service name, or "dc/ns/service" when there are
// several). Takes new references; the caller keeps its own. count 0 removes the service. Cheap when
// nothing changed. 0 or ERR_NOMEM (then nothing changed).
MUST_CHECK int routes_set_service(struct routes *routes, struct str key,
                                  struct route_def *const *defs, size_t count);
// Puts the definitions that are kept in the place of equal ones among defs, which must be what was
// set last: what has not changed since an earlier set is then there once, also for whoever keeps
// definitions beside. Their order stays.
void routes_share_defs(const struct routes *routes, struct str key, struct route_def **defs,
                       size_t count);
// Replaces the manual commands, which act on the table that the services give. Takes the list over,
// also on failure. NULL removes them. 0 or ERR_NOMEM (then nothing changed).
MUST_CHECK int routes_set_manual(struct routes *routes, struct command_list *commands);

// Whether a build would give something new.
bool routes_is_dirty(const struct routes *routes);
// Builds the next version. *table is NULL when the content is equal to the last build (nothing to
// publish). on_problem (may be NULL) hears of all that is wrong now, also in routes that did not
// change. 0 or ERR_NOMEM (the old table stays valid, the work is still dirty, on_problem heard
// nothing).
MUST_CHECK int routes_build(struct routes *routes, struct table **table,
                            routes_problem_fn on_problem, void *ctx);
// Frees one version once no worker can read it any more. The newest one may be freed too.
void table_free(struct table *table);
