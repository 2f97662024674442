// SPDX-License-Identifier: Apache-2.0
// Which content types are compressed (proxy.gzip.contenttype): a regular expression, searched for
// anywhere in a response's Content-Type. Compiled once, at start, into the options' arena and
// immutable from then on; each worker matches with memory of its own.
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum { GZIP_TYPE_MAX = 256 }; // a longer Content-Type matches nothing

struct arena;
struct gzip_types;
struct gzip_matcher;

// 0, or ERR_INVALID with what is wrong with the expression, or ERR_NOMEM.
MUST_CHECK int gzip_types_compile(struct arena *arena, struct str expression,
                                  const struct gzip_types **types, struct err *err);

// NULL when memory is short.
MUST_CHECK struct gzip_matcher *gzip_matcher_new(const struct gzip_types *types);
void gzip_matcher_free(struct gzip_matcher *matcher);
// False also when the expression needs more work than a response may cost.
bool gzip_matcher_matches(struct gzip_matcher *matcher, struct str content_type);
