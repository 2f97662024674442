# SPDX-License-Identifier: Apache-2.0
"""Responses at the level of bytes: what an origin gets wrong becomes a 502 of the proxy's own or a
visible cut, never a message that somebody reads differently, and never the answer to somebody else."""

import threading

import pytest

from harness.client import Client, Closed, chunked, format_request
from harness.origin import ScriptedOrigin
from harness.tagway import Tagway, route

from wire import statuses

# Stands behind every answer: it must not be taken for the answer to the next request.
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"


class Stage:
    """One proxy and one origin for all cases: the origin's first answer on a connection to /case is the
    case's bytes, everything else is answered well."""

    def __init__(self):
        self.answer = b""
        self.ends = False
        self.origin = ScriptedOrigin(self._script)
        self.proxy = Tagway(route(self.origin), {"proxy.workers": 1, "proxy.responseheadertimeout": "5s"})

    def _script(self, connection):
        while True:
            request = connection.read_request()
            if request.target == "/case":
                connection.send(self.answer)
                if self.ends:
                    return
            else:
                connection.respond(b"good")

    def close(self):
        self.proxy.finish()
        self.origin.stop()


@pytest.fixture(scope="module")
def stage():
    stage = Stage()
    yield stage
    stage.close()


def ok(*lines, body=b""):
    return b"\r\n".join((b"HTTP/1.1 200 OK",) + lines) + b"\r\n\r\n" + body


TE = b"Transfer-Encoding: chunked"
CHUNKS = b"1\r\na\r\n0\r\n\r\n"

