// SPDX-License-Identifier: Apache-2.0
//
// From a parsed request to bytes at a target:
//  1. normalise the path, look the host and path up in the turn's table
//  2. no route: 404; no healthy target: 503
//  3. pick a target that was not tried yet and is not ejected; its rules may say 403 or 401, or
//  that
//     the request waits and begins again with 1; a redirect route: answer it (unless it would loop)
//  4. take a pooled connection or open one
//  5. compose the head, send it with what there is of the body
// A failure in 4 or 5 goes back to 3 with another target, at most retry_attempts times.
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/log.h"
#include "http/compose.h"
#include "http/target.h"
#include "http/verify.h"
#include "proxy/exchange.h"
#include "proxy/guard.h"
#include "proxy/gzip_rules.h"
#include "proxy/page.h"
#include "proxy/room.h"
#include "route/table.h"
#include "upstream/target.h"

enum {
    HELD_MIN = 4 << 10,      // a smaller body goes with its head
    TARGET_ROOM = 32 << 10,  // a target is below HTTP_REQUEST_LIMITS.target_max
    REWRITE_ROOM = 64 << 10, // three times that, and what prepend adds: everything may become %XX
};

struct picker {
    const struct exchange *exchange;
    const struct route *route;
    uint64_t now_ms;
    uint32_t spared_from; // ejections count for the targets before this one
    bool takes_stale;     // also those of which a pooled connection had died
    bool leads_back;      // one of them is this process itself
};

static bool was_tried(const struct exchange *exchange, const struct endpoint *endpoint,
                      bool takes_stale)
{
    for (int i = 0; i < exchange->tries; i++) {
        bool was_stale = exchange->stale_tries >> i & 1;
        if (exchange->tried[i] == endpoint && !(was_stale && takes_stale))
            return true;
    }
    return false;
}

static bool is_ejected(const struct exchange *exchange, const struct target *target,
                       uint64_t now_ms)
{
    if (!target->endpoint)
        return false;
    struct endpoint_pool *pool = endpoint_pool_of(target->endpoint, exchange->worker->id);
    return pool && !endpoint_pool_admits(pool, now_ms, exchange->is_idempotent);
}

static bool is_usable(void *ctx, const struct route_target *candidate)
{
    struct picker *picker = ctx;
    const struct target *target = candidate->target;
    if (target->endpoint && UNLIKELY(endpoint_is_own(target->endpoint))) {
        picker->leads_back = true;
        return false;
    }
    if (target->endpoint && was_tried(picker->exchange, target->endpoint, picker->takes_stale))
        return false;
    return candidate - picker->route->targets >= (ptrdiff_t)picker->spared_from ||
           !is_ejected(picker->exchange, target, picker->now_ms);
}

// Ejection may take at most half of a route's targets and so never the last: with more, it is no
// longer they who are at fault. Returns the first that is spared.
static uint32_t find_spared(const struct exchange *exchange, const struct route *route,
                            uint64_t now_ms)
{
    uint32_t left = route->up_count / 2;
    for (uint32_t i = 0; i < route->up_count; i++) {
        if (is_ejected(exchange, route->targets[i].target, now_ms) && left-- == 0)
            return i;
    }
    return route->up_count;
}

static const struct route_target *pick(struct exchange *exchange, const struct route *route,
                                       bool *leads_back)
{
    struct worker *worker = exchange->worker;
    struct picker picker = {
        .exchange = exchange, .route = route, .now_ms = net_loop_now_ms(&worker->loop)};
    if (UNLIKELY(picker.now_ms < worker->upstream.ejections_until_ms))
        picker.spared_from = find_spared(exchange, route, picker.now_ms);
    uint32_t salt = (uint32_t)(rng_next(&worker->loop.rng) >> 32);
    enum route_strategy strategy = table_strategy(worker->table);
    const struct route_target *chosen = route_pick(route, strategy, salt, is_usable, &picker);
    if (!chosen && picker.spared_from > 0) {
        picker.spared_from = 0;
        chosen = route_pick(route, strategy, salt, is_usable, &picker);
    }
    if (!chosen && exchange->stale_tries) {
        picker.takes_stale = true;
        chosen = route_pick(route, strategy, salt, is_usable, &picker);
    }
    exchange->target_count = route->up_count;
    *leads_back = picker.leads_back;
    return chosen;
}

