# SPDX-License-Identifier: Apache-2.0
"""A scripted Consul, for faults that a real one cannot be made to show. It serves the catalog, health
and KV endpoints with blocking queries; `fault` may answer any request in its place."""

import base64
import json
import socket
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from .ports import free_port


def truncated(handler):
    """Announces more than it sends."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("X-Consul-Index", "999")
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b'[{"Node": {"Node": "node1"')
    handler.close_connection = True


def silent(handler):
    """Never answers, until the client gives up or the server stops."""
    handler.server.consul.stopping.wait(120)
    handler.close_connection = True


def stalled(handler):
    """Says nothing as long as the fault lasts, then hangs up."""
    consul = handler.server.consul
    while consul.fault and not consul.stopping.wait(0.05):
        pass
    handler.close_connection = True


def hung_up(handler):
    handler.close_connection = True


def reset(handler):
    """A RST in place of an answer."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.close_connection = True


def streaming(piece, pause=0.0, length=None, limit=None):
    """Sends the piece again and again as long as the fault lasts: a body without end, or of a length."""

    def fault(handler):
        consul = handler.server.consul
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("X-Consul-Index", "999")
        if length:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.close_connection = True
        sent = 0
        while consul.fault and not consul.stopping.is_set() and sent < (limit or length or 1 << 40):
            handler.wfile.write(piece)
            sent += len(piece)
            if pause:
                consul.stopping.wait(pause)

    return fault


def answer(status=200, body=b"", index="999", content_type="application/json", fields=()):
    """A fault that gives this answer."""

    def fault(handler):
        handler.send_response(status)
        handler.send_header("Content-Type", content_type)
        if index is not None:
            handler.send_header("X-Consul-Index", str(index))
        for name, value in fields:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return fault


