// SPDX-License-Identifier: Apache-2.0
// HTTP Basic authentication of one worker: the users of each scheme of proxy.auth, the verdicts it
// remembers, and the requests that wait for one. Part of struct worker, on its thread; proxy.c
// hands new users over by message.
#pragma once

#include "auth/htpasswd.h"
#include "base/list.h"
#include "proxy/config.h"

struct exchange;
struct verdicts;
struct verifiers;
struct worker;

struct auth {
    struct htpasswd *users[AUTH_SCHEMES_MAX]; // referenced
    struct verdicts *verdicts;                // owned; NULL without schemes
    struct verifiers *verifiers;              // shared
    struct list jobs;                         // verifications under way
    unsigned job_count;
    uint32_t generation; // of the schemes; what was found with another says nothing
};

enum auth_verdict {
    AUTH_GRANTED,
    AUTH_REFUSED,    // 401
    AUTH_PENDING,    // the exchange waits; exchange_resume follows
    AUTH_OVERLOADED, // too many wait already: 503
};

// users: one set per configured scheme. 0 or ERR_NOMEM.
MUST_CHECK int auth_init(struct auth *auth, const struct proxy_config *config,
                         struct verifiers *verifiers, struct htpasswd *const *users);
void auth_fini(struct auth *auth);
// Other schemes. Takes the references of users, and spare, which serves where there are no verdicts
// yet; NULL only without schemes.
void auth_set_schemes(struct auth *auth, const struct proxy_config *config,
                      struct verifiers *verifiers, struct htpasswd *const *users,
                      struct verdicts *spare);
// Takes the reference.
void auth_set_users(struct auth *auth, unsigned scheme, struct htpasswd *users);

// Whether the request in worker->request_head may pass the scheme; *challenge is the field line for
// a 401.
enum auth_verdict auth_check(struct exchange *exchange, struct str scheme, struct str *challenge);
// The exchange waits for no verdict any more. Harmless when it does not.
void auth_forget(struct exchange *exchange);
