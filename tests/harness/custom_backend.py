# SPDX-License-Identifier: Apache-2.0
"""A server for registry.backend=custom: gives its `routes` as JSON, or what `fault` answers in their place."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .ports import free_port
from .process import wait_until


class CustomBackend:
    """routes: what is given as JSON; body: bytes that are given instead; fault: None or a function of the handler."""

    def __init__(self, routes=()):
        self.port = free_port()
        self.routes = list(routes)
        self.body = None
        self.fault = None
        self.requests = []  # (time, request line, fields in lower case)
        self.stopping = threading.Event()
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.daemon_threads = True
        self._server.backend = self
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def options(self, **more):
        return {"registry.backend": "custom", "registry.custom.scheme": "http",
                "registry.custom.host": f"127.0.0.1:{self.port}", "registry.custom.path": "routes",
                "registry.custom.pollinterval": "50ms",
                **{key.replace("_", "."): value for key, value in more.items()}}

    def wait_polls(self, count=2, timeout=10):
        """Until that many more requests have come; the answer before the last one has been taken in then."""
        goal = len(self.requests) + count
        wait_until(lambda: len(self.requests) >= goal, timeout, "further polls")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A client that gave up is what some tests want."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        backend = self.server.backend
        backend.requests.append((time.monotonic(), self.requestline,
                                 {name.lower(): value for name, value in self.headers.items()}))
        if backend.fault:
            backend.fault(self)
            return
        body = json.dumps(backend.routes).encode() if backend.body is None else backend.body
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


# Faults

def status(code, **fields):
    def fault(handler):
        handler.send_response(code)
        for name, value in fields.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", "2")
        handler.end_headers()
        handler.wfile.write(b"[]")

    return fault


def silent(handler):
    """Never answers, until the client gives up or the server stops."""
    handler.server.backend.stopping.wait(60)
    handler.close_connection = True


def endless(handler):
    """A list that goes on for ever, slowly."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"[")
    while not handler.server.backend.stopping.wait(0.01):
        handler.wfile.write(b'{"cmd":"route add"},')
    handler.close_connection = True


def truncated(handler):
    """Announces more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'[{"cmd":"route add","service":"a","src":"/a","dst":"http://127.0.0.1:1/"}')
    handler.close_connection = True


def huge(handler):
    """More than is ever taken in."""
    handler.send_response(200)
    handler.end_headers()
    handler.wfile.write(b"[")
    chunk = b" " * (1 << 20)
    for _ in range(80):
        handler.wfile.write(chunk)
    handler.close_connection = True


def hang_up(handler):
    handler.close_connection = True
