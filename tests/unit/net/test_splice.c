// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "net/splice.h"

struct fixture {
    struct splice pipe;
    int from[2], to[2]; // the pipe's end first
};

static void open_fixture(struct fixture *f)
{
    splice_open(&f->pipe);
    assert_true(splice_is_open(&f->pipe));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->from), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, f->to), 0);
}

static void close_fixture(struct fixture *f)
{
    splice_close(&f->pipe);
    for (int i = 0; i < 2; i++) {
        close(f->from[i]);
        close(f->to[i]);
    }
}

static void bytes_go_from_socket_to_socket(void **state)
{
    (void)state;
    struct fixture f;
    char bytes[16];
    open_fixture(&f);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 0); // nothing there
    assert_int_equal(write(f.from[1], "hello", 5), 5);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 3), 3); // no more than asked for
    assert_int_equal(splice_pour(&f.pipe, f.to[0]), 0);
    assert_int_equal(f.pipe.held, 0);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 2);
    assert_int_equal(splice_pour(&f.pipe, f.to[0]), 0);
    assert_int_equal(read(f.to[1], bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "hello", 5);
    close(f.from[1]);
    f.from[1] = -1;
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 0); // reading tells of the end
    close_fixture(&f);
}

static void what_is_not_taken_can_be_read_or_thrown_away(void **state)
{
    (void)state;
    struct fixture f;
    static char bytes[64 << 10];
    open_fixture(&f);
    while (write(f.to[0], bytes, sizeof bytes) > 0) { // it takes nothing more
    }
    assert_int_equal(write(f.from[1], "0123456789", 10), 10);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 10);
    assert_int_equal(splice_pour(&f.pipe, f.to[0]), 0);
    assert_int_equal(f.pipe.held, 10);
    assert_int_equal(splice_read(&f.pipe, bytes, 4), 4);
    assert_memory_equal(bytes, "0123", 4);
    splice_discard(&f.pipe);
    assert_int_equal(f.pipe.held, 0);
    assert_int_equal(splice_read(&f.pipe, bytes, 4), 0);
    assert_int_equal(write(f.from[1], "abc", 3), 3);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 3);
    assert_int_equal(splice_read(&f.pipe, bytes, 10), 3);
    assert_memory_equal(bytes, "abc", 3); // nothing of what was before
    close_fixture(&f);
}

static void a_peer_that_is_gone_is_an_error(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    close(f.to[1]);
    f.to[1] = -1;
    assert_int_equal(write(f.from[1], "abc", 3), 3);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 3);
    assert_int_equal(splice_pour(&f.pipe, f.to[0]), UV_EPIPE);
    splice_discard(&f.pipe);
    assert_int_equal(f.pipe.held, 0);
    close_fixture(&f);
}

static void without_a_pipe_everything_is_to_be_read(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    splice_close(&f.pipe);
    splice_close(&f.pipe);
    assert_int_equal(write(f.from[1], "abc", 3), 3);
    assert_int_equal(splice_fill(&f.pipe, f.from[0], 100), 0);
    struct rlimit before, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){0, before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    splice_open(&f.pipe);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(splice_is_open(&f.pipe));
    close_fixture(&f);
}

static void where_the_kernel_does_not_splice_the_pipe_goes(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f);
    // From a pipe to itself: EINVAL.
    assert_int_equal(splice_fill(&f.pipe, f.pipe.ends[0], 100), 0);
    assert_false(splice_is_open(&f.pipe));
    close_fixture(&f);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_go_from_socket_to_socket),
        cmocka_unit_test(what_is_not_taken_can_be_read_or_thrown_away),
        cmocka_unit_test(a_peer_that_is_gone_is_an_error),
        cmocka_unit_test(without_a_pipe_everything_is_to_be_read),
        cmocka_unit_test(where_the_kernel_does_not_splice_the_pipe_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
