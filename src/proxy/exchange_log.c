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

// The heads were kept for this: their spans died with the read that brought them.
static void read_heads(struct exchange *exchange, struct access_entry *entry)
{
    struct worker *worker = exchange->worker;
    if (exchange->request &&
        http_parse_request(&worker->request_head, block_start(exchange->request),
                           exchange->request_head_len,
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
    ptrdiff_t end = str_find(target_dst(target), STR("://"));
    entry->upstream_scheme = str_upto(target_dst(target), end < 0 ? 0 : (size_t)end);
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
    const struct target *target = exchange->target;
    if (target) {
        int len = snprintf(route, sizeof route, "%.*s%.*s", STR_FMT(target->rule->host),
                           STR_FMT(target->rule->path));
        entry.route = str_make(route, MIN((size_t)len, sizeof route - 1));
        describe_target(target, &entry);
    }
    access_log_entry(worker, &entry);
}
