# SPDX-License-Identifier: Apache-2.0
"""Load with exact accounting: every request is either answered as expected or listed as a failure.
Both ends run as processes of their own, so that they do not share the test's interpreter."""

import multiprocessing
import selectors
import socket
import threading
import time

from .ports import free_port
from .process import SLOWNESS

# Not "fork": a child must not keep the listeners of this process's origins open.
_context = multiprocessing.get_context("spawn")


LATENCIES_MAX = 1_000_000  # of each process; beyond, the latest


class Load:
    """Closed-loop keep-alive load: each connection sends its next request when the answer is complete.

    requests: list of raw requests, sent in turn. Answers must be 200 with a Content-Length.
    After stop(): `count`, `failures` (texts), `latencies_us` and `answers` {body: count}.
    """

    def __init__(self, port, requests, connections=16, processes=1, pause=0):
        self.count = 0
        self.failures = []
        self.latencies_us = []
        self.answers = {}
        self._stop = _context.Event()
        self._progress = _context.Value("L", 0)
        self._failed = _context.Value("L", 0)
        self._workers = []
        for _ in range(processes):
            ours, theirs = _context.Pipe(duplex=False)
            worker = _context.Process(
                target=_generate, daemon=True,
                args=(port, requests, connections, pause, self._stop, self._progress, self._failed,
                      theirs))
            worker.start()
            theirs.close()
            self._workers.append((worker, ours))

    def progress(self):
        """Requests answered so far, about."""
        return self._progress.value

    def failed(self):
        return self._failed.value

    def stop(self):
        self._stop.set()
        for worker, pipe in self._workers:
            assert pipe.poll(30 * SLOWNESS), "the load generator does not end"
            count, failures, latencies_us, answers = pipe.recv()
            worker.join()
            self.count += count
            self.failures += failures
            self.latencies_us += latencies_us
            for body, number in answers.items():
                self.answers[body] = self.answers.get(body, 0) + number
        self.latencies_us.sort()
        return self

    def percentile_ms(self, percent):
        if not self.latencies_us:
            return 0.0
        return self.latencies_us[min(len(self.latencies_us) - 1,
                                     len(self.latencies_us) * percent // 100)] / 1000

    def summary(self):
        return (f"{self.count} requests, {len(self.failures)} failed, p50 {self.percentile_ms(50):.2f} ms,"
                f" p99 {self.percentile_ms(99):.2f} ms")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stop.set()
        for worker, _ in self._workers:
            worker.join(1)
            if worker.is_alive():
                worker.kill()


class _Connection:
    def __init__(self, port, number):
        self.port = port
        self.number = number
        self.sock = None
        self.buffer = b""
        self.sent_at = 0.0
        self.is_waiting = False
        self.answered = 0  # on the current TCP connection
        self.open()

    def open(self):
        self.sock = socket.create_connection(("127.0.0.1", self.port), 10)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""
        self.answered = 0


def _generate(port, requests, connections, pause, stop, progress, failed, pipe):
    selector = selectors.DefaultSelector()
    count, failures, latencies_us, answers = 0, [], [], {}
    turn = 0

    def send_next(connection):
        nonlocal turn
        if connection.sock is None:
            connection.open()
            selector.register(connection.sock, selectors.EVENT_READ, connection)
        connection.sent_at = time.monotonic()
        connection.is_waiting = True
        connection.sock.sendall(requests[turn % len(requests)])
        turn += 1

    def fail(connection, text):
        where = "" if connection.answered else "new connection: "
        failures.append(f"{time.monotonic():.3f} {where}{text}")
        failed.value += 1
        drop(connection)

    def drop(connection):
        selector.unregister(connection.sock)
        connection.sock.close()
        connection.sock = None
        connection.is_waiting = False

    def next_request(connection):
        if stop.is_set():
            if connection.sock:
                drop(connection)
            return
        if pause:
            time.sleep(pause)
        try:
            send_next(connection)
        except OSError as error:
            if connection.sock and connection.sock.fileno() >= 0:
                fail(connection, f"send: {error}")
            else:
                failures.append(f"connect: {error}")
                failed.value += 1

    def readable(connection):
        nonlocal count
        try:
            data = connection.sock.recv(65536)
        except OSError as error:
            fail(connection, f"receive: {error}")
            return next_request(connection)
        if not data:
            # A close between two requests is the proxy's right; one instead of an answer is not.
            if connection.is_waiting:
                fail(connection, f"closed after {connection.buffer[:100]!r}")
            else:
                drop(connection)
            return next_request(connection)
        connection.buffer += data
        head, mark, rest = connection.buffer.partition(b"\r\n\r\n")
        if not mark:
            return None
        length = _content_length(head)
        if length is None or not head.startswith(b"HTTP/1.1 200 "):
            fail(connection, f"answer {connection.buffer[:300]!r}")
            return next_request(connection)
        if len(rest) < length:
            return None
        if len(rest) > length:
            fail(connection, f"surplus {rest[length:][:100]!r}")
            return next_request(connection)
        count += 1
        progress.value += 1
        took_us = int((time.monotonic() - connection.sent_at) * 1e6)
        if count <= LATENCIES_MAX:
            latencies_us.append(took_us)
        else:
            latencies_us[count % LATENCIES_MAX] = took_us
        answers[rest] = answers.get(rest, 0) + 1
        connection.buffer = b""
        connection.is_waiting = False
        connection.answered += 1
        if b"\r\nconnection: close" in head.lower():
            drop(connection)
        return next_request(connection)

    for number in range(connections):
        connection = _Connection(port, number)
        selector.register(connection.sock, selectors.EVENT_READ, connection)
        send_next(connection)
    idle_since = time.monotonic()
    while selector.get_map():
        events = selector.select(0.1)
        if events:
            idle_since = time.monotonic()
        elif time.monotonic() - idle_since > 20 * SLOWNESS:
            failures += ["no answer"] * len(selector.get_map())
            break
        for key, _ in events:
            readable(key.data)
    pipe.send((count, failures, latencies_us, answers))
    pipe.close()


def _content_length(head):
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return None


class Origins:
    """Many small keep-alive origins in one process, each on a port of its own and answering with its
    port number. `arrivals(port)` are the times (time.monotonic) of the requests it got. ports: those
    of origins that were killed."""

    def __init__(self, count, body=b"", ports=None):
        self.ports = ports or [free_port() for _ in range(count)]
        self._commands, theirs = _context.Pipe()
        self._process = _context.Process(target=_serve_all, args=(self.ports, body, theirs), daemon=True)
        self._process.start()
        theirs.close()
        assert self._commands.recv() == "listening"

    def arrivals(self, port):
        self._commands.send(port)
        return self._commands.recv()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def kill(self):
        self._process.kill()
        self._process.join()


def _serve_all(ports, body, pipe):
    selector = selectors.DefaultSelector()
    arrivals = {port: [] for port in ports}
    buffers = {}

    def accept(listener, port):
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        buffers[sock] = b""
        text = str(port).encode() + body
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text)
        selector.register(sock, selectors.EVENT_READ, lambda: serve(sock, port, answer))

    def serve(sock, port, answer):
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            selector.unregister(sock)
            sock.close()
            del buffers[sock]
            return
        buffer = buffers[sock] + data
        while True:
            head, mark, rest = buffer.partition(b"\r\n\r\n")
            length = (_content_length(head) or 0) if mark else 0
            if not mark or len(rest) < length:
                break
            arrivals[port].append(time.monotonic())
            try:
                sock.sendall(answer)
            except OSError:
                break  # the client has left; the next read tells
            buffer = rest[length:]
        buffers[sock] = buffer

    for port in ports:
        listener = socket.create_server(("127.0.0.1", port), backlog=1024)
        selector.register(listener, selectors.EVENT_READ,
                          lambda listener=listener, port=port: accept(listener, port))

    def control():
        while True:
            try:
                port = pipe.recv()
            except EOFError:
                return
            pipe.send(list(arrivals[port]))

    pipe.send("listening")
    threading.Thread(target=control, daemon=True).start()
    while True:
        for key, _ in selector.select():
            key.data()
