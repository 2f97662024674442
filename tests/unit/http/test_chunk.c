// SPDX-License-Identifier: Apache-2.0
// Bodies and what the filter makes of them. Every body is fed whole, byte by byte, and in every
// split into two and three pieces: the outcome must be the same.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/mem.h"
#include "http/chunk.h"
#include "http/refusal.h"

struct outcome {
    int rc;
    size_t used;
    struct buf out;
    struct buf trailers;
};

static void outcome_init(struct outcome *outcome)
{
    *outcome = (struct outcome){0};
    buf_init(&outcome->out, 1 << 20);
    buf_init(&outcome->trailers, CHUNK_TRAILERS_MAX);
}

static void outcome_fini(struct outcome *outcome)
{
    buf_fini(&outcome->out);
    buf_fini(&outcome->trailers);
}

static void feed(struct chunk_filter *filter, struct outcome *outcome, const char *bytes,
                 size_t len)
{
    if (outcome->rc != 0)
        return;
    char *piece = malloc(len ? len : 1);
    size_t used = 0;
    assert_non_null(piece);
    memcpy(piece, bytes, len);
    outcome->rc = chunk_filter_run(filter, piece, &len, &used);
    outcome->used += used;
    buf_append(&outcome->out, piece, len);
    free(piece);
}

// Feeds the body cut at the two places.
static void run(struct outcome *outcome, const char *body, size_t len, size_t first, size_t second,
                bool drops_framing)
{
    struct chunk_filter filter;

    outcome_init(outcome);
    chunk_filter_init(&filter, drops_framing, &outcome->trailers);
    feed(&filter, outcome, body, first);
    feed(&filter, outcome, body + first, second - first);
    feed(&filter, outcome, body + second, len - second);
}

static void assert_text(const struct buf *buf, const char *want)
{
    assert_int_equal(buf->len, strlen(want));
    assert_memory_equal(buf->ptr ? buf->ptr : "", want, buf->len);
}

static void check(const char *body, int rc, size_t used, bool drops_framing, const char *out,
                  const char *trailers)
{
    size_t len = strlen(body);
    struct outcome outcome;

    for (size_t first = 0; first <= len; first++) {
        for (size_t second = first; second <= len; second++) {
            run(&outcome, body, len, first, second, drops_framing);
            assert_int_equal(outcome.rc, rc);
            assert_int_equal(outcome.used, used);
            if (rc >= 0) {
                assert_text(&outcome.out, out);
                assert_text(&outcome.trailers, trailers);
            }
            outcome_fini(&outcome);
        }
    }
}

static void passes_plain_bodies(void **state)
{
    static const char body[] = "5\r\nhello\r\n00A\r\n0123456789\r\n1;\r\nx\r\n0\r\n\r\nGET /";

    (void)state;
    check("0\r\n\r\n", 1, 5, false, "0\r\n", "");
    check("000\r\n\r\n", 1, 7, false, "000\r\n", "");
    check("5\r\nhello\r\n0\r\n\r\n", 1, 15, false, "5\r\nhello\r\n0\r\n", "");
    check("aB\r\n", 0, 4, false, "aB\r\n", "");
    check(body, 1, strlen(body) - 5, false, "5\r\nhello\r\n00A\r\n0123456789\r\n1\r\nx\r\n0\r\n",
          "");
    check(body, 1, strlen(body) - 5, true, "hello0123456789x", "");
}

static void deletes_extensions(void **state)
{
    (void)state;
    check("5;a=b;c=\"d e\"\r\nhello\r\n0;x\r\n\r\n", 1, 29, false, "5\r\nhello\r\n0\r\n", "");
    check("5;a\r\nhello\r\n0\r\n\r\n", 1, 17, true, "hello", "");
    check("1;a=\"\\\"\\\\;\";b=\\\r\nx\r\n0\r\n\r\n", 1, 25, false, "1\r\nx\r\n0\r\n", "");
}

static void collects_trailers(void **state)
{
    static const char *refused[] = {
        "Content-Length",
        "Transfer-Encoding",
        "Host",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "X-Forwarded-For",
        "Forwarded",
        "X-Real-Ip",
        "Connection",
        "TE",
        "Trailer",
        "Content_Length",
        "Content-Type",
        "Cache-Control",
        "X-Forwarded-Any",
        "Via",
        "Expect",
        "Date",
        "WWW-Authenticate",
    };
    char body[256];

    (void)state;
    check("0\r\nX-A: 1\r\nB:\t 2 3 \t\r\nEmpty:\r\n\r\n", 1, 32, false, "0\r\n",
          "X-A: 1\r\nB: 2 3\r\nEmpty:\r\n");
    check("1\r\nx\r\n0\r\nA: 1\r\n\r\n", 1, 17, true, "x", "A: 1\r\n");
    check("0\r\nA: 1\r\nhost: x\r\nB: 2\r\n\r\n", 1, 26, false, "0\r\n", "A: 1\r\nB: 2\r\n");
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(body, sizeof(body), "0\r\n%s: 1\r\n\r\n", refused[i]);
        check(body, 1, strlen(body), false, "0\r\n", "");
    }
}

