# SPDX-License-Identifier: Apache-2.0
"""Origins that say more than they were asked, again and again: nobody else may get it. One by one such answers
are in tests/wire/families/response_bodies.py."""

import os
import queue
import signal
import threading

import pytest

from harness.client import TIMEOUT, Client, Closed, format_request
from harness.origin import ScriptedOrigin
from harness.process import wait_until
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


def is_stopped(pid):
    """Whether no thread of it runs any more."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="ascii") as stat:
            states.append(stat.read().rpartition(")")[2].split()[0])
    return set(states) == {"T"}


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bytes_that_wait_when_the_next_request_goes_out(method):
    """They lie on the idle connection already, but the worker hears of the request first."""
    answered = queue.Queue()

    def script(connection):
        while True:
            request = connection.read_request()
            connection.respond(b"good")
            answered.put((request.target, connection))

    def connection_of(target):
        while True:
            found, connection = answered.get(timeout=TIMEOUT)
            if found == target:
                return connection

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            for number in range(10):
                # Once it answers another, the worker waits for nothing but what is to come.
                assert client.request().body == b"good"
                assert tagway.get(f"/{number}").body == b"good"
                idle = connection_of(f"/{number}")
                os.kill(tagway.process.pid, signal.SIGSTOP)
                try:
                    wait_until(lambda: is_stopped(tagway.process.pid), what="the proxy to stop")
                    client.send(format_request(method, body=None if method == "GET" else b"abc"))
                    idle.send(POISON)
                finally:
                    os.kill(tagway.process.pid, signal.SIGCONT)
                assert client.read_response().body == b"good"


@pytest.mark.parametrize("method, head", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n"),
    ("HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ("HEAD", b"HTTP/1.1 200 OK\r\n\r\n"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 44\r\n\r\n"),
    ("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 44\r\n\r\n"),
], ids=["HEAD", "HEAD chunked", "HEAD until close", "304", "204"])
def test_a_body_that_follows_where_none_belongs(method, head):
    """The head is complete and its body comes a moment later, when the next request is waiting already."""
    def script(connection):
        while True:
            request = connection.read_request(has_body=False)
            if request.target == "/case":
                connection.send(head)
                other.acquire(timeout=2)  # in vain when the next request is sent on this connection
                connection.send(POISON)
            else:
                other.release()
                connection.respond(b"good")

    other = threading.Semaphore(0)
    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        for _ in range(10):
            with Client(tagway.port) as client:
                client.send(format_request(method, "/case") + format_request(target="/next"))
                client.read_head()
                assert client.read_response().body == b"good"
                assert client.request(target="/after").body == b"good"
            while other.acquire(blocking=False):
                pass


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_the_origin_does_not_read(method, framing):
    """To these a body means nothing (RFC 9110 section 9.3), and some origins take it for the next request, whose
    answer then waits for somebody else's."""
    hidden = b"GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
    if framing == "length":
        raw = format_request(method, "/case", body=hidden)
    else:
        raw = format_request(method, "/case", [("Transfer-Encoding", "chunked")]) + b"%x\r\n%s\r\n0\r\n\r\n" % (len(hidden), hidden)

    def script(connection):
        while True:
            request = connection.read_request(has_body=False)
            if request.target == "/hidden":
                other.acquire(timeout=2)  # in vain when the next request is sent on this connection
                connection.respond(b"hidden")
                return
            elif request.target == "/case":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
                if framing == "chunks":
                    connection.take_until(b"\r\n")
            else:
                other.release()
                connection.respond(b"good")

    other = threading.Semaphore(0)
    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with Client(tagway.port) as client:
            client.send(raw)
            client.read_head()
            assert client.request(target="/next").body == b"good"


def test_connections_are_used_again_after_head():
    """All the same a connection that was answered a HEAD on is worth keeping."""
    with ScriptedOrigin(_serve_well) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            def is_reused():
                client.request("HEAD")
                return tagway.metric("tagway_proxy_reused_total") > 0
            wait_until(is_reused, what="a connection to be used again", interval=0.1)


def _serve_well(connection):
    while True:
        if connection.read_request().method == "HEAD":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 44\r\n\r\n")
        else:
            connection.respond(b"good")
