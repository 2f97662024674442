// SPDX-License-Identifier: Apache-2.0
// What is wrong with the text of an override, as the parser that reads it in earnest says. Control
// thread; pure.
#pragma once

#include "base/buf.h"
#include "base/str.h"

enum { CHECK_ERRORS_MAX = 500 }; // listed; all are counted

// Appends {"commands": n, "wrong": n, "errors": [{"line": 1, "text": "...", "error": "..."}]}.
void check_write(struct buf *out, struct str text);
