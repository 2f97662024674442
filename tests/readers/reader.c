// SPDX-License-Identifier: Apache-2.0
//
// A server that refuses a request ends the connection. Then the request is sent once more, alone:
// is it taken now, it was refused for what stands before it, and that was read otherwise than
// meant.
#include "reader.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/chunk.h"
#include "http/head.h"

enum {
    IN_MAX = 4 << 20,
    WINDOW_REQUESTS = 64,
    WINDOW_BYTES = 256 << 10, // what a server has buffers for before it reads our answers
    PATIENCE_S = 30,
    SHOWN_MAX = 10,
};

enum verdict {
    READ_SAME,
    READ_DIFFERENT,
    REFUSED,
    CUT, // no answer
};

static bool has_odd_method(const struct request *request)
{
    return request->has_odd_method;
}

static bool is_upgrade_without_key(const struct request *request)
{
    return request->is_upgrade && !request->has_websocket_key;
}

// "METHOD target host": a label of the host is empty, or all of it.
static bool has_empty_label(const struct request *request)
{
    struct str host = request->line;
    for (ptrdiff_t space; (space = str_find_char(host, ' ')) >= 0;)
        host = str_from(host, (size_t)space + 1);
    return str_find(host, STR("..")) >= 0 || str_eq(host, STR(".")) ||
           str_starts_with(host, STR(".:"));
}

static bool has_double_field(const struct request *request)
{
    return request->has_double_field;
}

// Names lie between the ends of lines and colons.
static bool has_long_name(const struct request *request)
{
    struct str rest = request->fields;
    while (rest.len > 0) {
        ptrdiff_t colon = str_find_char(rest, ':');
        if (colon > 255)
            return true;
        rest = str_from(rest, (size_t)str_find_char(rest, '\n') + 1);
    }
    return false;
}

static bool has_bad_escape(const struct request *request)
{
    struct str target = request->line;
    for (size_t i = 0; i + 2 < target.len; i++) {
        if (target.ptr[i] == '%' && (!strchr("0123456789abcdefABCDEF", target.ptr[i + 1]) ||
                                     !strchr("0123456789abcdefABCDEF", target.ptr[i + 2])))
            return true;
    }
    return false;
}

const struct reader_reason READER_REASONS[] = {
    {"nginx", "a method of other bytes than A-Z, '-' and '_'", has_odd_method},
    {"nginx", "a % without two hexadecimal digits in the target", has_bad_escape},
    {"nginx", "a field twice that it takes once, as Expect", has_double_field},
    {"nginx", "a host with an empty label", has_empty_label},
    {"haproxy", "an upgrade to websocket without a Sec-WebSocket-Key of 24 bytes",
     is_upgrade_without_key},
    {"haproxy", "a field name of 256 bytes", has_long_name},
    {"go", "a % without two hexadecimal digits in the target", has_bad_escape},
};
const unsigned READER_REASON_COUNT = ARRAY_LEN(READER_REASONS);

void reader_init(struct reader *reader, const char *name, uint16_t port)
{
    *reader = (struct reader){.name = name,
                              .port = port,
                              .fd = -1,
                              .in = malloc(IN_MAX),
                              .body = malloc(IN_MAX),
                              .out = malloc(WINDOW_BYTES + BATCH_BYTES)};
    reader->tells_fields = strcmp(name, "nginx") != 0;
    reader->tells_hex = strcmp(name, "haproxy") == 0;
    if (!reader->in || !reader->body || !reader->out)
        exit(2);
}

static void disconnect(struct reader *reader)
{
    if (reader->fd >= 0)
        close(reader->fd);
    reader->fd = -1;
    reader->in_len = 0;
}

void reader_fini(struct reader *reader)
{
    disconnect(reader);
    free(reader->in);
    free(reader->body);
    free(reader->out);
}

static void fail(const struct reader *reader, const char *what)
{
    fprintf(stderr, "%s: %s: %s\n", reader->name, what, strerror(errno));
    exit(2);
}

