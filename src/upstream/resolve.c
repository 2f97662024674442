// SPDX-License-Identifier: Apache-2.0
#include "upstream/resolve.h"

#include <netdb.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"

enum { RESOLVE_AGAIN_MS = 30000, RESOLVE_RETRY_MS = 2000 };

static struct endpoint_addresses *addresses_of(const struct endpoint *endpoint)
{
    return atomic_load_explicit((_Atomic(struct endpoint_addresses *) *)&endpoint->addresses,
                                memory_order_relaxed);
}

static void set_addresses(struct endpoint *endpoint, struct endpoint_addresses *fresh)
{
    struct endpoint_addresses *old = addresses_of(endpoint);
    if (old && old->count == fresh->count &&
        memcmp(old->at, fresh->at, fresh->count * sizeof fresh->at[0]) == 0) {
        mem_free(fresh);
        return;
    }
    atomic_store_explicit(&endpoint->addresses, fresh, memory_order_release);
    // A worker may be reading `old` in this very turn; the one before it was replaced seconds ago.
    mem_free(endpoint->lookup->previous);
    endpoint->lookup->previous = old;
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct name_lookup *lookup = CONTAINER_OF(request, struct name_lookup, request);
    struct endpoint *endpoint = lookup->endpoint;
    lookup->is_running = false;
    if (!endpoint) {
        uv_freeaddrinfo(list);
        mem_free(lookup);
        return;
    }
    lookup->has_answered = true;
    lookup->next_ms = clock_now_ms() + (status == 0 ? RESOLVE_AGAIN_MS : RESOLVE_RETRY_MS);
    struct endpoint_addresses *fresh =
        status == 0 ? mem_zalloc(sizeof *fresh + ENDPOINT_ADDRESSES_MAX * sizeof fresh->at[0])
                    : NULL;
    if (!fresh) {
        // The addresses it had stay: a name server in trouble must not take targets away.
        log_warn("target %.*s does not resolve: %s", STR_FMT(endpoint_host(endpoint)),
                 status == 0 ? err_text(ERR_NOMEM) : uv_strerror(status));
    } else {
        for (const struct addrinfo *at = list; at && fresh->count < ENDPOINT_ADDRESSES_MAX;
             at = at->ai_next)
            memcpy(&fresh->at[fresh->count++], at->ai_addr,
                   MIN(at->ai_addrlen, (socklen_t)sizeof fresh->at[0]));
        set_addresses(endpoint, fresh);
    }
    uv_freeaddrinfo(list);
}

static void begin(uv_loop_t *loop, struct endpoint *endpoint)
{
    struct name_lookup *lookup = endpoint->lookup;
    char host[256];
    char port[8];
    snprintf(host, sizeof host, "%.*s", STR_FMT(endpoint_host(endpoint)));
    snprintf(port, sizeof port, "%u", endpoint->port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (endpoint_host(endpoint).len < sizeof host &&
        uv_getaddrinfo(loop, &lookup->request, on_resolved, host, port, &hints) == 0) {
        lookup->is_running = true;
        return;
    }
    lookup->has_answered = true;
    lookup->next_ms = clock_now_ms() + RESOLVE_RETRY_MS;
}

int resolve_start(uv_loop_t *loop, struct endpoint *endpoint)
{
    endpoint->lookup = mem_zalloc(sizeof *endpoint->lookup);
    if (!endpoint->lookup)
        return ERR_NOMEM;
    list_init(&endpoint->lookup->link);
    endpoint->lookup->endpoint = endpoint;
    begin(loop, endpoint);
    return 0;
}

void resolve_refresh(uv_loop_t *loop, struct endpoint *endpoint, uint64_t now_ms)
{
    struct name_lookup *lookup = endpoint->lookup;
    if (lookup && !lookup->is_running && now_ms >= lookup->next_ms)
        begin(loop, endpoint);
}

bool resolve_is_settled(const struct endpoint *endpoint)
{
    return !endpoint->lookup || endpoint->lookup->has_answered;
}

void resolve_stop(struct endpoint *endpoint)
{
    struct name_lookup *lookup = endpoint->lookup;
    endpoint->lookup = NULL;
    if (!lookup)
        return; // a literal address lies in the endpoint
    mem_free(addresses_of(endpoint));
    mem_free(lookup->previous);
    lookup->previous = NULL;
    list_remove(&lookup->link);
    if (lookup->is_running) {
        lookup->endpoint = NULL;
        uv_cancel((uv_req_t *)&lookup->request); // on_resolved frees it, cancelled or not
    } else {
        mem_free(lookup);
    }
}