BROKEN = {
    # 19: status line
    "no-status": b"HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
    "status-two-digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status-four-digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status-099": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "status-000": b"HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n",
    "status-600": b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
    "status-letters": b"HTTP/1.1 2oo OK\r\nContent-Length: 0\r\n\r\n",
    "status-minus": b"HTTP/1.1 -20 OK\r\nContent-Length: 0\r\n\r\n",
    "two-spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "http-0.9": b"just text\r\n\r\n",
    "http-2.0": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http-1.2": b"HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
    "lower-case": b"http/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
    "icy": b"ICY 200 OK\r\nContent-Length: 0\r\n\r\n",
    "cr-in-status-line": b"HTTP/1.1 200 OK\rX\r\nContent-Length: 0\r\n\r\n",
    "nul-in-reason": b"HTTP/1.1 200 O\0K\r\nContent-Length: 0\r\n\r\n",
    "lf-only": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "tls": b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n",
    # framing
    "cl-and-te": ok(b"Content-Length: 4", TE, body=CHUNKS),
    "te-and-cl": ok(TE, b"Content-Length: 4", body=CHUNKS),
    "cl-twice-differ": ok(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"),
    "cl-twice-same": ok(b"Content-Length: 2", b"Content-Length: 2", body=b"ab"),
    "cl-list": ok(b"Content-Length: 2,2", body=b"ab"),
    "cl-minus": ok(b"Content-Length: -2", body=b"ab"),
    "cl-plus": ok(b"Content-Length: +2", body=b"ab"),
    "cl-hex": ok(b"Content-Length: 0x2", body=b"ab"),
    "cl-empty": ok(b"Content-Length:", body=b"ab"),
    "cl-letters": ok(b"Content-Length: 2a", body=b"ab"),
    "cl-overflow": ok(b"Content-Length: 18446744073709551618", body=b"ab"),
    "cl-2^63": ok(b"Content-Length: 9223372036854775808", body=b"ab"),
    "te-twice": ok(TE, TE, body=CHUNKS),
    "te-chunked-twice": ok(b"Transfer-Encoding: chunked, chunked", body=CHUNKS),
    "te-gzip": ok(b"Transfer-Encoding: gzip", body=CHUNKS),
    "te-gzip-chunked": ok(b"Transfer-Encoding: gzip, chunked", body=CHUNKS),
    "te-xchunked": ok(b"Transfer-Encoding: xchunked", body=CHUNKS),
    "te-trailing-comma": ok(b"Transfer-Encoding: chunked,", body=CHUNKS),
    "te-leading-comma": ok(b"Transfer-Encoding: ,chunked", body=CHUNKS),
    "te-empty": ok(b"Transfer-Encoding:", body=CHUNKS),
    "te-in-1.0": b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n\r\n" + CHUNKS,
    "te-folded": ok(b"Transfer-Encoding:\r\n chunked", body=CHUNKS),
    "te-space-before-colon": ok(b"Transfer-Encoding : chunked", body=CHUNKS),
    # fields
    "no-colon": ok(b"X-A", b"Content-Length: 0"),
    "empty-name": ok(b": a", b"Content-Length: 0"),
    "obs-fold": ok(b"X-A: b\r\n c", b"Content-Length: 0"),
    "space-before-colon": ok(b"X-A : b", b"Content-Length: 0"),
    "space-in-name": ok(b"X A: b", b"Content-Length: 0"),
    "nul-in-value": ok(b"X-A: a\0b", b"Content-Length: 0"),
    "cr-in-value": ok(b"X-A: a\rb", b"Content-Length: 0"),
    "control-in-value": ok(b"X-A: a\x1bb", b"Content-Length: 0"),
    "head-too-large": ok(*[b"X-A: " + b"a" * 1000] * 80, b"Content-Length: 0"),
    "too-many-fields": ok(*[b"X-A: a"] * 500, b"Content-Length: 0"),
    # 16: unasked switching
    "unasked-101": b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
    "bare-101": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    # 18
    "bad-interim": b"HTTP/1.1 103 Early\rHints\r\n\r\n" + ok(b"Content-Length: 0"),
    "33-interims": b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33 + ok(b"Content-Length: 0"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_answers_are_502(stage, name):
    stage.answer, stage.ends = BROKEN[name] + POISON, False
    with Client(stage.proxy.port) as client:
        response = client.request("POST", "/case", body=b"x")
        assert response.status == 502
        assert b"POISON" not in response.body
        assert "x-a" not in response.names()
    assert stage.proxy.get("/next").body == b"good"


CUT = {
    "bad-chunk-size": ok(TE, body=b"x\r\na\r\n0\r\n\r\n"),
    "chunk-data-too-long": ok(TE, body=b"1\r\nab\r\n0\r\n\r\n"),
    "chunk-lf": ok(TE, body=b"1\na\r\n0\r\n\r\n"),
    "chunk-overflow": ok(TE, body=b"fffffffffffffffff\r\na"),
    "chunk-plus": ok(TE, body=b"+1\r\na\r\n0\r\n\r\n"),
    "second-chunk-bad": ok(TE, body=b"1\r\na\r\nx\r\n"),
    "bad-trailer": ok(TE, body=b"1\r\na\r\n0\r\nX A: b\r\n\r\n"),
    "nul-in-trailer": ok(TE, body=b"1\r\na\r\n0\r\nX-A: \0\r\n\r\n"),
}


@pytest.mark.parametrize("name", CUT)
def test_broken_bodies_are_cut(stage, name):
    stage.answer, stage.ends = CUT[name], False
    with Client(stage.proxy.port) as client:
        client.send(format_request(target="/case"))
        with pytest.raises(Closed):
            response = client.read_response()
            assert response.status == 502  # found before the head was sent: as good
            raise Closed(b"")
    assert stage.proxy.get("/next").body == b"good"


def test_a_body_broken_at_once_is_502(stage):
    """Head and fault come in one piece: nothing has gone to the client yet."""
    stage.answer, stage.ends = CUT["bad-chunk-size"], False
    with Client(stage.proxy.port) as client:
        client.send(format_request(target="/case"))
        assert client.read_response().status == 502


@pytest.mark.parametrize("name, answer, body", [
    ("length", ok(b"Content-Length: 2", body=b"ab"), b"ab"),
    ("chunked", ok(TE, body=CHUNKS), b"a"),
    ("no content", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ("204 with length", b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", b""),
    ("204 with coding", b"HTTP/1.1 204 No Content\r\n" + TE + b"\r\n\r\n", b""),
    ("not modified", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", b""),
    ("304 with coding", b"HTTP/1.1 304 Not Modified\r\n" + TE + b"\r\n\r\n", b""),
])
def test_surplus_is_nobodys_answer(stage, name, answer, body):
    """20, 21: the end of a message is where our own rule puts it; what follows goes to nobody."""
    stage.answer, stage.ends = answer + POISON, False
    for _ in range(10):
        with Client(stage.proxy.port) as client:
            client.send(format_request(target="/case") + format_request(target="/next"))
            response = client.read_response()
            assert response.status in (200, 204, 304, 502)
            if response.status != 502:
                assert response.body == body
            following = client.read_response()
            assert following.body == b"good"


def test_head_answers_have_no_body(stage):
    stage.answer, stage.ends = ok(b"Content-Length: 6", body=b"POISON"), False
    for _ in range(10):
        with Client(stage.proxy.port) as client:
            response = client.request("HEAD", "/case")
            assert (response.status, response.get("content-length")) == (200, "6")
            assert client.request(target="/next").body == b"good"


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


FORWARDED = {
    "plain": (ok(b"Content-Length: 2", body=b"ab"), 200, b"ab", {}),
    "reason": (b"HTTP/1.1 299 Odd But Fine\r\nContent-Length: 0\r\n\r\n", 299, b"", {}),
    "no-reason": (b"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", 200, b"", {}),
    "599": (b"HTTP/1.1 599 X\r\nContent-Length: 0\r\n\r\n", 599, b"", {}),
    "chunk-extensions": (ok(TE, body=b"1;a=b\r\na\r\n0;c\r\n\r\n"), 200, b"a", {}),
    "cookies": (ok(b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Content-Length: 0"), 200, b"",
                {"set-cookie": ["a=1", "b=2"]}),
    "server": (ok(b"Server: origin/1", b"Content-Length: 0"), 200, b"", {"server": ["origin/1"]}),
    "date": (ok(b"Date: Tue, 15 Nov 1994 08:12:31 GMT", b"Content-Length: 0"), 200, b"",
             {"date": ["Tue, 15 Nov 1994 08:12:31 GMT"]}),
    "authenticate": (b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", 401, b"",
                     {"www-authenticate": ["Basic"]}),
    "hop-by-hop": (ok(b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5",
                      b"Proxy-Authenticate: Basic", b"Upgrade: h2c", b"Trailer: X-T", b"Content-Length: 0"), 200, b"",
                   {name: [] for name in ("x-hop", "keep-alive", "proxy-authenticate", "upgrade")}),
    "high-bytes": (ok(b"X-A: \xe4", b"Content-Length: 0"), 200, b"", {"x-a": ["\xe4"]}),
    "http-1.0": (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nab", 200, b"ab", {}),
    "32-interims": (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 32 + ok(b"Content-Length: 0"), 200, b"", {}),
}


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded(stage, name):
    stage.answer, status, body, fields = FORWARDED[name]
    stage.ends = False
    with Client(stage.proxy.port) as client:
        response = client.request(target="/case")
        assert response.start_line.startswith("HTTP/1.1 ")
        assert (response.status, response.body) == (status, body)
        for field, values in fields.items():
            assert response.all(field) == values
        assert len(response.all("date")) == 1


def test_every_byte_of_an_answer_alone():
    """Segmentation on the origin's side must not matter."""
    answer = ok(TE, b"X-A: b", body=b"A\r\n0123456789\r\n1;x\r\n!\r\n0\r\n\r\n")

    def script(connection):
        while True:
            connection.read_request()
            for at in range(len(answer)):
                connection.send(answer[at:at + 1])

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(5):
            response = client.request()
            assert response.body == b"0123456789!"
            assert response.get("x-a") == "b"


def test_two_answers_at_once_are_one_and_surplus():
    def script(connection):
        connection.read_request()
        connection.send(ok(b"Content-Length: 5", body=b"first") + ok(b"Content-Length: 6", body=b"second"))
        connection.read_request()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(50):
            assert client.request().body == b"first"


def test_refusals_of_answers_are_counted(stage):
    stage.answer, stage.ends = BROKEN["cl-and-te"], False
    assert stage.proxy.get("/case").status == 502
    assert any("length_and_coding" in name for name, value in stage.proxy.metrics().items() if value > 0)


def test_wire_helpers_see_what_they_should():
    """The strict readers above prove nothing if they accept anything."""
    assert statuses(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\nHTTP/1.1 404 N\r\n\r\n") == [200, 404]

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;x\r\na\r\n0\r\n\r\n")

    with ScriptedOrigin(script) as origin, Client(origin.port) as client:
        client.send(format_request())
        with pytest.raises((AssertionError, ValueError)):
            client.read_response()
    assert chunked(b"abc", b"d") == b"3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
