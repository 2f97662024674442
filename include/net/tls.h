// SPDX-License-Identifier: Apache-2.0
// TLS on a sock: the door to OpenSSL. A context is made once, by the control thread, and shared by
// all workers; tls_start_client turns a fresh sock into one whose bytes are encrypted and whose
// on_connected means that the handshake is done and the peer is who it should be. Everything else
// of net/sock.h stays as it is, but for this: a FIN without TLS's own goodbye is a failure, so that
// a cut message cannot be taken for a complete one. Functions with a sock are for its loop's
// thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "net/sock.h"

struct tls_context;
struct tls_session; // what lets the next connection to the same peer skip most of the handshake

// Puts OpenSSL's memory behind base/mem.h. Before anything else of the process uses OpenSSL.
void tls_use_own_memory(void);

// Trusts the certificates of the system (as OpenSSL finds them: SSL_CERT_FILE and SSL_CERT_DIR
// count) and those of ca_file and ca_dir; both may be empty. NULL and err on failure.
MUST_CHECK struct tls_context *tls_context_new(struct str ca_file, struct str ca_dir,
                                               struct err *err);
void tls_context_free(struct tls_context *context);

struct tls_peer {
    struct str name; // host name or IP address literal: SNI, and what the certificate must name
    bool skips_verify;
    uint32_t handshake_timeout_ms; // from connected to encrypted
    // Where the newest session with this peer is kept: offered if there is one, replaced by newer
    // ones. Outlives the sock; must belong to peers of the same name and verification only.
    struct tls_session **session;
};

// Between sock_init and sock_connect. 0 or a negative err_code (the sock is still to be closed).
MUST_CHECK int tls_start_client(struct sock *sock, const struct tls_context *context,
                                const struct tls_peer *peer);

// Why TLS failed on this sock ("certificate has expired"), a static text; NULL: it did not.
const char *tls_failure(const struct sock *sock);
// Whether the handshake resumed an earlier session.
bool tls_is_resumed(const struct sock *sock);

// NULL is ignored.
void tls_session_free(struct tls_session *session);
