// SPDX-License-Identifier: Apache-2.0
// The htpasswd files of proxy.auth: read at start, looked at again as their schemes ask for, and
// what is wrong with them told as problems. Owns the sets of users; who hands them on refers to
// them. Control thread.
#pragma once

#include <stdint.h>

#include "auth/htpasswd.h"
#include "discover/problems.h"
#include "proxy/config.h"

struct auth_files;

// Reads them all. config and problems are borrowed. NULL and err when one cannot be read.
MUST_CHECK struct auth_files *auth_files_new(const struct proxy_config *config,
                                             struct problems *problems, struct err *err);
void auth_files_free(struct auth_files *files);
// Frees `before`, whose place `files` has taken: what was wrong only with its schemes is no problem
// any more.
void auth_files_replace(struct auth_files *before, const struct auth_files *files);
// One set per scheme of config->auth; valid until the next refresh.
struct htpasswd *const *auth_files_users(const struct auth_files *files);

// False: the new users could not be handed on and are to be offered again.
typedef bool (*auth_files_changed_fn)(void *ctx, unsigned scheme, struct htpasswd *users);
// Looks at those that are due. To be called every second or so.
void auth_files_refresh(struct auth_files *files, uint64_t now_ms, auth_files_changed_fn on_changed,
                        void *ctx);
