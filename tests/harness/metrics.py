# SPDX-License-Identifier: Apache-2.0
"""Receivers of pushed metrics, which keep every line, and what servers make of the lines."""

import re
import socket
import threading

from .ports import free_port


class Udp:
    """statsd and dogstatsd. `datagrams` as they came."""

    def __init__(self):
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self._socket.bind(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.datagrams = []
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _receive(self):
        while True:
            data = self._socket.recv(65536)
            if data == b"end of test":
                return
            self.datagrams.append(data.decode())

    def lines(self):
        return [line for datagram in self.datagrams for line in datagram.splitlines()]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"end of test", ("127.0.0.1", self.port))
        self._thread.join(5)
        self._socket.close()


class Tcp:
    """graphite. `connections` counts those accepted; cut() ends the one that is open."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.data = b""
        self.connections = 0
        self._open = None
        self._listener = None
        self.listen()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def listen(self):
        self._listener = socket.socket()
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen()
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def _accept(self, listener):
        while True:
            try:
                self._open, _ = listener.accept()
                self.connections += 1
                while data := self._open.recv(65536):
                    self.data += data
            except ConnectionResetError:
                continue
            except OSError:
                return

    def lines(self):
        return self.data.decode().splitlines()

    def cut(self):
        """Ends listener and connection."""
        for end in (self._listener, self._open):
            if end:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
        self._open = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.cut()


LINE = re.compile(r"(?P<name>:?[^:|]+):(?P<value>[0-9.]+)\|(?P<type>[a-z]+)(\|@(?P<rate>[0-9.]+))?(\|#(?P<tags>.*))?")


class Series(dict):
    """(name, tags) -> [count of samples or sum of a counter, sum of weighed values, values], as a statsd
    server adds them up."""

    def __init__(self, lines):
        super().__init__()
        for line in lines:
            match = LINE.fullmatch(line)
            assert match, f"not a line of statsd: {line!r}"
            value, weight = float(match["value"]), 1 / float(match["rate"] or 1)
            entry = self.setdefault((match["name"], match["tags"]), [0, 0, []])
            entry[0] += value if match["type"] == "c" else weight
            entry[1] += value * weight
            entry[2].append(value)

    def count(self, name, tags=None):
        return round(self[name, tags][0], 3) if (name, tags) in self else 0


def graphite(lines):
    """name -> [(value, time)]"""
    series = {}
    for line in lines:
        name, value, at = line.split(" ")
        series.setdefault(name, []).append((float(value), int(at)))
    return series
