// SPDX-License-Identifier: Apache-2.0
#include "proxy/balance.h"

#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "net/addr.h"
#include "proxy/client.h"
#include "proxy/worker.h"

enum {
    // A difference of an eighth, or of one, is left: handing over costs a message.
    SLACK_SHARE = 8,
    SLACK_MIN = 2,
};

#define ARRIVALS_CLOSED (UINT32_C(1) << 31)

struct arrival {
    struct message message;
    struct worker *worker; // to serve it
    int socket;
    struct listener_config config; // of the address it came to
};

void arrivals_close(struct arrivals *arrivals)
{
    atomic_fetch_or(&arrivals->state, ARRIVALS_CLOSED);
}

bool arrivals_are_awaited(const struct arrivals *arrivals)
{
    return (atomic_load(&arrivals->state) & ~ARRIVALS_CLOSED) != 0;
}

// False: the worker takes no more. Counting and closing are one step, so that a worker never ends
// with a message on its way.
static bool announce(struct arrivals *arrivals)
{
    uint32_t state = atomic_load(&arrivals->state);
    do {
        if (state & ARRIVALS_CLOSED)
            return false;
    } while (!atomic_compare_exchange_weak(&arrivals->state, &state, state + 1));
    return true;
}

static uint64_t load_of(const struct worker *worker)
{
    uint32_t arriving = atomic_load_explicit(&worker->arrivals.state, memory_order_relaxed);
    return counter_get(&worker->open_clients) + (arriving & ~ARRIVALS_CLOSED);
}

// The worker's listener at the address; one that is closed already when a change or the end has
// overtaken the connection. NULL when memory is short.
static struct worker_listener *listener_at(struct worker *worker,
                                           const struct listener_config *config, bool *is_closed)
{
    *is_closed = false;
    LIST_FOREACH (node, &worker->listeners) {
        struct worker_listener *listener = CONTAINER_OF(node, struct worker_listener, link);
        if (addr_eq((const struct sockaddr *)&listener->config.sockaddr,
                    (const struct sockaddr *)&config->sockaddr))
            return listener;
    }
    *is_closed = true;
    struct worker_listener *closed = worker_listener_new(config);
    if (closed)
        closed->worker = worker;
    return closed;
}

static void take(struct message *message)
{
    struct arrival *arrival = CONTAINER_OF(message, struct arrival, message);
    struct worker *worker = arrival->worker;
    bool is_closed;
    struct worker_listener *listener =
        worker->is_stopped ? NULL : listener_at(worker, &arrival->config, &is_closed);
    if (listener) {
        client_accept(listener, arrival->socket);
        if (is_closed)
            worker_listener_unref(listener);
    } else {
        counter_add(&worker->counters.shed, 1);
        close(arrival->socket);
    }
    mem_free(arrival);
    // After the client counts, or it would seem for a moment that nobody is left.
    atomic_fetch_sub(&worker->arrivals.state, 1);
    worker_arrival_taken(worker);
}

// The worker with the fewest connections, unless this one has hardly more. NULL: this one.
static struct worker *find_other(struct worker *worker)
{
    struct worker *least = worker;
    uint64_t own = load_of(worker);
    uint64_t load = own;
    for (unsigned i = 0; i < worker->sibling_count && load > 0; i++) {
        uint64_t theirs = load_of(&worker->siblings[i]);
        if (theirs < load) {
            least = &worker->siblings[i];
            load = theirs;
        }
    }
    return own >= load + MAX(own / SLACK_SHARE, (uint64_t)SLACK_MIN) ? least : NULL;
}

void balance_client(struct worker_listener *listener, int socket)
{
    struct worker *worker = listener->worker;
    struct worker *other = find_other(worker);
    struct arrival *arrival = other ? mem_alloc(sizeof *arrival) : NULL;
    if (!arrival || !announce(&other->arrivals)) {
        mem_free(arrival);
        client_accept(listener, socket);
        return;
    }
    *arrival = (struct arrival){
        .message.run = take, .worker = other, .socket = socket, .config = listener->config};
    counter_add(&worker->counters.handed_over, 1);
    net_loop_post(&other->loop, &arrival->message);
}
