# SPDX-License-Identifier: Apache-2.0
"""Origin servers in threads. Origin answers well; ScriptedOrigin hands each connection to a function
that sends exactly the bytes it wants."""

import select
import socket
import threading

from .client import Closed, Request, Wire
from .ports import free_port


class OriginConnection(Wire):
    """The origin's end of a connection."""

    def __init__(self, sock, origin):
        super().__init__(sock)
        self.origin = origin

    def read_request(self, has_body=True):
        """The next request, recorded in origin.requests; Closed at the end of the stream."""
        request = Request(self.take_until(b"\r\n\r\n"))
        request.connection = self
        if has_body:
            self.read_body(request)
        self.origin.requests.append(request)
        return request

    def read_body(self, request):
        if (request.get("transfer-encoding") or "").lower() == "chunked":
            self.read_chunked(request)
        elif request.get("content-length") is not None:
            request.body = self.take(int(request.get("content-length")))

    def respond(self, body=b"ok", status="200 OK", fields=()):
        self.send(response(body, status, fields))


def response(body=b"ok", status="200 OK", fields=()):
    head = "".join(f"{name}: {value}\r\n" for name, value in fields)
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{head}\r\n".encode("latin-1") + body


class ScriptedOrigin:
    """Accepts connections and runs script(connection) for each in a thread of its own. The script's
    end closes the connection; Closed and OSError end a script quietly, any other error fails the test
    in __exit__."""

    def __init__(self, script, port=None, host="127.0.0.1", backlog=128):
        self.script = script
        self.requests = []
        self.connections = []
        self.errors = []
        self.host = host
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.port = port or free_port()
        self._listener.bind((host, self.port))
        self._listener.listen(backlog)
        self._is_stopping = False
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    @property
    def url(self):
        return f"http://{self.host}:{self.port}/"

    @property
    def raw_requests(self):
        return [request.raw_head for request in self.requests]

    def _accept(self):
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        while not self._is_stopping:
            # A timeout instead of a blocking accept: closing a listener does not wake accept().
            if not poll.poll(50):
                continue
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            connection = OriginConnection(sock, self)
            self.connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            self.script(connection)
        except (Closed, OSError):
            pass
        except Exception as error:  # shown by __exit__
            self.errors.append(error)
        finally:
            try:
                connection.close()
            except OSError:
                pass

    def stop(self):
        self._is_stopping = True
        self._acceptor.join()
        self._listener.close()
        for connection in self.connections:
            try:
                connection.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.stop()
        if kind is None and self.errors:
            raise self.errors[0]


class Origin(ScriptedOrigin):
    """Well-behaved, keep-alive. respond(request) gives the body, a (body, status, fields) tuple or
    nothing for the default, which names the origin."""

    def __init__(self, respond=None, name="origin", port=None, host="127.0.0.1"):
        self.name = name
        self.respond = respond
        super().__init__(self._keep_alive, port, host)

    def _keep_alive(self, connection):
        while True:
            request = connection.read_request()
            answer = self.respond(request) if self.respond else None
            if answer is None:
                answer = self.name.encode()
            if isinstance(answer, bytes):
                answer = (answer,)
            if request.method == "HEAD":
                connection.send(response(*answer).partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
            else:
                connection.respond(*answer)


def refused_port():
    """A port where connecting is refused."""
    return free_port()


class Blackhole:
    """A listener whose queue is full: connecting neither succeeds nor fails."""

    def __init__(self):
        self._listener = socket.socket()
        self.port = free_port()
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(0)
        self._fillers = []
        for _ in range(8):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", self.port))
            self._fillers.append(filler)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for filler in self._fillers:
            filler.close()
        self._listener.close()
