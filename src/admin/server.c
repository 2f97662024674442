// SPDX-License-Identifier: Apache-2.0
// The way of one request:
//   1. on_connection   accepts; at the limit the longest idle connection gives way.
//   2. on_read         appends to conn->in, then conn_step.
//   3. conn_step       parses the head, waits for the body, hands both to ops.on_request
//   (CONN_BUSY).
//   4. server_reply*   composes the head and writes (CONN_WRITING).
//   5. on_written      back to CONN_READING and conn_step for a pipelined request, or conn_linger.
// Faults: a refused request is answered and the connection lingers (what the client still sends is
// read and dropped, lest a reset overtakes the answer); a deadline, an error or shortage closes at
// once.
#include "admin/server.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <uv.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/chunk.h"
#include "http/compose.h"
#include "http/target.h"
#include "net/inherited.h"

enum {
    SCRATCH_BYTES = 64 << 10,
    LISTEN_BACKLOG = 128,
    LINGER_MS = 2000,
    TICK_MS = 1000,
    RETIRE_IDLE_MS = 1500,
};

// No script, style, image or frame but our own.
static const char COMMON_FIELDS[] =
    "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Referrer-Policy: no-referrer\r\n"
    "Cache-Control: no-store\r\n";

enum conn_state {
    CONN_READING, // waits for a request; -> BUSY, WRITING (refusal)
    CONN_BUSY,    // the request is with on_request; -> WRITING, STREAM
    CONN_WRITING, // an answer is on its way; -> READING, LINGER
    CONN_STREAM,  // events until the end
    CONN_LINGER,  // all is said; reads and drops until EOF or deadline
    CONN_CLOSED,  // uv_close called; memory lives until its callback and the last reference
};

struct server_conn {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct server *server;
    struct list link; // server's conns, the longest quiet one first
    uint32_t refs;    // one of the open handle, one per server_conn_ref
    enum conn_state state;
    uint64_t deadline_ms; // clock_now_ms()
    bool is_peer_loopback;

    // Request.
    struct buf in;      // received bytes
    size_t head_len;    // 0: head not parsed yet
    size_t request_len; // head and body, once complete
    size_t body_len;    // of a chunked body: bytes behind the head that are filtered already
    struct chunk_filter chunks;
    bool has_sent_continue;
    bool is_head;
    bool closes;

    // Answer.
    struct buf head;
    struct buf body;
    size_t out_len; // bytes counted in server->out_bytes
    bool is_write_pending;
    uint64_t note; // the stream user's
};

struct server {
    uv_tcp_t listener;
    uv_timer_t timer;
    struct server_ops ops;
    struct list conns; // not those in CONN_CLOSED
    size_t conn_count; // open handles, closing ones included
    size_t stream_count;
    size_t out_bytes;
    uint32_t open_handles; // listener and timer
    bool is_closing;
    bool is_retired;  // the listener is closed
    bool has_waiting; // a connection was not accepted for want of memory
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
    struct http_head request; // scratch of conn_step
    char scratch[SCRATCH_BYTES];
};

static void conn_step(struct server_conn *conn);
static void accept_one(struct server *server);

// ---- life of a connection

static void server_free_if_done(struct server *server)
{
    if (!server->is_closing || server->open_handles > 0 || server->conn_count > 0)
        return;
    void (*on_closed)(void *) = server->on_closed;
    void *ctx = server->on_closed_ctx;
    mem_free(server);
    if (on_closed)
        on_closed(ctx);
}

struct server_conn *server_conn_ref(struct server_conn *conn)
{
    conn->refs++;
    return conn;
}

void server_conn_unref(struct server_conn *conn)
{
    BUG_ON(conn->refs == 0);
    if (--conn->refs > 0)
        return;
    buf_fini(&conn->in);
    buf_fini(&conn->head);
    buf_fini(&conn->body);
    mem_free(conn);
}

static void on_conn_closed(uv_handle_t *handle)
{
    struct server_conn *conn = handle->data;
    struct server *server = conn->server;
    server->conn_count--;
    conn->server = NULL;
    server_conn_unref(conn);
    server_free_if_done(server);
}

static void answer_release(struct server_conn *conn)
{
    conn->server->out_bytes -= conn->out_len;
    conn->out_len = 0;
    buf_fini(&conn->head);
    buf_fini(&conn->body);
}

