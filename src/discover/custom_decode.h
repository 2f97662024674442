// SPDX-License-Identifier: Apache-2.0
// The answer of a custom backend to route commands: an array of
// {"cmd","service","src","dst","weight","tags","opts"}. As fabio reads it (names in any case, null
// for absent, later of equal names), and more: tags and opts may be texts as in a command, values
// of opts may be true, false or whole numbers. Pure; no I/O, no logging.
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "route/command.h"

enum {
    CUSTOM_ELEMENTS_MAX = 500 * 1000,
    CUSTOM_PARTS_MAX = 1000, // tags, and options, of one element
};

struct custom_answer {
    struct command_list *commands; // owned
    struct buf text;               // the commands as lines; owned
    size_t elements;
    size_t bad_elements;
};

// Called for each element that is lost; text is what is known of it as a command line.
typedef void (*custom_problem_fn)(void *ctx, size_t index, struct str text, const char *reason);

// origin names the source for people. 0, then the answer is to be ended with custom_answer_fini.
// ERR_INVALID (also when no element of several is usable), ERR_TOO_LARGE or ERR_NOMEM with err:
// nothing is left to free.
MUST_CHECK int custom_decode(struct str body, struct str origin, struct custom_answer *answer,
                             custom_problem_fn on_problem, void *ctx, struct err *err);
void custom_answer_fini(struct custom_answer *answer);
