// SPDX-License-Identifier: Apache-2.0
// One real server that tells for each request what it has read: field X-Read "METHOD target host",
// the body its field lines (some cannot tell them), an empty line and the body it got. Requests go
// to it one behind the other on a kept connection, as many as fit, and each answer is compared. One
// thread per reader.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "feed.h"

struct reader {
    const char *name;
    uint16_t port;
    bool tells_fields;
    bool tells_hex; // of the body of its answers
    int fd;         // -1: not connected
    char *in;       // what came and was not yet taken
    char *body;     // of the answer at hand
    char *out;
    size_t in_len;
    uint64_t same;       // requests read as they were sent
    uint64_t different;  // read otherwise, or refused for no known reason
    uint64_t refused[8]; // by reason, of READER_REASONS
};

// Why a server may refuse what others take.
extern const struct reader_reason {
    const char *reader;
    const char *text;
    bool (*applies)(const struct request *request);
} READER_REASONS[];
extern const unsigned READER_REASON_COUNT;

void reader_init(struct reader *reader, const char *name, uint16_t port);
void reader_fini(struct reader *reader);
void reader_run(struct reader *reader, const struct batch *batch);
