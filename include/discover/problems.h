// SPDX-License-Identifier: Apache-2.0
// What is wrong with the input: tags, KV lines, files, services and Consul itself. Shown by
// /api/problems, the UI and a metric. Problems belong to a scope (one service, one KV text);
// whoever reads that scope anew replaces its problems as a whole, and a problem that is still there
// keeps its `since`. Control thread only. Bounded: PROBLEMS_MAX rows, further ones are only
// counted.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/str.h"

enum { PROBLEMS_MAX = 1000 };

struct problem {
    struct str source;   // "consul", "manual", "file", "table"
    struct str service;  // may be empty
    struct str instance; // "node/service-id", "fabio/config line 3"; may be empty
    struct str text;     // the tag or line as written, cut at 256 bytes
    struct str reason;
    bool is_lost;      // false: a warning, the thing is used all the same
    uint64_t since_us; // wall clock
};

struct problems;

MUST_CHECK struct problems *problems_new(void);
void problems_free(struct problems *problems);

// begin ... add ... end replaces the problems of one scope. Scopes must not nest.
void problems_begin(struct problems *problems, struct str scope);
void problems_add(struct problems *problems, const struct problem *problem);
void problems_end(struct problems *problems);
// As begin and end without add.
void problems_clear(struct problems *problems, struct str scope);

// Rows, oldest first; index < problems_count.
size_t problems_count(const struct problems *problems);
const struct problem *problems_at(const struct problems *problems, size_t index);
// All problems, those beyond PROBLEMS_MAX included.
uint64_t problems_total(const struct problems *problems);
// Counts up with each change; for the UI.
uint64_t problems_version(const struct problems *problems);
