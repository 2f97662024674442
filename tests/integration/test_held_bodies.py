# SPDX-License-Identifier: Apache-2.0
"""The body that came with its head waits where it is kept for another try, until there is a connection."""

import os
import signal
import socket

import pytest

from harness.client import chunked, format_request
from harness.origin import Origin, refused_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

BODY = bytes(range(256)) * 160


@pytest.fixture(scope="module")
def origin():
    with Origin(lambda request: request.body) as origin:
        yield origin


@pytest.mark.parametrize("raw", [
    format_request("POST", body=BODY),
    format_request("POST", fields=[("Transfer-Encoding", "chunked")]) + chunked(BODY[:5000], BODY[5000:]),
], ids=["length", "chunked"])
def test_it_is_sent_when_the_connection_stands(origin, raw):
    with Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(2):
            client.send(raw)
            assert client.read_response().body == BODY


def test_it_is_sent_where_another_try_goes(origin):
    with Tagway(route(refused_port()) + route(origin)) as tagway:
        for _ in range(8):
            with tagway.connect() as client:
                assert client.request("POST", body=BODY).body == BODY


def test_an_answer_to_the_head_alone_ends_the_connection():
    """Else the body's place would be taken by the next request."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        listener.settimeout(10 * SLOWNESS)
        port = listener.getsockname()[1]
        with Tagway(route(port), {"proxy.workers": "1"}) as tagway, tagway.connect() as client, \
                tagway.connect() as other, socket.create_connection(("127.0.0.1", port)):
            # The queue is full now: connecting takes until the kernel tries again.
            client.send(format_request("POST", body=BODY))
            wait_until(lambda: tagway.metric("tagway_target_in_flight") == 1, what="the request")
            os.kill(tagway.process.pid, signal.SIGSTOP)
            try:
                listener.accept()[0].close()
                first = listener.accept()[0]
                first.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\near")
            finally:
                os.kill(tagway.process.pid, signal.SIGCONT)
            response = client.read_head()
            assert client.take(3) == b"ear"
            first.sendall(b"ly")
            assert response.status == 200 and client.take(2) == b"ly"
            # From another client: when some of the body was still to come, this connection ends too.
            other.send(format_request())
            second = listener.accept()[0]
            second.settimeout(10 * SLOWNESS)
            assert second.recv(65536).startswith(b"GET ")
            second.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate")
            assert other.read_response().body == b"late"
            first.close()
            second.close()