static void conn_close(struct server_conn *conn)
{
    if (conn->state == CONN_CLOSED)
        return;
    struct server *server = conn->server;
    bool was_stream = conn->state == CONN_STREAM;
    conn->state = CONN_CLOSED;
    list_remove(&conn->link);
    if (was_stream) {
        server->stream_count--;
        server->ops.on_stream_end(server->ops.ctx, conn);
    }
    uv_close((uv_handle_t *)&conn->tcp, on_conn_closed);
}

static void conn_touch(struct server_conn *conn, uint64_t wait_ms)
{
    conn->deadline_ms = clock_now_ms() + wait_ms;
    if (conn->state == CONN_STREAM)
        return; // never evicted; keeps its place while server_stream_each goes through the list
    list_remove(&conn->link);
    list_push_back(&conn->server->conns, &conn->link);
}

// ---- reading

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)suggested;
    struct server_conn *conn = handle->data;
    *buf = uv_buf_init(conn->server->scratch, SCRATCH_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct server_conn *conn = stream->data;
    if (len == 0)
        return;
    if (len < 0) {
        conn_close(conn);
        return;
    }
    if (conn->state == CONN_STREAM || conn->state == CONN_LINGER)
        return; // nothing more is expected: dropped
    buf_append(&conn->in, buf->base, (size_t)len);
    if (buf_status(&conn->in) != 0)
        conn_close(conn);
    else
        conn_step(conn);
}

static void on_continue_written(uv_write_t *write, int status)
{
    (void)status; // a broken connection shows when reading
    mem_free(write);
}

static void send_continue(struct server_conn *conn)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    if (conn->has_sent_continue)
        return;
    conn->has_sent_continue = true;
    uv_write_t *write = mem_alloc(sizeof *write);
    if (!write)
        return; // the client sends its body after a while all the same
    uv_buf_t piece = uv_buf_init(text, sizeof text - 1);
    if (uv_write(write, (uv_stream_t *)&conn->tcp, &piece, 1, on_continue_written) != 0)
        mem_free(write);
}

// Filters what came in of a chunked body. 1: complete, 0: more must come, negative: refused.
static int chunked_body_step(struct server_conn *conn)
{
    size_t from = conn->head_len + conn->body_len;
    size_t left = conn->in.len - from;
    if (left == 0)
        return 0;
    size_t kept = left;
    size_t used = left;
    char *bytes = conn->in.ptr + from;
    int result = chunk_filter_run(&conn->chunks, bytes, &kept, &used);
    if (result < 0)
        return result;
    conn->body_len += kept;
    memmove(bytes + kept, bytes + used, left - used);
    conn->in.len -= used - kept;
    return result;
}

static void refuse(struct server_conn *conn, int status)
{
    conn->closes = true;
    conn->request_len = conn->in.len;
    char text[64];
    snprintf(text, sizeof text, "%s\n", http_reason(status));
    server_reply_text(conn, status, text);
}

// Whether the body is complete; else more must be read or a refusal is on its way.
static bool body_is_complete(struct server_conn *conn, const struct http_head *head)
{
    switch (head->framing) {
    case HTTP_BODY_LENGTH:
        if (head->content_length > SERVER_BODY_MAX) {
            refuse(conn, 413);
            return false;
        }
        conn->body_len = (size_t)head->content_length;
        if (conn->in.len >= conn->head_len + conn->body_len)
            return true;
        break;
    case HTTP_BODY_CHUNKED: {
        int result = chunked_body_step(conn);
        if (result < 0 || conn->body_len > SERVER_BODY_MAX) {
            refuse(conn, result < 0 ? 400 : 413);
            return false;
        }
        if (result > 0)
            return true;
        break;
    }
    default: conn->body_len = 0; return true;
    }
    if (head->expects_continue)
        send_continue(conn);
    return false;
}

static const struct http_limits LIMITS = {
    .head_max = SERVER_HEAD_MAX, .target_max = SERVER_HEAD_MAX, .fields_max = HTTP_FIELDS_MAX};

static void hand_over(struct server_conn *conn)
{
    struct server *server = conn->server;
    struct server_request request = {
        .head = &server->request,
        .body = str_make(conn->in.ptr + conn->head_len, conn->body_len),
        .is_peer_loopback = conn->is_peer_loopback,
    };
    server->ops.on_request(server->ops.ctx, conn, &request);
}

