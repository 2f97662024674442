// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "http/compose.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "upstream/target.h"

void access_log_entry(struct worker *worker, struct access_entry *entry)
{
    char line[ACCESS_LINE_MAX];
    size_t len = access_log_format(worker->config->access_log, entry, line, sizeof line);
    if (len > 0 && !access_log_put(worker->access_log, worker->id, str_make(line, len)))
        counter_add(&worker->counters.access_log_dropped, 1);
}

void exchange_keep_sent_head(struct exchange *exchange, const char *bytes, size_t len)
{
    struct worker *worker = exchange->worker;
    if (!access_format_needs_sent_head(worker->config->access_log))
        return;
    struct block_pool *blocks = &worker->loop.blocks;
    block_put(blocks, exchange->sent_head); // of the try before
    exchange->sent_head = NULL;
    // Shortage costs what the line says of it, and a head beyond BLOCK_MAX does too.
    int ignored = block_append(blocks, &exchange->sent_head, bytes, len, BLOCK_MAX);
    (void)ignored;
}

// The first line of a head that was accepted, which therefore has one space on either side of the
// target; empty lines may stand before it.
static void read_start_line(struct str head, struct access_entry *entry)
{
    while (str_starts_with(head, STR("\r\n")))
        head = str_from(head, 2);
    size_t space = (size_t)str_find_char(head, ' ');
    entry->method = str_upto(head, space);
    head = str_from(head, space + 1);
    entry->target = str_upto(head, (size_t)str_find_char(head, ' '));
}

// The heads were kept for this: their spans died with the read that brought them.
static void read_heads(struct exchange *exchange, struct access_entry *entry)
{
    struct worker *worker = exchange->worker;
    struct str bytes = exchange->request
                           ? str_make(block_start(exchange->request), exchange->request_head_len)
                           : STR_NULL;
    if (bytes.len && !access_format_needs_received_head(worker->config->access_log)) {
        read_start_line(bytes, entry);
    } else if (bytes.len && http_parse_request(&worker->request_head, bytes.ptr, bytes.len,
                                               &worker->config->request_limits) == HTTP_ACCEPTED) {
        const struct http_head *head = &worker->request_head;
        const struct http_forward forward = {
            .is_peer_trusted = exchange->stream->is_peer_trusted,
            .is_tls = exchange->stream->is_tls,
            .is_websocket = exchange->is_websocket,
        };
        entry->received = head;
        entry->method = head->method_name;
        entry->target = head->target;
        entry->host = head->host;
        entry->scheme = http_client_scheme(head, &forward);
    }
    if (!exchange->sent_head)
        return;
    const struct http_limits limits = {BLOCK_MAX, BLOCK_MAX, HTTP_FIELDS_MAX};
    // No response is looked at any more when an exchange ends, so its place is free. With the
    // fields we add a head may be too large to be parsed: then the line tells of the received one.
    struct http_head *sent = &worker->response_head;
    if (http_parse_request(sent, block_start(exchange->sent_head), block_len(exchange->sent_head),
                           &limits) == HTTP_ACCEPTED)
        entry->sent = sent;
}

// Body bytes without what frames them.
static uint64_t body_bytes_sent(const struct exchange *exchange)
{
    const struct body *download = &exchange->download;
    if (exchange->phase == EXCHANGE_WAITING)
        return exchange->bytes_out; // of an answer of our own
    if (exchange->gzip)
        return gzip_bytes_out(exchange->gzip);
    if (exchange->gunzip)
        return gunzip_bytes_out(exchange->gunzip);
    if (download->framing == HTTP_BODY_CHUNKED)
        return download->chunks.data_total - download->chunks.left;
    return exchange->bytes_out;
}

static void describe_target(const struct target *target, struct access_entry *entry)
{
    entry->service = target->rule->service;
    entry->upstream = target_host_header(target);
    struct str dst = target_dst(target);
    ptrdiff_t colon = str_find_char(dst, ':');
    if (colon > 0 && str_starts_with(str_from(dst, (size_t)colon), STR("://")))
        entry->upstream_scheme = str_upto(dst, (size_t)colon);
}

// "host/path", cut where it is longer than any line tells.
static struct str join_route(const struct route_rule *rule, char *room, size_t size)
{
    struct str host = str_upto(rule->host, size);
    struct str path = str_upto(rule->path, size - host.len);
    memcpy(room, host.ptr, host.len);
    memcpy(room + host.len, path.ptr, path.len);
    return str_make(room, host.len + path.len);
}

void exchange_log(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    const struct stream *stream = exchange->stream;
    struct access_entry entry = {
        .ended_at_us = clock_wall_us(),
        .duration_us = clock_now_us() - exchange->start_us,
        .client_ip = stream_peer_ip(stream),
        .client_port = stream->peer_port,
        .minor_version = exchange->client_minor,
        .is_tls = stream->is_tls,
        .status = exchange->status ? exchange->status : 499, // the client went away first
        .bytes_received = exchange->bytes_in,
        .bytes_sent = body_bytes_sent(exchange),
        .upstream_us = exchange->answered_us ? exchange->answered_us - exchange->sent_us : 0,
        .attempts = exchange->tries,
        .reason = str_of(exchange->reason),
    };
    read_heads(exchange, &entry);
    char request_id[REQUEST_ID_TEXT];
    if (worker->config->compose.request_id_header.len) {
        entry.request_id_name = worker->config->compose.request_id_header;
        entry.request_id = request_id_text(exchange->request_id, request_id);
    }
    char route[512];
    if (exchange->target) {
        entry.route = join_route(exchange->target->rule, route, sizeof route);
        describe_target(exchange->target, &entry);
    }
    access_log_entry(worker, &entry);
}