// Lines of every length, so that the collecting buffer grows at every byte of one.
static void collects_trailers_of_any_length(void **state)
{
    char body[800];
    char want[700];

    (void)state;
    for (int len = 0; len < 600; len++) {
        struct outcome outcome;
        snprintf(want, sizeof(want), "A: %0*d\r\n", len + 1, 0);
        snprintf(body, sizeof(body), "0\r\n%s\r\n", want);
        run(&outcome, body, strlen(body), 0, strlen(body), false);
        assert_int_equal(outcome.rc, 1);
        assert_text(&outcome.trailers, want);
        outcome_fini(&outcome);
    }
}

static void refuses_bad_bodies(void **state)
{
    static const struct {
        const char *body;
        int refusal;
        size_t used; // through the byte at fault
    } rows[] = {
        {"\r\n", HTTP_BAD_CHUNK, 1},
        {"g\r\n", HTTP_BAD_CHUNK, 1},
        {" 5\r\n", HTTP_BAD_CHUNK, 1},
        {"+5\r\n", HTTP_BAD_CHUNK, 1},
        {"-5\r\n", HTTP_BAD_CHUNK, 1},
        {"0x5\r\n", HTTP_BAD_CHUNK, 2},
        {"5 \r\n", HTTP_BAD_CHUNK, 2},
        {"5\t;a\r\n", HTTP_BAD_CHUNK, 2},
        {"5\n", HTTP_BAD_CHUNK, 2},
        {"5\rX", HTTP_BAD_CHUNK, 3},
        {"5\r\r\n", HTTP_BAD_CHUNK, 3},
        {";a\r\n", HTTP_BAD_CHUNK, 1},
        {"5;a\nb\r\n", HTTP_BAD_CHUNK, 4},
        {"5;a\rb\r\n", HTTP_BAD_CHUNK, 5},
        {"5;a\x01", HTTP_BAD_CHUNK, 4},
        {"1\r\nxy\r\n", HTTP_BAD_CHUNK, 5},
        {"1\r\nx\n", HTTP_BAD_CHUNK, 5},
        {"1\r\nx\rY", HTTP_BAD_CHUNK, 6},
        {"00000000000000001\r\n", HTTP_BAD_CHUNK, 17},
        {"8000000000000000\r\n", HTTP_BAD_CHUNK, 16},
        {"ffffffffffffffff\r\n", HTTP_BAD_CHUNK, 16},
        {"0\r\n X: 1\r\n", HTTP_BAD_TRAILER, 4},
        {"0\r\n: 1\r\n", HTTP_BAD_TRAILER, 4},
        {"0\r\nX : 1\r\n", HTTP_BAD_TRAILER, 5},
        {"0\r\nX\r\n", HTTP_BAD_TRAILER, 5},
        {"0\r\nX: 1\n", HTTP_BAD_TRAILER, 8},
        {"0\r\nX: 1\rY", HTTP_BAD_TRAILER, 9},
        {"0\r\nX: \x01", HTTP_BAD_TRAILER, 7},
        {"0\r\nX: 1\r\n fold\r\n\r\n", HTTP_BAD_TRAILER, 10},
        {"0\r\n\n", HTTP_BAD_TRAILER, 4},
        {"0\r\n\rX", HTTP_BAD_TRAILER, 5},
        {"5;a=\"b\r\n", HTTP_BAD_CHUNK, 7},
        {"5;a=\"b\\\"\r\n", HTTP_BAD_CHUNK, 9},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check(rows[i].body, -rows[i].refusal, rows[i].used, false, "", "");
    check("7fffffffffffffff\r\n", 0, 18, false, "7fffffffffffffff\r\n", "");
}

// Feeds `piece` until the filter says something; the number of pieces, and what it said in *rc.
static size_t feed_until(struct chunk_filter *filter, const char *piece, size_t max, int *rc)
{
    char copy[512];

    for (size_t count = 1; count <= max; count++) {
        size_t len = strlen(piece);
        size_t used;
        memcpy(copy, piece, len);
        *rc = chunk_filter_run(filter, copy, &len, &used);
        if (*rc)
            return count;
    }
    return max + 1;
}

static void keeps_its_limits(void **state)
{
    struct chunk_filter filter;
    char line[512];
    int rc = 0;

    (void)state;
    // One extension, with its ';'.
    chunk_filter_init(&filter, false, NULL);
    assert_int_equal(feed_until(&filter, "1;", 1, &rc), 2);
    assert_int_equal(feed_until(&filter, "x", 1000, &rc), CHUNK_EXTENSION_MAX);
    assert_int_equal(rc, -HTTP_BAD_CHUNK);

    // All extensions, 200 bytes each, on chunks large enough for the ratio.
    chunk_filter_init(&filter, false, NULL);
    memset(line, 'x', sizeof(line));
    memcpy(line, "100;", 4);
    memcpy(line + 203, "\r\n", 3);
    size_t lines = 0;
    for (rc = 0; rc == 0 && lines < 1000; lines++) {
        size_t len = strlen(line);
        char copy[512];
        size_t used;
        memcpy(copy, line, len);
        rc = chunk_filter_run(&filter, copy, &len, &used);
        if (rc == 0) {
            memset(copy, 'd', 256);
            memcpy(copy + 256, "\r\n", 2);
            len = 258;
            assert_int_equal(chunk_filter_run(&filter, copy, &len, &used), 0);
        }
    }
    assert_int_equal(rc, -HTTP_BAD_CHUNK);
    assert_int_equal(lines, CHUNK_EXTENSIONS_TOTAL_MAX / 200 + 1);

    // Tiny chunks with padded sizes: 20 bytes of framing for each of data.
    chunk_filter_init(&filter, false, NULL);
    size_t chunks = feed_until(&filter, "0000000000000001\r\nx\r\n", 100000, &rc);
    assert_int_equal(rc, -HTTP_BAD_CHUNK);
    assert_in_range(chunks, CHUNK_FRAMING_FREE / 20 - 1, CHUNK_FRAMING_FREE / 20 + 2);
    // Without the padding the ratio is 5.
    chunk_filter_init(&filter, false, NULL);
    assert_int_equal(feed_until(&filter, "1\r\nx\r\n", 100000, &rc), 100001);

    // The sum of all sizes.
    chunk_filter_init(&filter, false, NULL);
    filter.data_total = (uint64_t)INT64_MAX - 4;
    assert_int_equal(feed_until(&filter, "5\r\n", 1, &rc), 1);
    assert_int_equal(rc, -HTTP_BAD_CHUNK);

    // The trailer section.
    chunk_filter_init(&filter, false, NULL);
    assert_int_equal(feed_until(&filter, "0\r\n", 1, &rc), 2);
    assert_int_equal(feed_until(&filter, "A: 345678\r\n", 10000, &rc), CHUNK_TRAILERS_MAX / 11 + 1);
    assert_int_equal(rc, -HTTP_BAD_TRAILER);
}

static void loses_only_trailers_when_memory_is_short(void **state)
{
    static const char body[] = "1\r\nx\r\n0\r\nA: 1\r\nB: 2\r\n\r\n";
    struct outcome outcome;

    (void)state;
    outcome_init(&outcome);
    struct chunk_filter filter;
    chunk_filter_init(&filter, false, &outcome.trailers);
    char copy[sizeof(body)];
    size_t len = sizeof(body) - 1;
    size_t used;
    memcpy(copy, body, len);
    mem_fail_after(0);
    int rc = chunk_filter_run(&filter, copy, &len, &used);
    mem_fail_after(-1);
    assert_int_equal(rc, 1);
    assert_int_equal(used, sizeof(body) - 1);
    assert_int_equal(outcome.trailers.len, 0);
    outcome_fini(&outcome);

    // Full in the middle of a line: the line is gone, those before it stay.
    outcome_init(&outcome);
    outcome.trailers.max = 8;
    chunk_filter_init(&filter, false, &outcome.trailers);
    feed(&filter, &outcome, body, sizeof(body) - 1);
    assert_int_equal(outcome.rc, 1);
    assert_text(&outcome.trailers, "A: 1\r\n");
    outcome_fini(&outcome);
}

static void counts_oddities(void **state)
{
    static const struct {
        const char *body;
        bool collects;
        unsigned glitches;
    } rows[] = {
        {"5\r\nhello\r\n0\r\n\r\n", false, 0},
        {"5;a\r\nhello\r\n1;b;c\r\nx\r\n0;\r\n\r\n", false, 3},
        {"0\r\nA: b\r\nC: d\r\n\r\n", false, 2},
        {"0\r\nA: b\r\nC: d\r\n\r\n", true, 0},
        {"0\r\nA: b\r\nCookie: d\r\n\r\n", true, 1},
    };
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct chunk_filter filter;
        struct outcome outcome;
        outcome_init(&outcome);
        chunk_filter_init(&filter, false, rows[i].collects ? &outcome.trailers : NULL);
        feed(&filter, &outcome, rows[i].body, strlen(rows[i].body));
        assert_int_equal(outcome.rc, 1);
        assert_int_equal(filter.glitches, rows[i].glitches);
        outcome_fini(&outcome);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(passes_plain_bodies),
        cmocka_unit_test(deletes_extensions),
        cmocka_unit_test(collects_trailers),
        cmocka_unit_test(collects_trailers_of_any_length),
        cmocka_unit_test(refuses_bad_bodies),
        cmocka_unit_test(keeps_its_limits),
        cmocka_unit_test(loses_only_trailers_when_memory_is_short),
        cmocka_unit_test(counts_oddities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
