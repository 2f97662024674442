# SPDX-License-Identifier: Apache-2.0
"""fabio 5.12, websockets, with Q-7, Q-8 and Q-27. That nothing else opens a tunnel, and that tunnels
keep back-pressure, is in integration/test_http_streams and wire/families/upgrade.py."""

import pytest

from harness.client import format_request
from harness.origin import Blackhole, ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route

SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"


def asks(spelling="websocket", *fields):
    return [("Connection", "Upgrade"), ("Upgrade", spelling), ("Sec-WebSocket-Key", "x"),
            ("Sec-WebSocket-Version", "13"), *fields]


def echo(connection):
    connection.read_request()
    connection.send(SWITCHING)
    while True:
        if not connection.buffer:
            connection.fill()
        connection.send(connection.take(len(connection.buffer)))


@pytest.fixture(scope="module")
def origin():
    with ScriptedOrigin(echo) as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(origin):
    with Tagway(route(origin) + route(origin, "/ws", options="strip=/ws") +
                f"route add svc /scheme ws://127.0.0.1:{origin.port}/\n",
                {"proxy.header.requestid": "X-Id"}) as tagway:
        yield tagway


def opened(proxy, fields, target="/"):
    client = proxy.connect()
    client.send(format_request(target=target, fields=fields))
    head = client.read_head()
    assert (head.status, head.get("upgrade").lower()) == (101, "websocket")
    assert head.get("sec-websocket-accept") == "x"
    return client


@pytest.mark.parametrize("spelling", ["websocket", "Websocket", "WebSocket", "WEBSOCKET"])
def test_every_spelling_is_one(proxy, origin, spelling):
    """Q-7: in fabio some lack X-Forwarded-For, and the scheme is http."""
    with opened(proxy, asks(spelling)) as client:
        client.send(b"frame")
        assert client.take(5) == b"frame"
    got = origin.requests[-1]
    assert (got.get("connection"), got.get("upgrade")) == ("Upgrade", spelling)
    assert got.get("x-forwarded-for") == "127.0.0.1"
    assert got.get("x-forwarded-proto") == "http"  # breaks no client that knows only http and https
    assert got.get("forwarded").startswith("for=127.0.0.1; proto=ws;")
    assert got.get("user-agent") is None  # fabio invents one
    assert got.get("x-id")
    assert got.all("sec-websocket-key") == ["x"]


def test_early_frames_are_not_lost(proxy):
    """Q-8."""
    with proxy.connect() as client:
        client.send(format_request(fields=asks()) + b"early")
        assert client.read_head().status == 101
        assert client.take(5) == b"early"


def test_the_raw_path_is_kept(proxy, origin):
    """fabio decodes it."""
    opened(proxy, asks(), "/ws/a%2Fb?c").close()
    assert origin.requests[-1].target == "/a%2Fb?c"


def test_bytes_behind_the_101_are_not_lost():
    def script(connection):
        connection.read_request()
        connection.send(SWITCHING + b"x" * 5000)  # fabio reads 1024 bytes of the answer
        connection.fill()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, opened(tagway, asks()) as client:
        assert client.take(5000) == b"x" * 5000


def test_a_slow_handshake_is_waited_for():
    """fabio gives up after a second."""
    import time

    def script(connection):
        connection.read_request()
        time.sleep(1.2)
        connection.send(SWITCHING)
        connection.fill()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        opened(tagway, asks()).close()


@pytest.mark.parametrize("ends", ["client", "origin"])
def test_the_end_of_one_side_reaches_the_other(ends):
    has_ended = []

    def script(connection):
        connection.read_request()
        connection.send(SWITCHING)
        if ends == "origin":
            return
        connection.take_rest()
        has_ended.append(True)
        connection.send(b"last words")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, opened(tagway, asks()) as client:
        if ends == "client":
            client.half_close()
            assert client.take(10) == b"last words"
            assert has_ended
        assert client.is_closed()


def test_a_refusal_is_relayed():
    def script(connection):
        connection.read_request()
        connection.respond(b"not here", "403 Forbidden")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        got = tagway.get(fields=asks())
        assert (got.status, got.body) == (403, b"not here")


@pytest.mark.parametrize("make, options, status", [
    (lambda: refused_port(), {}, 502),
    (lambda: Blackhole(), {"proxy.dialtimeout": "200ms", "proxy.retry.attempts": "0"}, 504),
    (lambda: ScriptedOrigin(lambda c: (c.read_request(), c.fill())), {"proxy.responseheadertimeout": "200ms"}, 504),
    (lambda: ScriptedOrigin(lambda c: c.read_request()), {}, 502),
    (lambda: ScriptedOrigin(lambda c: (c.read_request(), c.send(b"nonsense\r\n\r\n"))), {}, 502),
], ids=["refused", "dial timeout", "header timeout", "closed", "malformed"])
def test_failures_have_a_status(make, options, status):
    """Q-27: fabio closes without an answer, and knows no timeout for these."""
    made = make()
    try:
        with Tagway(route(made), options) as tagway:
            assert tagway.get(fields=asks()).status == status
    finally:
        if isinstance(made, ScriptedOrigin):
            made.stop()


def test_no_route_is_answered(proxy):
    with Tagway("") as tagway:
        assert tagway.get(fields=asks()).status == 404


def test_a_websocket_does_not_vary():
    with ScriptedOrigin(echo) as origin:
        with Tagway(route(origin), {"proxy.gzip.contenttype": ".*"}) as tagway, tagway.connect() as client:
            client.send(format_request(fields=asks("websocket", ("Accept-Encoding", "gzip"))))
            head = client.read_head()
            assert (head.status, head.get("vary"), head.get("content-encoding")) == (101, None, None)
            client.send(b"frame")
            assert client.take(5) == b"frame"


def test_open_ones_are_counted(proxy):
    before = proxy.metric("tagway_proxy_upgrades_total")
    with opened(proxy, asks()):
        wait_until(lambda: proxy.metric("tagway_proxy_upgrades_total") == before + 1, what="the count")
