// SPDX-License-Identifier: Apache-2.0
//
// Happy path: (1) tls_start_client puts a layer under the sock; (2) the sock connects, on_connected
// starts handshake and timer; (3) on_bytes feeds the handshake until it is done, then what was
// written meanwhile is sent and the owner hears on_connected; (4) on_bytes decrypts all that one
// read brought and gives it to the owner in one on_data; (5) write encrypts the parts into as few
// records as they need and sends them at once; (6) the peer's close_notify is the owner's on_end.
//
// Failure modes: no valid certificate, an alert, silence or an end before (3) is over -> the owner
// hears on_connected(status), tls_failure says why, and no byte of his has been sent; later a bad
// record, an alert, or FIN without close_notify -> on_failed.
//
// OpenSSL never sees the socket: its BIO reads from the bytes of the current on_bytes and writes to
// a chain of blocks. It locks only in the handshake (its lists of methods and of trusted
// certificates); records are encrypted without.
#include "net/tls.h"

#include <arpa/inet.h>
#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/mem.h"
#include "sock_layer.h"

enum {
    RECORD_MAX = 16 << 10,  // RFC 8446 section 5.1
    RECORD_OVERHEAD = 64,   // header, tag, padding: at most about 40 with the suites below
    NAME_MAX_LEN = 253,     // RFC 1035
    UNASKED_MAX = 16 << 10, // answers to the peer's TLS messages that he does not take
};

// Forward secrecy always; CBC for old origins, as Go's client has it. TLS 1.3 has its own list.
static const char SUITES[] = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES";

struct tls_context {
    SSL_CTX *ssl;
    BIO_METHOD *wire;
};

struct tls {
    struct sock_layer layer;
    struct sock *sock;
    SSL *ssl;
    const char *in; // what is left of the bytes that on_bytes brought
    size_t in_len;
    struct block *out;  // encrypted, to be sent before the call ends
    struct block *held; // plain, written before the handshake was done
    size_t unasked;     // bytes pending that OpenSSL sent by itself
    struct timer timer; // of the handshake
    uint32_t handshake_timeout_ms;
    struct tls_session **session;
    const char *failure; // static text
    bool is_open;        // the handshake is done
    bool has_ended;      // nothing of the peer's follows
};

static struct tls *tls_of(const struct sock *sock)
{
    return CONTAINER_OF(sock->layer, struct tls, layer);
}

// Memory

static void *own_alloc(size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    return mem_alloc(size);
}

static void own_free(void *ptr, const char *file, int line)
{
    (void)file;
    (void)line;
    mem_free(ptr);
}

static void *own_realloc(void *ptr, size_t size, const char *file, int line)
{
    (void)file;
    (void)line;
    if (size > 0)
        return mem_realloc(ptr, size);
    mem_free(ptr);
    return NULL;
}

void tls_use_own_memory(void)
{
    CRYPTO_set_mem_functions(own_alloc, own_realloc, own_free);
}

// The BIO

static int wire_read(BIO *bio, char *bytes, int len)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (tls->in_len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t piece = MIN((size_t)len, tls->in_len);
    memcpy(bytes, tls->in, piece);
    tls->in += piece;
    tls->in_len -= piece;
    return (int)piece;
}

static int wire_write(BIO *bio, const char *bytes, int len)
{
    struct tls *tls = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    struct block_pool *blocks = &tls->sock->loop->blocks;
    return block_chain_append(blocks, &tls->out, bytes, (size_t)len) == 0 ? len : -1;
}

static long wire_ctrl(BIO *bio, int command, long number, void *ptr)
{
    (void)bio;
    (void)number;
    (void)ptr;
    return command == BIO_CTRL_FLUSH;
}

static BIO_METHOD *new_wire(void)
{
    BIO_METHOD *wire = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "sock");
    if (wire && BIO_meth_set_read(wire, wire_read) && BIO_meth_set_write(wire, wire_write) &&
        BIO_meth_set_ctrl(wire, wire_ctrl))
        return wire;
    BIO_meth_free(wire);
    return NULL;
}

// Context

static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
    struct tls *tls = SSL_get_app_data(ssl);
    if (!tls->session)
        return 0;
    tls_session_free(*tls->session);
    *tls->session = (struct tls_session *)session;
    return 1; // the reference is ours
}

static bool configure(SSL_CTX *ssl)
{
    static const unsigned char ALPN[] = "\x08http/1.1";
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ssl, on_new_session);
    // Any trusted certificate is an anchor, be it self-signed or not: as in Go.
    return X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(ssl), X509_V_FLAG_PARTIAL_CHAIN) &&
           SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) &&
           SSL_CTX_set_cipher_list(ssl, SUITES) &&
           SSL_CTX_set_alpn_protos(ssl, ALPN, sizeof ALPN - 1) == 0 &&
           SSL_CTX_set_default_verify_paths(ssl);
}

