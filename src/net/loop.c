// SPDX-License-Identifier: Apache-2.0
#include "net/loop.h"

#include <stdatomic.h>

#include "base/err.h"
#include "base/mem.h"

static struct net_loop *loop_of(uv_loop_t *uv)
{
    return CONTAINER_OF(uv, struct net_loop, uv);
}

static void on_tick(uv_timer_t *tick)
{
    struct net_loop *loop = loop_of(tick->loop);
    wheel_run(&loop->wheel, net_loop_now_ms(loop));
    if (loop->wheel.armed == 0)
        uv_timer_stop(tick);
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct net_loop *loop = loop_of(prepare->loop);
    if (loop->on_idle)
        loop->on_idle(loop);
}

static void on_inbox(uv_async_t *async)
{
    struct net_loop *loop = loop_of(async->loop);
    struct message *newest = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct message *next = oldest->next;
        oldest->run(oldest);
        oldest = next;
    }
}

int net_loop_init(struct net_loop *loop, void (*on_idle)(struct net_loop *loop))
{
    *loop = (struct net_loop){.on_idle = on_idle};
    loop->read_scratch = mem_alloc(LOOP_BULK_SCRATCH);
    loop->out_scratch = mem_alloc(LOOP_OUT_SCRATCH);
    if (!loop->read_scratch || !loop->out_scratch || uv_loop_init(&loop->uv) != 0) {
        mem_free(loop->read_scratch);
        mem_free(loop->out_scratch);
        return ERR_NOMEM;
    }
    splice_init(&loop->splice);
    block_pool_init(&loop->blocks);
    rng_init_random(&loop->rng);
    wheel_init(&loop->wheel, uv_now(&loop->uv));
    uv_timer_init(&loop->uv, &loop->tick);
    uv_prepare_init(&loop->uv, &loop->prepare);
    uv_prepare_start(&loop->prepare, on_prepare);
    uv_unref((uv_handle_t *)&loop->prepare);
    if (uv_async_init(&loop->uv, &loop->inbox_async, on_inbox) != 0) {
        uv_close((uv_handle_t *)&loop->tick, NULL);
        uv_close((uv_handle_t *)&loop->prepare, NULL);
        uv_run(&loop->uv, UV_RUN_DEFAULT);
        net_loop_fini(loop);
        return ERR_IO;
    }
    return 0;
}

void net_loop_run(struct net_loop *loop)
{
    uv_run(&loop->uv, UV_RUN_DEFAULT);
}

void net_loop_stop(struct net_loop *loop)
{
    uv_close((uv_handle_t *)&loop->tick, NULL);
    uv_close((uv_handle_t *)&loop->prepare, NULL);
    uv_close((uv_handle_t *)&loop->inbox_async, NULL);
}

void net_loop_fini(struct net_loop *loop)
{
    BUG_ON(uv_loop_close(&loop->uv) != 0);
    block_pool_fini(&loop->blocks);
    splice_close(&loop->splice);
    mem_free(loop->read_scratch);
    mem_free(loop->out_scratch);
}

void net_loop_post(struct net_loop *loop, struct message *message)
{
    struct message *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        message->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, message,
                                                    memory_order_release, memory_order_relaxed));
    uv_async_send(&loop->inbox_async);
}

void net_loop_arm(struct net_loop *loop, struct timer *timer, uint32_t delay_ms)
{
    bool was_idle = loop->wheel.armed == 0;
    timer_arm(&loop->wheel, timer, net_loop_now_ms(loop), delay_ms);
    if (was_idle && loop->wheel.armed > 0 && !uv_is_active((uv_handle_t *)&loop->tick))
        uv_timer_start(&loop->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
}

void net_loop_disarm(struct net_loop *loop, struct timer *timer)
{
    timer_disarm(&loop->wheel, timer);
}