void server_ask_again(struct server_conn *conn)
{
    if (conn->state != CONN_BUSY)
        return; // closed meanwhile
    int result = http_parse_request(&conn->server->request, conn->in.ptr, conn->in.len, &LIMITS);
    BUG_ON(result != HTTP_ACCEPTED); // it was, and its bytes are kept
    hand_over(conn);
}

static void conn_step(struct server_conn *conn)
{
    struct server *server = conn->server;
    struct http_head *head = &server->request;

    if (conn->state != CONN_READING || conn->in.len == 0)
        return;
    // The head is parsed anew for each piece of the body: its spans point into a buffer that may
    // move.
    int result = http_parse_request(head, conn->in.ptr, conn->in.len, &LIMITS);
    if (result == ERR_AGAIN)
        return;
    if (result != HTTP_ACCEPTED) {
        refuse(conn, result > 0 ? http_refusal_status((enum http_refusal)result) : 400);
        return;
    }
    if (conn->head_len == 0) {
        conn->head_len = head->head_len;
        conn->is_head = head->method == HTTP_METHOD_HEAD;
        conn->closes = !head->is_keep_alive || server->is_retired;
        chunk_filter_init(&conn->chunks, true, NULL);
    }
    if (!body_is_complete(conn, head))
        return;

    conn->request_len = conn->head_len + conn->body_len;
    conn->state = CONN_BUSY;
    conn_touch(conn, SERVER_IDLE_MS);
    uv_read_stop((uv_stream_t *)&conn->tcp); // one request at a time: the kernel holds what follows
    hand_over(conn);
}

// ---- writing

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    struct server_conn *conn = shutdown->data;
    if (status != 0)
        conn_close(conn);
}

