# SPDX-License-Identifier: Apache-2.0
"""Plays one case: a client and an origin of raw sockets, with the proxy under test between them. Both ends run
in one thread, so that nothing depends on how threads are scheduled: what the origin has got when the client's
connection is over is known, not waited for. After each case another client asks for something of its own, and
must get just that: a case that has poisoned a pooled connection shows here."""

import collections
import contextlib
import itertools
import os
import re
import select
import socket
import struct
import time

import strict
from case import DATE, FIN, RST, TUNNEL, Await, Outcome
from harness.ports import free_port
from harness.process import SLOWNESS

_numbers = itertools.count()


def default_answer(request):
    head = b"HTTP/1.1 200 OK\r\nDate: %s\r\nContent-Length: %d\r\n\r\n" % (DATE, len(request.target))
    return head if request.method == b"HEAD" else head + request.target


def end_with_reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class _OriginSide:
    """One connection to the origin."""

    def __init__(self, sock, arena):
        sock.settimeout(5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock = sock
        self.arena = arena
        self.buffer = b""
        self.request = None
        self.script = None
        self.played = None  # the outcome of the play whose script it followed
        self.later = ()
        self.is_tunnel = False
        self.is_closed = False

    def fileno(self):
        return self.sock.fileno()

    def close(self):
        if not self.is_closed:
            self.is_closed = True
            self.sock.close()

    def run(self, steps):
        for at, step in enumerate(steps):
            if step == "later":
                self.later = steps[at + 1:]
                return
            if step == FIN:
                self.close()
            elif step == "half":
                self.sock.shutdown(socket.SHUT_WR)
            elif step == RST:
                self.is_closed = True
                end_with_reset(self.sock)
            elif step == TUNNEL:
                self.is_tunnel = True
            else:
                self.arena.put(self.sock, step)

    def on_readable(self):
        try:
            data = self.sock.recv(1 << 18)
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self.buffer += data
        try:
            while self.buffer and not self.is_closed and self._advance():
                pass
        except strict.Fault as fault:
            self.arena.outcome.unclean = str(fault)
            self.close()
        except OSError:
            self.close()

    def _advance(self):
        """One thing out of the buffer. False: more must come."""
        if self.is_tunnel:
            greeting = b"" if self.arena.outcome.tunnelled else b"echo:"
            self.arena.outcome.tunnelled += self.buffer
            self.arena.put(self.sock, greeting + self.buffer)
            self.buffer = b""
            return False
        if not self.request:
            self.request = strict.request_head(self.buffer)
            if not self.request:
                return False
            self.arena.outcome.is_used_again |= self.played is self.arena.outcome
            self.script = self.arena.claim_script(self.request)
            if self.script:
                self.played = self.arena.outcome
                self.run(self.script.head)
                if self.is_closed:
                    return False
        used = strict.complete(self.request, self.buffer)
        if used is None:
            return False
        request, self.request, self.buffer = self.request, None, self.buffer[used:]
        if not request.target.startswith(b"/probe-"):
            self.arena.outcome.requests.append(request)
        if self.script:
            self.run(self.script.complete)
        else:
            self.arena.put(self.sock, default_answer(request))
        return True


class Arena:
    """`port`: of the proxy, which is to forward everything to origin_port."""

    def __init__(self, patience=10.0):
        self.patience = patience * SLOWNESS
        self.port = None
        self.origin_port = free_port()
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.origin_port))
        self.listener.listen(64)
        self.sides = []
        self.outcome = Outcome()
        self.script = None
        self.piece = 0

    def close(self):
        for side in self.sides:
            side.close()
        self.listener.close()

    def put(self, sock, data):
        """Sends, in pieces when the play is one of pieces."""
        if not self.piece or len(data) < 2:
            sock.sendall(data)
            return
        size = max(self.piece, len(data) // 400)
        for at in range(0, len(data), size):
            sock.sendall(data[at:at + size])
            os.sched_yield()

    def claim_script(self, request):
        if request.target.startswith((b"/last", b"/probe-")):
            return None
        script, self.script = self.script, None
        return script

    def turn(self, extra=(), timeout=0.0):
        """Serves the origin once; returns what of `extra` is readable, or None when nothing happened."""
        self.sides = [side for side in self.sides if not side.is_closed]
        ready = select.select([self.listener, *self.sides, *extra], [], [], timeout)[0]
        for each in ready:
            if each is self.listener:
                self.sides.append(_OriginSide(self.listener.accept()[0], self))
            elif isinstance(each, _OriginSide):
                each.on_readable()
        return [each for each in ready if each in extra] if ready else None

    def talk(self, steps):
        """One client: sends the steps, reads to the end. Returns (bytes, "fin", "rst" or "open")."""
        client = socket.create_connection(("127.0.0.1", self.port), 5)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        steps = collections.deque(steps)
        got, pending, ended = b"", b"", None
        awaited_from, was_reset = 0, False
        deadline = time.monotonic() + self.patience
        while not ended:
            if not pending and steps:
                step = steps[0]
                if not isinstance(step, Await):
                    steps.popleft()
                elif step.mark in got[awaited_from:]:
                    awaited_from = got.index(step.mark, awaited_from) + len(step.mark)
                    steps.popleft()
                    continue
                if step == FIN:
                    with contextlib.suppress(OSError):
                        client.shutdown(socket.SHUT_WR)
                elif step == RST:
                    end_with_reset(client)
                    return got, "rst"
                elif isinstance(step, bytes):
                    pending = step
            if pending:
                size = max(self.piece, len(pending) // 400) if self.piece else len(pending)
                now, pending = pending[:size], pending[size:]
                try:
                    client.sendall(now)
                    os.sched_yield()
                except OSError as error:
                    # The send took the reset that recv would have shown.
                    was_reset = isinstance(error, ConnectionResetError)
                    pending = b""  # what came before the end is still to be read
                    steps.clear()
            is_sending = pending or (steps and not isinstance(steps[0], Await))
            ready = self.turn([client], 0.0 if is_sending else 0.05)
            if ready is None and not is_sending:
                self.run_later()  # nobody does anything any more
            for _ in ready or ():
                try:
                    data = client.recv(1 << 18)
                except OSError:
                    ended = "rst"
                else:
                    got += data
                    ended = None if data else "rst" if was_reset else "fin"
            if time.monotonic() > deadline:
                ended = "open"
        client.close()
        return got, ended

    def probe(self):
        """What is wrong with the answer to another client, or None."""
        target = b"/probe-%d" % next(_numbers)
        got, ended = self.talk([b"GET " + target + b" HTTP/1.1\r\nHost: probe.example\r\n"
                                b"Connection: close\r\n\r\n"])
        if ended != "open" and re.fullmatch(rb"HTTP/1.1 200 OK\r\n.*\r\n\r\n" + target, got, re.DOTALL):
            return None
        return f"{got[:300]!r} {ended}"

    def play(self, case, piece=0, waits=None):
        self.outcome = outcome = Outcome()
        self.script, self.piece = case.script, piece
        if waits is None:
            waits = piece > 0 or (case.script and len(case.script.complete) > 1)
        steps = case.steps(waits)
        got, outcome.ended = self.talk(steps)
        self.settle()
        self.run_later()
        self.piece, self.script = 0, None
        # A message that was begun is over now, whatever comes of it; its connection is of no more use.
        outcome.partial = b"".join(side.buffer for side in self.sides)
        outcome.probe = self.probe()
        for side in self.sides:
            if side.buffer or side.is_tunnel:
                side.close()
        methods = [b"HEAD"] if isinstance(steps[0], bytes) and steps[0].startswith(b"HEAD ") else []
        outcome.answers, outcome.rest, outcome.fault = strict.responses(got, methods, outcome.ended == "fin")
        return outcome

    def run_later(self):
        for side in self.sides:
            steps, side.later = side.later, ()
            if steps and not side.is_closed:
                with contextlib.suppress(OSError):
                    side.run(steps)

    def settle(self):
        while self.turn() is not None:
            pass
