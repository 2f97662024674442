# SPDX-License-Identifier: Apache-2.0
"""An unfinished head, and then more than one read brings in a single piece: nothing is lost of it, and what is too
much gets its answer."""

import contextlib
import os
import signal
import threading

import pytest

from harness.client import TIMEOUT, Closed
from harness.origin import Origin, ScriptedOrigin
from harness.tagway import Tagway, route

ONE_WORKER = {"proxy.workers": "1"}
BODY = b"b" * 100000
FIRST = b"X-A: " + b"v" * 7000 + b"\r\nX-B: " + b"v" * 2000 + b"\r\nX-C"
REST = b": last\r\n\r\n" + BODY


@pytest.fixture(scope="module")
def tagway():
    with Origin(lambda request: request.get("x-c").encode() + request.body) as origin:
        with Tagway(route(origin), ONE_WORKER) as tagway:
            tagway.origin = origin
            yield tagway


@contextlib.contextmanager
def stopped(tagway):
    """What is sent meanwhile is all there when it goes on."""
    # Its only worker has read what came before once it answers another.
    assert tagway.get(fields=[("X-C", "")]).status == 200
    os.kill(tagway.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(tagway.process.pid, signal.SIGCONT)


def test_a_body_comes_with_the_rest_of_its_head(tagway):
    with tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n" % len(BODY) + FIRST)
        with stopped(tagway):
            client.send(REST)
        assert client.read_response().body == b"last" + BODY
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nX-C: again\r\nContent-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert client.read_response().body == b"again" + BODY


def test_an_answer_comes_with_the_rest_of_its_head(tagway):
    has_begun, may_go_on, is_sent = threading.Event(), threading.Event(), threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n" % len(BODY) + FIRST)
        has_begun.set()
        assert may_go_on.wait(TIMEOUT)
        connection.send(REST)
        is_sent.set()
        connection.read_request()

    with ScriptedOrigin(script) as slow:
        routes = route(tagway.origin) + route(slow, "/slow", service="slow")
        with Tagway(routes, ONE_WORKER) as own, own.connect() as client:
            client.send(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert has_begun.wait(TIMEOUT)
            with stopped(own):
                may_go_on.set()
                assert is_sent.wait(TIMEOUT)
            response = client.read_response()
            assert (response.status, response.get("x-c"), response.body) == (200, "last", BODY)


@pytest.mark.parametrize("size", [100_000, 400_000])
def test_a_head_without_end_is_431_whatever_else_has_come(tagway, size):
    with tagway.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"v" * 20000)
        with stopped(tagway):
            client.sock.setblocking(False)
            sent = client.sock.send(b"v" * size)
            client.sock.settimeout(TIMEOUT)
        client.send(b"v" * (size - sent))
        assert client.read_response().status == 431
        try:
            assert client.take_rest() == b""
        except Closed as closed:
            pytest.fail(f"reset: {closed}")
