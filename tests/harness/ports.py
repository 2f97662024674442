# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports on the loopback, without races between test processes.

They lie below the ephemeral range, so that no outgoing connection takes one before its server
binds it, and each is reserved for this process by an abstract unix socket of its number.
"""

import os
import socket

FIRST, LAST = 10000, 31999

_next = FIRST + os.getpid() * 37 % (LAST - FIRST)
_reservations = []


def free_port():
    global _next
    for _ in range(LAST - FIRST):
        port = _next
        _next = FIRST if _next == LAST else _next + 1
        reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            reservation.bind(f"\0tagway-test-port-{port}")
        except OSError:
            reservation.close()
            continue
        if is_free(port):
            _reservations.append(reservation)
            return port
        reservation.close()
    raise RuntimeError("no free port")


def is_free(port, host="127.0.0.1"):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
