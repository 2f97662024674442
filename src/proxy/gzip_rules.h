// SPDX-License-Identifier: Apache-2.0
// When a response is compressed, and what its head says then. What the two heads say is judged
// here; whether there is memory for it, in gzip.h. Pure.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "http/head.h"

enum {
    GZIP_LENGTH_MIN = 256, // below, a body hardly shrinks and an answer of one packet stays one
    GZIP_FIELDS_ROOM = 384,
};

// Whether the client takes gzip at least as gladly as no coding (RFC 9110 section 12.5.3), and the
// answer is to have a body. Who accepts event streams is served as is, as in fabio: its events must
// not wait.
bool gzip_is_accepted(const struct http_head *request);

// Whether the response may be compressed, but for its type: a whole body of some size, not encoded
// yet, that may be transformed.
bool gzip_may_code(const struct http_head *response);

// The value of the first Content-Type; empty when there is none.
struct str gzip_content_type(const struct http_head *response);

// Whether the target may be asked for gzip that the client does not get to see, as Go's client
// does: nothing is said of codings or ranges, and the answer is to have a body.
bool gzip_may_ask(const struct http_head *request);
// Whether the answer to such a request is to be unpacked: it has a body that is coded with gzip,
// once and whole.
bool gzip_must_unpack(const struct http_head *response);

// What happens to a body.
enum gzip_change { GZIP_AS_IS, GZIP_PACKED, GZIP_UNPACKED };

// The field lines that a response gets, in out (GZIP_FIELDS_ROOM). What the change makes untrue is
// taken from the head: it is marked as hop-by-hop. may_vary: compression is switched on, so that
// another client may get another answer.
struct str gzip_fields(struct http_head *response, enum gzip_change change, bool may_vary,
                       char *out);
