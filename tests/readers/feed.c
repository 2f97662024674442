// SPDX-License-Identifier: Apache-2.0
#include "feed.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../fuzz/connection_check.h"
#include "../fuzz/connection_world.h"
#include "http/chunk.h"
#include "http/head.h"

enum {
    STREAM_REQUESTS_MAX = 256,
    STREAM_BYTES_MAX = 160 << 10,
    WEBSOCKET_KEY_LEN = 24,
};

static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static struct world world;
static size_t taken[WORLD_ORIGINS]; // of what an origin has got
static struct str current;          // stream

// What breaks a rule is of use only with the bytes that did it.
static void on_abort(int number)
{
    (void)number;
    static const char text[] = "readers: the stream was:\n";
    if (write(2, text, sizeof text - 1) < 0 || write(2, current.ptr, current.len) < 0)
        _exit(3);
    _exit(1);
}

void feed_begin(void)
{
    signal(SIGABRT, on_abort);
    world_begin(&world, 0);
}

void feed_end(void)
{
    world_end(&world);
    world_free(&world);
}

bool batch_has_room(const struct batch *batch)
{
    return batch->count + STREAM_REQUESTS_MAX <= BATCH_REQUESTS &&
           batch->used + STREAM_BYTES_MAX * 4 <= BATCH_BYTES;
}

static struct str keep(struct batch *batch, const char *bytes, size_t len)
{
    REQUIRE(batch->used + len <= BATCH_BYTES);
    char *at = batch->bytes + batch->used;
    if (len > 0)
        memcpy(at, bytes, len);
    batch->used += len;
    return str_make(at, len);
}

static int compare_lines(const void *a, const void *b)
{
    return str_cmp(*(const struct str *)a, *(const struct str *)b);
}

size_t fields_text(struct str *lines, size_t count, char *room)
{
    size_t len = 0;
    qsort(lines, count, sizeof lines[0], compare_lines);
    for (size_t i = 0; i < count; i++) {
        if (str_starts_with(lines[i], STR("host:")) || str_starts_with(lines[i], STR("expect:")) ||
            str_starts_with(lines[i], STR("transfer-encoding:")))
            continue;
        memcpy(room + len, lines[i].ptr, lines[i].len);
        len += lines[i].len;
        room[len++] = '\n';
    }
    return len;
}

static struct str keep_fields(const struct http_head *head, struct batch *batch)
{
    static char text[FIELDS_TEXT_MAX], sorted[FIELDS_TEXT_MAX];
    struct str lines[HTTP_FIELDS_MAX];
    size_t len = 0;
    for (size_t i = 0; i < head->field_count; i++) {
        const struct http_field *field = &head->fields[i];
        lines[i] = str_make(text + len, field->name.len + 1 + field->value.len);
        for (size_t j = 0; j < field->name.len; j++)
            text[len++] = char_lower(field->name.ptr[j]);
        text[len++] = ':';
        memcpy(text + len, field->value.ptr ? field->value.ptr : "", field->value.len);
        len += field->value.len;
    }
    return keep(batch, sorted, fields_text(lines, head->field_count, sorted));
}

static bool is_odd(struct str method)
{
    for (size_t i = 0; i < method.len; i++) {
        char c = method.ptr[i];
        if (!(c >= 'A' && c <= 'Z') && c != '-' && c != '_')
            return true;
    }
    return false;
}

static bool has_double_field(const struct http_head *head)
{
    static const struct str SINGLE[] = {
        STR_INIT("Authorization"),     STR_INIT("Content-Type"),  STR_INIT("Expect"),
        STR_INIT("If-Match"),          STR_INIT("If-None-Match"), STR_INIT("If-Range"),
        STR_INIT("If-Modified-Since"), STR_INIT("Range"),         STR_INIT("If-Unmodified-Since"),
        STR_INIT("User-Agent"),        STR_INIT("Referer"),       STR_INIT("Keep-Alive"),
    };
    for (size_t i = 0; i < ARRAY_LEN(SINGLE); i++) {
        unsigned count = 0;
        for (size_t j = 0; j < head->field_count; j++)
            count += str_ieq(head->fields[j].name, SINGLE[i]);
        if (count > 1)
            return true;
    }
    return false;
}

