# SPDX-License-Identifier: Apache-2.0
"""Every timeout with a shortened value. All of them are armed lazily on a wheel of 50 ms, so an event is
looked for between the value and a good deal later; that it does not come before is what costs nobody."""

import threading
import time

import pytest

from harness.client import format_request
from harness.origin import Blackhole, ScriptedOrigin
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

from test_http_streams import UPGRADE, websocket_echo

pytestmark = pytest.mark.measured

SHORT = 0.6  # seconds
LATEST = SHORT + 1.0 * SLOWNESS


class Stopwatch:
    def __init__(self):
        self.began = time.monotonic()

    def assert_in_time(self):
        took = time.monotonic() - self.began
        assert SHORT * 0.9 <= took <= LATEST, f"after {took:.3f} s instead of {SHORT}"


def tagway_with(origin, key):
    return Tagway(route(origin), {key: f"{int(SHORT * 1000)}ms"})


def test_a_slow_head_is_refused(origin):
    with tagway_with(origin, "proxy.client.headtimeout") as tagway, tagway.connect() as client:
        client.send("GET / HTTP/1.1\r\n")
        watch = Stopwatch()
        # Absolute, not per read: dripping bytes do not help.
        is_done = threading.Event()

        def drip():
            try:
                while not is_done.wait(0.05):
                    client.send("X-A: b\r\n")
            except OSError:
                pass

        dripper = threading.Thread(target=drip)
        dripper.start()
        try:
            response = client.read_response()
        finally:
            is_done.set()
            dripper.join()
        watch.assert_in_time()
        assert response.status == 408


def test_an_idle_connection_is_closed(origin):
    with tagway_with(origin, "proxy.client.idletimeout") as tagway, tagway.connect() as client:
        client.request()
        watch = Stopwatch()
        assert client.is_closed()
        watch.assert_in_time()


def test_a_connection_without_a_request_is_closed(origin):
    with tagway_with(origin, "proxy.client.idletimeout") as tagway, tagway.connect() as client:
        watch = Stopwatch()
        assert client.is_closed()
        watch.assert_in_time()


def test_a_body_that_stops_coming(origin):
    with tagway_with(origin, "proxy.client.bodytimeout") as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345")
        watch = Stopwatch()
        assert client.read_response().status == 408
        watch.assert_in_time()
        assert client.is_closed()


def test_a_client_that_stops_reading():
    ended = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                connection.send(b"x" * 65536)
        except OSError:
            ended.set()
            raise

    with ScriptedOrigin(script) as origin:
        with tagway_with(origin, "proxy.client.writetimeout") as tagway:
            with tagway.connect(receive_buffer=4096) as client:
                client.send(format_request())
                client.read_head()
                # The origin is let go when the client is given up.
                assert ended.wait(LATEST + 2)


def test_connecting_takes_too_long():
    with Blackhole() as hole:
        with tagway_with(hole, "proxy.dialtimeout") as tagway, tagway.connect() as client:
            watch = Stopwatch()
            assert client.request().status == 504
            watch.assert_in_time()


def test_a_target_that_cannot_be_reached_does_not_hide_the_next(origin):
    with Blackhole() as hole:
        with Tagway(route(hole, service="a") + route(origin, service="b"),
                    {"proxy.dialtimeout": "300ms", "proxy.strategy": "rr"}) as tagway:
            for _ in range(4):
                assert tagway.get().status == 200


def test_an_origin_that_never_answers():
    def script(connection):
        connection.read_request()
        connection.fill()

    with ScriptedOrigin(script) as origin:
        with tagway_with(origin, "proxy.responseheadertimeout") as tagway, tagway.connect() as client:
            watch = Stopwatch()
            assert client.request().status == 504
            watch.assert_in_time()


def test_an_origin_that_stops_in_the_middle():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        connection.fill()

    with ScriptedOrigin(script) as origin:
        with tagway_with(origin, "proxy.upstream.bodytimeout") as tagway, tagway.connect() as client:
            client.send(format_request())
            client.read_head()
            assert client.take(5) == b"12345"
            watch = Stopwatch()
            assert client.is_closed()
            watch.assert_in_time()


def test_an_idle_upstream_connection_is_closed():
    closed = threading.Event()

    def script(connection):
        connection.read_request()
        connection.respond()
        try:
            connection.read_request()
        finally:
            closed.set()

    with ScriptedOrigin(script) as origin:
        with tagway_with(origin, "proxy.idleconntimeout") as tagway:
            tagway.get()
            watch = Stopwatch()
            assert closed.wait(LATEST + 1)
            watch.assert_in_time()


def test_an_idle_tunnel_is_closed():
    with ScriptedOrigin(websocket_echo) as origin:
        with tagway_with(origin, "proxy.tunnel.idletimeout") as tagway, tagway.connect() as client:
            assert client.request(fields=UPGRADE).status == 101
            deadline = time.monotonic() + SHORT * 1.5
            while time.monotonic() < deadline:  # an active one is not
                client.send(b"x")
                assert client.take(1) == b"x"
                time.sleep(SHORT / 10)
            watch = Stopwatch()
            client.take_rest()
            watch.assert_in_time()


def test_a_client_that_leaves_cancels_its_request():
    """Within one second in every phase."""
    cancelled = threading.Semaphore(0)

    def script(connection):
        request = connection.read_request(has_body=False)
        if request.target == "/body":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        try:
            connection.take_rest()
        finally:
            cancelled.release()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        for number, raw in enumerate([format_request(), format_request(target="/body"),
                                      b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n1"]):
            client = tagway.connect()
            client.send(raw)
            wait_until(lambda number=number: len(origin.requests) == number + 1, what="the request")
            client.reset()
            assert cancelled.acquire(timeout=1 * SLOWNESS), f"case {number} was not cancelled"
