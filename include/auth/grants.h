// SPDX-License-Identifier: Apache-2.0
// Remembers which passwords were found right, so that a slow check is made once and not for every
// request. Kept are keyed digests only; a bounded number of them, the newer in place of the older.
// Wrong passwords are not remembered: whoever guesses pays for each guess. Not thread-safe: one per
// owner.
#pragma once

#include <stdbool.h>

#include "auth/htpasswd.h"

struct grants;

enum { GRANTS_MAX = 1024 };

MUST_CHECK struct grants *grants_new(void); // NULL: no memory or no random numbers
void grants_free(struct grants *grants);

// Whether this very password was found right for the line the user has in `set`.
bool grants_has(const struct grants *grants, const struct htpasswd *set, struct str user,
                struct str password);
void grants_add(struct grants *grants, const struct htpasswd *set, struct str user,
                struct str password);
