// SPDX-License-Identifier: Apache-2.0
// What may stand between a sock and the wire: one small table of functions, called by sock.c in
// place of its own plain way. A layer hears the wire (connected, bytes, end), tells the owner's
// sock_events what that means, and sends by sock_send. Used by net/tls.c alone, on the sock's loop.
#pragma once

#include "net/sock.h"

// Input is read to read_scratch + SOCK_LAYER_HEADROOM, so that a layer can put what it makes of the
// bytes at the scratch's start while it reads them: what it held back of earlier reads (one TLS
// record, RFC 5246 section 6.2.3: 16 KiB + 2 KiB + 5) cannot make it overtake itself.
enum { SOCK_LAYER_HEADROOM = 20 << 10 };

struct sock_layer_ops {
    void (*on_connected)(struct sock *sock);
    void (*on_bytes)(struct sock *sock, char *bytes, size_t len);
    void (*on_end)(struct sock *sock, int status); // 0: FIN; negative: a libuv error code
    int (*write)(struct sock *sock, const struct iovec *parts, int count); // as sock_write
    // Says goodbye, behind all that was written. FIN (or close) follows.
    void (*end)(struct sock *sock);
    void (*free)(struct sock *sock);
};

struct sock_layer {
    const struct sock_layer_ops *ops;
};

// As sock_write, straight to the wire and also after sock_end.
MUST_CHECK int sock_send(struct sock *sock, const struct iovec *parts, int count);
