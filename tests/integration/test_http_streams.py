# SPDX-License-Identifier: Apache-2.0
"""Tunnels, event streams, back-pressure."""

import base64
import hashlib
import os
import threading
import time

import pytest

from harness.client import Closed, format_request
from harness.origin import Origin, ScriptedOrigin
from harness.process import wait_until
from harness.tagway import Tagway, route

WEBSOCKET_KEY = "dGhlIHNhbXBsZSBub25jZQ=="
WEBSOCKET_ACCEPT = base64.b64encode(
    hashlib.sha1((WEBSOCKET_KEY + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()).decode()
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Key", WEBSOCKET_KEY),
           ("Sec-WebSocket-Version", "13")]


def websocket_echo(connection):
    """Accepts the upgrade and echoes bytes until the client ends; then says goodbye."""
    request = connection.read_request()
    if request.get("upgrade") != "websocket":
        return connection.respond(b"plain")
    connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    f"Sec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n")
    try:
        while True:
            if not connection.buffer:
                connection.fill()
            data, connection.buffer = connection.buffer, b""
            connection.send(data)
    except Closed:
        connection.send(b"goodbye")


def test_websocket():
    with ScriptedOrigin(websocket_echo) as origin, Tagway(route(origin)) as tagway:
        with tagway.connect() as client:
            response = client.request(target="/ws", fields=UPGRADE)
            assert response.status == 101
            assert response.get("sec-websocket-accept") == WEBSOCKET_ACCEPT
            assert response.get("upgrade") == "websocket"
            assert response.get("connection").lower() == "upgrade"
            for size in (1, 100, 100000):
                data = os.urandom(size)
                threading.Thread(target=client.send, args=(data,)).start()
                assert client.take(size) == data
            # A half-close is passed on, and the other direction stays open.
            client.half_close()
            assert client.take_rest() == b"goodbye"


def test_the_last_words_of_a_tunnel_wait_for_a_slow_reader():
    """Both sides have ended, and much of what the origin said is still on its way to the client."""
    words = os.urandom(3_000_000)

    def script(connection):
        connection.read_request()
        connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        "Upgrade: websocket\r\n\r\n")
        connection.take_rest()  # the client has ended
        connection.send(words)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        with tagway.connect(receive_buffer=4096) as client:
            assert client.request(target="/ws", fields=UPGRADE).status == 101
            client.half_close()
            # The origin's script ends, and with it its connection, once the proxy has all.
            for _ in range(50):
                client.fill()
                time.sleep(0.002)  # slower than the proxy's reading
            assert client.take_rest() == words


def test_bytes_sent_behind_the_upgrade_are_not_lost():
    with ScriptedOrigin(websocket_echo) as origin, Tagway(route(origin)) as tagway:
        with tagway.connect() as client:
            client.send(format_request(fields=UPGRADE) + b"early frame")
            assert client.read_head().status == 101
            assert client.take(11) == b"early frame"


def test_a_refused_upgrade_stays_http():
    with Origin() as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request(fields=UPGRADE) + format_request(target="/next"))
        assert client.read_response().status == 200
        assert client.read_response().status == 200
        assert [request.target for request in origin.requests] == ["/", "/next"]


def test_a_tunnel_ends_with_its_origin():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                        b"Upgrade: websocket\r\n\r\nlast words")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        assert client.request(fields=UPGRADE).status == 101
        assert client.take_rest() == b"last words"


def test_events_arrive_one_by_one():
    goes_on = threading.Semaphore(0)

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
        for number in range(20):
            event = b"data: %d\n\n" % number
            connection.send(b"%x\r\n%s\r\n" % (len(event), event))
            goes_on.acquire()  # the next only when the client has seen this one
        connection.send(b"0\r\n\r\n")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request(fields=[("Accept", "text/event-stream")]))
        assert client.read_head().get("content-type") == "text/event-stream"
        for number in range(20):
            assert client.take_until(b"\n\n\r\n").endswith(b"data: %d\n\n\r\n" % number)
            goes_on.release()
        assert client.take(5) == b"0\r\n\r\n"


