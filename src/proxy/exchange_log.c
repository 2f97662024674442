// SPDX-License-Identifier: Apache-2.0
#include "base/clock.h"
#include "proxy/access_log.h"
#include "proxy/exchange.h"
#include "upstream/target.h"

static struct str field_value(const struct http_head *head, enum http_field_id id)
{
    const struct http_field *field = http_find(head, id);
    return field ? field->value : STR_NULL;
}

void access_log_entry(struct worker *worker, struct access_entry *entry)
{
    char line[ACCESS_LINE_MAX];
    size_t len = access_log_format(worker->config->access_log, entry, line, sizeof line);
    if (len > 0 && !access_log_put(worker->access_log, worker->id, str_make(line, len)))
        counter_add(&worker->counters.access_log_dropped, 1);
}

void exchange_log(struct exchange *exchange)
{
    struct worker *worker = exchange->worker;
    const struct stream *stream = exchange->stream;
    struct http_head *head = &worker->request_head;
    struct access_entry entry = {
        .ended_at_us = clock_wall_us(),
        .duration_us = clock_now_us() - exchange->start_us,
        .client_ip = stream_peer_ip(stream),
        .client_port = stream->peer_port,
        .minor_version = exchange->client_minor,
        .status = exchange->status ? exchange->status : 499, // the client went away first
        .bytes_received = exchange->bytes_in,
        .bytes_sent = exchange->bytes_out,
        .attempts = exchange->tries,
        .reason = str_of(exchange->reason),
    };
    // The request was kept for this: its spans died with the read that brought them.
    if (exchange->request &&
        http_parse_request(head, block_start(exchange->request), exchange->request_head_len,
                           &worker->config->request_limits) == HTTP_ACCEPTED) {
        entry.method = head->method_name;
        entry.target = head->target;
        entry.host = head->host;
        entry.referer = field_value(head, HTTP_FIELD_REFERER);
        entry.user_agent = field_value(head, HTTP_FIELD_USER_AGENT);
    }
    char route[512];
    if (exchange->target) {
        const struct target *target = exchange->target;
        int len =
            snprintf(route, sizeof route, "%.*s%.*s", STR_FMT(target->host), STR_FMT(target->path));
        entry.route = str_make(route, MIN((size_t)len, sizeof route - 1));
        entry.service = target->service;
        entry.upstream = target->host_header;
    }
    access_log_entry(worker, &entry);
}
