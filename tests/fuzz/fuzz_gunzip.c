// SPDX-License-Identifier: Apache-2.0
// What a target calls gzip: read in pieces of any size it becomes the same bytes, or is refused,
// as read at once, and no piece is larger than it may be. The first byte chooses the size of the
// pieces.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "proxy/gunzip.h"
#include "proxy/piece.h"

enum { OUTPUT_MAX = 1 << 20 };

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

struct output {
    bool is_bad;
    bool is_cut; // more than was looked at
    size_t len;
    char bytes[OUTPUT_MAX + GUNZIP_PIECE_MAX];
};

static void unpack(struct gunzip_pool *pool, const uint8_t *data, size_t size, size_t step,
                   struct output *out)
{
    // Exactly as large as the piece, so that a sanitizer sees every read beyond it.
    struct gunzip *gunzip = gunzip_get(pool, false);
    require(gunzip != NULL);
    out->is_bad = out->is_cut = false;
    out->len = 0;
    size_t at = 0;
    do {
        size_t len = size - at < step ? size - at : step;
        char *bytes = malloc(len ? len : 1);
        require(bytes != NULL);
        if (len)
            memcpy(bytes, data + at, len);
        at += len;
        struct iovec input = {.iov_base = bytes, .iov_len = len};
        bool has_more = true;
        while (has_more && !out->is_bad && !out->is_cut) {
            struct iovec parts[PIECE_PARTS];
            int count = gunzip_pass(pool, gunzip, &input, at == size, NULL, parts, &has_more);
            require(count == ERR_INVALID || count == 0 || count == 1);
            out->is_bad = count < 0;
            if (count == 1) {
                require(parts[0].iov_len > 0 && parts[0].iov_len <= GUNZIP_PIECE_MAX);
                memcpy(out->bytes + out->len, parts[0].iov_base, parts[0].iov_len);
                out->len += parts[0].iov_len;
            }
            require(out->is_bad || has_more || input.iov_len == 0);
            out->is_cut = out->len >= OUTPUT_MAX;
        }
        free(bytes);
    } while (at < size && !out->is_bad && !out->is_cut);
    require(out->is_bad || gunzip_bytes_out(gunzip) == out->len);
    gunzip_put(pool, gunzip);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct output whole, pieces;
    if (size == 0)
        return 0;
    struct gunzip_pool pool;
    gunzip_pool_init(&pool, 1);
    unpack(&pool, data + 1, size - 1, size, &whole);
    unpack(&pool, data + 1, size - 1, (size_t)data[0] + 1, &pieces);
    // Of a bad one nothing is said about how much was seen before.
    if (!whole.is_cut && !pieces.is_cut) {
        require(whole.is_bad == pieces.is_bad);
        require(whole.is_bad || whole.len == pieces.len);
    }
    size_t common = whole.len < pieces.len ? whole.len : pieces.len;
    require(memcmp(whole.bytes, pieces.bytes, common) == 0);
    gunzip_pool_fini(&pool);
    return 0;
}
