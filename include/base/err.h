// SPDX-License-Identifier: Apache-2.0
// Error codes and, where a person will read it, error text. Functions return 0 or one of the
// negative codes; `struct err` carries words for configuration, tags and Consul and is wrapped with
// context on its way up ("tag urlprefix-/x: weight: not a number"). Pure; safe on any thread.
#pragma once

#include <stdarg.h>

#include "base/attr.h"

// One row per code: name, negative value, text. A code without a text cannot exist.
#define ERR_LIST(X)                          \
    X(ERR_NOMEM, -1, "out of memory")        \
    X(ERR_AGAIN, -2, "more input is needed") \
    X(ERR_INVALID, -3, "invalid input")      \
    X(ERR_TOO_LARGE, -4, "too large")        \
    X(ERR_NOT_FOUND, -5, "not found")        \
    X(ERR_UNSUPPORTED, -6, "not supported")  \
    X(ERR_CONFLICT, -7, "conflict")          \
    X(ERR_TIMEOUT, -8, "timed out")          \
    X(ERR_REFUSED, -9, "refused")            \
    X(ERR_IO, -10, "input/output error")     \
    X(ERR_LIMIT, -11, "limit reached")       \
    X(ERR_DENIED, -12, "permission denied")  \
    X(ERR_CLOSED, -13, "closed")

enum err_code {
#define X(name, value, text) name = value,
    ERR_LIST(X)
#undef X
};

// Text of a code; never NULL.
const char *err_text(int code);

struct err {
    int code;       // one of err_code, or 0
    char text[256]; // one line, terminated, cut at its end when longer
};

// Sets code and text and returns the code, so that `return err_set(err, ERR_INVALID, "...")` reads
// well. `err` may be NULL when nobody wants the text.
int err_set(struct err *err, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

// Puts "<context>: " in front of the text. Returns the code that is already there.
int err_wrap(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
