// SPDX-License-Identifier: Apache-2.0
// Threads that check passwords whose hash is slow, so that workers never do. They are few and of
// low priority, and what waits for them is bounded: guessing passwords can burn neither all CPU nor
// all memory. Not libuv's pool, which name lookups share. Started and stopped by proxy.c; workers
// submit and hear through their loop's inbox.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "auth/htpasswd.h"
#include "net/loop.h"

enum { VERIFICATIONS_MAX = 64 }; // waiting or running in the process

struct verifiers;

// One question. The submitter owns it again in on_done.
struct verification {
    struct message message; // private
    struct htpasswd *set;   // must stay referenced
    struct str user;
    struct str password;
    atomic_bool is_unwanted; // may be set meanwhile: then it is given back without a verdict
    bool has_verdict;
    bool is_right;
    struct verifiers *verifiers; // private
    struct net_loop *home;       // on_done is called there
    void (*on_done)(struct verification *verification);
};

// For so many workers. NULL and err when threads or memory are short.
MUST_CHECK struct verifiers *verifiers_start(unsigned worker_count, struct err *err);
// When nothing is under way any more. NULL is ignored.
void verifiers_stop(struct verifiers *verifiers);

// False when too many are under way: nothing was done. `worker` spreads the load.
MUST_CHECK bool verifiers_submit(struct verifiers *verifiers, unsigned worker,
                                 struct verification *verification);
