// SPDX-License-Identifier: Apache-2.0
// Strict streaming filter for chunked bodies (RFC 9112 section 7.1). It turns a body as received
// into the body to send, in place, by deleting bytes only: chunk extensions always, trailer fields
// always (those that may go on are collected aside), and for an HTTP/1.0 receiver the chunk framing
// too. A body whose every chunk line is 1-16 hex digits and CRLF passes without a byte being moved.
//
// Used by the proxy in both directions, on a worker. Pure; one state per body, 48 bytes or so.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

struct http_compose_config;

enum {
    CHUNK_EXTENSION_MAX = 256,             // bytes of extensions on one chunk line
    CHUNK_EXTENSIONS_TOTAL_MAX = 16 << 10, // bytes of extensions in one body
    CHUNK_TRAILERS_MAX = 8 << 10,          // bytes of the whole trailer section
    CHUNK_FRAMING_FREE = 16 << 10,         // bytes of chunk lines a body may have in any case
    CHUNK_FRAMING_RATIO = 16,              // above that: at most so many per body byte
};

struct chunk_filter {
    uint64_t left;          // data bytes left in the current chunk
    uint8_t state;          // enum of chunk.c
    uint8_t digits;         // hex digits read of the current size
    bool drops_framing;     // delete chunk lines too (receiver speaks HTTP/1.0)
    uint16_t extension_len; // bytes of extension on the current line
    uint32_t extension_total;
    uint32_t glitches; // chunk lines with an extension, trailers deleted; the owner may reset it
    uint32_t trailer_len;
    uint32_t trailer_start; // where the current line begins in *trailers
    uint64_t data_total;    // body bytes announced so far, without framing
    uint64_t framing_total; // bytes of chunk lines so far
    struct buf *trailers; // NULL: trailers are deleted; else checked field lines are appended here
    // Whose own fields are no trailers either; NULL: nobody's. Set by the owner before each run.
    const struct http_compose_config *config;
};

// trailers: NULL, or a buf (borrowed) with a maximum of at least CHUNK_TRAILERS_MAX that collects
// the trailer lines that may be forwarded ("Name: value\r\n" each; never framing, routing, auth,
// cookie or forwarding fields: RFC 9110 section 6.5.1).
void chunk_filter_init(struct chunk_filter *filter, bool drops_framing, struct buf *trailers);

// Filters bytes[0..*len) in place. On return *len is the number of bytes to send, *used how many
// input bytes belonged to the body (fewer than given once it has ended). Returns 1 when the body
// has ended, 0 when more must come, or a negative number: -HTTP_BAD_CHUNK or -HTTP_BAD_TRAILER;
// what was before the fault may have been filtered already and must not be completed. The last
// bytes the filter lets through end in the last-chunk line "0\r\n"; the trailer lines and the final
// CRLF are the caller's to send when it returns 1 (unless framing is dropped).
MUST_CHECK int chunk_filter_run(struct chunk_filter *filter, char *bytes, size_t *len,
                                size_t *used);