// The body behind a head, without framing. False: it is not complete.
static bool read_body(const struct http_head *head, struct str rest, struct batch *batch,
                      struct str *body)
{
    size_t used = 0;
    if (head->framing == HTTP_BODY_LENGTH) {
        if (rest.len < head->content_length)
            return false;
        used = (size_t)head->content_length;
        *body = keep(batch, rest.ptr, used);
    } else if (head->framing == HTTP_BODY_CHUNKED) {
        struct chunk_filter filter;
        chunk_filter_init(&filter, true, NULL);
        *body = keep(batch, rest.ptr, rest.len);
        int rc = chunk_filter_run(&filter, (char *)body->ptr, &body->len, &used);
        REQUIRE(rc >= 0);
        if (rc == 0)
            return false;
    }
    REQUIRE(used == rest.len); // nothing behind it
    return true;
}

// Takes the request that an origin has got and answers it. False: there is none, or not all of it.
static bool take(unsigned number, struct batch *batch)
{
    static struct http_head head;
    static char line[FIELDS_TEXT_MAX];
    struct world_end *origin = &world.origins[number];
    struct str bytes = str_make(origin->in.ptr + taken[number], origin->in.len - taken[number]);
    if (bytes.len == 0 || origin->fd < 0)
        return false;
    size_t before = batch->used;
    int rc = http_parse_request(&head, bytes.ptr, bytes.len, world_request_limits());
    REQUIRE(rc == HTTP_ACCEPTED);
    struct request *request = &batch->requests[batch->count];
    *request = (struct request){.is_head = head.method == HTTP_METHOD_HEAD};
    if (!read_body(&head, str_from(bytes, head.head_len), batch, &request->body)) {
        batch->used = before;
        return false;
    }
    request->bytes = keep(batch, bytes.ptr, bytes.len);
    int len = snprintf(line, sizeof line, "%.*s %.*s %.*s", STR_FMT(head.method_name),
                       STR_FMT(head.target), STR_FMT(head.host));
    request->line = keep(batch, line, (size_t)len);
    request->fields = keep_fields(&head, batch);
    request->is_upgrade = head.is_upgrade;
    request->goes_alone = head.is_upgrade || head.expects_continue;
    const struct http_field *key = http_find_name(&head, STR("Sec-WebSocket-Key"));
    request->has_websocket_key = key && key->value.len == WEBSOCKET_KEY_LEN;
    request->has_double_field = has_double_field(&head);
    request->has_odd_method = is_odd(head.method_name);
    request->stream = current;
    batch->count++;
    taken[number] = origin->in.len;
    world_send(origin, ANSWER, sizeof ANSWER - 1);
    return true;
}

static void forget(struct world_end *end)
{
    end->in.len = end->out.len = end->out_sent = 0;
}

// The next stream finds the pooled connections of this one, as a client would.
static void clean_up(void)
{
    struct world_end *client = world_client(&world, 0);
    world_reset(client);
    world_settle(&world);
    forget(client);
    client->is_used = client->has_reset = false;
    unsigned kept = 0;
    for (unsigned i = 0; i < world.origin_count; i++) {
        struct world_end end = world.origins[i];
        forget(&end);
        if (end.is_reading) { // the worker has not closed it
            world.origins[kept++] = end;
            continue;
        }
        world_reset(&end);
        free(end.in.ptr);
        free(end.out.ptr);
    }
    memset(&world.origins[kept], 0, (world.origin_count - kept) * sizeof world.origins[0]);
    world.origin_count = kept;
    memset(taken, 0, sizeof taken);
}

void feed_play(struct str stream, struct batch *batch)
{
    current = keep(batch, stream.ptr, stream.len);
    struct world_end *client = world_client(&world, 0);
    world_send(client, stream.ptr, stream.len);
    bool has_moved = true;
    while (has_moved) {
        world_settle(&world);
        has_moved = false;
        for (unsigned i = 0; i < world.origin_count; i++)
            has_moved |= take(i, batch);
    }
    check_world(&world);
    clean_up();
}
