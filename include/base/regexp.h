// SPDX-License-Identifier: Apache-2.0
// Regular expressions that operators write (content types to compress, names and addresses of
// interfaces), searched for anywhere in a text. Whatever an expression is, to compile or match it
// takes a few milliseconds and some hundred KB at most. Compiled on the main thread into the
// caller's arena and immutable from then on; each thread matches with memory of its own.
#pragma once

#include <stdbool.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

enum {
    REGEXP_MAX = 4096,        // a longer expression is refused
    REGEXP_NESTING_MAX = 250, // and so is one with more parentheses in each other
    REGEXP_TEXT_MAX = 256,    // a longer text matches nothing
};

struct arena;
struct regexp;
struct regexp_matcher;

// 0, or ERR_INVALID with what is wrong with the expression and where, or ERR_NOMEM.
MUST_CHECK int regexp_compile(struct arena *arena, struct str expression, const struct regexp **out,
                              struct err *err);

// For one thread; the expression has to outlive it. NULL when memory is short.
MUST_CHECK struct regexp_matcher *regexp_matcher_new(const struct regexp *regexp);
// NULL is ignored.
void regexp_matcher_free(struct regexp_matcher *matcher);
// False also when the expression needs more work than a text may cost.
bool regexp_matcher_matches(struct regexp_matcher *matcher, struct str text);
