// SPDX-License-Identifier: Apache-2.0
// Host and path patterns in fabio's dialect (gobwas without separators): `*` and `**` any run, `?`
// one character, [abc] [!abc] [a-z], {a,b} nestable, \c literal; whole-text match. Compiled once,
// matched in time linear in text times pattern, never by backtracking. Compiled patterns are
// immutable and may be matched on any thread. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct glob;

// Whether the text has any pattern character at all.
bool glob_is_pattern(struct str text);
// Compiles a pattern of at most 1 KB of UTF-8; NULL and err (ERR_INVALID with the reason,
// ERR_NOMEM).
MUST_CHECK struct glob *glob_new(struct str pattern, struct err *err);
void glob_free(struct glob *glob);
// Literal text that every match ends with; may be empty. Lives as long as the glob.
struct str glob_tail(const struct glob *glob);
// Which characters a text holds, as bits: a text that lacks some of those a pattern needs does not
// match it. Much cheaper than glob_match where one text is compared with many patterns.
uint64_t glob_chars(struct str text);
uint64_t glob_needs(const struct glob *glob);
// Stack: 16 KB. Texts are taken as UTF-8; a byte that is not counts as a character.
bool glob_match(const struct glob *glob, struct str text);
