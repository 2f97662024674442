# SPDX-License-Identifier: Apache-2.0
"""Origins that misbehave in a share of their requests, in a process of their own, and a load of numbered
requests. Every request carries an id that the origins note, so that what was delivered twice is seen, and
what was not answered.

An origin notes an id when it has read the request: then it has accepted bytes of it."""

import multiprocessing
import random
import selectors
import socket
import struct
import time

from .ports import free_port
from .process import SLOWNESS

_context = multiprocessing.get_context("spawn")

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
EARLY = b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n"


def _reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


# What an origin does with a request whose head it has read. True: the connection goes on.

def _good(sock):
    sock.sendall(ANSWER)
    return True


def _close_before(sock):
    sock.close()


def _reset_before(sock):
    _reset(sock)


def _fin_then_reset(sock):
    sock.shutdown(socket.SHUT_WR)
    _reset(sock)


def _half_close(sock):
    sock.shutdown(socket.SHUT_WR)
    return True  # goes on reading


def _close_in_head(sock):
    sock.sendall(ANSWER[:20])
    sock.close()


def _reset_in_head(sock):
    sock.sendall(ANSWER[:20])
    _reset(sock)


def _close_in_body(sock):
    sock.sendall(ANSWER[:-1])
    sock.close()


def _reset_in_body(sock):
    sock.sendall(ANSWER[:-1])
    time.sleep(0.002)  # else the reset overtakes what was sent
    _reset(sock)


def _answer_twice(sock):
    sock.sendall(ANSWER + ANSWER.replace(b"ok", b"no"))
    return True


def _answer_then_close(sock):
    """As a server does whose idle time is over, and without saying so."""
    sock.sendall(ANSWER)
    sock.close()


def _answer_then_reset(sock):
    sock.sendall(ANSWER)
    time.sleep(0.002)
    _reset(sock)


def _garbage(sock):
    sock.sendall(b"\x00\x01 garbage\r\n\r\n")
    sock.close()


