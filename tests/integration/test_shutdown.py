# SPDX-License-Identifier: Apache-2.0
"""SIGTERM: readiness off, no new connections, running requests finish, exit 0."""

import signal
import socket
import threading
import time

import pytest

from harness.client import Closed, format_request
from harness.origin import Origin, ScriptedOrigin
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

from test_http_streams import UPGRADE, websocket_echo

pytestmark = pytest.mark.measured


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_running_request_finishes(number):
    goes_on = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        goes_on.wait(20)
        connection.send(b"67890")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request())
        client.read_head()
        assert client.take(5) == b"12345"
        tagway.process.signal(number)
        wait_until(lambda: not accepts(tagway.port), what="the listener to close")
        assert tagway.process.is_running()
        goes_on.set()
        assert client.take(5) == b"67890"
        assert client.is_closed()
        assert tagway.process.wait() == 0


def test_a_request_behind_an_answer_that_has_begun_is_answered():
    """The head that was sent did not say that the connection ends."""
    goes_on = threading.Event()

    def script(connection):
        if connection.read_request().target == "/second":
            connection.respond(b"second")
            return
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        goes_on.wait(20)
        connection.send(b"67890")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request(target="/first"))
        head = client.read_head()
        assert head.get("connection") is None
        assert client.take(5) == b"12345"
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(tagway.port), what="the listener to close")
        client.send(format_request(target="/second"))
        goes_on.set()
        assert client.take(5) == b"67890"
        response = client.read_response()
        assert (response.status, response.body) == (200, b"second")
        assert response.get("connection").lower() == "close"
        assert client.is_closed()
        assert tagway.process.wait() == 0


def test_a_request_that_waits_for_its_answer_gets_it_with_connection_close():
    goes_on = threading.Event()

    def script(connection):
        connection.read_request()
        goes_on.wait(20)
        connection.respond()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request())
        wait_until(lambda: origin.requests, what="the request to arrive")
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(tagway.port), what="the listener to close")
        goes_on.set()
        response = client.read_response()
        assert response.status == 200
        assert response.get("connection").lower() == "close"
        assert tagway.process.wait() == 0


def test_idle_connections_do_not_hold_it_up():
    with Origin() as origin, Tagway(route(origin), {"proxy.shutdownwait": "30s"}) as tagway:
        clients = [tagway.connect() for _ in range(20)]
        for client in clients:
            client.request()
        began = time.monotonic()
        assert tagway.process.stop() == 0
        assert time.monotonic() - began < 3 * SLOWNESS
        for client in clients:
            assert client.is_closed()


def test_the_wait_ends():
    def script(connection):
        connection.read_request()
        connection.fill()  # never answers

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.shutdownwait": "500ms"}) as tagway:
        with tagway.connect() as client, tagway.connect() as tunnel:
            client.send(format_request())
            wait_until(lambda: origin.requests, what="the request to arrive")
            tunnel.send(format_request(fields=UPGRADE))
            began = time.monotonic()
            assert tagway.process.stop() == 0
            assert 0.4 < time.monotonic() - began < 3 * SLOWNESS
            with pytest.raises(Closed):
                client.read_response()


def test_a_tunnel_is_drained():
    with ScriptedOrigin(websocket_echo) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        assert client.request(fields=UPGRADE).status == 101
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(tagway.port), what="the listener to close")
        client.send(b"still here")
        assert client.take(10) == b"still here"
        client.half_close()
        assert client.take_rest() == b"goodbye"
        assert tagway.process.wait() == 0


def test_readiness_goes_first():
    options = {"proxy.deregistergraceperiod": "1500ms"}
    with Origin() as origin, Tagway(route(origin), options) as tagway:
        assert tagway.admin("/ready").status == 200
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: tagway.admin("/ready").status == 503, what="readiness off")
        assert tagway.admin("/health").status == 200
        assert tagway.get().status == 200  # during the grace period nothing is refused
        assert tagway.process.wait() == 0


def test_a_second_signal_is_harmless():
    with Origin() as origin, Tagway(route(origin)) as tagway:
        for _ in range(3):
            tagway.process.signal(signal.SIGTERM)
        assert tagway.process.wait() == 0


def test_sighup_does_not_end_it():
    with Origin() as origin, Tagway(route(origin)) as tagway:
        tagway.process.signal(signal.SIGHUP)
        assert tagway.get().status == 200


def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_names_that_are_being_looked_up_hold_nothing():
    # Far more than the resolver gets through while the process ends.
    names = "".join(f"route add s n{number}.invalid/ http://n{number}.invalid:80/\n" for number in range(20000))
    with Tagway(names) as tagway:
        began = time.monotonic()
        tagway.process.signal(signal.SIGTERM)
        assert tagway.process.wait() == 0
        assert time.monotonic() - began < 10 * SLOWNESS
