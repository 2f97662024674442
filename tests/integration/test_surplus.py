# SPDX-License-Identifier: Apache-2.0
"""Origins that say more than they were asked, again and again: nobody else may get it. One by one such answers
are in tests/wire/families/response_bodies.py."""

import threading

import pytest

from harness.client import Client, Closed, format_request
from harness.origin import ScriptedOrigin
from harness.tagway import Tagway, route

POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"


@pytest.mark.parametrize("answer, body", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", b"ab"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", b"a"),
    (b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
    (b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
], ids=["length", "chunked", "204", "304"])
def test_surplus_is_nobodys_answer(answer, body):
    """Pipelined behind it is a request that must get its own."""
    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/case":
                connection.send(answer + POISON)
            else:
                connection.respond(b"good")

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        for _ in range(50):
            with Client(tagway.port) as client:
                client.send(format_request(target="/case") + format_request(target="/next"))
                assert client.read_response().body == body
                assert client.read_response().body == b"good"


def test_bytes_on_an_idle_connection_close_it():
    """An origin that speaks without being asked must not answer the next request."""
    closed = threading.Semaphore(0)

    def script(connection):
        request = connection.read_request()
        connection.respond(request.target.encode())
        connection.send(POISON)
        try:
            connection.fill()
        except Closed:
            closed.release()

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            for number in range(50):
                target = f"/{number}"
                response = client.request(target=target)
                assert (response.status, response.body) == (200, target.encode())
                assert closed.acquire(timeout=5), "the connection stays in the pool"
