# SPDX-License-Identifier: Apache-2.0
"""fabio 4.5, 5.13 and 5.14 (with rt, wt and it of 7.2): the proxy's own answers, and the limits of
time. The timeouts of tagway alone, and every way to break an answer, are in integration/test_http_*
and tests/wire."""

import os
import threading
import time

import pytest

from harness.client import Closed, format_request
from harness.origin import Blackhole, Origin, ScriptedOrigin, refused_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

pytestmark = pytest.mark.measured


# 4.5, no route


@pytest.mark.parametrize("page, content_type", [
    ("<html><body>nothing here</body></html>", "text/html; charset=utf-8"),
    ("  <p>nothing here", "text/html; charset=utf-8"),
    ("<?xml version='1.0'?><a/>", "text/xml; charset=utf-8"),
    ("nothing here", "text/plain; charset=utf-8"),
])
def test_no_route_page(page, content_type):
    options = {"registry.backend": "static", "registry.static.noroutehtml": page, "proxy.noroutestatus": "503"}
    with Tagway(None, options) as tagway:
        got = tagway.get()
        assert (got.status, got.get("content-type"), got.body.decode()) == (503, content_type, page)
        got = tagway.get(method="HEAD")
        assert (got.status, got.get("content-length"), got.body) == (503, str(len(page)), b"")


@pytest.mark.parametrize("status", ["200", "404", "418", "599", "999"])
def test_no_route_without_a_page_is_empty(status):
    with Tagway("", {"proxy.noroutestatus": status}) as tagway:
        for method in ("GET", "HEAD", "POST"):
            got = tagway.get(method=method, body=b"abc" if method == "POST" else None)
            assert (got.status, got.get("content-length"), got.body) == (int(status), "0", b"")
            assert (got.get("content-type"), got.get("content-encoding")) == (None, None)


@pytest.mark.parametrize("status", ["204", "304"])
def test_no_page_where_clients_would_take_it_for_the_next_answer(status):
    options = {"registry.backend": "static", "registry.static.noroutehtml": "<p>page", "proxy.noroutestatus": status}
    with Tagway(None, options) as tagway, tagway.connect() as client:
        client.send(format_request() * 2)
        for _ in range(2):
            got = client.read_head()
            assert (got.status, got.get("content-length"), got.get("content-type")) == (int(status), None, None)
        assert client.buffer == b""


@pytest.mark.parametrize("status", ["99", "199", "1000", "x"])
def test_a_bad_no_route_status_is_an_error(status):
    tagway = Tagway("", {"proxy.noroutestatus": status}, is_ready=False)
    assert tagway.process.wait(20) != 0
    assert "proxy.noroutestatus" in tagway.stderr()


# 5.13, statuses


def closes(connection):
    connection.read_request()


def resets(connection):
    connection.read_request()
    connection.reset()


def talks_nonsense(connection):
    connection.read_request()
    connection.send(b"nonsense\r\n\r\n")
    connection.fill()


def says_nothing(connection):
    connection.read_request()
    connection.fill()


@pytest.mark.parametrize("script, status", [
    (closes, 502),
    (resets, 502),
    (talks_nonsense, 502),  # 500 in fabio, Q-27
    (says_nothing, 504),
], ids=["closed before a byte", "reset", "malformed", "responseheadertimeout"])
def test_status_of_a_bad_origin(script, status):
    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.responseheadertimeout": "200ms"}) as tagway:
            assert tagway.get().status == status


@pytest.mark.parametrize("dst, status", [
    (lambda: f"http://127.0.0.1:{refused_port()}/", 502),
    (lambda: "http://no-such-name.invalid/", 502),
    (lambda: "grpc://127.0.0.1:1/", 502),  # 500 in fabio, Q-27
    (lambda: "tcp://127.0.0.1:1", 502),
    (lambda: "ftp://127.0.0.1:1/", 502),
], ids=["refused", "unknown name", "grpc", "tcp", "other scheme"])
def test_status_of_a_destination(dst, status):
    def answer():
        try:
            return tagway.get()
        except ConnectionRefusedError:
            return None  # listeners open when names are resolved, or soon after

    with Tagway(f"route add svc / {dst()}\n", {"proxy.retry.attempts": "0"}) as tagway:
        assert wait_until(answer, what="an answer").status == status


def test_a_dial_timeout_is_504():
    with Blackhole() as hole, Tagway(route(hole), {"proxy.dialtimeout": "200ms",
                                                   "proxy.retry.attempts": "0"}) as tagway:
        assert tagway.get().status == 504


def test_a_stale_connection_is_not_an_error():
    def script(connection):
        connection.read_request()
        connection.respond()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        assert [client.request().status for _ in range(20)] == [200] * 20


# 5.14, timeouts


def elapsed(action):
    started = time.monotonic()
    action()
    return (time.monotonic() - started) / SLOWNESS


def test_idleconntimeout():
    with Origin() as origin, Tagway(route(origin), {"proxy.idleconntimeout": "200ms",
                                                    "proxy.workers": 1}) as tagway:
        tagway.get()
        connection = origin.connections[0]
        wait_until(lambda: connection.sock.fileno() == -1, what="the idle connection to be closed")