static int add_trusted(SSL_CTX *ssl, struct str path, int (*load)(SSL_CTX *, const char *),
                       struct err *err)
{
    char text[1024];
    if (path.len == 0)
        return 0;
    if (path.len >= sizeof text)
        return err_set(err, ERR_TOO_LARGE, "trusted certificates: the path is too long");
    memcpy(text, path.ptr, path.len);
    text[path.len] = '\0';
    if (load(ssl, text))
        return 0;
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return err_set(err, ERR_INVALID, "trusted certificates in %s: %s", text,
                   reason ? reason : "cannot be read");
}

struct tls_context *tls_context_new(struct str ca_file, struct str ca_dir, struct err *err)
{
    struct tls_context *context = mem_zalloc(sizeof *context);
    if (context) {
        context->wire = new_wire();
        context->ssl = SSL_CTX_new(TLS_client_method());
    }
    if (!context || !context->wire || !context->ssl || !configure(context->ssl)) {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        err_set(err, ERR_NOMEM, "TLS: %s", reason ? reason : err_text(ERR_NOMEM));
        goto fail;
    }
    if (add_trusted(context->ssl, ca_file, SSL_CTX_load_verify_file, err) != 0 ||
        add_trusted(context->ssl, ca_dir, SSL_CTX_load_verify_dir, err) != 0)
        goto fail;
    ERR_clear_error();
    return context;

fail:
    ERR_clear_error();
    tls_context_free(context);
    return NULL;
}

void tls_context_free(struct tls_context *context)
{
    if (!context)
        return;
    SSL_CTX_free(context->ssl);
    BIO_meth_free(context->wire);
    mem_free(context);
}

void tls_session_free(struct tls_session *session)
{
    SSL_SESSION_free((SSL_SESSION *)session);
}

// Sending

static int fail(struct tls *tls, const char *text)
{
    tls->failure = text;
    ERR_clear_error();
    return UV_EPROTO;
}

static int fail_as_openssl_says(struct tls *tls)
{
    long verified = SSL_get_verify_result(tls->ssl);
    if (verified != X509_V_OK && SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE)
        return fail(tls, X509_verify_cert_error_string(verified));
    const char *reason = ERR_reason_error_string(ERR_peek_error());
    return fail(tls, reason ? reason : "TLS failed");
}

// Sends what OpenSSL has written. As sock_write.
static int flush(struct tls *tls)
{
    int result = 0;
    for (struct block *block = tls->out; block && result >= 0; block = block->next) {
        struct iovec part = {.iov_base = block_start(block), .iov_len = block_len(block)};
        int rc = sock_send(tls->sock, &part, 1);
        result = rc < 0 ? rc : MAX(result, rc);
    }
    block_chain_put(&tls->sock->loop->blocks, &tls->out);
    return result;
}

static bool write_record(struct tls *tls, const char *bytes, size_t len)
{
    size_t written;
    return SSL_write_ex(tls->ssl, bytes, len, &written) == 1;
}

// Small parts share a record, large ones are encrypted from where they lie.
static int encrypt(struct tls *tls, const struct iovec *parts, int count)
{
    char gathered[RECORD_MAX];
    size_t gathered_len = 0;
    size_t total = 0;
    bool is_good = true;
    for (int i = 0; i < count; i++)
        total += parts[i].iov_len;
    if (!tls->out) { // one block for all, where one is enough
        size_t room = total + (total / RECORD_MAX + 1) * RECORD_OVERHEAD;
        tls->out = block_get(&tls->sock->loop->blocks, MIN(room, (size_t)BLOCK_MAX));
        if (!tls->out)
            return UV_ENOMEM;
    }
    for (int i = 0; i < count; i++) {
        const char *bytes = parts[i].iov_base;
        size_t len = parts[i].iov_len;
        while (len > 0 && is_good) {
            size_t piece = MIN(len, RECORD_MAX - gathered_len);
            if (gathered_len == 0 && (piece == RECORD_MAX || i == count - 1)) {
                is_good = write_record(tls, bytes, piece);
            } else {
                memcpy(gathered + gathered_len, bytes, piece);
                gathered_len += piece;
                if (gathered_len == RECORD_MAX) {
                    is_good = write_record(tls, gathered, gathered_len);
                    gathered_len = 0;
                }
            }
            bytes += piece;
            len -= piece;
        }
    }
    if (gathered_len > 0 && is_good)
        is_good = write_record(tls, gathered, gathered_len);
    return is_good ? 0 : fail_as_openssl_says(tls);
}

