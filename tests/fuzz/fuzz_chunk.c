// SPDX-License-Identifier: Apache-2.0
// Chunked bodies. The first byte chooses whether framing is dropped, the second where the body is
// cut. Cut or not, the outcome is the same; what was let through is canonical and is let through
// again unchanged.
#include <stdint.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/chunk.h"
#include "http/refusal.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

struct outcome {
    int rc;
    char *out; // owned
    size_t out_len;
    size_t used;
    uint64_t data_total;
    struct buf trailers;
};

// Feeds the body in pieces of `piece` bytes.
static void run(struct outcome *outcome, const uint8_t *body, size_t len, size_t piece, bool drops)
{
    struct chunk_filter filter;

    *outcome = (struct outcome){0};
    buf_init(&outcome->trailers, CHUNK_TRAILERS_MAX);
    outcome->out = malloc(len + 1);
    require(outcome->out != NULL);
    chunk_filter_init(&filter, drops, &outcome->trailers);
    for (size_t at = 0; at < len && outcome->rc == 0; at += piece) {
        size_t part = MIN(piece, len - at);
        size_t given = part;
        size_t used;
        char *bytes = outcome->out + outcome->out_len;
        memcpy(bytes, body + at, part);
        outcome->rc = chunk_filter_run(&filter, bytes, &part, &used);
        require(part <= used && used <= given && (outcome->rc != 0 || used == given));
        outcome->out_len += part;
        outcome->used += used;
    }
    outcome->data_total = filter.data_total;
}

static void fini(struct outcome *outcome)
{
    free(outcome->out);
    buf_fini(&outcome->trailers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole, cut;

    if (size < 2)
        return 0;
    bool drops = data[0] & 1;
    size_t piece = (size_t)data[1] % 19 + 1;
    data += 2;
    size -= 2;
    run(&whole, data, size, size + 1, drops);
    run(&cut, data, size, piece, drops);
    require(whole.rc == cut.rc && whole.used == cut.used);
    require(whole.rc == 0 || whole.rc == 1 || whole.rc == -HTTP_BAD_CHUNK ||
            whole.rc == -HTTP_BAD_TRAILER);
    if (whole.rc >= 0) {
        require(whole.out_len == cut.out_len);
        require(memcmp(whole.out, cut.out, whole.out_len) == 0);
        require(str_eq(buf_str(&whole.trailers), buf_str(&cut.trailers)));
    }
    fini(&cut);
    if (whole.rc == 1 && drops)
        require(whole.out_len == whole.data_total);
    if (whole.rc == 1 && !drops) {
        require(whole.out_len >= 3 && memcmp(whole.out + whole.out_len - 3, "0\r\n", 3) == 0);
        struct buf body;
        buf_init(&body, size + CHUNK_TRAILERS_MAX + 2);
        buf_append(&body, whole.out, whole.out_len);
        buf_append_str(&body, buf_str(&whole.trailers));
        buf_append(&body, "\r\n", 2);
        require(buf_status(&body) == 0);
        run(&cut, (const uint8_t *)body.ptr, body.len, body.len, false);
        require(cut.rc == 1 && cut.used == body.len && cut.out_len == whole.out_len);
        require(memcmp(cut.out, whole.out, whole.out_len) == 0);
        require(str_eq(buf_str(&cut.trailers), buf_str(&whole.trailers)));
        fini(&cut);
        buf_fini(&body);
    }
    fini(&whole);
    return 0;
}
