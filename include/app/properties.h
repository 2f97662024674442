// SPDX-License-Identifier: Apache-2.0
// Java-style properties as fabio reads them: comments with # and !, `key = value`, `key: value` or
// `key value`, continuation lines, escapes, ${name} for another property or an environment
// variable. Unlike there, trailing blanks of a value are no part of it. Used by app/options. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

enum {
    PROPERTIES_MAX = 1024 * 1024
}; // bytes of a file, and of all values with a reference, expanded

struct property {
    struct str key;
    struct str value; // expanded
    uint32_t line;    // 1-based, where its key stands
    bool is_variable; // some other value refers to it
};

struct properties {
    struct property *items; // in order of their lines; of equal keys only the last is kept
    size_t count;
};

// Parses a whole text. The strings lie in the arena. ERR_INVALID with "line 3:
// ...", ERR_TOO_LARGE or ERR_NOMEM.
MUST_CHECK int properties_parse(struct arena *arena, struct str text, char *const *environ_list,
                                struct properties *properties, struct err *err);
// NULL when there is none.
const struct property *properties_find(const struct properties *properties, struct str key);
