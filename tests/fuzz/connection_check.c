// SPDX-License-Identifier: Apache-2.0
// 1. What an origin gets parses strictly, as requests one behind the other.
// 2. Each of them is one that a client sent whole and that was not refused: same method, same
// target,
//    and of the body no more than the client sent. Nothing behind a refusal, nothing out of a body.
// 3. No request that may not be repeated comes more often than it was sent.
// 4. What a client gets parses strictly, as answers one behind the other, not more than it has
// asked
//    for and one refusal.
#include "connection_check.h"

#include <stdlib.h>
#include <string.h>

#include "http/chunk.h"
#include "http/head.h"
#include "http/target.h"

enum { ITEMS_MAX = 256, PATH_ROOM = 96 << 10 };

// One message of a stream.
struct item {
    enum http_method method;
    struct str method_name;
    struct str target; // as it goes on to an origin; owned
    struct str body;   // without framing; owned
    bool is_idempotent;
    bool is_upgrade;
    bool is_complete;
};

struct items {
    unsigned count;
    bool is_refused; // behind the last one is something that is none
    struct item at[ITEMS_MAX];
};

static struct str copy(struct str text)
{
    char *bytes = malloc(text.len + 1);
    REQUIRE(bytes);
    memcpy(bytes, text.ptr ? text.ptr : "", text.len);
    return str_make(bytes, text.len);
}

// Path and query as the proxy sends them on: byte for byte but for dot segments.
static struct str target_of(const struct http_head *head)
{
    static char normal_room[PATH_ROOM], path_room[PATH_ROOM], all[2 * PATH_ROOM];
    struct str normal;
    struct str path = head->path;
    if (path.len < sizeof normal_room && http_normalise_path(path, normal_room, &normal) >= 0 &&
        normal.ptr != path.ptr) {
        int len = http_rewrite_path(path, normal, STR_NULL, STR_NULL, path_room, sizeof path_room);
        if (len >= 0)
            path = str_make(path_room, (size_t)len);
    }
    memcpy(all, path.ptr, path.len);
    size_t len = path.len;
    if (head->has_query) {
        all[len++] = '?';
        memcpy(all + len, head->query.ptr ? head->query.ptr : "", head->query.len);
        len += head->query.len;
    }
    return copy(str_make(all, len));
}

// Takes a body apart. Returns the number of bytes it has in the stream so far, or -1: it is
// malformed.
static ptrdiff_t read_body(enum http_framing framing, uint64_t length, struct str rest,
                           struct str *body, bool *is_complete)
{
    *body = copy(rest);
    switch (framing) {
    case HTTP_BODY_NONE:
        body->len = 0;
        *is_complete = true;
        return 0;
    case HTTP_BODY_LENGTH:
        body->len = (size_t)MIN((uint64_t)rest.len, length);
        *is_complete = body->len == length;
        return (ptrdiff_t)body->len;
    case HTTP_BODY_CLOSE: *is_complete = false; return (ptrdiff_t)rest.len;
    case HTTP_BODY_CHUNKED: break;
    }
    struct chunk_filter filter;
    chunk_filter_init(&filter, true, NULL);
    size_t used;
    int rc = chunk_filter_run(&filter, (char *)body->ptr, &body->len, &used);
    *is_complete = rc == 1;
    return rc < 0 ? -1 : (ptrdiff_t)used;
}

static void read_requests(struct items *items, struct str stream)
{
    static struct http_head head;
    items->count = 0;
    items->is_refused = false;
    while (stream.len > 0 && items->count < ITEMS_MAX) {
        int rc = http_parse_request(&head, stream.ptr, stream.len, world_request_limits());
        if (rc != HTTP_ACCEPTED) {
            items->is_refused = rc > 0;
            return;
        }
        struct item *item = &items->at[items->count++];
        item->method = head.method;
        item->method_name = head.method_name;
        item->target = target_of(&head);
        item->is_idempotent = http_method_is_idempotent(&head);
        item->is_upgrade = head.is_upgrade;
        stream = str_from(stream, head.head_len);
        ptrdiff_t used =
            read_body(head.framing, head.content_length, stream, &item->body, &item->is_complete);
        items->is_refused = used < 0;
        if (!item->is_complete)
            return;
        stream = str_from(stream, (size_t)used);
    }
}

static void free_items(struct items *items)
{
    for (unsigned i = 0; i < items->count; i++) {
        free((char *)items->at[i].target.ptr);
        free((char *)items->at[i].body.ptr);
    }
    items->count = 0;
}

static struct str sent_of(const struct world_end *end)
{
    return str_make(end->out.ptr, end->out_sent);
}

static struct str received_of(const struct world_end *end)
{
    return str_make(end->in.ptr, end->in.len);
}

