// SPDX-License-Identifier: Apache-2.0
// Remembers which passwords were right and which were wrong, so that a slow hash is computed once
// and not with every request. Bounded: 512 right and 128 wrong verdicts, apart, so that guessing
// drives out no user. Keys are SHA-256 over a random number of this process, the htpasswd line and
// what the client sent; nothing of a password is kept. For one thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "auth/htpasswd.h"

enum { VERDICT_KEY_LEN = 32 };

enum verdict { VERDICT_UNKNOWN, VERDICT_RIGHT, VERDICT_WRONG };

struct verdicts;

MUST_CHECK struct verdicts *verdicts_new(void);
void verdicts_free(struct verdicts *verdicts);

// The key of one question; changes with the user's line. False: none could be computed.
MUST_CHECK bool verdicts_key(struct verdicts *verdicts, const struct htpasswd *set, struct str user,
                             struct str password, uint8_t key[VERDICT_KEY_LEN]);
enum verdict verdicts_get(const struct verdicts *verdicts, const uint8_t key[VERDICT_KEY_LEN]);
void verdicts_put(struct verdicts *verdicts, const uint8_t key[VERDICT_KEY_LEN], bool is_right);
