// SPDX-License-Identifier: Apache-2.0
#include "stats/retry_budget.h"

enum { TRY = 100, MS_PER_HUNDREDTH = 10 };

static void fill(struct retry_budget *budget, uint32_t percent, uint64_t requests, uint64_t now_ms)
{
    if (budget->filled_ms == 0) {
        budget->filled_ms = now_ms;
        budget->hundredths = (uint64_t)RETRY_BUDGET_FLOOR * TRY;
    }
    uint64_t by_time = (now_ms - budget->filled_ms) / MS_PER_HUNDREDTH;
    budget->filled_ms += by_time * MS_PER_HUNDREDTH; // the rest counts next time
    budget->hundredths += by_time + (requests - budget->requests) * percent;
    budget->requests = requests;
    if (budget->hundredths > (uint64_t)RETRY_BUDGET_MAX * TRY)
        budget->hundredths = (uint64_t)RETRY_BUDGET_MAX * TRY;
}

bool retry_budget_take(struct retry_budget *budget, uint32_t percent, uint64_t requests,
                       uint64_t now_ms)
{
    if (percent == 0)
        return true;
    fill(budget, percent, requests, now_ms);
    if (budget->hundredths < TRY)
        return false;
    budget->hundredths -= TRY;
    return true;
}
