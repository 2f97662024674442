// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "proxy/body.h"

struct passage {
    struct buf out;
    size_t used;
    int rc;
    bool is_complete;
};

// Passes the text in pieces of `step` bytes and collects what is to be sent on.
static struct passage pass(struct body *body, const char *text, size_t step)
{
    struct passage passage = {0};
    buf_init(&passage.out, 1 << 20);
    size_t len = strlen(text);
    for (size_t at = 0; at < len && passage.rc == 0 && !body->is_complete; at += step) {
        char bytes[256];
        size_t piece = MIN(step, len - at);
        memcpy(bytes, text + at, piece);
        struct iovec parts[BODY_PARTS];
        int count;
        size_t used;
        passage.rc = body_pass(body, bytes, piece, &used, parts, &count);
        passage.used += used;
        for (int i = 0; i < count && passage.rc == 0; i++)
            buf_append(&passage.out, parts[i].iov_base, parts[i].iov_len);
    }
    passage.is_complete = body->is_complete;
    return passage;
}

static void a_length_is_counted_down(void **state)
{
    (void)state;
    for (size_t step = 1; step <= 12; step++) {
        struct body body;
        body_init(&body, HTTP_BODY_LENGTH, 5, false, NULL);
        struct passage passage = pass(&body, "12345GET / ", step);
        assert_true(passage.is_complete);
        assert_int_equal(passage.used, 5);
        assert_int_equal(passage.out.len, 5);
        assert_memory_equal(passage.out.ptr, "12345", 5);
        buf_fini(&passage.out);
    }
}

static void no_body_and_length_zero_are_complete_at_once(void **state)
{
    (void)state;
    static const enum http_framing framings[] = {HTTP_BODY_NONE, HTTP_BODY_LENGTH};
    for (size_t i = 0; i < ARRAY_LEN(framings); i++) {
        struct body body;
        struct iovec parts[BODY_PARTS];
        char bytes[] = "GET /";
        int count;
        size_t used;
        body_init(&body, framings[i], 0, false, NULL);
        assert_true(body.is_complete);
        assert_int_equal(body_pass(&body, bytes, 5, &used, parts, &count), 0);
        assert_int_equal(used, 0);
        assert_int_equal(count, 0);
        assert_true(body_end(&body, parts, &count));
    }
}

static void chunks_lose_extensions_and_trailers(void **state)
{
    (void)state;
    static const char in[] = "3;x=y\r\nabc\r\n0\r\nServer-Timing: 1\r\n\r\n";
    static const char out[] = "3\r\nabc\r\n0\r\n\r\n";
    for (size_t step = 1; step <= sizeof in; step++) {
        struct body body;
        body_init(&body, HTTP_BODY_CHUNKED, 0, false, NULL);
        struct passage passage = pass(&body, in, step);
        assert_true(passage.is_complete);
        assert_int_equal(passage.used, strlen(in));
        assert_int_equal(passage.out.len, strlen(out));
        assert_memory_equal(passage.out.ptr, out, strlen(out));
        buf_fini(&passage.out);
    }
}

static void trailers_go_on_when_they_are_wanted(void **state)
{
    (void)state;
    static const char in[] = "3\r\nabc\r\n0\r\nServer-Timing: 1\r\nContent-Length: 7\r\n\r\n";
    static const char out[] = "3\r\nabc\r\n0\r\nServer-Timing: 1\r\n\r\n";
    struct body body;
    struct buf trailers;
    buf_init(&trailers, CHUNK_TRAILERS_MAX);
    body_init(&body, HTTP_BODY_CHUNKED, 0, false, &trailers);
    struct passage passage = pass(&body, in, 7);
    assert_true(passage.is_complete);
    assert_int_equal(passage.out.len, strlen(out));
    assert_memory_equal(passage.out.ptr, out, strlen(out));
    buf_fini(&passage.out);
    buf_fini(&trailers);
}

static void an_old_receiver_gets_the_bare_body(void **state)
{
    (void)state;
    struct body body;
    body_init(&body, HTTP_BODY_CHUNKED, 0, true, NULL);
    struct passage passage = pass(&body, "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", 4);
    assert_true(passage.is_complete);
    assert_int_equal(passage.out.len, 5);
    assert_memory_equal(passage.out.ptr, "abcde", 5);
    buf_fini(&passage.out);
}

static void a_bad_chunk_is_refused(void **state)
{
    (void)state;
    struct body body;
    body_init(&body, HTTP_BODY_CHUNKED, 0, false, NULL);
    struct passage passage = pass(&body, "0x3\r\nabc\r\n0\r\n\r\n", 100);
    assert_int_equal(passage.rc, -HTTP_BAD_CHUNK);
    assert_false(passage.is_complete);
    buf_fini(&passage.out);
}

static void until_close_is_sent_chunked(void **state)
{
    (void)state;
    struct body body;
    struct iovec parts[BODY_PARTS];
    int count;
    body_init(&body, HTTP_BODY_CLOSE, 0, false, NULL);
    struct passage passage = pass(&body, "abcdefgh", 5);
    assert_false(passage.is_complete);
    assert_int_equal(passage.out.len, 18);
    assert_memory_equal(passage.out.ptr, "5\r\nabcde\r\n3\r\nfgh\r\n", 18);
    assert_true(body_end(&body, parts, &count));
    assert_int_equal(count, 1);
    assert_int_equal(parts[0].iov_len, 5);
    assert_memory_equal(parts[0].iov_base, "0\r\n\r\n", 5);
    buf_fini(&passage.out);
}

static void until_close_goes_as_it_is_to_an_old_receiver(void **state)
{
    (void)state;
    struct body body;
    struct iovec parts[BODY_PARTS];
    int count;
    body_init(&body, HTTP_BODY_CLOSE, 0, true, NULL);
    struct passage passage = pass(&body, "abcdefgh", 5);
    assert_int_equal(passage.out.len, 8);
    assert_true(body_end(&body, parts, &count));
    assert_int_equal(count, 0);
    buf_fini(&passage.out);
}

static void closing_early_is_no_end(void **state)
{
    (void)state;
    static const struct {
        enum http_framing framing;
        const char *text;
    } rows[] = {{HTTP_BODY_LENGTH, "1234"}, {HTTP_BODY_CHUNKED, "3\r\nabc\r\n0\r\n"}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct body body;
        struct iovec parts[BODY_PARTS];
        int count;
        body_init(&body, rows[i].framing, 5, false, NULL);
        struct passage passage = pass(&body, rows[i].text, 100);
        assert_false(body_end(&body, parts, &count));
        assert_int_equal(count, 0);
        buf_fini(&passage.out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_length_is_counted_down),
        cmocka_unit_test(no_body_and_length_zero_are_complete_at_once),
        cmocka_unit_test(chunks_lose_extensions_and_trailers),
        cmocka_unit_test(trailers_go_on_when_they_are_wanted),
        cmocka_unit_test(an_old_receiver_gets_the_bare_body),
        cmocka_unit_test(a_bad_chunk_is_refused),
        cmocka_unit_test(until_close_is_sent_chunked),
        cmocka_unit_test(until_close_goes_as_it_is_to_an_old_receiver),
        cmocka_unit_test(closing_early_is_no_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
