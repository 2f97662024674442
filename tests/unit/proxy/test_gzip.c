// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <zlib.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"
#include "proxy/gzip.h"

enum { ROOM = 1 << 20 };

// What a client makes of the output.
struct reader {
    z_stream z;
    bool has_ended;
    size_t len;
    char bytes[ROOM];
};

static struct reader reader;

static void reader_start(void)
{
    memset(&reader.z, 0, sizeof reader.z);
    reader.has_ended = false;
    reader.len = 0;
    assert_int_equal(inflateInit2(&reader.z, 15 + 16), Z_OK);
}

static void reader_feed(const void *bytes, size_t len)
{
    reader.z.next_in = (Bytef *)bytes;
    reader.z.avail_in = (unsigned)len;
    reader.z.next_out = (Bytef *)reader.bytes + reader.len;
    reader.z.avail_out = (unsigned)(ROOM - reader.len);
    int rc = inflate(&reader.z, Z_SYNC_FLUSH);
    assert_true(rc == Z_OK || rc == Z_BUF_ERROR || rc == Z_STREAM_END);
    assert_int_equal(reader.z.avail_in, 0);
    reader.len = ROOM - reader.z.avail_out;
    reader.has_ended |= rc == Z_STREAM_END;
}

// One chunk, and the end behind it when is_last; trailers are what stands before the last CRLF.
static void feed_chunk(const struct iovec *parts, int count, bool is_last, const char *trailers)
{
    static char whole[GZIP_OUT_ROOM + 1024];
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        memcpy(whole + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    whole[len] = '\0';
    char *data;
    size_t size = strtoul(whole, &data, 16);
    assert_true(size > 0);
    assert_memory_equal(data, "\r\n", 2);
    data += 2;
    reader_feed(data, size);
    char want[256];
    int want_len = snprintf(want, sizeof want, is_last ? "\r\n0\r\n%s\r\n" : "\r\n", trailers);
    assert_int_equal(len, (size_t)(data - whole) + size + (size_t)want_len);
    assert_memory_equal(data + size, want, (size_t)want_len);
}

static void fill(char *bytes, size_t len, bool is_random, struct rng *rng)
{
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(is_random ? rng_next(rng) : 'a' + i % 7);
}

static void each_piece_is_whole_at_once(void **state)
{
    (void)state;
    static const size_t SIZES[] = {1, 2, 100, 16383, 65536, GZIP_INPUT_MAX};
    static char bytes[GZIP_INPUT_MAX];
    struct rng rng;
    rng_init(&rng, 7);
    struct gzip_pool pool;
    gzip_pool_init(&pool, NULL, 2);
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
        for (unsigned round = 0; round < 4; round++) {
            bool is_chunked = round & 1;
            fill(bytes, SIZES[i], round & 2, &rng);
            struct gzip *gzip = gzip_get(&pool, is_chunked);
            assert_non_null(gzip);
            reader_start();
            for (int piece = 1; piece <= 3; piece++) {
                size_t half = SIZES[i] / 2;
                struct iovec parts[3] = {{bytes, half}, {bytes + half, SIZES[i] - half}};
                int count = gzip_pass(&pool, gzip, parts, 2, piece == 3, NULL);
                assert_in_range(count, 1, 3);
                if (is_chunked)
                    feed_chunk(parts, count, piece == 3, "");
                else
                    reader_feed(parts[0].iov_base, parts[0].iov_len);
                // Nothing waits for the next piece.
                assert_int_equal(reader.len, SIZES[i] * (size_t)piece);
                assert_memory_equal(reader.bytes + reader.len - SIZES[i], bytes, SIZES[i]);
                assert_int_equal(reader.has_ended, piece == 3);
            }
            assert_int_equal(gzip_bytes_out(gzip), reader.z.total_in);
            inflateEnd(&reader.z);
            gzip_put(&pool, gzip);
        }
    }
    gzip_pool_fini(&pool);
}