def _unavailable(sock):
    sock.sendall(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy")
    return True


def _stall(_sock):
    return True


def _answer_early(sock):
    sock.sendall(EARLY)
    return True


FAULTS = {name[1:]: function for name, function in list(globals().items())
          if name.startswith("_") and callable(function) and name not in ("_reset", "_context")}


class FaultyOrigins:
    """`count` origins that do `fault` with that share of the requests that come for the first time, never
    with two in a row on one port; share 1: the first port does with all. idle_close: seconds after which an idle
    connection is closed."""

    def __init__(self, fault, count=3, share=0.1, idle_close=None, seed=1):
        self.ports = [free_port() for _ in range(count)]
        self._pipe, theirs = _context.Pipe()
        self._process = _context.Process(
            target=_serve, args=(self.ports, fault, share, idle_close, seed, theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._pipe.recv() == "listening"

    def result(self):
        """({id: times delivered}, faults done)"""
        self._pipe.send("result")
        return self._pipe.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.join()


def _serve(ports, fault, share, idle_close, seed, pipe):
    selector = selectors.DefaultSelector()
    rng = random.Random(seed)
    seen, buffers, idle_since = {}, {}, {}
    was_fault = dict.fromkeys(ports, False)
    faults = 0

    def forget(sock):
        if sock in buffers:
            selector.unregister(sock)
            del buffers[sock]
            idle_since.pop(sock, None)

    def is_due(port):
        if share == 1:
            return port == ports[0]
        was_fault[port] = not was_fault[port] and rng.random() < share
        return was_fault[port]

    def serve(sock, port):
        nonlocal faults
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            forget(sock)
            sock.close()
            return
        idle_since.pop(sock, None)
        buffers[sock] += data
        while sock in buffers:
            head, mark, rest = buffers[sock].partition(b"\r\n\r\n")
            if not mark:
                return
            number = int(head.split(b" ", 2)[1].rpartition(b"/")[2])
            length = 0
            for line in head.split(b"\r\n")[1:]:
                if line[:15].lower() == b"content-length:":
                    length = int(line[15:])
            if len(rest) < length:
                return  # all of it or nothing: these bodies come with their heads
            seen[number] = seen.get(number, 0) + 1
            buffers[sock] = rest[length:]
            is_fault = is_due(port) and (share == 1 or seen[number] == 1)
            faults += is_fault
            what = FAULTS[fault] if is_fault else _good
            is_closing = what not in _KEPT
            if is_closing:
                forget(sock)
            try:
                what(sock)
            except OSError:
                forget(sock)
                sock.close()
            if sock in buffers:
                idle_since[sock] = time.monotonic()

    def accept(listener, port):
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffers[sock] = b""
        selector.register(sock, selectors.EVENT_READ, lambda: serve(sock, port))

    for port in ports:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        selector.register(listener, selectors.EVENT_READ, lambda a=listener, b=port: accept(a, b))
    selector.register(pipe, selectors.EVENT_READ, None)
    pipe.send("listening")
    while True:
        for key, _ in selector.select(idle_close):
            if key.fileobj is pipe:
                try:
                    pipe.recv()
                except EOFError:
                    return
                pipe.send((seen, faults))
            elif key.fileobj.fileno() >= 0:
                key.data()
        if idle_close is not None:
            now = time.monotonic()
            for sock, since in list(idle_since.items()):
                if now - since >= idle_close:
                    forget(sock)
                    sock.close()


_KEPT = (_good, _half_close, _answer_twice, _unavailable, _stall, _answer_early)


class Numbered:
    """Sends `count` requests, numbered from `first`, over keep-alive connections, one at a time on each.
    outcomes: {number: status or "cut"}."""

    def __init__(self, port, count, method="GET", connections=16, first=0, body=b""):
        self.outcomes = {}
        self._port = port
        self._connections = connections
        self._next, self._end = first, first + count
        self._head = f"{method} /%d HTTP/1.1\r\nHost: localhost\r\n".encode()
        if method == "POST":
            self._head += b"Content-Length: %d\r\n" % len(body)
        self._body = b"\r\n" + (body if method == "POST" else b"")

    def run(self):
        selector = selectors.DefaultSelector()
        state = {}

        def close(sock):
            selector.unregister(sock)
            sock.close()
            del state[sock]

        def start(sock=None):
            if self._next == self._end:
                if sock:
                    close(sock)
                return
            number, self._next = self._next, self._next + 1
            if sock is None:
                sock = socket.create_connection(("127.0.0.1", self._port), 10)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                selector.register(sock, selectors.EVENT_READ)
            state[sock] = [number, b""]
            try:
                sock.sendall(self._head % number + self._body)
            except OSError:
                done(sock, "cut", False)

        def done(sock, outcome, is_open):
            number = state[sock][0]
            assert number not in self.outcomes
            self.outcomes[number] = outcome
            if not is_open:
                close(sock)
                sock = None
            start(sock)

        def readable(sock):
            entry = state[sock]
            try:
                data = sock.recv(65536)
            except OSError:
                data = b""
            if not data:
                done(sock, "cut", False)
                return
            entry[1] += data
            head, mark, rest = entry[1].partition(b"\r\n\r\n")
            if not mark:
                return
            length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
            if len(rest) < length:
                return
            status = int(head[9:12])
            if status == 200 and rest != b"ok":
                status = f"wrong body {rest!r}"
            done(sock, status, b"connection: close" not in head.lower())

        for _ in range(self._connections):
            start()
        quiet_since = time.monotonic()
        while state:
            for key, _ in selector.select(0.5):
                quiet_since = time.monotonic()
                if key.fileobj in state:
                    readable(key.fileobj)
            assert time.monotonic() - quiet_since < 20 * SLOWNESS, f"{len(state)} requests are not answered"
        return self

    def failures(self, good=(200,)):
        """{outcome: how many} of the others."""
        counts = {}
        for outcome in self.outcomes.values():
            if outcome not in good:
                counts[outcome] = counts.get(outcome, 0) + 1
        return counts
