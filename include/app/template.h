// SPDX-License-Identifier: Apache-2.0
// Texts of options with expressions in "{{" and "}}", as Go's templates write them: the walk over
// such a text. What an expression means is its option's business: address_template.h,
// metrics_prefix.h. Any thread; nothing is kept.
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

// Appends what `expression` stands for; `rest` is the text behind its "}}". 0, or a negative
// err_code with `err` set.
typedef int (*template_expand_fn)(void *ctx, struct buf *out, struct str expression,
                                  struct str rest, struct err *err);

// Appends `text` with each expression replaced. 0, or a negative err_code with `err` set: that of
// `expand`, ERR_INVALID for "{{" without "}}", or what `out` says.
int template_expand(struct buf *out, struct str text, template_expand_fn expand, void *ctx,
                    struct err *err);