static void conn_linger(struct server_conn *conn)
{
    conn->state = CONN_LINGER;
    conn_touch(conn, LINGER_MS);
    conn->shutdown.data = conn;
    if (uv_shutdown(&conn->shutdown, (uv_stream_t *)&conn->tcp, on_shutdown) != 0 ||
        uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        conn_close(conn);
}

static void on_written(uv_write_t *write, int status)
{
    struct server_conn *conn = write->data;
    conn->is_write_pending = false;
    answer_release(conn);
    if (conn->state == CONN_CLOSED)
        return;
    if (status != 0) {
        conn_close(conn);
        return;
    }
    conn_touch(conn, conn->server->is_retired ? RETIRE_IDLE_MS : SERVER_IDLE_MS);
    if (conn->state == CONN_STREAM)
        return;
    if (conn->closes) {
        conn_linger(conn);
        return;
    }
    buf_consume(&conn->in, conn->request_len);
    if (conn->in.len == 0)
        buf_fini(&conn->in); // an idle connection holds no buffer
    conn->head_len = 0;
    conn->body_len = 0;
    conn->has_sent_continue = false;
    conn->is_head = false;
    conn->state = CONN_READING;
    if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        conn_close(conn);
    else
        conn_step(conn);
}

static void conn_write(struct server_conn *conn, struct str body)
{
    uv_buf_t pieces[2] = {
        uv_buf_init(conn->head.ptr, (unsigned)conn->head.len),
        uv_buf_init((char *)body.ptr, (unsigned)body.len), // uv_write only reads
    };
    conn->out_len = conn->head.len + body.len;
    conn->server->out_bytes += conn->out_len;
    conn->write.data = conn;
    conn->is_write_pending = true;
    conn_touch(conn, SERVER_IDLE_MS);
    if (uv_write(&conn->write, (uv_stream_t *)&conn->tcp, pieces, body.len > 0 ? 2 : 1,
                 on_written) != 0) {
        conn->is_write_pending = false;
        answer_release(conn);
        conn_close(conn);
    }
}

static void compose_head(struct server_conn *conn, int status, struct str content_type,
                         struct str extra)
{
    char date[40];
    time_t now = (time_t)(clock_wall_us() / 1000000);
    struct tm utc;
    gmtime_r(&now, &utc);
    strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", &utc);

    struct buf *out = &conn->head;
    buf_clear(out);
    buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", status, http_reason(status), date);
    if (content_type.len > 0)
        buf_printf(out, "Content-Type: %.*s\r\n", STR_FMT(content_type));
    buf_append_cstr(out, COMMON_FIELDS);
    buf_append_str(out, extra);
}

static void reply_with(struct server_conn *conn, int status, struct str content_type,
                       struct str extra, struct str body)
{
    BUG_ON(conn->state != CONN_BUSY && conn->state != CONN_READING);
    if (conn->state == CONN_READING) // a refusal
        uv_read_stop((uv_stream_t *)&conn->tcp);
    conn->state = CONN_WRITING;
    compose_head(conn, status, content_type, extra);
    buf_printf(&conn->head, "Content-Length: %zu\r\nConnection: %s\r\n\r\n", body.len,
               conn->closes ? "close" : "keep-alive");
    if (buf_status(&conn->head) != 0)
        conn_close(conn);
    else
        conn_write(conn, conn->is_head ? STR_NULL : body);
}

void server_reply(struct server_conn *conn, int status, struct str content_type, struct str extra,
                  struct buf *body)
{
    if (conn->state == CONN_CLOSED) {
        buf_fini(body);
        return;
    }
    int failure = buf_status(body);
    bool is_short =
        failure == ERR_NOMEM ||
        body->len > SERVER_ANSWERS_MAX - MIN(conn->server->out_bytes, (size_t)SERVER_ANSWERS_MAX);
    if (failure != 0 || is_short) {
        buf_fini(body);
        server_reply_text(conn, is_short ? 503 : 500,
                          is_short ? "out of memory\n" : "answer too large\n");
        return;
    }
    buf_fini(&conn->body);
    conn->body = *body;
    buf_init(body, body->max);
    reply_with(conn, status, content_type, extra, buf_str(&conn->body));
}

void server_reply_static(struct server_conn *conn, int status, struct str content_type,
                         struct str extra, struct str body)
{
    if (conn->state != CONN_CLOSED)
        reply_with(conn, status, content_type, extra, body);
}

void server_reply_text(struct server_conn *conn, int status, const char *text)
{
    struct buf body;
    buf_init(&body, 4096);
    buf_append_cstr(&body, text);
    if (buf_status(&body) != 0)
        buf_clear(&body); // the status alone must do
    server_reply(conn, status, STR("text/plain; charset=utf-8"), STR_NULL, &body);
}

bool server_stream_begin(struct server_conn *conn)
{
    struct server *server = conn->server;
    if (server->stream_count >= SERVER_STREAMS_MAX) {
        server_reply_text(conn, 503, "too many event streams\n");
        return false;
    }
    compose_head(conn, 200, STR("text/event-stream; charset=utf-8"),
                 STR("Connection: close\r\n\r\n"));
    conn->state = CONN_STREAM;
    conn->closes = true;
    conn->note = 0;
    server->stream_count++;
    buf_fini(&conn->in);
    if (buf_status(&conn->head) != 0 ||
        uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        conn_close(conn);
    else
        conn_write(conn, STR_NULL);
    return true;
}

bool server_stream_is_ready(const struct server_conn *conn)
{
    return conn->state == CONN_STREAM && !conn->is_write_pending;
}

void server_stream_send(struct server_conn *conn, struct str text)
{
    BUG_ON(!server_stream_is_ready(conn));
    // What the socket takes at once leaves the stream ready for what follows in the same turn.
    uv_buf_t piece = uv_buf_init((char *)text.ptr, (unsigned)text.len);
    int sent = uv_try_write((uv_stream_t *)&conn->tcp, &piece, 1);
    text = str_from(text, sent > 0 ? (size_t)sent : 0);
    if (text.len == 0) {
        conn_touch(conn, SERVER_IDLE_MS);
        return;
    }
    buf_clear(&conn->head);
    buf_append_str(&conn->head, text);
    if (buf_status(&conn->head) != 0)
        conn_close(conn);
    else
        conn_write(conn, STR_NULL);
}

void server_stream_each(struct server *server, void (*fn)(void *ctx, struct server_conn *conn),
                        void *ctx)
{
    LIST_FOREACH_SAFE (node, &server->conns) {
        struct server_conn *conn = CONTAINER_OF(node, struct server_conn, link);
        if (conn->state == CONN_STREAM)
            fn(ctx, conn);
    }
}

size_t server_stream_count(const struct server *server)
{
    return server->stream_count;
}

uint64_t *server_stream_note(struct server_conn *conn)
{
    return &conn->note;
}

// ---- listening

static bool sockaddr_is_loopback(const struct sockaddr_storage *addr)
{
    if (addr->ss_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)addr)->sin_addr.s_addr) >> 24) == 127;
    if (addr->ss_family != AF_INET6)
        return false;
    const struct in6_addr *ip = &((const struct sockaddr_in6 *)addr)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(ip) || (IN6_IS_ADDR_V4MAPPED(ip) && ip->s6_addr[12] == 127);
}