def test_a_request_body_is_streamed():
    seen = threading.Semaphore(0)

    def script(connection):
        connection.read_request(has_body=False)
        for _ in range(10):
            assert connection.take(1000) == b"x" * 1000
            seen.release()
        connection.respond()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        for _ in range(10):
            client.send(b"x" * 1000)
            assert seen.acquire(timeout=10)
        assert client.read_response().status == 200


BIG = 200 << 20


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_clients_that_do_not_read_cost_little(framing):
    """20 clients never read a 200 MB answer: memory stays bounded and others are served."""

    def script(connection):
        request = connection.read_request()
        if request.target != "/big":
            return connection.respond()
        head = {"length": f"Content-Length: {BIG}\r\n", "chunked": "Transfer-Encoding: chunked\r\n",
                "close": ""}[framing]
        connection.send(f"HTTP/1.1 200 OK\r\n{head}\r\n")
        block = b"x" * 65536
        if framing == "chunked":
            block = b"10000\r\n" + block + b"\r\n"
        for _ in range(BIG // 65536):
            connection.send(block)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        tagway.get()
        before_kib = tagway.process.rss_kib()
        clients = [tagway.connect(receive_buffer=4096) for _ in range(20)]
        for client in clients:
            client.send(format_request(target="/big"))
            assert client.read_head().status == 200
        is_still(lambda: tagway.process.rss_kib())
        grown_kib = tagway.process.rss_kib() - before_kib
        print(f"RSS grew {grown_kib} KiB for {len(clients)} connections")
        assert grown_kib < len(clients) * 300
        assert tagway.get().status == 200
        for client in clients:
            client.close()


@pytest.mark.no_sanitizer
def test_origins_that_do_not_read_cost_little():
    release = threading.Event()

    def script(connection):
        # Keeps the connection of the GET open: an upload sent while it closes could not be repeated.
        while connection.read_request(has_body=False).method == "GET":
            connection.respond()
        release.wait(60)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        tagway.get()
        before_kib = tagway.process.rss_kib()
        clients = [tagway.connect() for _ in range(10)]

        def upload(client):
            client.send(f"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: {BIG}\r\n\r\n")
            try:
                for _ in range(BIG // 65536):
                    client.send(b"x" * 65536)
            except OSError:
                pass

        threads = [threading.Thread(target=upload, args=(client,), daemon=True) for client in clients]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(origin.requests) == 11, what="the uploads to begin")
        is_still(lambda: tagway.process.rss_kib())
        grown_kib = tagway.process.rss_kib() - before_kib
        print(f"RSS grew {grown_kib} KiB for {len(clients)} connections")
        assert grown_kib < len(clients) * 300
        assert tagway.get().status == 200
        release.set()
        for client in clients:
            client.close()


def test_a_slow_reader_gets_every_byte():
    body = os.urandom(4 << 20)
    with Origin(lambda request: body) as origin, Tagway(route(origin)) as tagway:
        with tagway.connect(receive_buffer=4096) as client:
            client.send(format_request())
            head = client.read_head()
            got = bytearray(client.buffer)
            while len(got) < int(head.get("content-length")):
                got += client.sock.recv(100000)
            assert bytes(got) == body


def test_a_200_mb_body_arrives_whole():
    digest = hashlib.sha256()
    block = os.urandom(1 << 20)

    def script(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Length: {BIG}\r\n\r\n")
        for _ in range(200):
            connection.send(block)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request())
        client.read_head()
        left = BIG - len(client.buffer)
        digest.update(client.buffer)
        while left:
            data = client.sock.recv(min(left, 1 << 20))
            assert data, f"{left} bytes missing"
            digest.update(data)
            left -= len(data)
    want = hashlib.sha256()
    for _ in range(200):
        want.update(block)
    assert digest.digest() == want.digest()


def is_still(value, seconds=0.5):
    """Waits until value() has not changed for that long (at most 20 s)."""
    deadline = time.monotonic() + 20
    last, since = value(), time.monotonic()
    while time.monotonic() - since < seconds and time.monotonic() < deadline:
        time.sleep(0.02)
        now = value()
        if now != last:
            last, since = now, time.monotonic()