static int tls_write(struct sock *sock, const struct iovec *parts, int count)
{
    struct tls *tls = tls_of(sock);
    if (tls->failure)
        return UV_EPIPE;
    if (!tls->is_open) {
        for (int i = 0; i < count; i++) {
            if (block_chain_append(&sock->loop->blocks, &tls->held, parts[i].iov_base,
                                   parts[i].iov_len) != 0)
                return UV_ENOMEM;
        }
        sock->holds_output = true;
        return 1;
    }
    int rc = encrypt(tls, parts, count);
    return rc < 0 ? rc : flush(tls);
}

static void say_goodbye(struct tls *tls)
{
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
    if (flush(tls) < 0)
        return; // FIN follows, and if that cannot be sent either the reading side hears of it
}

static void tls_end(struct sock *sock)
{
    struct tls *tls = tls_of(sock);
    if (tls->failure)
        return;
    if (tls->is_open)
        say_goodbye(tls);
    else
        sock->holds_output = true; // it waits for the handshake
}

// The handshake

static void fail_handshake(struct tls *tls, int status)
{
    struct sock *sock = tls->sock;
    if (!tls->failure)
        tls->failure = "TLS failed";
    net_loop_disarm(sock->loop, &tls->timer);
    // Should the session have been the reason, the next try goes without.
    if (tls->session) {
        tls_session_free(*tls->session);
        *tls->session = NULL;
    }
    sock_read_stop(sock);
    sock->events->on_connected(sock, status);
}

// True when it is done and the owner, told so, has not closed the sock.
static bool opened(struct tls *tls)
{
    struct sock *sock = tls->sock;
    int rc = 0;
    tls->is_open = true;
    net_loop_disarm(sock->loop, &tls->timer);
    bool has_held = tls->held != NULL;
    for (struct block *block = tls->held; block && rc >= 0; block = block->next) {
        struct iovec part = {.iov_base = block_start(block), .iov_len = block_len(block)};
        rc = encrypt(tls, &part, 1);
    }
    block_chain_put(&sock->loop->blocks, &tls->held);
    sock->holds_output = false;
    if (rc >= 0)
        rc = flush(tls);
    if (rc < 0) {
        fail_handshake(tls, rc);
        return false;
    }
    if (sock->is_ending) {
        say_goodbye(tls);
        sock_end(sock);
    }
    sock->events->on_connected(sock, 0);
    if (!sock->is_closing && has_held && !sock_has_pending(sock))
        sock->events->on_drained(sock);
    return !sock->is_closing;
}

// True when the connection is open now.
static bool shake_hands(struct tls *tls)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(tls->ssl);
    int error = rc == 1 ? SSL_ERROR_NONE : SSL_get_error(tls->ssl, rc);
    int status = 0;
    if (error != SSL_ERROR_NONE && error != SSL_ERROR_WANT_READ)
        status = fail_as_openssl_says(tls);
    int sent = flush(tls); // an alert, too
    if (status == 0 && sent < 0)
        status = sent;
    if (status < 0) {
        fail_handshake(tls, status);
        return false;
    }
    return error == SSL_ERROR_NONE && opened(tls);
}

static void tls_on_connected(struct sock *sock)
{
    struct tls *tls = tls_of(sock);
    net_loop_arm(sock->loop, &tls->timer, tls->handshake_timeout_ms);
    int rc = sock_read_start(sock);
    if (rc != 0)
        fail_handshake(tls, rc);
    else
        shake_hands(tls);
}

static void on_handshake_timeout(struct timer *timer)
{
    struct tls *tls = CONTAINER_OF(timer, struct tls, timer);
    if (tls->sock->is_closing)
        return;
    tls->failure = "the handshake took too long";
    fail_handshake(tls, UV_ETIMEDOUT);
}

// Receiving

// Keeps what OpenSSL answers by itself (refused renegotiations) below a limit.
static bool may_send_unasked(struct tls *tls)
{
    if (!tls->out)
        return true;
    if (!sock_has_pending(tls->sock))
        tls->unasked = 0;
    for (const struct block *block = tls->out; block; block = block->next)
        tls->unasked += block_len(block);
    return tls->unasked <= UNASKED_MAX;
}

