// SPDX-License-Identifier: Apache-2.0
// Whether a request that failed is tried elsewhere, and what its failures and answers say of the
// target: docs/reliability.md.
#include "proxy/exchange.h"

// Whether there is a try left, somebody left for it, and the request is still there to be sent.
static bool has_try(const struct exchange *exchange, bool may_repeat)
{
    return exchange->can_replay && may_repeat &&
           exchange->tries <= exchange->worker->config->retry_attempts &&
           (exchange->target_count > exchange->tries || exchange->stale_tries);
}

static bool pay(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    struct target_counters *counters = exchange->counters;
    if (retry_budget_take(&counters->budget, worker->config->retry_budget_percent,
                          counter_get(&counters->requests), net_loop_now_ms(&worker->loop)))
        return true;
    counter_add(&counters->retries_denied, 1);
    return false;
}

bool exchange_wants_retry(struct exchange *exchange, int status)
{
    return UNLIKELY(exchange->retried_statuses & route_retry_bit(status)) &&
           exchange->target_count > 1 && has_try(exchange, exchange->is_idempotent) &&
           pay(exchange);
}

void exchange_retry(struct exchange *exchange, enum try_failure failure, int status,
                    const char *reason)
{
    struct worker *worker = exchange->worker;
    exchange->retry_status = (uint16_t)status;
    exchange->retry_reason = reason;
    if (failure == TRY_STALE) {
        endpoint_pool_distrust(exchange->pool, net_loop_now_ms(&worker->loop));
        exchange->stale_tries |= (uint16_t)(1U << (exchange->tries - 1));
    }
    // Only what a target may have worked on is work done twice, and costs.
    if (!has_try(exchange, failure == TRY_UNSENT || exchange->is_idempotent) ||
        (failure == TRY_FAILED && !pay(exchange))) {
        exchange_release_conn(exchange, false, true);
        exchange->reason = reason;
        exchange_fail(exchange, status);
        return;
    }
    if (failure == TRY_STALE)
        counter_add(&worker->counters.replays, 1);
    net_loop_disarm(&worker->loop, &exchange->timer);
    exchange_release_conn(exchange, false, true);
    block_put(&worker->loop.blocks, exchange->response);
    exchange->response = NULL;
    exchange_forward_again(exchange);
}

static void blame(struct exchange *exchange, enum eject_cause cause)
{
    if (exchange->pool && endpoint_pool_failed(exchange->pool, &exchange->worker->upstream, cause,
                                               exchange->is_probe, exchange->target_count > 1))
        counter_add(&exchange->counters->ejections, 1);
}

void exchange_note_failure(struct exchange *exchange, enum eject_cause cause)
{
    if (!exchange->counters)
        return;
    counter_add(&exchange->counters->failures, 1);
    blame(exchange, cause);
}

void exchange_note_answer(struct exchange *exchange, int status)
{
    struct endpoint_pool *pool = exchange->pool;
    bool is_gateway_error = UNLIKELY(status >= 502) && status <= 504;
    if (is_gateway_error && exchange->worker->config->ejects_for_gateway_status)
        blame(exchange, EJECT_GATEWAY);
    else if (UNLIKELY(pool->ejection.failures > 0))
        endpoint_pool_succeeded(pool);
}
