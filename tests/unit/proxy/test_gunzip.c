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
#include "proxy/gunzip.h"
#include "proxy/piece.h"

enum { ROOM = 4 << 20 };

static char packed[ROOM];
static size_t packed_len;
static char plain[ROOM];
static char got[ROOM];
static size_t got_len;

// Appends a member with these bytes to `packed`.
static void pack(const void *bytes, size_t len, int level)
{
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = (Bytef *)bytes;
    z.avail_in = (unsigned)len;
    z.next_out = (Bytef *)packed + packed_len;
    z.avail_out = (unsigned)(ROOM - packed_len);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    packed_len = ROOM - z.avail_out;
    deflateEnd(&z);
}

static void fill(size_t len, bool is_random)
{
    struct rng rng;
    rng_init(&rng, 7);
    for (size_t i = 0; i < len; i++)
        plain[i] = (char)(is_random ? rng_next(&rng) : 'a' + i % 7);
}

// All of `packed` by steps into `got`, the chunks joined. 0 or the error.
static int unpack(size_t step)
{
    struct gunzip_pool pool;
    gunzip_pool_init(&pool, 1);
    struct gunzip *gunzip = gunzip_get(&pool, false);
    assert_non_null(gunzip);
    got_len = 0;
    int rc = 0;
    size_t at = 0;
    do {
        size_t len = MIN(step, packed_len - at);
        struct iovec input = {.iov_base = packed + at, .iov_len = len};
        at += len;
        bool has_more = true;
        while (rc >= 0 && has_more) {
            struct iovec parts[PIECE_PARTS];
            rc = gunzip_pass(&pool, gunzip, &input, at == packed_len, NULL, parts, &has_more);
            if (rc <= 0)
                continue;
            assert_int_equal(rc, 1);
            assert_in_range(parts[0].iov_len, 1, GUNZIP_PIECE_MAX);
            memcpy(got + got_len, parts[0].iov_base, parts[0].iov_len);
            got_len += parts[0].iov_len;
        }
        if (rc >= 0)
            assert_int_equal(input.iov_len, 0);
    } while (rc >= 0 && at < packed_len);
    if (rc >= 0)
        assert_int_equal(gunzip_bytes_out(gunzip), got_len);
    gunzip_put(&pool, gunzip);
    gunzip_pool_fini(&pool);
    return MIN(rc, 0);
}

static const size_t STEPS[] = {1, 2, 3, 17, 1000, 65536, ROOM};

static void whole_bodies(void **state)
{
    (void)state;
    static const size_t SIZES[] = {0,
                                   1,
                                   2,
                                   1000,
                                   GUNZIP_PIECE_MAX - 1,
                                   GUNZIP_PIECE_MAX,
                                   GUNZIP_PIECE_MAX + 1,
                                   1000000,
                                   3 * GUNZIP_PIECE_MAX};
    for (size_t i = 0; i < ARRAY_LEN(SIZES); i++) {
        for (int round = 0; round < 3; round++) {
            fill(SIZES[i], round > 0);
            packed_len = 0;
            pack(plain, SIZES[i], round == 2 ? 0 : 6);
            for (size_t n = 0; n < ARRAY_LEN(STEPS); n++) {
                assert_int_equal(unpack(STEPS[n]), 0);
                assert_int_equal(got_len, SIZES[i]);
                assert_memory_equal(got, plain, got_len);
            }
        }
    }
}

static void several_members(void **state)
{
    (void)state;
    packed_len = 0;
    pack("one ", 4, 6);
    pack("", 0, 6);
    pack("two", 3, 6);
    for (size_t n = 0; n < ARRAY_LEN(STEPS); n++) {
        assert_int_equal(unpack(STEPS[n]), 0);
        assert_int_equal(got_len, 7);
        assert_memory_equal(got, "one two", 7);
    }
}

static void nothing_at_all(void **state)
{
    (void)state;
    packed_len = 0;
    assert_int_equal(unpack(1), 0);
    assert_int_equal(got_len, 0);
}

