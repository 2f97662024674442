// SPDX-License-Identifier: Apache-2.0
// The metrics that fabio has, as numbers without a form: what they count, their labels in fabio's
// order, what they stand at. The exporters give them names and a form. Control thread.
#pragma once

#include "admin/admin.h"
#include "admin/sampler.h"
#include "stats/prom.h"

enum series_kind { SERIES_COUNTER, SERIES_GAUGE, SERIES_TIMER };

// name (fabio's), kind, help
#define SERIES_FAMILIES(X)                                                               \
    X(REQUESTS, "requests", SERIES_TIMER, "Requests and websocket sessions by service.") \
    X(STATUS, "http.status", SERIES_TIMER,                                               \
      "The same by status code: 101 a websocket session, 499 given up by the client.")   \
    X(REDIRECTS, "http.redirect.count", SERIES_COUNTER, "Redirects answered, by code.")  \
    X(NOT_FOUND, "notfound", SERIES_COUNTER, "Requests without a route.")                \
    X(WEBSOCKETS, "ws.conn", SERIES_GAUGE, "Websocket connections open now.")            \
    X(ROUTE, "route", SERIES_TIMER, "Requests and websocket sessions by target.")

enum series_family {
#define X(id, name, kind, help) SERIES_##id,
    SERIES_FAMILIES(X)
#undef X
        SERIES_FAMILY_COUNT,
};

struct series {
    enum series_family family;
    struct prom_label labels[4];
    unsigned label_count;
    uint64_t value;              // counter, gauge
    const struct hist_sum *hist; // timer: since the start
    uint64_t sum_us;
};

struct series_input {
    const struct admin_sources *sources;
    const struct sampler *sampler; // read just before
};

const char *series_name(enum series_family family);
const char *series_help(enum series_family family);
enum series_kind series_kind(enum series_family family);

// Calls fn with each series of the family, which is not SERIES_ROUTE; what it is given is valid
// only inside.
void series_each(const struct series_input *input, enum series_family family,
                 void (*fn)(void *ctx, const struct series *series), void *ctx);
// The target's series of SERIES_ROUTE, without its histogram and sum.
void series_of_target(struct series *series, const struct target *target);
// hist += all that ended at the target; returns the sum in us.
uint64_t series_add_target(struct hist_sum *hist, const struct target *target,
                           unsigned worker_count);