static void tls_on_bytes(struct sock *sock, char *bytes, size_t len)
{
    struct tls *tls = tls_of(sock);
    tls->in = bytes;
    tls->in_len = len;
    if (!tls->is_open && !shake_hands(tls))
        return;
    // The plain bytes go to the scratch's start, see SOCK_LAYER_HEADROOM.
    char *plain = sock->loop->read_scratch;
    size_t plain_len = 0;
    size_t got;
    ERR_clear_error();
    while (SSL_read_ex(tls->ssl, plain + plain_len, LOOP_READ_SCRATCH - plain_len, &got) == 1)
        plain_len += got;
    int error = SSL_get_error(tls->ssl, 0);
    int status = 0;
    if (error == SSL_ERROR_ZERO_RETURN)
        tls->has_ended = true;
    else if (error != SSL_ERROR_WANT_READ)
        status = fail_as_openssl_says(tls);
    else if (!may_send_unasked(tls))
        status = fail(tls, "too many TLS messages");
    int sent = flush(tls);
    if (status == 0 && sent < 0)
        status = sent;
    // The owner must not lend the sock to another in on_data when its end is at hand.
    bool is_over = tls->has_ended || status < 0;
    sock->holds_input = is_over || SSL_has_pending(tls->ssl);
    if (plain_len > 0)
        sock->events->on_data(sock, plain, plain_len);
    if (!is_over || sock->is_closing)
        return;
    sock_read_stop(sock);
    if (status < 0)
        sock->events->on_failed(sock, status);
    else
        sock->events->on_end(sock);
}

static void tls_on_end(struct sock *sock, int status)
{
    struct tls *tls = tls_of(sock);
    tls->has_ended = true;
    if (!tls->is_open) {
        tls->failure = status == 0 ? "closed in the handshake" : "reset in the handshake";
        fail_handshake(tls, status == 0 ? UV_ECONNRESET : status);
        return;
    }
    // FIN alone could be anybody's: what was to come is cut.
    sock->events->on_failed(sock, status == 0 ? UV_ECONNRESET : status);
}

static void tls_free(struct sock *sock)
{
    struct tls *tls = tls_of(sock);
    net_loop_disarm(sock->loop, &tls->timer);
    // Else the session could not be resumed, for want of a goodbye.
    SSL_set_shutdown(tls->ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
    SSL_free(tls->ssl);
    block_chain_put(&sock->loop->blocks, &tls->out);
    block_chain_put(&sock->loop->blocks, &tls->held);
    mem_free(tls);
    sock->layer = NULL;
}

static const struct sock_layer_ops OPS = {
    .on_connected = tls_on_connected,
    .on_bytes = tls_on_bytes,
    .on_end = tls_on_end,
    .write = tls_write,
    .end = tls_end,
    .free = tls_free,
};

// Starting

static bool name_peer(SSL *ssl, const struct tls_peer *peer)
{
    char name[NAME_MAX_LEN + 1];
    struct str wanted = peer->name;
    if (wanted.len > 0 && wanted.ptr[wanted.len - 1] == '.')
        wanted.len--; // RFC 6066 section 3
    if (wanted.len == 0 || wanted.len >= sizeof name)
        return false;
    memcpy(name, wanted.ptr, wanted.len);
    name[wanted.len] = '\0';
    unsigned char address[16];
    if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
    SSL_set_hostflags(ssl,
                      X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
    return SSL_set_tlsext_host_name(ssl, name) && SSL_set1_host(ssl, name);
}

// A session may outlive the certificate it was begun with.
static bool may_resume(const SSL_SESSION *session, bool skips_verify)
{
    X509 *certificate = SSL_SESSION_get0_peer((SSL_SESSION *)(uintptr_t)session);
    return SSL_SESSION_is_resumable(session) &&
           (skips_verify ||
            (certificate && X509_cmp_current_time(X509_get0_notAfter(certificate)) > 0));
}

int tls_start_client(struct sock *sock, const struct tls_context *context,
                     const struct tls_peer *peer)
{
    struct tls *tls = mem_zalloc(sizeof *tls);
    if (!tls)
        return ERR_NOMEM;
    tls->layer.ops = &OPS;
    tls->sock = sock;
    tls->session = peer->session;
    tls->handshake_timeout_ms = peer->handshake_timeout_ms;
    timer_init(&tls->timer, on_handshake_timeout);
    BIO *bio = BIO_new(context->wire);
    tls->ssl = SSL_new(context->ssl);
    if (!bio || !tls->ssl) {
        BIO_free(bio);
        goto fail;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    SSL_set_app_data(tls->ssl, tls);
    SSL_set_connect_state(tls->ssl);
    SSL_set_verify(tls->ssl, peer->skips_verify ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    if (!name_peer(tls->ssl, peer))
        goto fail;
    SSL_SESSION *session = peer->session ? (SSL_SESSION *)*peer->session : NULL;
    if (session && may_resume(session, peer->skips_verify) && !SSL_set_session(tls->ssl, session))
        goto fail;
    sock->layer = &tls->layer;
    return 0;

fail:
    ERR_clear_error();
    SSL_free(tls->ssl);
    mem_free(tls);
    return ERR_NOMEM;
}

const char *tls_failure(const struct sock *sock)
{
    return sock->layer ? tls_of(sock)->failure : NULL;
}

bool tls_is_resumed(const struct sock *sock)
{
    return sock->layer && SSL_session_reused(tls_of(sock)->ssl);
}