// 4.4 of fabio's behaviour: a redirect to what was asked for is not followed, the next host is
// tried.
static bool would_loop(const struct http_head *head, struct str normal_path, struct str location)
{
    const struct http_field *proto = http_find(head, HTTP_FIELD_X_FORWARDED_PROTO);
    if (!proto)
        return false;
    struct str rest = location;
    if (!str_starts_with(rest, proto->value))
        return false;
    rest = str_from(rest, proto->value.len);
    if (!str_starts_with(rest, STR("://")))
        return false;
    rest = str_from(rest, 3);
    if (!str_starts_with(rest, head->host))
        return false;
    rest = str_from(rest, head->host.len);
    ptrdiff_t query = str_find_char(rest, '?');
    char room[TARGET_ROOM];
    struct str path;
    return http_normalise_path(query < 0 ? rest : str_upto(rest, (size_t)query), room, &path) >=
               0 &&
           str_eq(path, normal_path);
}

static void append_html(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        switch (text.ptr[i]) {
        case '&': buf_append_cstr(out, "&amp;"); break;
        case '<': buf_append_cstr(out, "&lt;"); break;
        case '>': buf_append_cstr(out, "&gt;"); break;
        case '"': buf_append_cstr(out, "&#34;"); break;
        case '\'': buf_append_cstr(out, "&#39;"); break;
        default: buf_append_char(out, text.ptr[i]);
        }
    }
}

// True when the redirect was answered (or refused); false when it would loop and the next host is
// to be tried.
static NOINLINE bool answer_redirect(struct exchange *exchange, const struct route_def *def,
                                     struct str normal_path, bool is_last)
{
    const struct http_head *head = &exchange->worker->request_head;
    char location[TARGET_ROOM];
    int len = http_redirect_location(route_def_dst(def), def->rule->strip, def->rule->prepend,
                                     head->host, head->path, normal_path, head->has_query,
                                     head->query, location, sizeof location);
    if (len < 0) {
        exchange_fail(exchange, 400);
        return true;
    }
    // What a stranger says of the scheme leads him past no redirect.
    if (!is_last && exchange->stream->is_peer_trusted &&
        would_loop(head, normal_path, str_make(location, (size_t)len)))
        return false;
    char field[TARGET_ROOM + 16];
    int field_len = snprintf(field, sizeof field, "Location: %.*s\r\n", len, location);
    counter_add(&exchange->worker->counters.redirects, 1);
    worker_note_answer(exchange->worker, def->rule->redirect_code, true);
    struct str extra = str_make(field, (size_t)field_len);
    if (exchange->method != HTTP_METHOD_GET && exchange->method != HTTP_METHOD_HEAD) {
        exchange_answer(exchange, def->rule->redirect_code, extra, STR_NULL, STR(""));
        return true;
    }
    struct buf page;
    buf_init(&page, 8 * TARGET_ROOM);
    buf_append_cstr(&page, "<a href=\"");
    append_html(&page, str_make(location, (size_t)len));
    buf_printf(&page, "\">%s</a>.\n\n", http_reason(def->rule->redirect_code));
    exchange_answer(exchange, def->rule->redirect_code, extra, STR("text/html; charset=utf-8"),
                    buf_str(&page));
    buf_fini(&page);
    return true;
}

// A further try finds nobody: the answer is that of the try before.
static void answer_as_tried(struct exchange *exchange)
{
    exchange->reason = exchange->retry_reason;
    exchange_fail(exchange, exchange->retry_status);
}

static void answer_loop(struct exchange *exchange)
{
    counter_add(&exchange->worker->counters.loops, 1);
    exchange->reason = "loop";
    exchange_fail(exchange, 508);
}

static void answer_without_target(struct exchange *exchange, bool leads_back)
{
    if (exchange->tries > 0) {
        answer_as_tried(exchange);
        return;
    }
    if (leads_back) {
        answer_loop(exchange);
        return;
    }
    const struct page *page = exchange->worker->page;
    counter_add(&exchange->worker->counters.no_target, 1);
    exchange->reason = "no_target";
    struct str text = page->text.len ? page->text : STR_NULL; // else our own words
    exchange_answer(exchange, 503, stream_advice(503), page->content_type, text);
}