static void what_is_bad_is_refused(void **state)
{
    (void)state;
    fill(5000, true);
    packed_len = 0;
    pack(plain, 5000, 6);
    size_t whole = packed_len;
    for (size_t cut = 1; cut < whole; cut += cut < 20 || cut > whole - 20 ? 1 : 97) {
        packed_len = cut;
        for (size_t n = 0; n < ARRAY_LEN(STEPS); n++)
            assert_int_equal(unpack(STEPS[n]), ERR_INVALID);
    }
    static const char *const BEHIND[] = {"x", "garbage", "\x1f", "\x1f\x8b", "\x1f\x8b\x08", "  "};
    for (size_t i = 0; i < ARRAY_LEN(BEHIND); i++) {
        memcpy(packed + whole, BEHIND[i], strlen(BEHIND[i]));
        packed_len = whole + strlen(BEHIND[i]);
        for (size_t n = 0; n < ARRAY_LEN(STEPS); n++)
            assert_int_equal(unpack(STEPS[n]), ERR_INVALID);
    }
    packed_len = whole;
    for (size_t at = 0; at < whole; at += at < 12 || at > whole - 12 ? 1 : 97) {
        if (at >= 4 && at <= 10)
            continue; // time, system and the padding of a stored block mean nothing
        packed[at] ^= 0x40;
        for (size_t n = 0; n < ARRAY_LEN(STEPS); n++)
            assert_int_equal(unpack(STEPS[n]), ERR_INVALID);
        packed[at] ^= 0x40;
    }
    assert_int_equal(unpack(ROOM), 0);
}

// What a target has flushed is there at once.
static void nothing_is_held_back(void **state)
{
    (void)state;
    struct gunzip_pool pool;
    gunzip_pool_init(&pool, 1);
    struct gunzip *gunzip = gunzip_get(&pool, false);
    z_stream z = {0};
    assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    for (int i = 0; i < 50; i++) {
        char line[32];
        int len = snprintf(line, sizeof line, "line %d\n", i);
        z.next_in = (Bytef *)line;
        z.avail_in = (unsigned)len;
        z.next_out = (Bytef *)packed;
        z.avail_out = ROOM;
        assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
        struct iovec input = {.iov_base = packed, .iov_len = ROOM - z.avail_out};
        struct iovec parts[PIECE_PARTS];
        bool has_more;
        assert_int_equal(gunzip_pass(&pool, gunzip, &input, false, NULL, parts, &has_more), 1);
        assert_false(has_more);
        assert_int_equal(parts[0].iov_len, len);
        assert_memory_equal(parts[0].iov_base, line, (size_t)len);
    }
    deflateEnd(&z);
    gunzip_put(&pool, gunzip);
    gunzip_pool_fini(&pool);
}

static void expect_parts(const struct iovec *parts, int count, const char *want)
{
    char whole[256];
    size_t len = 0;
    for (int i = 0; i < count; i++) {
        memcpy(whole + len, parts[i].iov_base, parts[i].iov_len);
        len += parts[i].iov_len;
    }
    whole[len] = '\0';
    assert_string_equal(whole, want);
}

