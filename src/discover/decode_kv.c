// SPDX-License-Identifier: Apache-2.0
#include <openssl/evp.h>

#include "base/mem.h"
#include "discover/decode.h"
#include "discover/json.h"
#include "discover/json_split.h"

enum { VALUE_BASE64_MAX = 4 * 1024 * 1024 }; // Consul's own limit is 512 KB of value

struct kv_decoder {
    kv_pair_fn on_pair;
    void *ctx;
};

// Decodes padded base64 into a fresh buffer; NULL and *error.
static char *decode_base64(struct str text, size_t *len, int *error)
{
    *error = ERR_INVALID;
    if (text.len % 4 != 0 || text.len > VALUE_BASE64_MAX)
        return NULL;
    char *out = mem_alloc(text.len / 4 * 3 + 1);
    if (!out) {
        *error = ERR_NOMEM;
        return NULL;
    }
    // EVP_DecodeBlock counts padding as bytes and skips white space at the ends only.
    int written = text.len == 0 ? 0
                                : EVP_DecodeBlock((unsigned char *)out,
                                                  (const unsigned char *)text.ptr, (int)text.len);
    if (written < 0 || (size_t)written != text.len / 4 * 3) {
        mem_free(out);
        return NULL;
    }
    *len = (size_t)written;
    if (str_ends_with(text, STR("==")))
        *len -= 2;
    else if (str_ends_with(text, STR("=")))
        *len -= 1;
    *error = 0;
    return out;
}

static int on_kv_element(void *ctx, struct str element)
{
    struct kv_decoder *decoder = ctx;
    int status;
    cJSON *pair = json_parse(element, &status);
    if (!pair)
        return status;
    status = ERR_INVALID;
    struct str key = json_text(pair, "Key");
    if (cJSON_IsObject(pair) && key.len > 0) {
        size_t len = 0;
        char *value = decode_base64(json_text(pair, "Value"), &len, &status);
        if (value)
            status = decoder->on_pair(decoder->ctx, key, str_make(value, len),
                                      json_number(pair, "ModifyIndex", INT64_MAX));
        mem_free(value);
    }
    cJSON_Delete(pair);
    return status;
}

int decode_kv(struct str body, kv_pair_fn on_pair, void *ctx, struct err *err)
{
    struct kv_decoder decoder = {.on_pair = on_pair, .ctx = ctx};
    int status = json_split_all(body, '[', on_kv_element, &decoder);
    if (status < 0)
        return err_set(err, status, "KV answer: %s",
                       status == ERR_INVALID ? "not the JSON that was expected" : err_text(status));
    return 0;
}
