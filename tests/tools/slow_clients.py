#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How plain requests fare beside thousands of slow clients, and what such a client costs.

One tagway, one origin, a closed-loop load of plain requests; then in turn clients that drip heads, are
idle, drip bodies, do not read a large answer. For each kind the p99 of the plain requests before and
during, those that failed, and the growth of RSS per client. `./dev slow` runs it.

Times are stretched where the default would end the clients before they are counted; the memory of a
client does not depend on that."""

import argparse
import contextlib
import os
import resource
import selectors
import socket
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness.client import format_request  # noqa: E402
from harness.load import Load, Origins  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.process import SLOWNESS, wait_until  # noqa: E402
from harness.tagway import Tagway, route  # noqa: E402

PER_SOURCE = 5000  # connections from one loopback address
OPTIONS = {
    "proxy.client.headtimeout": "10m", "proxy.client.idletimeout": "10m", "proxy.client.bodytimeout": "10m",
    "proxy.client.writetimeout": "10m", "proxy.client.maxage": "0", "proxy.client.minrate": "0", "proxy.upstream.writetimeout": "10m",
    "proxy.workers": "1",
}
# What the project promises, bytes of RSS for each client.
LIMITS = {"head": 6 << 10, "idle": 1 << 10, "body": 8 << 10, "answer": 16 << 10}
HEAD = b"GET /slow HTTP/1.1\r\nHost: example.com\r\nUser-Agent: slow\r\nAccept: */*\r\n"
UPLOAD = b"POST /slow HTTP/1.1\r\nHost: example.com\r\nContent-Length: 200000000\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n"


class SlowOrigin:
    """Accepts everything. Reads uploads and never answers them, or does not even read (`reads`=False);
    to a GET it gives a 200 MB answer as fast as it is taken."""

    def __init__(self, reads=True):
        self.port = free_port()
        self.reads = reads
        self._listener = socket.create_server(("127.0.0.1", self.port), backlog=4096)
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._socks = set()
        self._is_stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _accept(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                sock, _ = self._listener.accept()
                sock.setblocking(False)
                self._socks.add(sock)
                self._selector.register(sock, selectors.EVENT_READ, lambda sock=sock: self._first(sock))

    def _drop(self, sock):
        self._selector.unregister(sock)
        self._socks.discard(sock)
        sock.close()

    def _first(self, sock):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self._drop(sock)
        elif data.startswith(b"GET"):
            self._selector.modify(sock, selectors.EVENT_WRITE, lambda: self._write(sock))
            sock.send(ANSWER)
        elif self.reads:
            self._selector.modify(sock, selectors.EVENT_READ, lambda: self._read(sock))
        else:
            self._selector.unregister(sock)

    def _read(self, sock):
        try:
            if sock.recv(65536):
                return
        except OSError:
            pass
        self._drop(sock)

    def _write(self, sock):
        try:
            sock.send(b"x" * 65536)
        except BlockingIOError:
            pass
        except OSError:
            self._drop(sock)

    def _run(self):
        while not self._is_stopping:
            for key, _ in self._selector.select(0.1):
                key.data()

    def stop(self):
        self._is_stopping = True
        self._thread.join()
        for sock in list(self._socks) + [self._listener]:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class SlowClients:
    """`count` connections that send `first`, then `drip` of each in turn, one byte at a time, all of them
    once in `period` s; they read nothing. With a `flood` they go on sending that as far as it is taken."""

    def __init__(self, port, count, first=b"", drip=b"", flood=b"", period=5.0):
        self.socks = []
        self._drip, self._flood, self._period = drip, flood, period
        self._stop = threading.Event()
        for number in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.bind((f"127.0.1.{1 + number // PER_SOURCE}", 0))
            sock.settimeout(10 * SLOWNESS)
            sock.connect(("127.0.0.1", port))
            if first:
                sock.sendall(first)
            sock.setblocking(False)
            self.socks.append(sock)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        at = 0
        while not self._stop.is_set() and (self._drip or self._flood):
            slice_size = max(1, len(self.socks) // 100)
            for number in range(at, at + slice_size):
                with contextlib.suppress(OSError):
                    self.socks[number % len(self.socks)].send(self._drip or self._flood)
            at = (at + slice_size) % len(self.socks)
            if self._drip:
                self._stop.wait(self._period / 100)
            elif at < slice_size:
                self._stop.wait(0.05)

    def stop(self):
        self._stop.set()
        self._thread.join()
        for sock in self.socks:
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


# kind: what SlowClients are given
KINDS = {
    "head": {"first": HEAD, "drip": b"x"},
    "idle": {},
    "body": {"first": UPLOAD + b"x", "drip": b"x"},
    "answer": {"first": format_request(target="/slow")},
    "upload": {"first": UPLOAD, "flood": b"x" * 65536},
}


def settled_rss_kib(process, tolerance=64):
    """RSS once it has stopped moving."""
    last = [-1]

    def is_still():
        now = process.rss_kib()
        still = abs(now - last[0]) <= tolerance
        last[0] = now
        time.sleep(0.3)
        return still

    wait_until(is_still, timeout=60, what="memory to settle")
    return last[0]


def in_flight(tagway):
    return tagway.metric("tagway_target_in_flight", service="slow")


class Outcome:
    def __init__(self, kind, count):
        self.kind, self.count = kind, count
        self.growth_kib = 0
        self.before = self.during = None

    @property
    def bytes_per_client(self):
        return self.growth_kib * 1024 / self.count


def measure(kind, count, seconds=3.0, options=None, connections=8, may_load=True):
    """Runs one kind; returns its Outcome. All clients have arrived and are held when memory is read."""
    outcome = Outcome(kind, count)
    is_held = "tagway_open_connections"
    with Origins(1, body=b"x" * 100) as plain, SlowOrigin(reads=kind != "upload") as slow:
        routes = route(plain.ports[0], service="plain") + route(slow, "/slow", service="slow")
        with Tagway(routes, {**OPTIONS, **(options or {})}) as tagway:
            plain_requests = [format_request(fields=[("User-Agent", "plain")])]

            def load():
                with Load(tagway.port, plain_requests, connections=connections, pause=0.0005) as generator:
                    time.sleep(seconds)
                    return generator.stop()

            load()  # pools, first touches
            outcome.before = load() if may_load else None
            rss = settled_rss_kib(tagway.process)
            with SlowClients(tagway.port, count, **KINDS[kind]) as clients:
                wait_until(lambda: tagway.metric(is_held) >= count, timeout=60, what="all clients")
                if kind not in ("head", "idle"):
                    wait_until(lambda: in_flight(tagway) >= count, timeout=60, what="all requests")
                outcome.growth_kib = settled_rss_kib(tagway.process) - rss
                outcome.during = load() if may_load else None
                outcome.growth_kib = max(outcome.growth_kib, settled_rss_kib(tagway.process) - rss)
                assert tagway.metric(is_held) >= len(clients.socks) == count, "some were cut"
    return outcome


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--clients", type=int, default=9000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--kinds", default=",".join(KINDS))
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Here are the clients and the origin's ends, there are clients and connections to the origin.
    count = min(args.clients, (hard - 1024) // 2 - 100)
    if count < args.clients:
        print(f"the limit of open files ({hard}) allows {count} clients", file=sys.stderr)
    print(f"{'clients':<22} {'p99 before':>10} {'during':>9} {'ratio':>6} {'failed':>6} {'RSS each':>9}  limit")
    has_failed = False
    for kind in args.kinds.split(","):
        outcomes = [measure(kind, count, args.seconds) for _ in range(args.rounds)]
        before = statistics.median(o.before.percentile_ms(99) for o in outcomes)
        during = statistics.median(o.during.percentile_ms(99) for o in outcomes)
        failed = sum(len(o.before.failures) + len(o.during.failures) for o in outcomes)
        each = statistics.median(o.bytes_per_client for o in outcomes)
        limit = LIMITS.get(kind)
        is_good = failed == 0 and (limit is None or each <= limit) and during <= max(2.0, 1.5 * before)
        has_failed |= not is_good
        print(f"{count:>6} {kind:<15} {before:>7.2f} ms {during:>6.2f} ms {during / before:>6.2f} {failed:>6}"
              f" {each:>7.0f} B  {limit or '':>5} {'' if is_good else 'MISSED'}", flush=True)
    return has_failed


if __name__ == "__main__":
    sys.exit(main())
