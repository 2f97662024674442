// SPDX-License-Identifier: Apache-2.0
// Texts of option values to typed values, in the dialect of Go's flag package that fabio's users
// write: durations, integers, booleans, lists, and the key-value lists of listeners. Used by
// app/options. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// "1h2m3.5s", "300ms", "0"; units ns, us (also with a micro sign), ms, s, m, h; nanoseconds. A bare
// number other than 0 has no meaning and is refused. False when it is not a duration or overflows.
MUST_CHECK bool value_to_duration_ns(struct str text, int64_t *ns);
// The same in milliseconds, rounded up so that a short duration never becomes "none". False also
// when it is negative or above 32 bits.
MUST_CHECK bool value_to_duration_ms(struct str text, uint32_t *ms);
// Decimal, 0x, 0o, 0b or a leading 0 for octal, optional sign, `_` between digits.
MUST_CHECK bool value_to_int(struct str text, int64_t *value);
// 1 t T TRUE true True and 0 f F FALSE false False.
MUST_CHECK bool value_to_bool(struct str text, bool *value);
// A finite decimal number; NULL-terminated text is not needed.
MUST_CHECK bool value_to_double(struct str text, double *value);

// Next member of a comma list, trimmed; empty members are skipped. False at the end.
bool value_list_next(struct str *rest, struct str *member);

// One entry of a key-value list: `key=val;key=val`. The first pair may omit its key, which is then
// "".
struct value_pair {
    struct str key;
    struct str value;
};
struct value_entry {
    struct value_pair *pairs;
    size_t count;
};
struct value_entries {
    struct value_entry *items;
    size_t count;
};

// Entries separated by commas, pairs by semicolons; keys are trimmed; a value may contain `=`. A
// value that starts with a quote runs to the matching one and may use the escapes of Go literals.
// Everything is placed in the arena. ERR_INVALID with what is wrong, or ERR_NOMEM.
MUST_CHECK int value_to_entries(struct arena *arena, struct str text, struct value_entries *entries,
                                struct err *err);
// Value of the last pair with that key; false when there is none.
bool value_entry_get(const struct value_entry *entry, struct str key, struct str *value);

// Appends the code point as UTF-8 to out (room for 4 bytes); returns its length, 0 when it is none.
size_t value_put_utf8(uint32_t code, char *out);
// Reads exactly `digits` hex digits at the start of text.
MUST_CHECK bool value_to_hex(struct str text, size_t digits, uint32_t *value);
