// SPDX-License-Identifier: Apache-2.0
// 1. curl_loop_add: curl asks for its timer; the timer fires and curl_multi_socket_action starts
// the
//    transfer.
// 2. on_socket: curl names a socket and what to wait for: a uv_poll is started, changed or closed.
// 3. on_poll, on_timer: events go to curl_multi_socket_action; then finished transfers are
// collected
//    and handed to on_done, outside of any curl callback, so that it may add and remove transfers.
#include "discover/curl_loop.h"

#include <stdbool.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

struct curl_loop {
    uv_loop_t *loop;
    CURLM *multi; // NULL once closing
    uv_timer_t timer;
    curl_done_fn on_done;
    void *ctx;
    unsigned open_handles; // the timer and all polls
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

static int on_socket(CURL *easy, curl_socket_t fd, int action, void *ctx, void *socket_ctx)
{
    (void)easy;
    struct curl_loop *curl = ctx;
    struct poll *poll = socket_ctx;
    if (action == CURL_POLL_REMOVE) {
        if (poll) {
            if (curl->multi)
                curl_multi_assign(curl->multi, fd, NULL);
            uv_poll_stop(&poll->handle);
            uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
        }
        return 0;
    }
    if (!poll)
        poll = poll_new(curl, fd);
    if (!poll)
        return -1;
    int events =
        (action & CURL_POLL_IN ? UV_READABLE : 0) | (action & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&poll->handle, events, on_poll) < 0 ? -1 : 0;
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
    curl->open_handles = 1;
    uv_timer_init(loop, &curl->timer);
    curl->timer.data = curl;
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
}

int curl_loop_add(struct curl_loop *curl, CURL *easy)
{
    return curl_multi_add_handle(curl->multi, easy) == CURLM_OK ? 0 : ERR_NOMEM;
}

void curl_loop_remove(struct curl_loop *curl, CURL *easy)
{
    curl_multi_remove_handle(curl->multi, easy);
}