static void reach(struct reader *reader)
{
    if (reader->fd >= 0)
        return;
    int one = 1;
    struct timeval patience = {.tv_sec = PATIENCE_S};
    struct sockaddr_in addr = {.sin_family = AF_INET,
                               .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                               .sin_port = htons(reader->port)};
    reader->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (reader->fd < 0 || connect(reader->fd, (struct sockaddr *)&addr, sizeof addr) != 0)
        fail(reader, "cannot connect");
    setsockopt(reader->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(reader->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(reader->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

// A server that has refused something may not take the rest: that shows in what it answers.
static void send_all(const struct reader *reader, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t got = send(reader->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (got <= 0)
            return;
        bytes = str_from(bytes, (size_t)got);
    }
}

// False: the connection has ended, or nothing comes any more.
static bool receive(struct reader *reader)
{
    if (reader->in_len == IN_MAX)
        fail(reader, "answers without end");
    ssize_t got = recv(reader->fd, reader->in + reader->in_len, IN_MAX - reader->in_len, 0);
    if (got > 0)
        reader->in_len += (size_t)got;
    return got > 0;
}

static size_t decode_hex(char *bytes, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        char digits[3] = {bytes[i], bytes[i + 1], 0};
        bytes[i / 2] = (char)strtoul(digits, NULL, 16);
    }
    return len / 2;
}

// "name: value\r\n" or "name:value\n" of any case up to an empty line; the lines are changed in
// place. Returns where the body begins.
static size_t split_fields(char *text, size_t len, struct str *lines, size_t *count)
{
    size_t at = 0;
    *count = 0;
    while (at < len) {
        char *end = memchr(text + at, '\n', len - at);
        if (!end)
            return len;
        size_t line_len = (size_t)(end - text) - at;
        struct str line = str_make(text + at, line_len);
        at += line_len + 1;
        if (line.len > 0 && line.ptr[line.len - 1] == '\r')
            line.len--;
        if (line.len == 0)
            return at;
        char *colon = memchr(line.ptr, ':', line.len);
        if (!colon || *count == HTTP_FIELDS_MAX)
            return len;
        for (char *letter = (char *)line.ptr; letter < colon; letter++)
            *letter = char_lower(*letter);
        if (colon[1] == ' ' && colon + 1 < line.ptr + line.len) {
            memmove(colon + 1, colon + 2, (size_t)(line.ptr + line.len - colon - 2));
            line.len--;
        }
        lines[(*count)++] = line;
    }
    return len;
}

static bool is_same(const struct reader *reader, const struct request *request, struct str line,
                    char *body, size_t len)
{
    if (!str_eq(line, request->line))
        return false;
    if (request->is_head)
        return true;
    if (reader->tells_hex)
        len = decode_hex(body, len);
    if (reader->tells_fields) {
        char text[FIELDS_TEXT_MAX];
        struct str lines[HTTP_FIELDS_MAX];
        size_t count;
        size_t at = split_fields(body, len, lines, &count);
        if (!str_eq(str_make(text, fields_text(lines, count, text)), request->fields))
            return false;
        body += at;
        len -= at;
    }
    return str_eq(str_make(body, len), request->body);
}

// Copies the body of an answer, without framing. 1: all of it is there; 0: more must come; -1: it
// is malformed.
static int read_body(struct reader *reader, const struct http_head *head, size_t *len, size_t *used)
{
    size_t there = reader->in_len - head->head_len;
    memcpy(reader->body, reader->in + head->head_len, there);
    *len = *used = 0;
    if (head->framing == HTTP_BODY_LENGTH) {
        *len = *used = (size_t)head->content_length;
        return *used <= there;
    }
    if (head->framing != HTTP_BODY_CHUNKED)
        return head->framing == HTTP_BODY_NONE ? 1 : -1;
    struct chunk_filter filter;
    chunk_filter_init(&filter, true, NULL);
    *len = there;
    int rc = chunk_filter_run(&filter, reader->body, len, used);
    return rc < 0 ? -1 : rc;
}

// Takes one final answer from the start of what has come.
static enum verdict take_answer(struct reader *reader, const struct request *request)
{
    static _Thread_local struct http_head head;
    enum http_method method = request->is_head ? HTTP_METHOD_HEAD : HTTP_METHOD_GET;
    for (;;) {
        int rc =
            http_parse_response(&head, reader->in, reader->in_len, &HTTP_RESPONSE_LIMITS, method);
        if (rc > 0)
            return READ_DIFFERENT; // what came is no answer
        if (rc == 0 && head.status >= 200 && head.status != 200)
            return REFUSED;
        size_t len = 0, used = 0;
        int body = rc < 0 ? 0 : read_body(reader, &head, &len, &used);
        if (body < 0)
            return READ_DIFFERENT;
        if (body == 0) {
            if (!receive(reader))
                return CUT;
            continue;
        }
        bool is_final = head.status == 200;
        const struct http_field *line = http_find_name(&head, STR("X-Read"));
        bool same = is_final && line && is_same(reader, request, line->value, reader->body, len);
        used += head.head_len;
        memmove(reader->in, reader->in + used, reader->in_len - used);
        reader->in_len -= used;
        if (is_final)
            return same ? READ_SAME : READ_DIFFERENT;
    }
}

static void show(const struct reader *reader, const char *what, const struct request *request)
{
    if (reader->different > SHOWN_MAX)
        return;
    flockfile(stderr);
    fprintf(stderr,
            "%s %s\n--- sent on:\n%.*s\n--- the client's stream:\n%.*s\n--- it said:\n%.*s\n---\n",
            reader->name, what, STR_FMT(request->bytes), STR_FMT(request->stream),
            (int)MIN(reader->in_len, (size_t)2000), reader->in);
    funlockfile(stderr);
}

static void note_different(struct reader *reader, const char *what, const struct request *request)
{
    reader->different++;
    show(reader, what, request);
}

static void note_refused(struct reader *reader, const struct request *request)
{
    for (unsigned i = 0; i < READER_REASON_COUNT; i++) {
        if (strcmp(READER_REASONS[i].reader, reader->name) == 0 &&
            READER_REASONS[i].applies(request)) {
            reader->refused[i]++;
            return;
        }
    }
    note_different(reader, "refuses, for no known reason", request);
}

// What the server makes of a request that nothing stands before.
static void ask_alone(struct reader *reader, const struct request *request,
                      const struct request *before)
{
    disconnect(reader);
    reach(reader);
    send_all(reader, request->bytes);
    switch (take_answer(reader, request)) {
    case REFUSED: note_refused(reader, request); break;
    case READ_SAME:
        note_different(reader, "reads otherwise, or what stands behind it",
                       before ? before : request);
        break;
    case READ_DIFFERENT: note_different(reader, "reads otherwise", request); break;
    case CUT: note_different(reader, "gives no answer", request); break;
    }
    disconnect(reader);
}

// Sends as many as fit from number `first` and looks at the answers. Returns how many were settled.
static unsigned run_window(struct reader *reader, const struct batch *batch, unsigned first)
{
    unsigned count = 0;
    size_t len = 0;
    reach(reader);
    // An upgrade may be answered in another protocol, so that Node drops what stands behind it; and
    // its 100 it sends behind the head of the answer when that has to wait for another's. To a
    // target requests go one at a time.
    while (first + count < batch->count && count < WINDOW_REQUESTS && len < WINDOW_BYTES) {
        const struct request *request = &batch->requests[first + count];
        if (count > 0 && request->goes_alone)
            break;
        memcpy(reader->out + len, request->bytes.ptr, request->bytes.len);
        len += request->bytes.len;
        count++;
        if (request->goes_alone)
            break;
    }
    send_all(reader, str_make(reader->out, len));
    for (unsigned i = 0; i < count; i++) {
        const struct request *request = &batch->requests[first + i];
        switch (take_answer(reader, request)) {
        case READ_SAME: reader->same++; continue;
        case READ_DIFFERENT:
            note_different(reader, "reads otherwise", request);
            disconnect(reader);
            return i + 1;
        case REFUSED:
        case CUT: ask_alone(reader, request, i ? request - 1 : NULL); return i + 1;
        }
    }
    if (reader->in_len > 0) {
        note_different(reader, "answers more than it was asked",
                       &batch->requests[first + count - 1]);
        disconnect(reader);
    }
    return count;
}

void reader_run(struct reader *reader, const struct batch *batch)
{
    unsigned done = 0;
    while (done < batch->count)
        done += run_window(reader, batch, done);
}