// True when the client may use the route; else it has been told, or waits for a verdict.
static bool pass_guard(struct exchange *exchange, const struct route_def *def)
{
    struct worker *worker = exchange->worker;
    struct str challenge;
    if (!guard_permits(def, &worker->request_head, exchange->stream, worker->config)) {
        counter_add(&worker->counters.access_denied, 1);
        exchange->reason = "access_denied";
        exchange_answer(exchange, 403, STR_NULL, STR("text/plain; charset=utf-8"),
                        STR("access denied\n"));
        return false;
    }
    if (!def->rule->auth.len)
        return true;
    switch (auth_check(exchange, def->rule->auth, &challenge)) {
    case AUTH_GRANTED: return true;
    case AUTH_PENDING: return false;
    case AUTH_OVERLOADED: exchange_fail_overloaded(exchange); return false;
    case AUTH_REFUSED: break;
    }
    counter_add(&worker->counters.unauthorized, 1);
    exchange->reason = "unauthorized";
    exchange_answer(exchange, 401, challenge, STR("text/plain; charset=utf-8"),
                    STR("authorization failed\n"));
    return false;
}

static void answer_without_route(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    const struct http_head *head = &worker->request_head;
    if (exchange->tries > 0) {
        answer_as_tried(exchange);
        return;
    }
    counter_add(&worker->counters.no_route, 1);
    log_debug("no route for %.*s%.*s", STR_FMT(head->host), STR_FMT(head->target));
    exchange->reason = "no_route";
    const struct page *page = worker->page;
    exchange_answer(exchange, worker->config->noroute_status, STR_NULL, page->content_type,
                    page->text);
}

// Finds the route and picks the target. NULL: the request was answered, or waits.
static const struct route_target *choose(struct exchange *exchange, struct str normal_path)
{
    struct worker *worker = exchange->worker;
    const struct http_head *head = &worker->request_head;
    struct table_cursor cursor;
    table_lookup_start(&cursor, worker_table(worker), head->host, normal_path, false);
    for (const struct route *route; (route = table_lookup_next(&cursor));) {
        bool leads_back = false;
        const struct route_target *chosen =
            route->up_count ? pick(exchange, route, &leads_back) : NULL;
        if (!chosen) {
            answer_without_target(exchange, leads_back);
            return NULL;
        }
        if (!pass_guard(exchange, chosen->def))
            return NULL;
        if (chosen->def->rule->redirect_code == 0)
            return chosen;
        // Routes without a host are the last candidate of all requests, and only they may loop.
        if (answer_redirect(exchange, chosen->def, normal_path, route->host.len == 0))
            return NULL;
    }
    answer_without_route(exchange);
    return NULL;
}

static struct upstream_conn *get_conn(struct exchange *exchange, int *status)
{
    struct upstream *upstream = &exchange->worker->upstream;
    struct upstream_conn *conn = NULL;
    // A further try goes out on a fresh connection: the rest of the pool may be as dead as the
    // first.
    if (exchange->tries <= 1)
        conn = upstream_get_idle(upstream, exchange->pool, exchange->is_idempotent,
                                 &RESPONSE_EVENTS, exchange);
    if (conn) {
        counter_add(&exchange->worker->counters.reused, 1);
        return conn;
    }
    if (!room_for_connection(exchange->worker)) {
        *status = UV_EMFILE;
        return NULL;
    }
    counter_add(&exchange->counters->connects, 1);
    return upstream_connect(upstream, exchange->pool, &RESPONSE_EVENTS, exchange, status);
}

