// SPDX-License-Identifier: Apache-2.0
// Cuts a JSON array or object of any length into its elements while it arrives, so that no tree of
// a whole answer is ever built: memory is bounded by the largest element. Checks the bracket
// structure, the nesting depth and the commas between elements; the elements themselves are checked
// by whoever parses them. Pure; one splitter per text.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/str.h"

enum {
    JSON_DEPTH_MAX = 32,
    JSON_ELEMENT_MAX = 32 * 1024 * 1024,
};

// One element: `{...}` of an array, `"key": value` of an object, without surrounding space. A
// negative return value ends the text with that error.
typedef int (*json_element_fn)(void *ctx, struct str element);

struct json_split {
    char open; // '[' or '{': what the text must be
    int phase;
    unsigned depth;
    bool is_in_string;
    bool is_escaped;
    size_t elements;
    struct buf carry; // start of an element that has not ended yet; owned
    json_element_fn on_element;
    void *ctx;
};

void json_split_init(struct json_split *split, char open, json_element_fn on_element, void *ctx);
void json_split_fini(struct json_split *split);
// Takes the next bytes. 0, ERR_INVALID, ERR_TOO_LARGE, ERR_NOMEM or the callback's error; after an
// error the splitter must not be fed again.
MUST_CHECK int json_split_feed(struct json_split *split, struct str bytes);
// At the end: ERR_INVALID unless the text was complete.
MUST_CHECK int json_split_finish(const struct json_split *split);

// init, feed, finish and fini over a complete text.
MUST_CHECK int json_split_all(struct str text, char open, json_element_fn on_element, void *ctx);
