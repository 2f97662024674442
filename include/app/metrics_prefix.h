// SPDX-License-Identifier: Apache-2.0
// metrics.prefix: text with the few template expressions that make sense there. Used by
// app/options. Control thread, at start.
#pragma once

#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

// Expands {{.Hostname}}, {{.Exec}}, {{clean .Hostname}} and {{clean .Exec}}, with blanks where Go
// takes them; "default" stands for {{clean .Hostname}}.{{clean .Exec}}. Anything else in braces is
// ERR_INVALID: to fabio it would mean another text.
MUST_CHECK int metrics_prefix_expand(struct arena *arena, struct str text, struct str hostname,
                                     struct str exec, struct str *prefix, struct err *err);
