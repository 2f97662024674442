// SPDX-License-Identifier: Apache-2.0
// The little JSON writing that base/buf does not have. Pure.
#pragma once

#include <stdbool.h>

#include "base/buf.h"
#include "base/str.h"

// "name": with a comma in front unless an object was just opened.
void json_key(struct buf *out, const char *name);
void json_field_str(struct buf *out, const char *name, struct str value);
void json_field_u64(struct buf *out, const char *name, uint64_t value);
void json_field_f64(struct buf *out, const char *name, double value);
void json_field_bool(struct buf *out, const char *name, bool value);
// The shortest decimal that reads back as the same number; 0 for what JSON cannot say.
void json_f64(struct buf *out, double value);
// Microseconds since the epoch as a quoted RFC 3339 time in UTC, milliseconds shown.
void json_time(struct buf *out, uint64_t wall_us);
