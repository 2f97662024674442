// SPDX-License-Identifier: Apache-2.0
// Random definitions, commands and whole texts of the route language, for comparisons of the route
// layer with the naive model, and of tagway with fabio (print_texts.c). Equal seeds give equal
// texts.
#pragma once

#include "base/rng.h"
#include "model.h"

// A definition as tags give it, in plain words, up or down.
void generate_definition(struct rng *rng, struct model_line *line);
// A command in plain words: few of each kind, so that commands meet what others added.
void generate_command(struct rng *rng, struct model_line *line);

enum { GENERATE_LINES_MAX = 16 };

// One text in the whole language: all forms of all commands, weights, tags, options and
// destinations in every spelling, comments, odd white space.
struct generate_text {
    // Also what fabio answers in a way of its own: bad lines, and hosts of `del` and `weight` in
    // upper case.
    bool has_differences;
    // Above 0: services, tags and keys of routes carry this number, so that many texts can stand in
    // one table without touching one another.
    unsigned number;
};
// Fills lines (GENERATE_LINES_MAX of them); returns how many.
size_t generate_text(struct rng *rng, const struct generate_text *how, struct model_line *lines);
// The lines as text, each with its line feed. Returns the length.
size_t generate_print(const struct model_line *lines, size_t count, char *out, size_t room);
