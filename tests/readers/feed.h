// SPDX-License-Identifier: Apache-2.0
// Plays streams of requests through a real worker (tests/fuzz/connection_world.h) and keeps what
// comes out of it, request by request. Where one ends is not read out of the bytes: the origin
// answers when nothing moves any more, and a worker sends no second request on a connection before
// the first is answered. One thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

enum {
    BATCH_REQUESTS = 1024,
    BATCH_BYTES = 8 << 20,
    FIELDS_TEXT_MAX = 64 << 10,
};

// What a worker has sent, as the proxy itself reads it. Everything lies in the batch.
struct request {
    struct str bytes;  // as sent, head and body
    struct str line;   // "METHOD target host"
    struct str fields; // see fields_text
    struct str body;   // without framing
    struct str stream; // what the client sent
    bool is_head;
    bool is_upgrade;
    bool
        goes_alone; // nothing may be sent before its predecessor's answer, nor behind it before its
    bool has_websocket_key; // one as RFC 6455 asks for, 24 bytes
    bool has_double_field;  // twice what nginx takes once
    bool has_odd_method;    // other than letters in upper case, '-' and '_'
};

struct batch {
    unsigned count;
    size_t used;
    struct request requests[BATCH_REQUESTS];
    char bytes[BATCH_BYTES];
};

// Puts lines "name:value", in lower case up to the colon, in an order of their own, so that two
// readers' can be compared; leaves out what a reader may use up (Host, Expect, Transfer-Encoding).
// Returns the length of the text.
size_t fields_text(struct str *lines, size_t count, char *room);

void feed_begin(void);
void feed_end(void);
bool batch_has_room(const struct batch *batch);
// Ends the process when the worker breaks a rule of connection_check.c.
void feed_play(struct str stream, struct batch *batch);