def test_maxconn_bounds_idle_connections():
    barrier = threading.Barrier(4)

    def respond(_):
        barrier.wait(10)

    with Origin(respond) as origin, Tagway(route(origin), {"proxy.maxconn": "1", "proxy.workers": 1}) as tagway:
        clients = [tagway.connect() for _ in range(4)]
        for client in clients:
            client.send(format_request())
        for client in clients:
            assert client.read_response().status == 200
        assert len(origin.connections) == 4
        wait_until(lambda: sum(c.sock.fileno() != -1 for c in origin.connections) == 1,
                   what="all but one connection to be closed")
        for client in clients:
            client.close()


def keepalive_s(local_port=0, remote_port=0):
    """Seconds until the kernel probes the connection, None without: of the end with this port of its own, or
    that is connected to this one."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table.read().splitlines()[1:]:
            fields = line.split()
            local, remote = (int(fields[i].partition(":")[2], 16) for i in (1, 2))
            is_established = fields[3] == "01"
            if is_established and (local == local_port or remote == remote_port):
                kind, _, ticks = fields[5].partition(":")
                return int(ticks, 16) / os.sysconf("SC_CLK_TCK") if kind == "02" else None
    raise AssertionError("no such connection")


@pytest.mark.parametrize("value, least, most", [("300s", 200, 300), ("0s", 0, 15)])
def test_keepalivetimeout(value, least, most):
    """5.14, and 5.1: clients are probed after three minutes."""
    with Origin() as origin, Tagway(route(origin), {"proxy.keepalivetimeout": value}) as tagway, \
            tagway.connect() as client:
        client.request()
        # A timer for bytes that are not acknowledged yet may be in its place.
        wait_until(lambda: keepalive_s(remote_port=origin.port), what="probes of the target")
        assert least < keepalive_s(remote_port=origin.port) <= most
        wait_until(lambda: keepalive_s(local_port=tagway.port), what="probes of the client")
        assert 60 < keepalive_s(local_port=tagway.port) <= 180


def listener(tagway_options):
    """proxy.addr with options of its own on a port of the harness."""
    from harness.ports import free_port

    port = free_port()
    return port, {"proxy.addr": f"127.0.0.1:{port};{tagway_options}"}


class Listening(Tagway):
    def __init__(self, routes, listener_options, **options):
        port, own = listener(listener_options)
        super().__init__(routes, {**own, **options})
        self.port = port


def test_rt_bounds_the_head(origin):
    with Listening(route(origin), "rt=200ms") as tagway, tagway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost:")
        assert client.read_response().status == 408
        assert client.is_closed()


def test_rt_bounds_the_whole_body(origin):
    """However steadily it drips in; the silence between two bytes has a limit of its own."""
    with Listening(route(origin), "rt=400ms") as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")

        def drip():
            try:
                while True:
                    client.send(b"x")
                    client.sock.settimeout(0.05)
                    try:
                        client.fill()
                    except TimeoutError:
                        pass
                    if b"\r\n\r\n" in client.buffer:
                        return
            except (Closed, OSError):
                return

        assert elapsed(drip) < 10
        assert client.buffer.startswith(b"HTTP/1.1 408 ")


def test_rt_lets_a_quick_request_wait_for_its_answer():
    def script(connection):
        connection.read_request()
        time.sleep(0.6)
        connection.respond()

    with ScriptedOrigin(script) as origin, Listening(route(origin), "rt=200ms;it=10s") as tagway:
        assert tagway.get().status == 200


def test_wt_bounds_the_whole_answer():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.send(b"x")
            time.sleep(0.02)

    with ScriptedOrigin(script) as origin, Listening(route(origin), "wt=300ms") as tagway:
        with tagway.connect() as client, pytest.raises(Closed):
            client.request()


def test_wt_starts_anew_with_each_request(origin):
    with Listening(route(origin), "wt=500ms;it=10s") as tagway, tagway.connect() as client:
        until = time.monotonic() + 1
        while time.monotonic() < until:
            assert client.request().status == 200
            time.sleep(0.05)


def test_wt_does_not_end_a_websocket():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        while True:
            connection.fill()
            connection.send(connection.take(1))

    with ScriptedOrigin(script) as origin, Listening(route(origin), "wt=200ms") as tagway:
        with tagway.connect() as client:
            client.send(format_request(fields=[("Connection", "Upgrade"), ("Upgrade", "websocket")]))
            assert client.read_head().status == 101
            time.sleep(0.5)
            client.send(b"a")
            assert client.take(1) == b"a"


@pytest.mark.parametrize("options", ["it=200ms", "rt=200ms"], ids=["it", "rt stands for it"])
def test_it_bounds_idleness(origin, options):
    with Listening(route(origin), options) as tagway, tagway.connect() as client:
        assert client.request().status == 200
        assert client.is_closed()


@pytest.mark.parametrize("key, text", [("proxy.readtimeout", "200ms"), ("proxy.writetimeout", "200ms")])
def test_defaults_of_rt_and_wt(key, text):
    with ScriptedOrigin(says_nothing) as origin, Tagway(route(origin), {key: text}) as tagway:
        with tagway.connect() as client:
            if key == "proxy.writetimeout":
                client.send(format_request())
                assert client.is_closed()
            else:
                client.send(b"GET / HT")
                assert client.read_response().status == 408


# 5.8: without effect, as every byte is passed on at once.


@pytest.mark.parametrize("key", ["proxy.flushinterval", "proxy.globalflushinterval"])
def test_flush_intervals_are_accepted(origin, key):
    with Tagway(route(origin), {key: "5s"}) as tagway:
        assert tagway.get().status == 200
        assert f"{key}" in tagway.stderr() and "every byte is passed on at once" in tagway.stderr()
