// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/ssl.h>

#include "base/mem.h"
#include "net/addr.h"
#include "net/listener.h"
#include "net/tls.h"

// What all tests share: a certificate for "shop.internal" that is its own authority, made by the
// openssl command, a client context that trusts it and a server context that shows it.
static char folder[] = "/tmp/tagway-tls-XXXXXX";
static struct tls_context *context;
static SSL_CTX *server_context;

static int make_world(void **state)
{
    (void)state;
    char command[512];
    char path[128];
    assert_non_null(mkdtemp(folder));
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 "
             "-subj /CN=test -addext subjectAltName=DNS:shop.internal,IP:127.0.0.1 "
             "-keyout %s/key.pem -out %s/cert.pem 2>/dev/null",
             folder, folder);
    assert_int_equal(system(command), 0);
    snprintf(path, sizeof path, "%s/cert.pem", folder);
    struct err err;
    context = tls_context_new(str_of(path), STR_NULL, &err);
    assert_non_null(context);
    server_context = SSL_CTX_new(TLS_server_method());
    assert_int_equal(SSL_CTX_use_certificate_file(server_context, path, SSL_FILETYPE_PEM), 1);
    snprintf(path, sizeof path, "%s/key.pem", folder);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(server_context, path, SSL_FILETYPE_PEM), 1);
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    char command[128];
    tls_context_free(context);
    SSL_CTX_free(server_context);
    snprintf(command, sizeof command, "rm -r %s", folder);
    return system(command);
}

// A sock under test on one end, OpenSSL on a descriptor on the other.
struct fixture {
    struct net_loop loop;
    struct sock sock;
    struct tls_session *session;
    int listener;
    int peer;
    SSL *ssl;             // the peer's
    int connected_status; // 1: not called yet
    unsigned drained, ended, failed, closed, pieces;
    char received[256 << 10];
    size_t received_len;
    bool held_input; // as on_data found it
    bool echoes;
};

static struct fixture *fixture_of(struct sock *sock)
{
    return CONTAINER_OF(sock, struct fixture, sock);
}

static void on_connected(struct sock *sock, int status)
{
    assert_int_equal(fixture_of(sock)->connected_status, 1);
    fixture_of(sock)->connected_status = status;
}

static void on_data(struct sock *sock, char *bytes, size_t len)
{
    struct fixture *f = fixture_of(sock);
    assert_int_equal(f->connected_status, 0);
    assert_true(f->received_len + len <= sizeof f->received);
    memcpy(f->received + f->received_len, bytes, len);
    f->received_len += len;
    f->pieces++;
    f->held_input = sock->holds_input;
    if (f->echoes) {
        struct iovec part = {bytes, len};
        assert_true(sock_write(sock, &part, 1) >= 0);
    }
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

static void init_fixture(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->peer = -1;
    f->listener = -1;
    assert_int_equal(net_loop_init(&f->loop, NULL), 0);
}

static int start_listener(struct sockaddr_storage *addr)
{
    struct err err;
    assert_true(addr_from_literal(STR("127.0.0.1"), 0, addr));
    int listener = listener_bind(addr, true, "test", &err);
    assert_true(listener >= 0);
    assert_int_equal(listen(listener, 16), 0);
    listener_set_port(addr, listener_port(listener));
    return listener;
}

// Connects; the peer has accepted the TCP connection and nothing more.
static void begin(struct fixture *f, const char *name, uint32_t timeout_ms)
{
    struct sockaddr_storage addr;
    f->listener = start_listener(&addr);
    f->connected_status = 1;
    f->closed = 0;
    struct tls_peer peer = {
        .name = str_of(name), .handshake_timeout_ms = timeout_ms, .session = &f->session};
    assert_int_equal(sock_init(&f->sock, &f->loop, &EVENTS), 0);
    assert_int_equal(tls_start_client(&f->sock, context, &peer), 0);
    assert_int_equal(sock_connect(&f->sock, (struct sockaddr *)&addr), 0);
    struct pollfd waiting = {.fd = f->listener, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 10000), 1);
    f->peer = accept(f->listener, NULL, NULL);
    assert_true(f->peer >= 0);
    fcntl(f->peer, F_SETFL, O_NONBLOCK);
    close(f->listener);
    f->ssl = SSL_new(server_context);
    assert_int_equal(SSL_set_fd(f->ssl, f->peer), 1);
}

