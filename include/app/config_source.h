// SPDX-License-Identifier: Apache-2.0
// Where -cfg points to: a file, or a URL that is fetched once. Used by app/options, at start, on
// the control thread; may block for CONFIG_FETCH_MS.
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

enum { CONFIG_FETCH_MS = 10 * 1000 };

// Appends the whole text, as UTF-8, to a buffer whose maximum is the largest text. A URL must
// answer 200 with text/plain (latin1 unless it says utf-8) or without a content type. ERR_IO or
// ERR_TOO_LARGE with the label in front, ERR_NOMEM.
MUST_CHECK int config_source_load(struct str place, struct buf *text, struct err *err);

// The place as people may see it: a URL without user, password and query. ptr NULL when memory is
// short.
MUST_CHECK struct str config_source_label(struct arena *arena, struct str place);
