// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/listener.h"
#include "net/sock.h"

// A sock under test on one end, a plain descriptor on the other.
struct fixture {
    struct net_loop loop;
    struct sock sock;
    int peer;
    int connected_status; // 1: not called yet
    unsigned drained, ended, failed, closed;
    char received[64];
    size_t received_len;
};

static struct fixture *fixture_of(struct sock *sock)
{
    return CONTAINER_OF(sock, struct fixture, sock);
}

static void on_connected(struct sock *sock, int status)
{
    fixture_of(sock)->connected_status = status;
}

static void on_data(struct sock *sock, char *bytes, size_t len)
{
    struct fixture *f = fixture_of(sock);
    assert_true(f->received_len + len <= sizeof f->received);
    memcpy(f->received + f->received_len, bytes, len);
    f->received_len += len;
}

static void on_end(struct sock *sock)
{
    fixture_of(sock)->ended++;
}

static void on_failed(struct sock *sock, int status)
{
    assert_true(status < 0);
    fixture_of(sock)->failed++;
}

static void on_drained(struct sock *sock)
{
    fixture_of(sock)->drained++;
}

static void on_closed(struct sock *sock)
{
    fixture_of(sock)->closed++;
}

static const struct sock_events EVENTS = {
    .on_connected = on_connected,
    .on_data = on_data,
    .on_end = on_end,
    .on_failed = on_failed,
    .on_drained = on_drained,
    .on_closed = on_closed,
};

static void turn(struct fixture *f)
{
    uv_run(&f->loop.uv, UV_RUN_NOWAIT);
}

// Connects, with `early` written before the connection stands.
static void open_fixture(struct fixture *f, const char *early)
{
    memset(f, 0, sizeof *f);
    f->connected_status = 1;
    assert_int_equal(net_loop_init(&f->loop, NULL), 0);
    struct sockaddr_storage addr;
    struct err err;
    assert_true(addr_from_literal(STR("127.0.0.1"), 0, &addr));
    int listener = listener_bind(&addr, true, "test", &err);
    assert_true(listener >= 0);
    assert_int_equal(listen(listener, 1), 0);
    listener_set_port(&addr, listener_port(listener));
    assert_int_equal(sock_init(&f->sock, &f->loop, &EVENTS), 0);
    assert_int_equal(sock_connect(&f->sock, (struct sockaddr *)&addr), 0);
    if (early) {
        struct iovec part = {.iov_base = (void *)(uintptr_t)early, .iov_len = strlen(early)};
        assert_int_equal(sock_write(&f->sock, &part, 1), 1);
    }
    while (f->connected_status == 1)
        turn(f);
    assert_int_equal(f->connected_status, 0);
    struct pollfd waiting = {.fd = listener, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 10000), 1);
    f->peer = accept(listener, NULL, NULL);
    assert_true(f->peer >= 0);
    close(listener);
    assert_int_equal(sock_read_start(&f->sock), 0);
}

static void close_fixture(struct fixture *f)
{
    sock_close(&f->sock, false);
    while (!f->closed)
        turn(f);
    if (f->peer >= 0)
        close(f->peer);
    net_loop_stop(&f->loop);
    net_loop_run(&f->loop);
    net_loop_fini(&f->loop);
}

static void reads_what_the_peer_sends_then_its_end(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, NULL);
    assert_int_equal(write(f.peer, "hello", 5), 5);
    while (f.received_len < 5)
        turn(&f);
    assert_memory_equal(f.received, "hello", 5);
    close(f.peer);
    f.peer = -1;
    while (!f.ended)
        turn(&f);
    assert_int_equal(f.failed, 0);
    close_fixture(&f);
}

static void bytes_written_while_connecting_arrive(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, "early");
    while (!f.drained)
        turn(&f);
    char bytes[8];
    assert_int_equal(read(f.peer, bytes, sizeof bytes), 5);
    assert_memory_equal(bytes, "early", 5);
    close_fixture(&f);
}