// Composes the head with that path into the out scratch. Length or a negative err_code.
static int compose_with_path(struct exchange *exchange, const struct route_target *chosen,
                             struct str path)
{
    struct worker *worker = exchange->worker;
    const struct http_head *head = &worker->request_head;
    const struct route_def *def = chosen->def;
    const struct stream *stream = exchange->stream;
    struct http_forward forward = {
        .client_ip = stream_peer_ip(stream),
        .is_peer_trusted = stream->is_peer_trusted,
        .is_tls = stream->is_tls,
        .is_websocket = exchange->is_websocket,
        .asks_gzip = exchange->asks_gzip,
        .path = path,
        .dst_query = route_def_dst_query(def),
        .host = head->host,
        .strip = def->rule->strip,
    };
    if (str_eq(def->rule->host_option, STR("dst")) ||
        (!def->rule->host_option.len && !head->host.len))
        forward.host = target_host_header(chosen->target);
    else if (def->rule->host_option.len)
        forward.host = def->rule->host_option;
    char request_id[REQUEST_ID_TEXT];
    if (worker->config->compose.request_id_header.len)
        forward.request_id = request_id_text(exchange->request_id, request_id);
    char *out = worker->loop.out_scratch;
    int len = http_compose_request(head, &forward, &worker->config->compose, out, LOOP_OUT_SCRATCH);
#ifndef NDEBUG
    BUG_ON(len >= 0 &&
           !http_verify_request(head, &forward, &worker->config->compose, out, (size_t)len));
#endif
    if (worker->access_log && len >= 0)
        exchange_keep_sent_head(exchange, out, (size_t)len);
    return len;
}

static NOINLINE int compose_with_rewritten_path(struct exchange *exchange,
                                                const struct route_target *chosen,
                                                struct str normal_path)
{
    const struct route_def *def = chosen->def;
    char path[REWRITE_ROOM];
    int len = http_rewrite_path(exchange->worker->request_head.path, normal_path, def->rule->strip,
                                def->rule->prepend, path, sizeof path);
    return len < 0 ? len : compose_with_path(exchange, chosen, str_make(path, (size_t)len));
}

// A path with dot segments goes on as it was matched, so that no rule can be walked around; any
// other goes on byte for byte.
static int compose(struct exchange *exchange, const struct route_target *chosen,
                   struct str normal_path)
{
    struct str path = exchange->worker->request_head.path;
    if (chosen->def->rule->strip.len || chosen->def->rule->prepend.len ||
        normal_path.ptr != path.ptr)
        return compose_with_rewritten_path(exchange, chosen, normal_path);
    return compose_with_path(exchange, chosen, path);
}

// Sends to the chosen target. 0, or a libuv error code when the try failed before a byte was sent.
static int send_to(struct exchange *exchange, int head_len, const struct iovec *body, int count)
{
    int status = 0;
    exchange->conn = get_conn(exchange, &status);
    if (!exchange->conn)
        return status;
    exchange->is_probe =
        endpoint_pool_begin_request(exchange->pool, net_loop_now_ms(&exchange->worker->loop));
    struct iovec parts[1 + BODY_PARTS];
    parts[0] =
        (struct iovec){.iov_base = exchange->worker->loop.out_scratch, .iov_len = (size_t)head_len};
    size_t body_len = 0;
    for (int i = 0; i < count; i++) {
        parts[1 + i] = body[i];
        body_len += body[i].iov_len;
    }
    counter_add(&exchange->counters->bytes_in, body_len);
    // What is kept for another try need not be copied to wait for the connection as well.
    exchange->holds_body =
        body_len > HELD_MIN && exchange->can_replay && !exchange->conn->is_connected;
    bool has_more = body_len > 0 && !exchange->upload.is_complete && exchange->conn->is_connected;
    if (UNLIKELY(has_more))
        exchange->stream->ops->read_ahead(exchange->stream, &exchange->conn->sock,
                                          exchange_upload_ahead(exchange));
    int rc = sock_write(&exchange->conn->sock, parts, exchange->holds_body ? 1 : 1 + count);
    if (rc < 0)
        return rc;
    if (rc == 1)
        upstream_await_drain(exchange->conn);
    if (rc == 1 && !exchange->upload.is_complete) {
        exchange->is_client_paused = true;
        exchange->stream->ops->read_stop(exchange->stream);
    }
    if (UNLIKELY(has_more))
        exchange->stream->ops->pace(exchange->stream, &exchange->conn->sock, body_len,
                                    exchange_upload_ahead(exchange));
    if (exchange->worker->access_log)
        exchange->sent_us = clock_now_us();
    exchange->sent_turn = counter_get(&exchange->worker->counters.turns);
    exchange_arm_download(exchange);
    return 0;
}

