// SPDX-License-Identifier: Apache-2.0
#include "proxy/request_id.h"

#include <string.h>

#include "base/rng.h"

void request_id_next(struct request_ids *ids, uint8_t id[REQUEST_ID_BYTES])
{
    if (ids->left == 0) {
        rng_fill(ids->bytes, sizeof ids->bytes);
        ids->left = REQUEST_ID_BATCH;
    }
    memcpy(id, ids->bytes[--ids->left], REQUEST_ID_BYTES);
    id[6] = (uint8_t)((id[6] & 0x0f) | 0x40); // version 4
    id[8] = (uint8_t)((id[8] & 0x3f) | 0x80); // the RFC's variant
}

struct str request_id_text(const uint8_t id[REQUEST_ID_BYTES], char out[REQUEST_ID_TEXT])
{
    static const char HEX[] = "0123456789abcdef";
    size_t len = 0;
    for (size_t i = 0; i < REQUEST_ID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            out[len++] = '-';
        out[len++] = HEX[id[i] >> 4];
        out[len++] = HEX[id[i] & 15];
    }
    return str_make(out, len);
}
