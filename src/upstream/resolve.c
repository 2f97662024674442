// SPDX-License-Identifier: Apache-2.0
#include "upstream/resolve.h"

#include <netdb.h>
#include <string.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/addr.h"

enum { RESOLVE_AGAIN_MS = 30000, RESOLVE_RETRY_MS = 2000 };

// Outlives its endpoint while libuv holds the request.
struct name_lookup {
    uv_getaddrinfo_t request;
    struct endpoint *endpoint; // NULL: forgotten
    bool is_running;
    bool has_answered;
    uint64_t next_ms;
};

static void set_addresses(struct endpoint *endpoint, struct endpoint_addresses *fresh)
{
    struct endpoint_addresses *old =
        atomic_load_explicit(&endpoint->addresses, memory_order_relaxed);
    if (old && old->count == fresh->count && memcmp(old->at, fresh->at, sizeof fresh->at) == 0) {
        mem_free(fresh);
        return;
    }
    atomic_store_explicit(&endpoint->addresses, fresh, memory_order_release);
    // A worker may be reading `old` in this very turn; the one before it was replaced seconds ago.
    mem_free(endpoint->previous_addresses);
    endpoint->previous_addresses = old;
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
    struct endpoint_addresses *fresh = status == 0 ? mem_zalloc(sizeof *fresh) : NULL;
    if (!fresh) {
        // The addresses it had stay: a name server in trouble must not take targets away.
        log_warn("target %.*s does not resolve: %s", STR_FMT(endpoint->host),
                 status == 0 ? err_text(ERR_NOMEM) : uv_strerror(status));
    } else {
        for (const struct addrinfo *at = list; at && fresh->count < ENDPOINT_ADDRESSES_MAX;
             at = at->ai_next)
            memcpy(&fresh->at[fresh->count++], at->ai_addr, at->ai_addrlen);
        set_addresses(endpoint, fresh);
    }
    uv_freeaddrinfo(list);
}

static void begin(uv_loop_t *loop, struct endpoint *endpoint)
{
    struct name_lookup *lookup = endpoint->lookup;
    char host[256];
    char port[8];
    snprintf(host, sizeof host, "%.*s", STR_FMT(endpoint->host));
    snprintf(port, sizeof port, "%u", endpoint->port);
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    if (endpoint->host.len < sizeof host &&
        uv_getaddrinfo(loop, &lookup->request, on_resolved, host, port, &hints) == 0) {
        lookup->is_running = true;
        return;
    }
    lookup->has_answered = true;
    lookup->next_ms = clock_now_ms() + RESOLVE_RETRY_MS;
}

int resolve_start(uv_loop_t *loop, struct endpoint *endpoint)
{
    struct endpoint_addresses *literal = mem_zalloc(sizeof *literal);
    if (!literal)
        return ERR_NOMEM;
    if (addr_from_literal(endpoint->host, endpoint->port, &literal->at[0])) {
        literal->count = 1;
        set_addresses(endpoint, literal);
        return 0;
    }
    mem_free(literal);
    endpoint->lookup = mem_zalloc(sizeof *endpoint->lookup);
    if (!endpoint->lookup)
        return ERR_NOMEM;
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
    if (lookup && lookup->is_running) {
        lookup->endpoint = NULL;
        uv_cancel((uv_req_t *)&lookup->request); // on_resolved frees it, cancelled or not
    } else {
        mem_free(lookup);
    }
    mem_free(atomic_load_explicit(&endpoint->addresses, memory_order_relaxed));
    mem_free(endpoint->previous_addresses);
}