// OPTIONS * asks about the proxy itself, and so does an OPTIONS that may go no further (RFC 9110
// sections 7.6.2 and 9.3.7).
static bool is_for_us(const struct http_head *head)
{
    if (head->method != HTTP_METHOD_OPTIONS)
        return false;
    for (size_t i = 0; i < head->field_count; i++) {
        uint64_t hops;
        if (head->fields[i].id == HTTP_FIELD_MAX_FORWARDS &&
            str_to_u64(head->fields[i].value, &hops) && hops == 0)
            return true;
    }
    return str_eq(head->path, STR("*"));
}

// What we are short of says nothing about the target, and it would be no better elsewhere.
static bool is_shortage(int rc)
{
    return rc == UV_EMFILE || rc == UV_ENFILE || rc == UV_ENOMEM || rc == UV_ENOBUFS;
}

// A socket that refuses the first byte has sent none; of TLS records some may be out.
static enum try_failure how_sending_failed(const struct exchange *exchange)
{
    const struct upstream_conn *conn = exchange->conn;
    if (conn && endpoint_tls(conn->pool->endpoint))
        return conn->is_reused ? TRY_STALE : TRY_FAILED;
    return TRY_UNSENT;
}

static void forward_path(struct exchange *exchange, struct str normal_path,
                         const struct iovec *body, int count)
{
    struct worker *worker = exchange->worker;
    const struct http_head *head = &worker->request_head;
    const struct route_target *chosen = choose(exchange, normal_path);
    if (!chosen)
        return;

    struct target *target = chosen->target;
    if (!target->endpoint) {
        exchange->reason = "unsupported_scheme";
        exchange_fail(exchange, 502);
        return;
    }
    struct target_counters *counters = target_counters_of(target, worker->id, &worker->cell->used);
    struct endpoint_pool *pool = upstream_pool_of(&worker->upstream, target->endpoint);
    if (!counters || !pool) {
        exchange_fail(exchange, 503);
        return;
    }
    if (exchange->tries == 0)
        counter_add(&counters->requests, 1);
    else
        counter_add(&exchange->counters->retries, 1); // of the target before
    exchange_pin_target(exchange, target, counters, pool);
    exchange->tried[exchange->tries++] = target->endpoint;
    exchange->retried_statuses = chosen->def->rule->retried_statuses;

    if (worker->config->asks_gzip && !exchange->asks_gzip)
        exchange->asks_gzip = gzip_may_ask(head) && gunzip_reserve(&worker->gunzip);
    int len = compose(exchange, chosen, normal_path);
    if (len == ERR_LIMIT) {
        answer_loop(exchange);
        return;
    }
    if (len < 0) {
        exchange_fail(exchange, len == ERR_TOO_LARGE ? 431 : 400);
        return;
    }
    int rc = send_to(exchange, len, body, count);
    if (rc >= 0)
        return;
    if (exchange->conn ? !sock_is_peers_fault(rc) : is_shortage(rc)) {
        // Ours, and part of the request may be out.
        counter_add(&worker->counters.no_descriptor, 1);
        exchange->reason = "shortage";
        exchange_fail(exchange, 503);
        return;
    }
    // A pooled connection that refuses bytes was closed by the other side: no failure of the
    // target.
    bool is_stale = exchange->conn && exchange->conn->is_reused;
    if (!is_stale) {
        counter_add(&counters->connect_failures, 1);
        exchange_note_failure(exchange, EJECT_CONNECT);
    }
    exchange_retry(exchange, how_sending_failed(exchange), 502, "connect_failed");
}

static NOINLINE void forward_normalised(struct exchange *exchange, struct str path,
                                        const struct iovec *body, int count)
{
    char room[TARGET_ROOM];
    struct str normal_path;
    if (path.len >= sizeof room || http_normalise_path(path, room, &normal_path) < 0)
        exchange_refuse(exchange, HTTP_BAD_TARGET);
    else
        forward_path(exchange, normal_path, body, count);
}

void forward_request(struct exchange *exchange, const struct iovec *body, int count)
{
    const struct http_head *head = &exchange->worker->request_head;
    if (UNLIKELY(is_for_us(head)))
        exchange_answer(exchange, 200, STR_NULL, STR_NULL, STR(""));
    else if (LIKELY(head->path.len < TARGET_ROOM && http_path_is_normal(head->path)))
        forward_path(exchange, head->path, body, count);
    else
        forward_normalised(exchange, head->path, body, count);
}