// Final answers in a stream; *is_strict: all of it could be read; *is_finished: none of them goes
// on, as one without a length does. The methods are those of `asked`.
static unsigned count_answers(struct str stream, const struct items *asked, bool *is_strict,
                              bool *is_finished)
{
    static struct http_head head;
    unsigned count = 0;
    *is_strict = true;
    *is_finished = true;
    while (stream.len > 0) {
        enum http_method method = count < asked->count ? asked->at[count].method : HTTP_METHOD_GET;
        int rc = http_parse_response(&head, stream.ptr, stream.len, &HTTP_RESPONSE_LIMITS, method);
        if (rc != HTTP_ACCEPTED) {
            *is_strict = rc < 0;
            return count;
        }
        stream = str_from(stream, head.head_len);
        if (head.status == 101)
            return count + 1; // a tunnel from here on
        if (head.status < 200)
            continue;
        count++;
        struct str body;
        bool is_complete;
        ptrdiff_t used = read_body(head.framing, head.content_length, stream, &body, &is_complete);
        free((char *)body.ptr);
        *is_strict = used >= 0;
        *is_finished = is_complete;
        if (!is_complete)
            return count;
        stream = str_from(stream, (size_t)used);
    }
    return count;
}

bool check_is_idle(const struct world_end *origin)
{
    static struct items asked;
    bool is_strict;
    bool is_finished;
    read_requests(&asked, received_of(origin));
    unsigned answered = count_answers(sent_of(origin), &asked, &is_strict, &is_finished);
    bool is_idle = is_strict && is_finished && answered >= asked.count;
    for (unsigned i = 0; i < asked.count; i++)
        is_idle &= asked.at[i].is_complete && !asked.at[i].is_upgrade;
    free_items(&asked);
    return is_idle && origin->fd >= 0;
}

static bool is_same_request(const struct item *seen, const struct item *sent)
{
    return str_eq(seen->method_name, sent->method_name) && str_eq(seen->target, sent->target);
}

static bool is_body_of(const struct item *seen, const struct item *sent)
{
    if (seen->is_complete)
        return sent->is_complete && str_eq(seen->body, sent->body);
    return str_starts_with(sent->body, seen->body);
}

// 2 and 3 for one request that an origin has seen.
static void check_request(const struct items *sent, unsigned client_count, const struct items *seen,
                          unsigned origin_count, const struct item *request)
{
    unsigned times_sent = 0;
    bool has_body = false;
    for (unsigned c = 0; c < client_count; c++) {
        for (unsigned i = 0; i < sent[c].count; i++) {
            if (!is_same_request(request, &sent[c].at[i]))
                continue;
            times_sent++;
            has_body |= is_body_of(request, &sent[c].at[i]);
        }
    }
    REQUIRE(times_sent > 0);
    REQUIRE(has_body);
    if (request->is_idempotent)
        return;
    unsigned times_seen = 0;
    for (unsigned o = 0; o < origin_count; o++) {
        for (unsigned i = 0; i < seen[o].count; i++)
            times_seen += is_same_request(request, &seen[o].at[i]);
    }
    REQUIRE(times_seen <= times_sent);
}

void check_world(const struct world *world)
{
    static struct items sent[WORLD_CLIENTS];
    static struct items seen[WORLD_ORIGINS];
    for (unsigned c = 0; c < WORLD_CLIENTS; c++)
        read_requests(&sent[c], sent_of(&world->clients[c]));
    for (unsigned o = 0; o < world->origin_count; o++) {
        const struct world_end *origin = &world->origins[o];
        read_requests(&seen[o], received_of(origin));
        // Behind an upgrade that was agreed to, bytes are the tunnel's.
        bool has_tunnel = false;
        for (unsigned i = 0; i < seen[o].count; i++)
            has_tunnel |= seen[o].at[i].is_upgrade && str_find(sent_of(origin), STR(" 101")) >= 0;
        REQUIRE(!seen[o].is_refused || has_tunnel);
        while (has_tunnel && !seen[o].at[seen[o].count - 1].is_upgrade) {
            free((char *)seen[o].at[seen[o].count - 1].target.ptr);
            free((char *)seen[o].at[seen[o].count - 1].body.ptr);
            seen[o].count--;
        }
    }
    for (unsigned o = 0; o < world->origin_count; o++) {
        for (unsigned i = 0; i < seen[o].count; i++)
            check_request(sent, WORLD_CLIENTS, seen, world->origin_count, &seen[o].at[i]);
    }
    for (unsigned c = 0; c < WORLD_CLIENTS; c++) {
        bool is_strict;
        bool is_finished;
        unsigned count =
            count_answers(received_of(&world->clients[c]), &sent[c], &is_strict, &is_finished);
        REQUIRE(is_strict);
        REQUIRE(count <= sent[c].count + 1);
    }
    for (unsigned c = 0; c < WORLD_CLIENTS; c++)
        free_items(&sent[c]);
    for (unsigned o = 0; o < world->origin_count; o++)
        free_items(&seen[o]);
}
