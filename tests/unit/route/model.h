// SPDX-License-Identifier: Apache-2.0
// The naive model of routing: every line is text, a table is a list of targets, everything is
// searched from the start. Shares no code with the route layer, so that agreement means something.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { MODEL_LINES_MAX = 64, MODEL_TEXT_MAX = 256, MODEL_TAGS_MAX = 4 };

// One line of a service or of the manual commands, in words as well.
struct model_line {
    enum { LINE_ADD, LINE_DEL, LINE_WEIGHT, LINE_WITHOUT_EFFECT } kind;
    char service[16]; // "" in a command: any
    char src[48];     // as written; "" in `del`: any
    char dst[48];     // as written; "" in `del`: any
    char weight[8];   // as written; "": none
    char tags[40];    // "x, y"; "": none
    char opts[48];    // "": none
    bool is_up;
    // Between words, and in front of the line and behind it; "" stands for one space and nothing.
    char gap[8], edge[4];
    char text[96]; // the whole line where it has no effect: a comment, a blank, a bad command
};

// Writes the line as it would be written by hand.
void model_line_text(const struct model_line *line, char *out, size_t room);

struct model_target {
    const struct model_line *line;
    char host[48];
    char path[48];
    char dst[96]; // as printed
    char tags[MODEL_TAGS_MAX][16];
    size_t tag_count;
    double fixed;
    double weight;
    bool is_up;
};

struct model {
    struct model_target at[MODEL_LINES_MAX]; // in the order in which they were added
    size_t count;
};

// fabio's algorithm: service lines sorted descending, then the manual ones in their order.
void model_build(struct model *model, const struct model_line *services, size_t service_count,
                 const struct model_line *manual, size_t manual_count);
// As `?raw`, with targets of one route together; out is terminated.
void model_print(const struct model *model, char *out, size_t room);
// The first target of the route that a request takes, or NULL; is_ignoring_case: the path matcher.
const struct model_target *model_lookup(const struct model *model, const char *host,
                                        const char *path, bool is_ignoring_case);
// Targets of one route: all, and those that are up.
size_t model_route_count(const struct model *model, const struct model_target *of, bool only_up);
