// SPDX-License-Identifier: Apache-2.0
// 1. curl_loop_add: curl asks for its timer; the timer fires and curl_multi_socket_action starts
//    the transfer.
// 2. on_socket: curl names a socket and what to wait for: a uv_poll is started, changed or closed.
// 3. on_poll, on_timer: events go to curl_multi_socket_action; then finished transfers are
//    collected and handed to on_done, outside of any curl callback, so that it may add and remove
//    transfers.
//
// Where there is no memory for a poll, curl must not be told: an error of on_socket ends its multi
// handle for good. The socket is kept in mind and watched a little later; where even that list is
// full, its transfer ends by its own timeout.
#include "discover/curl_loop.h"

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

enum { UNWATCHED_MAX = 256, WATCH_AGAIN_MS = 100 };

struct unwatched {
    curl_socket_t fd;
    int action; // CURL_POLL_
};

struct curl_loop {
    uv_loop_t *loop;
    CURLM *multi; // NULL once closing
    uv_timer_t timer;
    uv_timer_t again_timer; // runs while there are some of these
    struct unwatched unwatched[UNWATCHED_MAX];
    unsigned unwatched_count;
    curl_done_fn on_done;
    void *ctx;
    unsigned open_handles; // the timers and all polls
    bool is_closing;
    void (*on_closed)(void *ctx);
    void *closed_ctx;
};

struct poll {
    struct curl_loop *curl;
    uv_poll_t handle;
    curl_socket_t fd;
};

static void handle_closed(struct curl_loop *curl)
{
    if (--curl->open_handles > 0)
        return;
    void (*on_closed)(void *ctx) = curl->on_closed;
    void *ctx = curl->closed_ctx;
    mem_free(curl);
    if (on_closed)
        on_closed(ctx);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct poll *poll = handle->data;
    struct curl_loop *curl = poll->curl;
    mem_free(poll);
    handle_closed(curl);
}

static void on_timer_closed(uv_handle_t *handle)
{
    handle_closed(handle->data);
}

static void collect(struct curl_loop *curl)
{
    int left;
    CURLMsg *message;
    while (curl->multi && (message = curl_multi_info_read(curl->multi, &left))) {
        if (message->msg != CURLMSG_DONE)
            continue;
        CURL *easy = message->easy_handle;
        CURLcode result = message->data.result;
        curl_multi_remove_handle(curl->multi, easy);
        curl->on_done(curl->ctx, easy, result);
    }
}

static void act(struct curl_loop *curl, curl_socket_t fd, int flags)
{
    int running;
    if (!curl->multi)
        return;
    curl_multi_socket_action(curl->multi, fd, flags, &running);
    collect(curl);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    struct poll *poll = handle->data;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(poll->curl, poll->fd, flags);
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_want_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct curl_loop *curl = ctx;
    if (curl->is_closing)
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&curl->timer);
    else
        uv_timer_start(&curl->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

static struct poll *poll_new(struct curl_loop *curl, curl_socket_t fd)
{
    struct poll *poll = mem_zalloc(sizeof *poll);
    if (!poll)
        return NULL;
    poll->curl = curl;
    poll->fd = fd;
    poll->handle.data = poll;
    if (uv_poll_init_socket(curl->loop, &poll->handle, fd) < 0) {
        mem_free(poll);
        return NULL;
    }
    curl->open_handles++;
    curl_multi_assign(curl->multi, fd, poll);
    return poll;
}

// Whether it is watched now.
static bool watch(struct curl_loop *curl, struct poll *poll, curl_socket_t fd, int action)
{
    if (!poll)
        poll = poll_new(curl, fd);
    int events =
        (action & CURL_POLL_IN ? UV_READABLE : 0) | (action & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return poll && uv_poll_start(&poll->handle, events, on_poll) == 0;
}

static void on_again(uv_timer_t *timer)
{
    struct curl_loop *curl = timer->data;
    for (unsigned i = curl->unwatched_count; i-- > 0;) {
        struct unwatched *socket = &curl->unwatched[i];
        if (watch(curl, NULL, socket->fd, socket->action))
            *socket = curl->unwatched[--curl->unwatched_count];
    }
    if (curl->unwatched_count == 0)
        uv_timer_stop(timer);
}

static void watch_later(struct curl_loop *curl, curl_socket_t fd, int action)
{
    if (curl->unwatched_count == UNWATCHED_MAX)
        return;
    curl->unwatched[curl->unwatched_count++] = (struct unwatched){.fd = fd, .action = action};
    uv_timer_start(&curl->again_timer, on_again, WATCH_AGAIN_MS, WATCH_AGAIN_MS);
}

static void forget_unwatched(struct curl_loop *curl, curl_socket_t fd)
{
    for (unsigned i = curl->unwatched_count; i-- > 0;) {
        if (curl->unwatched[i].fd == fd)
            curl->unwatched[i] = curl->unwatched[--curl->unwatched_count];
    }
}

static int on_socket(CURL *easy, curl_socket_t fd, int action, void *ctx, void *socket_ctx)
{
    (void)easy;
    struct curl_loop *curl = ctx;
    struct poll *poll = socket_ctx;
    forget_unwatched(curl, fd);
    if (action != CURL_POLL_REMOVE) {
        if (!watch(curl, poll, fd, action))
            watch_later(curl, fd, action);
    } else if (poll) {
        if (curl->multi)
            curl_multi_assign(curl->multi, fd, NULL);
        uv_poll_stop(&poll->handle);
        uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
    }
    return 0;
}

struct curl_loop *curl_loop_new(struct uv_loop_s *loop, long max_connections, curl_done_fn on_done,
                                void *ctx)
{
    struct curl_loop *curl = mem_zalloc(sizeof *curl);
    if (!curl)
        return NULL;
    curl->multi = curl_multi_init();
    if (!curl->multi) {
        mem_free(curl);
        return NULL;
    }
    curl->loop = loop;
    curl->on_done = on_done;
    curl->ctx = ctx;
    curl->open_handles = 2;
    uv_timer_init(loop, &curl->timer);
    uv_timer_init(loop, &curl->again_timer);
    curl->timer.data = curl;
    curl->again_timer.data = curl;
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(curl->multi, CURLMOPT_SOCKETDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERFUNCTION, on_want_timer);
    curl_multi_setopt(curl->multi, CURLMOPT_TIMERDATA, curl);
    curl_multi_setopt(curl->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, max_connections);
    curl_multi_setopt(curl->multi, CURLMOPT_MAXCONNECTS, max_connections);
    curl_multi_setopt(curl->multi, CURLMOPT_PIPELINING, CURLPIPE_MULTIPLEX);
    return curl;
}

void curl_loop_close(struct curl_loop *curl, void (*on_closed)(void *ctx), void *ctx)
{
    curl->on_closed = on_closed;
    curl->closed_ctx = ctx;
    curl->is_closing = true;
    // Closes the idle connections, which comes back as on_socket(REMOVE).
    curl_multi_cleanup(curl->multi);
    curl->multi = NULL;
    uv_close((uv_handle_t *)&curl->timer, on_timer_closed);
    uv_close((uv_handle_t *)&curl->again_timer, on_timer_closed);
}

int curl_loop_add(struct curl_loop *curl, CURL *easy)
{
    return curl_multi_add_handle(curl->multi, easy) == CURLM_OK ? 0 : ERR_NOMEM;
}

void curl_loop_remove(struct curl_loop *curl, CURL *easy)
{
    curl_multi_remove_handle(curl->multi, easy);
}
