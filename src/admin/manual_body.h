// SPDX-License-Identifier: Apache-2.0
// What a request about a document of overrides says: its body when it is written, and which
// document is meant. Used by admin/manual.c on the control thread. Pure.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

struct cJSON;

// {"value": "...", "version": "..."}; without a version "0".
struct manual_body {
    struct str value; // in json, as is version
    struct str version;
    struct cJSON *json; // owned
};

// False when the text is none. To be ended with manual_body_fini in either case.
bool manual_body_read(struct manual_body *body, struct str text);
void manual_body_fini(struct manual_body *body);

// Appends the value of path= in a query, percent-decoded. False when there is none or it is
// malformed.
bool manual_path_read(struct str query, struct buf *out);
