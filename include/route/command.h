// SPDX-License-Identifier: Apache-2.0
// The route command language (`route add | del | weight`, docs/routing.md, "Commands"): text to a
// list of commands. A bad line loses only itself and is reported with its number. Control thread;
// pure.
#pragma once

#include "base/err.h"
#include "base/str.h"
#include "route/def.h"

enum command_kind { COMMAND_ADD, COMMAND_DEL, COMMAND_WEIGHT };

struct command {
    enum command_kind kind;
    uint32_t line;         // 1-based, in its origin
    struct str text;       // the line as written, trimmed
    struct route_def *def; // ADD: owned reference
    // DEL, WEIGHT: an empty service/dst and has_src == false match everything.
    struct str service;
    bool has_src;
    struct str host; // lower case
    struct str path;
    struct str dst;
    double weight; // WEIGHT: share of the whole group; <= 0 makes it dynamic again
                   // (with routes_config.is_weight_zero_none only < 0 does)
    struct str *tags;
    size_t tag_count;
};

struct command_list; // owns its commands and their strings

enum { COMMAND_LINE_MAX = 64 * 1024 }; // bytes; a longer line is lost

// Called for each line that is lost, with the origin and number of the line, its text and what is
// wrong with it ("syntax error: 'route add' invalid").
typedef void (*command_problem_fn)(void *ctx, struct str origin, uint32_t line, struct str text,
                                   const char *reason);

// Parses a whole text; `origin` names it for people ("routes.txt"). An empty origin stands for a
// text of several KV keys: behind a line `# --- KEY` the origin is "kv KEY", and lines are counted
// from there. NULL only when memory is short.
MUST_CHECK struct command_list *command_list_parse(struct str text, struct str origin,
                                                   command_problem_fn on_problem, void *ctx);
void command_list_free(struct command_list *list);

// For commands that come in parts instead of as text: an empty list, NULL when memory is short.
MUST_CHECK struct command_list *command_list_new(void);
// Appends one command. Of the spec of DEL and WEIGHT the service, src, dst, weight, tags and
// source_text count; an empty src means everywhere. 0; ERR_INVALID with the reason, or ERR_NOMEM:
// the list is as before.
MUST_CHECK int command_list_add(struct command_list *list, enum command_kind kind,
                                const struct route_def_spec *spec, uint32_t line, struct err *err);
size_t command_list_count(const struct command_list *list);
const struct command *command_list_at(const struct command_list *list, size_t index);
