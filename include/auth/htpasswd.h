// SPDX-License-Identifier: Apache-2.0
// The users of one htpasswd file and the check of a password. A set is made by whoever watches the
// file (the control thread), is immutable from then on, and may be read and released on any thread;
// who changes the file makes a new set. Passwords are compared in constant time, and for an unknown
// user a check of the same cost is made, so that the time of an answer names nobody.
//
// A line is user:password, the password as fabio knows it: $apr1$ and $1$ (MD5), {SHA}, {SSHA},
// $2a$ $2b$ $2x$ $2y$ (bcrypt), $5$ and $6$ (SHA crypt), anything else as it stands, with or
// without {PLAIN} in front. Empty lines and those that begin with # say nothing. Of two lines for
// one user the later counts.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"

struct htpasswd;

enum {
    HTPASSWD_FILE_MAX = 16 << 20,
    HTPASSWD_BCRYPT_COST_MAX = 16,          // some 4 s of CPU
    HTPASSWD_SHA_ROUNDS_MAX = 10 * 1000000, // likewise
};

// A line that is left out; the reason never quotes it.
typedef void (*htpasswd_bad_line_fn)(void *ctx, uint32_t line, const char *reason);

// Copies what it needs of the text. on_bad_line may be NULL. NULL when memory is short.
MUST_CHECK struct htpasswd *htpasswd_parse(struct str text, htpasswd_bad_line_fn on_bad_line,
                                           void *ctx);
// Reads a file. NULL and err when that cannot be done.
MUST_CHECK struct htpasswd *htpasswd_load(const char *path, htpasswd_bad_line_fn on_bad_line,
                                          void *ctx, struct err *err);
struct htpasswd *htpasswd_ref(struct htpasswd *set);
// Frees at zero. NULL is ignored.
void htpasswd_unref(struct htpasswd *set);
size_t htpasswd_count(const struct htpasswd *set);

// Whether the check takes so long (0.1 ms to seconds of CPU) that an event loop should not make it.
bool htpasswd_is_slow(const struct htpasswd *set, struct str user);
// Whether the user is known and this is the password.
MUST_CHECK bool htpasswd_verify(const struct htpasswd *set, struct str user, struct str password);

// What the verdict on a user rests on, beside the password: the line's password text, or one that
// stands in for it when the user is unknown (*is_known false). Who remembers verdicts keys them by
// this, so that a changed line is asked anew and an unchanged one is not.
struct str htpasswd_secret(const struct htpasswd *set, struct str user, bool *is_known);