// Makes room by closing the connection that has waited longest for a request.
static bool evict_idle(struct server *server)
{
    LIST_FOREACH (node, &server->conns) {
        struct server_conn *conn = CONTAINER_OF(node, struct server_conn, link);
        if (conn->state == CONN_READING || conn->state == CONN_LINGER) {
            conn_close(conn);
            return true;
        }
    }
    return false;
}

static void accept_one(struct server *server)
{
    struct server_conn *conn = mem_zalloc(sizeof *conn);
    server->has_waiting = !conn; // the timer tries again
    if (!conn)
        return;
    conn->server = server;
    conn->refs = 1;
    buf_init(&conn->in, SERVER_HEAD_MAX + 2 * SERVER_BODY_MAX + SCRATCH_BYTES);
    buf_init(&conn->head, SERVER_ANSWER_MAX);
    buf_init(&conn->body, SERVER_ANSWER_MAX);
    list_init(&conn->link);
    if (uv_tcp_init(server->listener.loop, &conn->tcp) != 0) {
        mem_free(conn);
        return;
    }
    conn->tcp.data = conn;
    server->conn_count++;
    conn_touch(conn, SERVER_IDLE_MS);
    bool is_full = server->conn_count > SERVER_CONNS_MAX && !evict_idle(server);
    if (uv_accept((uv_stream_t *)&server->listener, (uv_stream_t *)&conn->tcp) != 0 || is_full) {
        conn_close(conn);
        return;
    }
    struct sockaddr_storage peer = {0};
    int peer_len = sizeof peer;
    if (uv_tcp_getpeername(&conn->tcp, (struct sockaddr *)&peer, &peer_len) == 0)
        conn->is_peer_loopback = sockaddr_is_loopback(&peer);
    uv_tcp_nodelay(&conn->tcp, 1);
    if (uv_read_start((uv_stream_t *)&conn->tcp, on_alloc, on_read) != 0)
        conn_close(conn);
}

static void on_connection(uv_stream_t *listener, int status)
{
    if (status == 0)
        accept_one(listener->data);
}

static void on_tick(uv_timer_t *timer)
{
    struct server *server = timer->data;
    uint64_t now_ms = clock_now_ms();
    LIST_FOREACH_SAFE (node, &server->conns) {
        struct server_conn *conn = CONTAINER_OF(node, struct server_conn, link);
        bool may_wait =
            conn->state == CONN_BUSY || (conn->state == CONN_STREAM && !conn->is_write_pending);
        if (!may_wait && now_ms >= conn->deadline_ms)
            conn_close(conn);
    }
    if (server->has_waiting)
        accept_one(server);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct server *server = handle->data;
    server->open_handles--;
    server_free_if_done(server);
}

void server_close(struct server *server, void (*on_closed)(void *ctx), void *ctx)
{
    server->is_closing = true;
    server->on_closed = on_closed;
    server->on_closed_ctx = ctx;
    LIST_FOREACH_SAFE (node, &server->conns)
        conn_close(CONTAINER_OF(node, struct server_conn, link));
    uv_close((uv_handle_t *)&server->timer, on_handle_closed);
    if (!server->is_retired)
        uv_close((uv_handle_t *)&server->listener, on_handle_closed);
}

void server_retire(struct server *server)
{
    if (server->is_retired)
        return;
    server->is_retired = true;
    server->has_waiting = false;
    uv_close((uv_handle_t *)&server->listener, on_handle_closed);
    LIST_FOREACH_SAFE (node, &server->conns) {
        struct server_conn *conn = CONTAINER_OF(node, struct server_conn, link);
        if (conn->state == CONN_STREAM)
            conn_close(conn);
        else if (conn->state == CONN_READING) // a request may be on its way
            conn->deadline_ms = MIN(conn->deadline_ms, clock_now_ms() + RETIRE_IDLE_MS);
        // An answer that is being written has promised to take one more request.
        if (conn->state != CONN_WRITING)
            conn->closes = true;
    }
}

bool server_socket(const struct server *server, int *socket)
{
    return !server->is_retired && uv_fileno((const uv_handle_t *)&server->listener, socket) == 0;
}