static void shake(struct fixture *f)
{
    while (f->connected_status == 1) {
        turn(f);
        SSL_accept(f->ssl);
    }
    while (!SSL_is_init_finished(f->ssl) && f->connected_status == 0)
        SSL_accept(f->ssl);
}

static void open_fixture(struct fixture *f)
{
    init_fixture(f);
    begin(f, "shop.internal", 10000);
    shake(f);
    assert_int_equal(f->connected_status, 0);
}

static void drop_peer(struct fixture *f)
{
    SSL_set_shutdown(f->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(f->ssl);
    close(f->peer);
    f->peer = -1;
    f->ssl = NULL;
}

static void close_sock(struct fixture *f)
{
    sock_close(&f->sock, false);
    while (!f->closed)
        turn(f);
    if (f->ssl)
        drop_peer(f);
}

static void close_fixture(struct fixture *f)
{
    close_sock(f);
    assert_int_equal(f->loop.blocks.in_use_bytes, 0);
    tls_session_free(f->session);
    net_loop_stop(&f->loop);
    net_loop_run(&f->loop);
    net_loop_fini(&f->loop);
}

static int write_text(struct fixture *f, const char *text)
{
    struct iovec part = {(void *)(uintptr_t)text, strlen(text)};
    return sock_write(&f->sock, &part, 1);
}

static void peer_sends(struct fixture *f, const char *text)
{
    assert_int_equal(SSL_write(f->ssl, text, (int)strlen(text)), strlen(text));
}

// The peer reads exactly this next.
static void peer_hears(struct fixture *f, const char *text)
{
    char bytes[64];
    size_t have = 0;
    while (have < strlen(text)) {
        turn(f);
        int n = SSL_read(f->ssl, bytes + have, (int)(sizeof bytes - have));
        if (n > 0)
            have += (size_t)n;
        else
            assert_int_equal(SSL_get_error(f->ssl, n), SSL_ERROR_WANT_READ);
    }
    assert_int_equal(have, strlen(text));
    assert_memory_equal(bytes, text, have);
}

static void hears(struct fixture *f, const char *text)
{
    while (f->received_len < strlen(text))
        turn(f);
    assert_int_equal(f->received_len, strlen(text));
    assert_memory_equal(f->received, text, f->received_len);
    f->received_len = 0;
}

static struct fixture f;

static void bytes_pass_both_ways(void **state)
{
    (void)state;
    open_fixture(&f);
    assert_int_equal(write_text(&f, "hello"), 0);
    peer_hears(&f, "hello");
    peer_sends(&f, "good");
    peer_sends(&f, " day");
    hears(&f, "good day");
    assert_null(tls_failure(&f.sock));
    assert_int_equal(f.ended + f.failed + f.drained, 0);
    close_fixture(&f);
}

static void parts_share_records(void **state)
{
    (void)state;
    static char large[20000];
    open_fixture(&f);
    memset(large, 'a', sizeof large);
    static char head[] = "head", tail[] = "tail";
    struct iovec parts[] = {{head, 4}, {large, sizeof large}, {tail, 4}};
    assert_int_equal(sock_write(&f.sock, parts, 3), 0);
    // Two records: 16 KiB and the rest.
    static char bytes[20008];
    size_t have = 0;
    int records = 0;
    while (have < sizeof bytes) {
        int n = SSL_read(f.ssl, bytes + have, (int)(sizeof bytes - have));
        if (n <= 0)
            continue;
        have += (size_t)n;
        records++;
    }
    assert_int_equal(records, 2);
    assert_memory_equal(bytes, "headaaaa", 8);
    assert_memory_equal(bytes + sizeof bytes - 8, "aaaatail", 8);
    close_fixture(&f);
}

static void what_is_written_early_waits_for_the_handshake(void **state)
{
    (void)state;
    init_fixture(&f);
    begin(&f, "shop.internal", 10000);
    assert_int_equal(write_text(&f, "early"), 1);
    assert_int_equal(write_text(&f, " bird"), 1);
    assert_true(sock_has_pending(&f.sock));
    for (int i = 0; i < 10; i++)
        turn(&f);
    assert_int_equal(f.connected_status, 1);
    shake(&f);
    peer_hears(&f, "early bird");
    assert_int_equal(f.drained, 1);
    assert_false(sock_has_pending(&f.sock));
    close_fixture(&f);
}

static void an_early_end_waits_too(void **state)
{
    (void)state;
    init_fixture(&f);
    begin(&f, "shop.internal", 10000);
    assert_int_equal(write_text(&f, "all"), 1);
    sock_end(&f.sock);
    shake(&f);
    peer_hears(&f, "all");
    char byte;
    assert_int_equal(SSL_read(f.ssl, &byte, 1), 0);
    assert_int_equal(SSL_get_error(f.ssl, 0), SSL_ERROR_ZERO_RETURN);
    // The other direction is still open.
    peer_sends(&f, "answer");
    hears(&f, "answer");
    close_fixture(&f);
}

static void a_wrong_name_ends_the_handshake(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        const char *failure;
    } rows[] = {
        {"shop.internal", NULL},
        {"SHOP.internal.", NULL},
        {"127.0.0.1", NULL},
        {"other.internal", "hostname mismatch"},
        {"test", "hostname mismatch"}, // the common name does not count
        {"127.0.0.2", "IP address mismatch"},
        {"::1", "IP address mismatch"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        init_fixture(&f);
        begin(&f, rows[i].name, 10000);
        assert_int_equal(write_text(&f, "secret"), 1);
        shake(&f);
        assert_int_equal(f.connected_status, rows[i].failure ? UV_EPROTO : 0);
        if (rows[i].failure) {
            char byte;
            assert_string_equal(tls_failure(&f.sock), rows[i].failure);
            assert_true(SSL_read(f.ssl, &byte, 1) <= 0);
        }
        assert_int_equal(f.failed + f.ended, 0);
        close_fixture(&f);
    }
}

static void a_name_that_cannot_be_one_is_refused(void **state)
{
    (void)state;
    char name[300];
    memset(name, 'a', sizeof name);
    init_fixture(&f);
    assert_int_equal(sock_init(&f.sock, &f.loop, &EVENTS), 0);
    struct tls_peer peer = {.name = str_make(name, sizeof name)};
    assert_true(tls_start_client(&f.sock, context, &peer) < 0);
    peer.name = STR_NULL;
    assert_true(tls_start_client(&f.sock, context, &peer) < 0);
    close_fixture(&f);
}

static void goodbye_is_the_end_and_fin_alone_is_not(void **state)
{
    (void)state;
    open_fixture(&f);
    peer_sends(&f, "last");
    SSL_shutdown(f.ssl);
    drop_peer(&f);
    while (!f.ended)
        turn(&f);
    assert_int_equal(f.received_len, 4);
    assert_int_equal(f.failed, 0);
    close_fixture(&f);

    open_fixture(&f);
    peer_sends(&f, "last");
    drop_peer(&f);
    while (!f.failed)
        turn(&f);
    assert_int_equal(f.received_len, 4);
    assert_int_equal(f.ended, 0);
    assert_null(tls_failure(&f.sock));
    close_fixture(&f);
}

static void data_and_end_in_one_read(void **state)
{
    (void)state;
    open_fixture(&f);
    turn(&f);
    sock_read_stop(&f.sock);
    peer_sends(&f, "one");
    peer_sends(&f, "two");
    SSL_shutdown(f.ssl);
    sock_read_start(&f.sock);
    while (!f.ended)
        turn(&f);
    assert_int_equal(f.pieces, 1);
    assert_memory_equal(f.received, "onetwo", 6);
    // The owner could tell that this sock is not to be used again.
    assert_true(f.held_input);
    close_fixture(&f);
}

static void writing_goes_on_after_the_peers_end(void **state)
{
    (void)state;
    open_fixture(&f);
    SSL_shutdown(f.ssl);
    while (!f.ended)
        turn(&f);
    assert_int_equal(write_text(&f, "still here"), 0);
    peer_hears(&f, "still here");
    close_fixture(&f);
}

static void half_a_record_is_known_of(void **state)
{
    (void)state;
    // A peer whose bytes we can cut: its records are written to memory first.
    open_fixture(&f);
    turn(&f);
    BIO *memory = BIO_new(BIO_s_mem());
    SSL_set0_wbio(f.ssl, memory);
    peer_sends(&f, "secret");
    char *bytes;
    long len = BIO_get_mem_data(memory, &bytes);
    assert_int_equal(write(f.peer, bytes, 10), 10);
    while (!f.sock.holds_input)
        turn(&f);
    assert_int_equal(f.received_len, 0);
    assert_true(sock_is_readable_now(&f.sock));
    assert_int_equal(write(f.peer, bytes + 10, (size_t)len - 10), len - 10);
    hears(&f, "secret");
    assert_false(f.sock.holds_input);
    assert_false(sock_is_readable_now(&f.sock));
    close_fixture(&f);
}

static void tickets_and_key_updates_are_no_data(void **state)
{
    (void)state;
    open_fixture(&f);
    for (int i = 0; i < 5; i++) {
        struct tls_session *before = f.session;
        assert_int_equal(SSL_new_session_ticket(f.ssl), 1);
        assert_int_equal(SSL_do_handshake(f.ssl), 1);
        while (f.session == before)
            turn(&f);
        assert_int_equal(SSL_key_update(f.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
        assert_int_equal(SSL_do_handshake(f.ssl), 1);
        for (int k = 0; k < 5; k++)
            turn(&f);
        assert_int_equal(f.pieces, 0);
        assert_int_equal(f.failed + f.ended, 0);
        assert_false(f.sock.holds_input);
        // Both directions have their new keys.
        assert_int_equal(write_text(&f, "ping"), 0);
        peer_hears(&f, "ping");
        peer_sends(&f, "pong");
        hears(&f, "pong");
        f.pieces = 0;
    }
    close_fixture(&f);
}

static void a_session_is_resumed(void **state)
{
    (void)state;
    static const int VERSIONS[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t i = 0; i < ARRAY_LEN(VERSIONS); i++) {
        SSL_CTX_set_max_proto_version(server_context, VERSIONS[i]);
        init_fixture(&f);
        for (int round = 0; round < 4; round++) {
            begin(&f, "shop.internal", 10000);
            shake(&f);
            assert_int_equal(f.connected_status, 0);
            assert_int_equal(tls_is_resumed(&f.sock), round > 0);
            assert_int_equal(SSL_session_reused(f.ssl), round > 0);
            peer_sends(&f, "x");
            hears(&f, "x"); // and the tickets before it
            close_sock(&f);
        }
        // A failed handshake is not tried with the same session again.
        assert_non_null(f.session);
        begin(&f, "shop.internal", 10000);
        drop_peer(&f);
        while (f.connected_status == 1)
            turn(&f);
        assert_true(f.connected_status < 0);
        assert_null(f.session);
        close_fixture(&f);
    }
    SSL_CTX_set_max_proto_version(server_context, 0);
}

static void renegotiation_is_refused(void **state)
{
    (void)state;
    SSL_CTX_set_max_proto_version(server_context, TLS1_2_VERSION);
    open_fixture(&f);
    assert_int_equal(SSL_renegotiate(f.ssl), 1);
    SSL_do_handshake(f.ssl);
    for (int i = 0; i < 10; i++)
        turn(&f);
    assert_int_equal(f.failed + f.ended, 0);
    char byte;
    assert_true(SSL_read(f.ssl, &byte, 1) <= 0);
    close_fixture(&f);
    SSL_CTX_set_max_proto_version(server_context, 0);
}

static void silence_has_a_limit(void **state)
{
    (void)state;
    init_fixture(&f);
    begin(&f, "shop.internal", 100);
    uint64_t start_ms = uv_hrtime() / 1000000;
    while (f.connected_status == 1)
        turn(&f);
    assert_int_equal(f.connected_status, UV_ETIMEDOUT);
    assert_non_null(tls_failure(&f.sock));
    assert_true(uv_hrtime() / 1000000 - start_ms >= 99);
    close_fixture(&f);
}

static void garbage_is_a_failure(void **state)
{
    (void)state;
    init_fixture(&f);
    begin(&f, "shop.internal", 10000);
    assert_int_equal(write(f.peer, "HTTP/1.1 400 Bad Request\r\n\r\n", 28), 28);
    while (f.connected_status == 1)
        turn(&f);
    assert_int_equal(f.connected_status, UV_EPROTO);
    assert_string_equal(tls_failure(&f.sock), "wrong version number");
    close_fixture(&f);

    open_fixture(&f);
    peer_sends(&f, "good");
    assert_int_equal(write(f.peer, "\x17\x03\x03\x00\x20 garbage garbage garbage garbage", 37), 37);
    while (!f.failed)
        turn(&f);
    assert_memory_equal(f.received, "good", 4);
    assert_int_equal(f.received_len, 4);
    assert_non_null(tls_failure(&f.sock));
    assert_int_equal(write_text(&f, "x"), UV_EPIPE);
    close_fixture(&f);
}

static void a_slow_peer_gets_everything_in_order(void **state)
{
    (void)state;
    enum { PIECE = 60000, PIECES = 150 };
    static unsigned char out[PIECE];
    static unsigned char in[100000];
    open_fixture(&f);
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
    sock_end(&f.sock);
    assert_int_equal(write_text(&f, "late"), UV_EPIPE);
    uint32_t next_in = 0;
    size_t held = 0;
    for (;;) {
        turn(&f);
        int n = SSL_read(f.ssl, in + held, (int)(sizeof in - held));
        if (n <= 0 && SSL_get_error(f.ssl, n) == SSL_ERROR_ZERO_RETURN)
            break; // the goodbye came, behind everything
        if (n <= 0)
            continue;
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
    close_fixture(&f);
}

static void a_fast_peer_is_read_in_order(void **state)
{
    (void)state;
    static char out[200000];
    open_fixture(&f);
    for (size_t i = 0; i < sizeof out; i++)
        out[i] = (char)(i * 7 + i / 256);
    // Pieces of every size around the record's, many to a read.
    size_t sent = 0;
    for (size_t piece = 1; sent < sizeof out; piece = piece * 3 + 1) {
        size_t len = MIN(piece % 17000 + 1, sizeof out - sent);
        int n = SSL_write(f.ssl, out + sent, (int)len);
        if (n > 0)
            sent += (size_t)n;
        if (n <= 0 || piece % 5 == 0)
            turn(&f);
        if (n <= 0)
            piece = (piece - 1) / 3; // OpenSSL wants the same again
    }
    while (f.received_len < sizeof out)
        turn(&f);
    assert_memory_equal(f.received, out, sizeof out);
    assert_true(f.pieces < 100); // not one for each record
    close_fixture(&f);
}

static void an_owner_may_write_while_he_is_told(void **state)
{
    (void)state;
    open_fixture(&f);
    f.echoes = true;
    peer_sends(&f, "echo");
    peer_hears(&f, "echo");
    close_fixture(&f);
}

static void a_reset_says_no_goodbye(void **state)
{
    (void)state;
    open_fixture(&f);
    sock_close(&f.sock, true);
    while (!f.closed)
        turn(&f);
    char byte;
    int n = SSL_read(f.ssl, &byte, 1);
    assert_int_equal(SSL_get_error(f.ssl, n), SSL_ERROR_SYSCALL);
    close_fixture(&f);
}

static void bad_authorities_are_refused(void **state)
{
    (void)state;
    struct err err;
    assert_null(tls_context_new(STR("/nowhere"), STR_NULL, &err));
    assert_non_null(strstr(err.text, "/nowhere"));
    assert_null(tls_context_new(STR("/dev/null"), STR_NULL, &err));
    static char path[2000];
    memset(path, 'a', sizeof path);
    assert_null(tls_context_new(str_make(path, sizeof path), STR_NULL, &err));
}

// Echoes whatever comes, one connection after the other, in a process of its own: memory that fails
// must be ours.
static pid_t start_echo(int listener)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(server_context);
        SSL_set_fd(ssl, fd);
        SSL_set_accept_state(ssl);
        char bytes[64];
        int n;
        while ((n = SSL_read(ssl, bytes, sizeof bytes)) > 0)
            SSL_write(ssl, bytes, n);
        SSL_free(ssl);
        close(fd);
    }
}

// One connection with one echo, as far as memory allows. True when all went well.
static bool try_echo(const struct sockaddr_storage *addr)
{
    f.connected_status = 1;
    f.received_len = f.failed = f.ended = f.closed = 0;
    struct tls_peer peer = {
        .name = STR("shop.internal"), .handshake_timeout_ms = 10000, .session = &f.session};
    assert_int_equal(sock_init(&f.sock, &f.loop, &EVENTS), 0);
    bool is_going = tls_start_client(&f.sock, context, &peer) == 0 &&
                    sock_connect(&f.sock, (const struct sockaddr *)addr) == 0 &&
                    write_text(&f, "echo") == 1;
    while (is_going && f.received_len < 4) {
        turn(&f);
        is_going = (f.connected_status == 1 || f.connected_status == 0) && !f.failed && !f.ended;
    }
    mem_fail_after(-1);
    sock_close(&f.sock, false);
    while (!f.closed)
        turn(&f);
    return is_going;
}

static void allocations_may_fail(void **state)
{
    (void)state;
    struct sockaddr_storage addr;
    signal(SIGPIPE, SIG_IGN);
    init_fixture(&f);
    int listener = start_listener(&addr);
    pid_t child = start_echo(listener);
    assert_true(try_echo(&addr));
    tls_session_free(f.session);
    f.session = NULL;
    bool is_good = false;
    int failures = 0;
    // Every one at the start, then some: all of them take a minute. Two of three with a session to
    // resume, which shifts the numbers.
    for (int n = 0; !is_good && n < 20000; n += n < 60 ? 1 : 31) {
        if (n % 3 == 0) {
            tls_session_free(f.session);
            f.session = NULL;
        }
        mem_fail_after(n);
        is_good = try_echo(&addr);
        failures += !is_good;
    }
    assert_true(is_good);
    assert_true(failures > 60);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    close(listener);
    close_fixture(&f);
}

int main(void)
{
    tls_use_own_memory();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_pass_both_ways),
        cmocka_unit_test(parts_share_records),
        cmocka_unit_test(what_is_written_early_waits_for_the_handshake),
        cmocka_unit_test(an_early_end_waits_too),
        cmocka_unit_test(a_wrong_name_ends_the_handshake),
        cmocka_unit_test(a_name_that_cannot_be_one_is_refused),
        cmocka_unit_test(goodbye_is_the_end_and_fin_alone_is_not),
        cmocka_unit_test(data_and_end_in_one_read),
        cmocka_unit_test(writing_goes_on_after_the_peers_end),
        cmocka_unit_test(half_a_record_is_known_of),
        cmocka_unit_test(tickets_and_key_updates_are_no_data),
        cmocka_unit_test(a_session_is_resumed),
        cmocka_unit_test(renegotiation_is_refused),
        cmocka_unit_test(silence_has_a_limit),
        cmocka_unit_test(garbage_is_a_failure),
        cmocka_unit_test(a_slow_peer_gets_everything_in_order),
        cmocka_unit_test(a_fast_peer_is_read_in_order),
        cmocka_unit_test(an_owner_may_write_while_he_is_told),
        cmocka_unit_test(a_reset_says_no_goodbye),
        cmocka_unit_test(bad_authorities_are_refused),
        cmocka_unit_test(allocations_may_fail),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
