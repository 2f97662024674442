// SPDX-License-Identifier: Apache-2.0
// Identifiers of requests (proxy.header.requestid): random UUIDs, version 4. Fetched from the
// kernel in batches, so that nobody can tell one from those before. One batch per worker, used on
// its thread.
#pragma once

#include <stdint.h>

#include "base/str.h"

enum { REQUEST_ID_BYTES = 16, REQUEST_ID_TEXT = 36, REQUEST_ID_BATCH = 64 };

struct request_ids {
    uint32_t left; // of bytes, from the end
    uint8_t bytes[REQUEST_ID_BATCH][REQUEST_ID_BYTES];
};

void request_id_next(struct request_ids *ids, uint8_t id[REQUEST_ID_BYTES]);
// As text: RFC 9562 section 4.
struct str request_id_text(const uint8_t id[REQUEST_ID_BYTES], char out[REQUEST_ID_TEXT]);