static void output_is_framed(void **state)
{
    (void)state;
    struct buf trailers;
    buf_init(&trailers, 100);
    buf_append_cstr(&trailers, "X-Sum: 1\r\n");
    packed_len = 0;
    pack("body", 4, 6);
    static const struct {
        bool is_chunked;
        bool has_trailers;
        bool is_split; // the end comes with no byte of the body
        const char *want;
    } CASES[] = {
        {false, false, false, "body"},
        {false, true, true, "body"},
        {true, false, false, "4\r\nbody\r\n0\r\n\r\n"},
        {true, false, true, "4\r\nbody\r\n|0\r\n\r\n"},
        {true, true, false, "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n"},
        {true, true, true, "4\r\nbody\r\n|0\r\nX-Sum: 1\r\n\r\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(CASES); i++) {
        struct gunzip_pool pool;
        gunzip_pool_init(&pool, 1);
        struct gunzip *gunzip = gunzip_get(&pool, CASES[i].is_chunked);
        const struct buf *fields = CASES[i].has_trailers ? &trailers : NULL;
        struct iovec input = {.iov_base = packed, .iov_len = packed_len};
        struct iovec parts[PIECE_PARTS];
        bool has_more;
        int count =
            gunzip_pass(&pool, gunzip, &input, !CASES[i].is_split, fields, parts, &has_more);
        char want[64];
        snprintf(want, sizeof want, "%s", CASES[i].want);
        char *rest = strchr(want, '|');
        if (rest)
            *rest++ = '\0';
        assert_false(has_more);
        expect_parts(parts, count, want);
        if (CASES[i].is_split) {
            count = gunzip_pass(&pool, gunzip, &input, true, fields, parts, &has_more);
            assert_false(has_more);
            expect_parts(parts, count, rest ? rest : "");
        }
        gunzip_put(&pool, gunzip);
        gunzip_pool_fini(&pool);
    }
    buf_fini(&trailers);
}

static void places_are_bounded_and_streams_kept(void **state)
{
    (void)state;
    enum { MAX = GUNZIP_KEPT_MAX + 4 };
    struct gunzip_pool pool;
    struct gunzip *held[MAX];
    gunzip_pool_init(&pool, MAX);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MAX; i++) {
            assert_true(gunzip_reserve(&pool));
            held[i] = gunzip_get(&pool, false);
            assert_non_null(held[i]);
        }
        assert_false(gunzip_reserve(&pool));
        for (int i = 0; i < MAX; i++) {
            gunzip_put(&pool, held[i]);
            gunzip_release(&pool);
        }
        assert_int_equal(pool.kept_count, GUNZIP_KEPT_MAX);
        assert_int_equal(pool.reserved, 0);
    }
    gunzip_put(&pool, NULL);
    gunzip_pool_fini(&pool);
}

static void a_given_up_stream_starts_anew(void **state)
{
    (void)state;
    struct gunzip_pool pool;
    gunzip_pool_init(&pool, 1);
    fill(100000, true);
    packed_len = 0;
    pack(plain, 100000, 6);
    for (size_t len = 5; len < packed_len; len += 10007) {
        struct gunzip *gunzip = gunzip_get(&pool, false);
        struct iovec input = {.iov_base = packed, .iov_len = len};
        struct iovec parts[PIECE_PARTS];
        bool has_more;
        assert_in_range(gunzip_pass(&pool, gunzip, &input, false, NULL, parts, &has_more), 0, 1);
        gunzip_put(&pool, gunzip);
        assert_int_equal(pool.kept_count, 1);
    }
    struct gunzip *gunzip = gunzip_get(&pool, false);
    packed_len = 0;
    pack("plain", 5, 6);
    struct iovec input = {.iov_base = packed, .iov_len = packed_len};
    struct iovec parts[PIECE_PARTS];
    bool has_more;
    assert_int_equal(gunzip_pass(&pool, gunzip, &input, true, NULL, parts, &has_more), 1);
    expect_parts(parts, 1, "plain");
    assert_int_equal(gunzip_bytes_out(gunzip), 5);
    gunzip_put(&pool, gunzip);
    gunzip_pool_fini(&pool);
}

static void shortage_costs_the_body(void **state)
{
    (void)state;
    fill(1000, true);
    packed_len = 0;
    pack(plain, 1000, 6);
    bool is_done = false;
    for (int64_t n = 0; !is_done; n++) {
        struct gunzip_pool pool;
        gunzip_pool_init(&pool, 1);
        mem_fail_after(n);
        struct gunzip *gunzip = gunzip_get(&pool, true);
        struct iovec input = {.iov_base = packed, .iov_len = 500};
        struct iovec parts[PIECE_PARTS];
        bool has_more;
        int rc = ERR_NOMEM;
        if (gunzip)
            rc = gunzip_pass(&pool, gunzip, &input, false, NULL, parts, &has_more);
        mem_fail_after(-1);
        is_done = rc >= 0;
        if (!is_done)
            assert_int_equal(rc, ERR_NOMEM);
        gunzip_put(&pool, gunzip);
        gunzip_pool_fini(&pool);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_bodies),
        cmocka_unit_test(several_members),
        cmocka_unit_test(nothing_at_all),
        cmocka_unit_test(what_is_bad_is_refused),
        cmocka_unit_test(nothing_is_held_back),
        cmocka_unit_test(output_is_framed),
        cmocka_unit_test(places_are_bounded_and_streams_kept),
        cmocka_unit_test(a_given_up_stream_starts_anew),
        cmocka_unit_test(shortage_costs_the_body),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
