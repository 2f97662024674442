// SPDX-License-Identifier: Apache-2.0
#include "proxy/room.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "net/listener.h"
#include "proxy/evict.h"
#include "proxy/proxy.h"
#include "proxy/worker.h"

enum {
    // Listeners, loops, logs; and of a large limit one in sixteen, for the admin listener (256
    // connections) and Consul (a watch for each service).
    RESERVE_MIN = 128,
    RESERVE_SHARE = 16,
    RESERVE_MAX = 1024,
    USABLE_MIN = 16,
    SHORTAGE_LOG_MS = 10000,
    MEMORY_CHECK_MS = 100,
};

uint32_t proxy_usable_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return USABLE_MIN;
    uint64_t max = MIN((uint64_t)limit.rlim_cur, UINT64_C(1) << 30);
    uint64_t reserve = MIN(MAX(max / RESERVE_SHARE, (uint64_t)RESERVE_MIN), (uint64_t)RESERVE_MAX);
    return max > reserve + USABLE_MIN ? (uint32_t)(max - reserve) : USABLE_MIN;
}

static uint32_t in_use(const struct worker *worker)
{
    return worker->client_count + worker->upstream.conn_count;
}

static uint32_t descriptors_max(const struct worker *worker)
{
    return MAX(proxy_usable_descriptors() / MAX(worker->config->worker_count, 1u), 2u);
}

bool room_for_client(struct worker *worker)
{
    if (worker->client_count > worker->client_max)
        return evict_one(worker);
    return in_use(worker) <= worker->descriptor_max || evict_one(worker) ||
           upstream_evict(&worker->upstream);
}

bool room_for_connection(struct worker *worker)
{
    return in_use(worker) < worker->descriptor_max || upstream_evict(&worker->upstream) ||
           evict_one(worker);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

// False: another thread was quicker to take the descriptor that was given up.
static bool refuse_waiting(struct worker *worker, int socket)
{
    if (worker->spare_descriptor < 0)
        worker->spare_descriptor = open_spare();
    if (worker->spare_descriptor < 0)
        return false;
    close(worker->spare_descriptor);
    int refused = listener_accept(socket);
    if (refused >= 0)
        close(refused);
    worker->spare_descriptor = open_spare();
    return refused >= 0;
}

void room_free_descriptor(struct worker *worker, int socket)
{
    uint64_t now_ms = net_loop_now_ms(&worker->loop);
    if (worker->shortage_logged_ms == 0 || now_ms - worker->shortage_logged_ms >= SHORTAGE_LOG_MS) {
        worker->shortage_logged_ms = now_ms;
        log_error("Out of file descriptors: more than expected are in use outside of the proxy");
    }
    if (evict_one(worker) || upstream_evict(&worker->upstream))
        return;
    if (refuse_waiting(worker, socket) || evict_oldest(worker)) {
        counter_add(&worker->counters.shed, 1);
        return;
    }
    // Not one connection is ours, so nobody waits for this thread.
    nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
}

static enum memory_pressure pressure_now(uint64_t max)
{
    uint64_t used = max ? mem_in_use() : 0;
    if (used < max / 10 * 9 || max == 0)
        return MEMORY_ENOUGH;
    return used < max / 50 * 49 ? MEMORY_SCARCE : MEMORY_SHORT;
}

// Each worker sees for itself, so that nothing has to be sent around.
static void on_memory_timer(struct timer *timer)
{
    struct worker *worker = CONTAINER_OF(timer, struct worker, memory_timer);
    worker->pressure = (uint8_t)pressure_now(worker->config->memory_max);
    if (worker->pressure != MEMORY_ENOUGH) {
        evict_all(worker);
        while (upstream_evict(&worker->upstream)) {
        }
        worker_trim(worker);
    }
    if (!worker->is_draining && worker->client_count > 0)
        room_watch_memory(worker);
    else
        worker->pressure = MEMORY_ENOUGH;
}

void room_watch_memory(struct worker *worker)
{
    if (worker->config->memory_max && !timer_is_armed(&worker->memory_timer))
        net_loop_arm(&worker->loop, &worker->memory_timer, MEMORY_CHECK_MS);
}

void room_init(struct worker *worker)
{
    worker->descriptor_max = descriptors_max(worker);
    worker->spare_descriptor = open_spare();
    timer_init(&worker->memory_timer, on_memory_timer);
}

void room_fini(struct worker *worker)
{
    if (worker->spare_descriptor >= 0)
        close(worker->spare_descriptor);
}
