// SPDX-License-Identifier: Apache-2.0
// A message body in passage, the same for uploads and downloads: finds its end, and gives the parts
// to send on. Pure but for the trailers it collects.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "http/chunk.h"
#include "http/head.h"

enum { BODY_PARTS = 3 };

struct body {
    uint8_t framing;   // enum http_framing, as received
    bool is_complete;  // the last byte has been passed on
    bool is_rechunked; // received until close, sent chunked
    uint64_t left;     // HTTP_BODY_LENGTH: bytes still to come
    struct chunk_filter chunks;
    char chunk_line[20]; // of a rechunked piece
};

// drops_framing: the receiver speaks HTTP/1.0, a chunked body is sent bare. trailers: collects
// those that may go on, or NULL.
void body_init(struct body *body, enum http_framing framing, uint64_t length, bool drops_framing,
               struct buf *trailers);

// Takes bytes of the body, filters them in place and sets parts[0..*count) to what is to be sent
// on; they point into bytes, the body and its trailers. *used: how many bytes belonged to the body.
// *data: body bytes without framing among them, for counting. 0, or a negative http_refusal (then
// nothing may be completed).
MUST_CHECK int body_pass(struct body *body, char *bytes, size_t len, size_t *used,
                         struct iovec *parts, int *count);
// How many of the bytes to come may be passed without being looked at.
uint64_t body_unseen(const struct body *body);
// Takes `len` of them, at least 1. What is to be sent before and behind them may be empty.
void body_pass_unseen(struct body *body, size_t len, struct iovec *before, struct iovec *behind);
// The sender has closed: whether that is a proper end. When it is and the body was rechunked, the
// parts end it.
MUST_CHECK bool body_end(struct body *body, struct iovec *parts, int *count);