static void a_slow_peer_gets_everything_in_order(void **state)
{
    (void)state;
    enum { PIECE = 60000, PIECES = 200 };
    static unsigned char out[PIECE];
    static unsigned char in[100000];
    struct fixture f;
    open_fixture(&f, NULL);
    uint32_t next_out = 0;
    bool was_pending = false;
    for (int i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < PIECE; k += 4, next_out++)
            memcpy(out + k, &next_out, 4);
        struct iovec parts[2] = {{out, 10000}, {out + 10000, PIECE - 10000}};
        int rc = sock_write(&f.sock, parts, 2);
        assert_true(rc >= 0);
        was_pending |= rc == 1;
    }
    assert_true(was_pending);
    assert_true(sock_has_pending(&f.sock));
    assert_int_not_equal(sock_pending_bytes(&f.sock), 0);
    sock_end(&f.sock);
    assert_int_equal(f.drained, 0);

    uint32_t next_in = 0;
    size_t held = 0;
    for (;;) {
        turn(&f);
        ssize_t n = recv(f.peer, in + held, sizeof in - held, MSG_DONTWAIT);
        if (n < 0) {
            assert_true(errno == EAGAIN);
            continue;
        }
        if (n == 0)
            break; // FIN came, behind everything
        held += (size_t)n;
        size_t used = 0;
        for (; held - used >= 4; used += 4, next_in++) {
            uint32_t value;
            memcpy(&value, in + used, 4);
            assert_int_equal(value, next_in);
        }
        memmove(in, in + used, held - used);
        held -= used;
    }
    assert_int_equal(next_in, next_out);
    assert_int_equal(f.drained, 1);
    assert_false(sock_has_pending(&f.sock));
    assert_int_equal(f.loop.blocks.in_use_bytes, 0);
    struct iovec late = {out, 1};
    assert_int_equal(sock_write(&f.sock, &late, 1), UV_EPIPE);
    close_fixture(&f);
}

static void a_reset_is_a_failure(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, NULL);
    struct linger hard = {.l_onoff = 1};
    setsockopt(f.peer, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(f.peer);
    f.peer = -1;
    while (!f.failed)
        turn(&f);
    assert_int_equal(f.ended, 0);
    close_fixture(&f);
}

static void closing_with_output_pending_frees_it(void **state)
{
    (void)state;
    static char out[64 << 10];
    struct fixture f;
    open_fixture(&f, NULL);
    struct iovec part = {out, sizeof out};
    int rc;
    do
        rc = sock_write(&f.sock, &part, 1);
    while (rc == 0);
    assert_int_equal(rc, 1);
    assert_int_equal(sock_write(&f.sock, &part, 1), 1);
    sock_close(&f.sock, true);
    while (!f.closed)
        turn(&f);
    assert_int_equal(f.loop.blocks.in_use_bytes, 0);
    assert_int_equal(f.failed, 0);
    close_fixture(&f);
}

static void knows_whether_something_waits(void **state)
{
    (void)state;
    struct fixture f;
    open_fixture(&f, NULL);
    sock_read_stop(&f.sock);
    assert_false(sock_is_readable_now(&f.sock));
    assert_int_equal(write(f.peer, "x", 1), 1);
    struct pollfd waiting = {.fd = f.sock.fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 10000), 1);
    assert_true(sock_is_readable_now(&f.sock));
    close_fixture(&f);
}

static void a_refused_connection_is_reported(void **state)
{
    (void)state;
    struct fixture f;
    memset(&f, 0, sizeof f);
    f.connected_status = 1;
    f.peer = -1;
    assert_int_equal(net_loop_init(&f.loop, NULL), 0);
    struct sockaddr_storage addr;
    struct err err;
    assert_true(addr_from_literal(STR("127.0.0.1"), 0, &addr));
    int fd = listener_bind(&addr, true, "test", &err); // bound, not listening: refuses
    listener_set_port(&addr, listener_port(fd));
    assert_int_equal(sock_init(&f.sock, &f.loop, &EVENTS), 0);
    assert_int_equal(sock_connect(&f.sock, (struct sockaddr *)&addr), 0);
    while (f.connected_status == 1)
        turn(&f);
    assert_int_equal(f.connected_status, UV_ECONNREFUSED);
    close(fd);
    close_fixture(&f);
}

static void a_port_in_use_is_an_error(void **state)
{
    (void)state;
    struct sockaddr_storage addr;
    struct err err;
    assert_true(addr_from_literal(STR("127.0.0.1"), 0, &addr));
    int first = listener_bind(&addr, true, "first", &err);
    assert_true(first >= 0);
    listener_set_port(&addr, listener_port(first));
    int second = listener_bind(&addr, false, "second", &err);
    assert_true(second >= 0); // the same process shares it
    assert_int_equal(listen(first, 1), 0);
    assert_int_equal(listener_bind(&addr, true, "127.0.0.1:x", &err), -1);
    assert_non_null(strstr(err.text, "127.0.0.1:x"));
    assert_non_null(strstr(err.text, "in use"));
    close(first);
    close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_the_peer_sends_then_its_end),
        cmocka_unit_test(bytes_written_while_connecting_arrive),
        cmocka_unit_test(a_slow_peer_gets_everything_in_order),
        cmocka_unit_test(a_reset_is_a_failure),
        cmocka_unit_test(closing_with_output_pending_frees_it),
        cmocka_unit_test(knows_whether_something_waits),
        cmocka_unit_test(a_refused_connection_is_reported),
        cmocka_unit_test(a_port_in_use_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
