// SPDX-License-Identifier: Apache-2.0
// How many requests may be sent a second time: a share of all requests, so that tries do not
// multiply the load of a service that is in trouble, and a few more, so that a quiet route can try
// at all. One per target and worker, kept by the worker; costs nothing until a try is wanted, for
// it is filled then with what the requests since the last one have earned. Pure.
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    RETRY_BUDGET_FLOOR = 10, // tries in hand at first; one more comes each second
    RETRY_BUDGET_MAX = 1000, // tries that can be saved up
};

struct retry_budget {
    uint64_t requests;  // seen when it was filled last
    uint64_t filled_ms; // 0: never
    uint64_t hundredths;
};

// Takes one try if there is one. percent: of requests, 0: no limit. requests: so far, of the target
// on this worker.
bool retry_budget_take(struct retry_budget *budget, uint32_t percent, uint64_t requests,
                       uint64_t now_ms);