// The address to bind: an IP literal, a name (looked up once, here), or nothing for all addresses.
static int resolve_addr(struct str addr, struct sockaddr_storage *out, bool *is_any,
                        struct err *err)
{
    struct str host, port_text;
    uint64_t port = 0;
    ptrdiff_t colon = str_rfind_char(addr, ':');
    *is_any = colon == 0;
    port_text = colon < 0 ? STR_NULL : str_from(addr, (size_t)colon + 1);
    host = str_upto(addr, colon < 0 ? addr.len : (size_t)colon);
    if (host.len > 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_make(host.ptr + 1, host.len - 2);
    if (!str_to_u64(port_text, &port) || port > 65535)
        return err_set(err, ERR_INVALID, "%.*s: not an address with a port", STR_FMT(addr));
    if (*is_any)
        return uv_ip6_addr("::", (int)port, (struct sockaddr_in6 *)out);

    char name[256];
    if (host.len >= sizeof name)
        return err_set(err, ERR_INVALID, "%.*s: name too long", STR_FMT(addr));
    memcpy(name, host.ptr, host.len);
    name[host.len] = '\0';
    if (uv_ip4_addr(name, (int)port, (struct sockaddr_in *)out) == 0 ||
        uv_ip6_addr(name, (int)port, (struct sockaddr_in6 *)out) == 0)
        return 0;
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int status = getaddrinfo(name, NULL, &hints, &found);
    if (status != 0)
        return err_set(err, ERR_INVALID, "%s: %s", name, gai_strerror(status));
    memcpy(out, found->ai_addr, found->ai_addrlen);
    freeaddrinfo(found);
    if (out->ss_family == AF_INET)
        ((struct sockaddr_in *)out)->sin_port = htons((uint16_t)port);
    else
        ((struct sockaddr_in6 *)out)->sin6_port = htons((uint16_t)port);
    return 0;
}

static int listen_on(struct server *server, struct str addr, struct inherited *inherited,
                     struct err *err)
{
    struct sockaddr_storage at = {0};
    bool is_any;
    int status = resolve_addr(addr, &at, &is_any, err);
    if (status != 0)
        return status;
    int socket = inherited ? inherited_take(inherited, (struct sockaddr *)&at) : -1;
    if (socket >= 0) {
        BUG_ON(uv_tcp_open(&server->listener, socket) != 0);
        return 0; // server_listen begins to take connections
    }
    status = uv_tcp_bind(&server->listener, (struct sockaddr *)&at, 0);
    if (status == UV_EAFNOSUPPORT && is_any) { // a machine without IPv6
        struct sockaddr_in any = {.sin_family = AF_INET,
                                  .sin_port = ((struct sockaddr_in6 *)&at)->sin6_port};
        status = uv_tcp_bind(&server->listener, (struct sockaddr *)&any, 0);
    }
    if (status == 0)
        status = uv_listen((uv_stream_t *)&server->listener, LISTEN_BACKLOG, on_connection);
    if (status != 0)
        return err_set(err, ERR_IO, "%.*s: %s", STR_FMT(addr), uv_strerror(status));
    return 0;
}

void server_listen(struct server *server)
{
    // Where it listens already nothing happens; an inherited socket can fail only for want of
    // memory.
    int status = uv_listen((uv_stream_t *)&server->listener, LISTEN_BACKLOG, on_connection);
    if (status != 0)
        log_error("admin: listen: %s", uv_strerror(status));
}

struct server *server_start(struct uv_loop_s *loop, struct str addr, struct inherited *inherited,
                            const struct server_ops *ops, struct err *err)
{
    struct server *server = mem_zalloc(sizeof *server);
    if (!server) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    server->ops = *ops;
    list_init(&server->conns);
    uv_tcp_init(loop, &server->listener); // opens no socket yet: cannot fail
    uv_timer_init(loop, &server->timer);
    server->listener.data = server;
    server->timer.data = server;
    server->open_handles = 2;
    if (listen_on(server, addr, inherited, err) != 0) {
        server_close(server, NULL, NULL);
        return NULL;
    }
    uv_timer_start(&server->timer, on_tick, TICK_MS, TICK_MS);
    return server;
}

uint16_t server_port(const struct server *server)
{
    struct sockaddr_storage at = {0};
    int len = sizeof at;
    if (uv_tcp_getsockname(&server->listener, (struct sockaddr *)&at, &len) != 0)
        return 0;
    return ntohs(at.ss_family == AF_INET ? ((struct sockaddr_in *)&at)->sin_port
                                         : ((struct sockaddr_in6 *)&at)->sin6_port);
}
