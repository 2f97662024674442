# SPDX-License-Identifier: Apache-2.0
"""Free TCP ports on the loopback, without races between test processes.

They lie below the ephemeral range, so that no outgoing connection takes one before its server
binds it. A process takes them in ranges, each reserved by an abstract unix socket of its number
that is held to the end; when there is no further range it goes through its own again.
"""

import itertools
import os
import socket
import threading

FIRST, RANGE, RANGES = 10000, 100, 220

_reservations = {}  # number of the range -> the socket that holds it


def _reserve(number):
    reservation = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        reservation.bind(f"\0tagway-test-ports-{number}")
    except OSError:
        reservation.close()
        return False
    _reservations[number] = reservation
    return True


def _ports():
    start = os.getpid() * 7
    for count in itertools.count():
        if count == RANGES and not _reservations:
            raise RuntimeError("other tests hold all ranges of ports")
        number = (start + count) % RANGES
        if number in _reservations or _reserve(number):
            yield from range(FIRST + number * RANGE, FIRST + (number + 1) * RANGE)


_candidates = _ports()
_lock = threading.Lock()  # some tests start their servers in threads


def free_port():
    with _lock:
        return next(port for port in itertools.islice(_candidates, RANGE * RANGES) if is_free(port))


def is_free(port, host="127.0.0.1"):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
