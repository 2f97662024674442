// SPDX-License-Identifier: Apache-2.0
#include "proxy/evict.h"

#include "proxy/client.h"

enum {
    STALE_HEAD_MS = 1000, // a head takes a moment, dripping
    EVICT_SCAN_MAX = 256, // connections looked at for one to close
};

static bool is_evictable(const struct client *client)
{
    const struct worker *worker = client->stream.worker;
    if (client->sock.is_closing || client->is_fed || client->is_write_stalled)
        return false;
    if (client->state == CLIENT_IDLE)
        return !client->stream.input;
    uint64_t began_ms = client->timer.deadline_ms - worker->config->client_head_timeout_ms;
    return client->state == CLIENT_HEAD &&
           net_loop_now_ms(&worker->loop) - began_ms >= STALE_HEAD_MS;
}

bool evict_one(struct worker *worker)
{
    // In the manner of a clock's hand: those that were looked at go to the back.
    uint32_t count = MIN(worker->client_count, (uint32_t)EVICT_SCAN_MAX);
    for (uint32_t i = 0; i < count && !list_is_empty(&worker->clients); i++) {
        struct list *node = worker->clients.next;
        struct client *client = CONTAINER_OF(node, struct client, link);
        list_remove(node);
        list_push_back(&worker->clients, node);
        if (!is_evictable(client))
            continue;
        counter_add(&worker->counters.evicted, 1);
        client_close(client, false);
        return true;
    }
    return false;
}

void evict_all(struct worker *worker)
{
    LIST_FOREACH (node, &worker->clients) {
        struct client *client = CONTAINER_OF(node, struct client, link);
        if (!is_evictable(client))
            continue;
        counter_add(&worker->counters.evicted, 1);
        client_close(client, false);
    }
}

bool evict_oldest(struct worker *worker)
{
    LIST_FOREACH (node, &worker->clients) {
        struct client *client = CONTAINER_OF(node, struct client, link);
        if (client->sock.is_closing || client->is_fed)
            continue;
        client_cut(client);
        return true;
    }
    return false;
}
