// SPDX-License-Identifier: Apache-2.0
#include "proxy/body.h"

#include <stdio.h>

#include "base/err.h"

static char CRLF[] = "\r\n";
static char LAST_CHUNK[] = "0\r\n\r\n";

void body_init(struct body *body, enum http_framing framing, uint64_t length, bool drops_framing,
               struct buf *trailers)
{
    body->framing = (uint8_t)framing;
    body->left = framing == HTTP_BODY_LENGTH ? length : 0;
    body->is_complete = framing == HTTP_BODY_NONE || (framing == HTTP_BODY_LENGTH && length == 0);
    body->is_rechunked = framing == HTTP_BODY_CLOSE && !drops_framing;
    if (framing == HTTP_BODY_CHUNKED)
        chunk_filter_init(&body->chunks, drops_framing, trailers);
}

static void add(struct iovec *parts, int *count, void *bytes, size_t len)
{
    if (len > 0)
        parts[(*count)++] = (struct iovec){.iov_base = bytes, .iov_len = len};
}

static int pass_chunked(struct body *body, char *bytes, size_t len, size_t *used,
                        struct iovec *parts, int *count)
{
    int rc = chunk_filter_run(&body->chunks, bytes, &len, used);
    if (rc < 0)
        return rc;
    add(parts, count, bytes, len);
    if (rc == 1) {
        body->is_complete = true;
        if (!body->chunks.drops_framing) {
            struct buf *trailers = body->chunks.trailers;
            if (trailers)
                add(parts, count, trailers->ptr, trailers->len);
            add(parts, count, CRLF, 2);
        }
    }
    return 0;
}

int body_pass(struct body *body, char *bytes, size_t len, size_t *used, struct iovec *parts,
              int *count)
{
    *count = 0;
    *used = 0;
    if (body->is_complete || len == 0)
        return 0;
    switch (body->framing) {
    case HTTP_BODY_LENGTH:
        *used = MIN(len, body->left);
        body->left -= *used;
        body->is_complete = body->left == 0;
        add(parts, count, bytes, *used);
        return 0;
    case HTTP_BODY_CHUNKED: return pass_chunked(body, bytes, len, used, parts, count);
    default: {
        struct iovec before, behind;
        *used = len;
        body_pass_unseen(body, len, &before, &behind);
        add(parts, count, before.iov_base, before.iov_len);
        add(parts, count, bytes, len);
        add(parts, count, behind.iov_base, behind.iov_len);
        return 0;
    }
    }
}

uint64_t body_unseen(const struct body *body)
{
    switch (body->framing) {
    case HTTP_BODY_LENGTH: return body->left;
    case HTTP_BODY_CLOSE: return body->is_complete ? 0 : UINT64_MAX;
    default: return 0;
    }
}

void body_pass_unseen(struct body *body, size_t len, struct iovec *before, struct iovec *behind)
{
    *before = (struct iovec){0};
    *behind = (struct iovec){0};
    if (body->framing == HTTP_BODY_LENGTH) {
        BUG_ON(len > body->left);
        body->left -= len;
        body->is_complete = body->left == 0;
    } else if (body->is_rechunked) {
        int line = snprintf(body->chunk_line, sizeof body->chunk_line, "%zx\r\n", len);
        *before = (struct iovec){.iov_base = body->chunk_line, .iov_len = (size_t)line};
        *behind = (struct iovec){.iov_base = CRLF, .iov_len = 2};
    }
}

bool body_end(struct body *body, struct iovec *parts, int *count)
{
    *count = 0;
    if (body->is_complete)
        return true;
    if (body->framing != HTTP_BODY_CLOSE)
        return false;
    body->is_complete = true;
    if (body->is_rechunked)
        add(parts, count, LAST_CHUNK, sizeof LAST_CHUNK - 1);
    return true;
}