static void ends_without_more_and_with_trailers(void **state)
{
    (void)state;
    struct gzip_pool pool;
    gzip_pool_init(&pool, NULL, 1);
    struct buf trailers;
    buf_init(&trailers, 100);
    buf_append_cstr(&trailers, "X-Sum: 1\r\n");
    for (int round = 0; round < 2; round++) {
        struct gzip *gzip = gzip_get(&pool, true);
        struct iovec parts[3] = {{0}};
        assert_int_equal(gzip_pass(&pool, gzip, parts, 0, false, &trailers), 0);
        reader_start();
        int count = gzip_pass(&pool, gzip, parts, 0, true, &trailers);
        feed_chunk(parts, count, true, "X-Sum: 1\r\n");
        assert_true(reader.has_ended);
        assert_int_equal(reader.len, 0);
        inflateEnd(&reader.z);
        gzip_put(&pool, gzip);
    }
    buf_fini(&trailers);
    gzip_pool_fini(&pool);
}

static void streams_are_bounded_and_kept(void **state)
{
    (void)state;
    enum { MAX = GZIP_KEPT_MAX + 4 };
    struct gzip_pool pool;
    struct gzip *held[MAX];
    gzip_pool_init(&pool, NULL, MAX);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MAX; i++) {
            held[i] = gzip_get(&pool, false);
            assert_non_null(held[i]);
        }
        assert_null(gzip_get(&pool, false));
        for (int i = 0; i < MAX; i++)
            gzip_put(&pool, held[i]);
        assert_int_equal(pool.kept_count, GZIP_KEPT_MAX);
        assert_int_equal(pool.in_use, 0);
    }
    gzip_put(&pool, NULL);
    gzip_pool_fini(&pool);
}

// One that was given up in the middle leaves nothing behind for the next.
static void a_given_up_stream_starts_anew(void **state)
{
    (void)state;
    static char secret[] = "secret secret secret";
    static char plain[] = "plain";
    struct gzip_pool pool;
    gzip_pool_init(&pool, NULL, 1);
    struct gzip *gzip = gzip_get(&pool, false);
    struct iovec parts[3] = {{secret, sizeof secret}};
    assert_int_equal(gzip_pass(&pool, gzip, parts, 1, false, NULL), 1);
    gzip_put(&pool, gzip);
    gzip = gzip_get(&pool, false);
    parts[0] = (struct iovec){plain, sizeof plain};
    assert_int_equal(gzip_pass(&pool, gzip, parts, 1, true, NULL), 1);
    reader_start();
    reader_feed(parts[0].iov_base, parts[0].iov_len);
    assert_true(reader.has_ended);
    assert_string_equal(reader.bytes, plain);
    inflateEnd(&reader.z);
    gzip_put(&pool, gzip);
    gzip_pool_fini(&pool);
}

static void too_large_a_piece_is_refused(void **state)
{
    (void)state;
    static char bytes[GZIP_INPUT_MAX + 1];
    struct gzip_pool pool;
    gzip_pool_init(&pool, NULL, 1);
    struct gzip *gzip = gzip_get(&pool, true);
    struct iovec parts[3] = {{bytes, sizeof bytes}};
    assert_int_equal(gzip_pass(&pool, gzip, parts, 1, false, NULL), ERR_NOMEM);
    gzip_put(&pool, gzip);
    gzip_pool_fini(&pool);
}

static void shortage_costs_the_compression(void **state)
{
    (void)state;
    for (int64_t n = 0;; n++) {
        struct gzip_pool pool;
        gzip_pool_init(&pool, NULL, 1);
        mem_fail_after(n);
        struct gzip *gzip = gzip_get(&pool, true);
        mem_fail_after(-1);
        bool is_done = gzip != NULL;
        assert_int_equal(pool.in_use, is_done);
        gzip_put(&pool, gzip);
        gzip_pool_fini(&pool);
        if (is_done)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_piece_is_whole_at_once),
        cmocka_unit_test(ends_without_more_and_with_trailers),
        cmocka_unit_test(streams_are_bounded_and_kept),
        cmocka_unit_test(a_given_up_stream_starts_anew),
        cmocka_unit_test(too_large_a_piece_is_refused),
        cmocka_unit_test(shortage_costs_the_compression),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
