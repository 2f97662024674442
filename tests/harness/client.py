# SPDX-License-Identifier: Apache-2.0
"""HTTP/1.1 at the level of bytes: messages are read as they stand on the wire, nothing is repaired."""

import select
import socket
import struct
import time

from .process import SLOWNESS

TIMEOUT = 10 * SLOWNESS


class Closed(Exception):
    """The peer closed (or reset) before a message was complete. `data` is what had come."""

    def __init__(self, data, was_reset=False):
        super().__init__(("reset" if was_reset else "closed") + f" after {data[:200]!r}")
        self.data = data
        self.was_reset = was_reset


class Message:
    """A request or response head with its body. `fields` keeps order, case and repetition."""

    def __init__(self, raw_head):
        self.raw_head = raw_head
        lines = raw_head[:-4].split(b"\r\n")
        self.start_line = lines[0].decode("latin-1")
        self.fields = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            self.fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
        self.body = b""
        self.trailers = []

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def names(self):
        return [name.lower() for name, _ in self.fields]


class Request(Message):
    def __init__(self, raw_head):
        super().__init__(raw_head)
        self.method, self.target, self.version = self.start_line.split(" ", 2)
        self.at = time.monotonic()


class Response(Message):
    def __init__(self, raw_head):
        super().__init__(raw_head)
        self.version, _, rest = self.start_line.partition(" ")
        status, _, self.reason = rest.partition(" ")
        self.status = int(status)


class Wire:
    """One TCP connection with a receive buffer. Base of the client and of an origin's connections."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(TIMEOUT)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.sock.sendall(data if isinstance(data, bytes) else data.encode("latin-1"))

    def fill(self):
        """Reads more; Closed at the end of the stream."""
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            raise Closed(self.buffer, was_reset=True) from None
        if not data:
            raise Closed(self.buffer)
        self.buffer += data

    def take(self, count):
        while len(self.buffer) < count:
            self.fill()
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def take_until(self, mark):
        while mark not in self.buffer:
            self.fill()
        at = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:at], self.buffer[at:]
        return data

    def take_rest(self):
        """Everything up to the peer's FIN; a reset raises Closed."""
        try:
            while True:
                self.fill()
        except Closed as closed:
            if closed.was_reset:
                raise
        data, self.buffer = self.buffer, b""
        return data

    def read_chunked(self, message):
        """Reads a chunked body strictly into message.body and message.trailers."""
        parts = []
        while True:
            line = self.take_until(b"\r\n")[:-2]
            size = int(line, 16)
            assert line and all(c in b"0123456789abcdefABCDEF" for c in line), f"chunk line {line!r}"
            if size == 0:
                break
            parts.append(self.take(size))
            end = self.take(2)
            assert end == b"\r\n", f"after a chunk: {end!r}"
        while True:
            line = self.take_until(b"\r\n")[:-2]
            if not line:
                break
            name, _, value = line.partition(b":")
            message.trailers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        message.body = b"".join(parts)

    def is_closed(self, timeout=None):
        """Whether the peer closes within `timeout` s without sending anything more."""
        self.sock.settimeout(timeout * SLOWNESS if timeout else TIMEOUT)
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        finally:
            self.sock.settimeout(TIMEOUT)
        assert not data, f"more bytes instead of a close: {data[:200]!r}"
        return True

    def is_silent(self):
        """Whether nothing has come, not even the end."""
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return not self.buffer and not poll.poll(0)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()


class Client(Wire):
    def __init__(self, port, host="127.0.0.1", receive_buffer=None, source=None):
        sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        if source:
            sock.bind((source, 0))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(TIMEOUT)
        sock.connect((host, port))
        super().__init__(sock)

    def read_head(self):
        return Response(self.take_until(b"\r\n\r\n"))

    def read_body(self, response, method="GET"):
        if method == "HEAD" or response.status in (204, 304) or 100 <= response.status < 200:
            return
        if (response.get("transfer-encoding") or "").lower() == "chunked":
            self.read_chunked(response)
        elif response.get("content-length") is not None:
            response.body = self.take(int(response.get("content-length")))
        else:
            response.body = self.take_rest()

    def read_response(self, method="GET"):
        """The next response, interim ones included (status 1xx)."""
        response = self.read_head()
        self.read_body(response, method)
        return response

    def request(self, method="GET", target="/", fields=(), body=None, host="localhost",
                version="HTTP/1.1"):
        """Sends a request and reads its final response."""
        self.send(format_request(method, target, fields, body, host, version))
        response = self.read_response(method)
        while response.status < 200 and response.status != 101:
            response = self.read_response(method)
        return response


def format_request(method="GET", target="/", fields=(), body=None, host="localhost",
                   version="HTTP/1.1"):
    lines = [f"{method} {target} {version}"]
    if host is not None:
        lines.append(f"Host: {host}")
    lines += [f"{name}: {value}" for name, value in fields]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chunked(*parts, trailers=()):
    """The parts as a chunked body."""
    out = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n"
    for name, value in trailers:
        out += f"{name}: {value}\r\n".encode("latin-1")
    return out + b"\r\n"


def get(port, target="/", host="localhost", fields=(), method="GET", body=None):
    """One request on a connection of its own."""
    with Client(port) as client:
        return client.request(method, target, fields, body, host)


def send_and_collect(port, data, quiet=None):
    """Sends raw bytes and returns all that comes back until the peer closes, or, with `quiet`, until
    nothing comes for that many seconds. A reset at the end is taken as a close."""
    with Client(port) as client:
        client.send(data)
        if quiet:
            client.sock.settimeout(quiet)
        try:
            while True:
                client.fill()
        except (Closed, TimeoutError):
            return client.buffer