class FakeConsul:
    """fault: None, or a function (path) -> None | function (handler) that answers. host: a FarHost it runs on."""

    def __init__(self, host=None):
        self.port = free_port()
        self._host = host
        self._ip = host.address if host else "127.0.0.1"
        self.index = 10
        self.services = {}  # name -> list of (id, port, tags)
        self.kv = {}  # key -> value
        self.instances = {}  # name -> what /v1/health/service says of it in place of `services`
        self.fault = None
        self.requests = []  # (time, path) of every GET
        self.fields = []  # the header fields of every GET, names in lower case
        self.registered = {}  # id -> body of the registration
        self.writes = []  # (method, path without query, parsed body) of every PUT
        self.stopping = threading.Event()
        self._changed = threading.Condition()
        self._server = None
        self.listen()

    def options(self, **more):
        return {"registry.backend": "consul", "registry.consul.addr": f"{self._ip}:{self.port}",
                "registry.consul.register.enabled": "false",
                **{key.replace("_", "."): value for key, value in more.items()}}

    def listen(self, tls=None):
        """tls: an ssl.SSLContext, or None for plain HTTP."""
        self.stopping.clear()
        run = self._host.run if self._host else lambda call: call()
        self._server = run(lambda: _Server((self._ip, self.port), _Handler))
        if tls:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)
        self._server.consul = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def crash(self):
        """As hang_up, and no word of it is said twice: who does not hear it now never will."""
        self._server.forget()
        self.hang_up()

    def hang_up(self):
        """Cuts every connection and refuses new ones, until listen()."""
        self.stopping.set()
        with self._changed:
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._server.cut()

    def set_service(self, name, instances):
        """instances: list of (id, port, tags); an empty list removes the service."""
        with self._changed:
            if instances:
                self.services[name] = instances
            else:
                self.services.pop(name, None)
            self.index += 1
            self._changed.notify_all()

    def set_kv(self, key, text):
        with self._changed:
            self.kv[key] = base64.b64encode(text.encode()).decode()
            self.index += 1
            self._changed.notify_all()

    def touch(self):
        """Wakes every long poll without a change."""
        self.set_service("", [])

    def wait_for_change(self, index, seconds):
        deadline = time.monotonic() + seconds
        with self._changed:
            while self.index <= index and not self.stopping.is_set():
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self._changed.wait(min(left, 0.5))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.stopping.is_set():
            self.hang_up()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, *args):
        self._connections = set()
        super().__init__(*args)

    def get_request(self):
        connection, address = super().get_request()
        self._connections.add(connection)
        return connection, address

    def shutdown_request(self, request):
        self._connections.discard(request)
        super().shutdown_request(request)

    def forget(self):
        """Closing will not wait for anybody to hear of it."""
        for connection in list(self._connections):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def cut(self):
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        """A client that went away is no error: ending tagway cuts its long polls."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        consul = self.server.consul
        consul.requests.append((time.monotonic(), self.path))
        consul.fields.append({name.lower(): value for name, value in self.headers.items()})
        if self._faulty():
            return
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        index = int(query.get("index") or 0)
        if index:
            consul.wait_for_change(index, float((query.get("wait") or "300s").rstrip("s").rstrip("m")))
            # What changed since the poll began may be a fault.
            if self._faulty():
                return
        status, body = self._content(urllib.parse.unquote(url.path))
        answer(status, json.dumps(body).encode(), consul.index)(self)

    def do_PUT(self):
        consul = self.server.consul
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
        consul.writes.append(("PUT", path, body))
        if self._faulty():
            return
        status, name = 200, path.rpartition("/")[2]
        if path == "/v1/agent/service/register":
            consul.registered[body["ID"]] = body
        elif path.startswith("/v1/agent/service/deregister/"):
            consul.registered.pop(name, None)
        elif path.startswith("/v1/agent/check/update/"):
            known = {check.get("CheckID") for service in consul.registered.values() for check in service["Checks"]}
            status = 200 if name in known else 404
        answer(status, b"true", None)(self)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self._faulty():
            answer(404, b"", None)(self)

    def _faulty(self):
        consul = self.server.consul
        fault = consul.fault(self.path) if consul.fault else None
        if not fault:
            return False
        try:
            fault(self)
        except OSError:
            self.close_connection = True
        return True

    def _content(self, path):
        consul = self.server.consul
        if path == "/v1/agent/self":
            return 200, {"Config": {"Datacenter": "dc1", "NodeName": "node1"}}
        if path == "/v1/agent/services":
            return 200, consul.registered
        if path == "/v1/status/leader":
            return 200, "127.0.0.1:8300"
        if path == "/v1/catalog/services":
            return 200, {name: sorted({tag for _, _, tags in instances for tag in tags})
                         for name, instances in consul.services.items()}
        if path.startswith("/v1/health/service/"):
            name = path.rpartition("/")[2]
            if name in consul.instances:
                return 200, consul.instances[name]
            return 200, [self._instance(name, *instance)
                         for instance in consul.services.get(name, [])]
        if path.startswith("/v1/catalog/service/"):  # fabio's way to addresses and tags
            name = path.rpartition("/")[2]
            return 200, [self._catalog_entry(name, *instance)
                         for instance in consul.services.get(name, [])]
        if path.startswith("/v1/health/state/"):
            state = path.rpartition("/")[2]
            return 200, [check for name, instances in consul.services.items()
                         for instance in instances
                         for check in self._instance(name, *instance)["Checks"]
                         if state in ("any", check["Status"])]
        if path.startswith("/v1/kv/"):
            prefix = path[len("/v1/kv/"):]
            found = [{"Key": key, "Value": value, "ModifyIndex": 1}
                     for key, value in sorted(consul.kv.items()) if key.startswith(prefix)]
            return (200, found) if found else (404, [])
        return 404, None

    @staticmethod
    def _catalog_entry(name, service_id, port, tags):
        return {"Node": "node1", "Address": "127.0.0.1", "Datacenter": "dc1", "ServiceID": service_id,
                "ServiceName": name, "ServiceAddress": "127.0.0.1", "ServicePort": port,
                "ServiceTags": tags}

    @staticmethod
    def _instance(name, service_id, port, tags):
        return {
            "Node": {"Node": "node1", "Address": "127.0.0.1", "Datacenter": "dc1"},
            "Service": {"ID": service_id, "Service": name, "Address": "127.0.0.1", "Port": port,
                        "Tags": tags, "Kind": "", "Weights": {"Passing": 1, "Warning": 1}},
            "Checks": [{"Node": "node1", "CheckID": f"{service_id}-check", "Status": "passing",
                        "ServiceID": service_id, "ServiceName": name, "ServiceTags": tags}],
        }
