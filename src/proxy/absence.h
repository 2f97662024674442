// SPDX-License-Identifier: Apache-2.0
// Whether a client that is not read at the moment has left. Reading would tell, but its bytes have
// nowhere to go: the target does not take them, or they are the next request. The kernel is asked
// instead. Called by client.c on the worker, seldom.
#pragma once

#include <stdbool.h>

#include "net/sock.h"
#include "proxy/exchange.h"

// True: it has reset the connection, or ended it before the whole body was sent. A FIN alone is no
// leave: what waits to be read may be all of the body, and a client may half-close then.
bool client_has_left(const struct exchange *exchange, struct sock *sock);
