# SPDX-License-Identifier: Apache-2.0
"""fabio 5.7, compression of responses, and Q-18. Who accepts gzip and which heads may be coded is
proved row by row in the unit test of gzip_rules; here is what both ends of the proxy see."""

import gzip
import os
import threading
import time
import zlib

import pytest

from harness.client import TIMEOUT, Client, Closed, chunked, format_request
from harness.origin import Origin, response
from harness.pair import pair, sends
from harness.process import wait_until
from harness.tagway import Tagway, route

TEXT = b"".join(b"line %d of a text that shrinks\n" % i for i in range(400))
HTML = ("Content-Type", "text/html; charset=utf-8")
ON = {"proxy.gzip.contenttype": r"^(text/.*|application/json)(;.*)?$"}
ACCEPTS = ("Accept-Encoding", "gzip")


def answers(request):
    """What the request's target asks for: /status/type/fields."""
    fields = [HTML]
    if request.target.startswith("/type/"):
        fields = [("Content-Type", request.target[6:].replace("_", "; "))]
    if request.target == "/no-type":
        fields = []
    if request.target == "/tiny":
        return (b"tiny", "200 OK", fields)
    return (TEXT, "200 OK", fields)


@pytest.fixture(scope="module")
def origin():
    with Origin(answers) as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(origin):
    with Tagway(route(origin), ON) as tagway:
        yield tagway


def is_coded(got):
    return got.get("content-encoding") == "gzip"


# What is compressed


def test_a_matching_type_is_compressed(proxy):
    got = proxy.get(fields=[ACCEPTS])
    assert is_coded(got)
    assert gzip.decompress(got.body) == TEXT
    assert len(got.body) < len(TEXT) / 5
    assert got.get("content-length") is None
    assert got.get("transfer-encoding") == "chunked"
    # Neither name nor time, as in fabio.
    assert got.body[:9] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00"


@pytest.mark.parametrize("target, want", [
    ("/type/text/html", True),
    ("/type/text/html_charset=utf-8", True),
    ("/type/application/json", True),
    ("/type/application/jsonp", False),
    ("/type/image/png", False),
    ("/no-type", False),
])
def test_the_expression_is_for_the_whole_content_type(proxy, target, want):
    got = proxy.get(target, fields=[ACCEPTS])
    assert is_coded(got) == want
    assert (gzip.decompress(got.body) if want else got.body) == TEXT


def test_the_expression_is_searched_for_anywhere(origin):
    with Tagway(route(origin), {"proxy.gzip.contenttype": "ml"}) as tagway:
        assert is_coded(tagway.get(fields=[ACCEPTS]))
        assert not is_coded(tagway.get("/type/text/plain", fields=[ACCEPTS]))


@pytest.mark.parametrize("accept_encoding, want", [
    ("gzip", True),
    ("deflate, gzip;q=0.5, br", True),
    ("*", True),
    ("GZIP", True),
    ("gzip;q=0", False),  # fabio compresses, Q-18
    ("gzip;q=0.000, *", False),
    ("identity, gzip;q=0.5", False),
    ("deflate", False),
    ("notgzip", False),
    ("", False),
    (None, False),
])
def test_accept_encoding(proxy, accept_encoding, want):
    got = proxy.get(fields=[("Accept-Encoding", accept_encoding)] if accept_encoding is not None else [])
    assert is_coded(got) == want
    assert got.get("vary") == "Accept-Encoding"


def test_who_accepts_event_streams_is_served_as_is(proxy):
    assert not is_coded(proxy.get(fields=[ACCEPTS, ("Accept", "text/event-stream")]))


def test_event_streams_are_served_as_they_are(proxy):
    assert not is_coded(proxy.get("/type/text/event-stream", fields=[ACCEPTS]))


@pytest.mark.parametrize("status, fields", [
    ("200 OK", [HTML, ("Content-Encoding", "br")]),
    ("200 OK", [HTML, ("Content-Encoding", "gzip")]),
    ("200 OK", [HTML, ("Cache-Control", "public, no-transform")]),
    ("206 Partial Content", [HTML, ("Content-Range", "bytes 0-9/100")]),
    ("416 Range Not Satisfiable", [HTML, ("Content-Range", "bytes */100")]),
])
def test_what_is_left_alone(status, fields):
    with pair(sends(response(TEXT, status, fields)), ON) as tagway:
        got = tagway.get(fields=[ACCEPTS])
        assert got.body == TEXT
        assert got.all("content-encoding") == [value for name, value in fields if name == "Content-Encoding"]
        assert got.get("content-length") == str(len(TEXT))


@pytest.mark.parametrize("status", ["400 Bad Request", "404 Not Found", "500 Internal Server Error"])
def test_errors_of_the_origin_are_compressed(status):
    with pair(sends(response(TEXT, status, [HTML])), ON) as tagway:
        assert gzip.decompress(tagway.get(fields=[ACCEPTS]).body) == TEXT


def test_tiny_bodies_are_left_alone(proxy):
    got = proxy.get("/tiny", fields=[ACCEPTS])
    assert (got.body, got.get("content-length"), is_coded(got)) == (b"tiny", "4", False)


@pytest.mark.parametrize("method, head", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"),
    ("GET", b"HTTP/1.1 204 No Content\r\nContent-Type: text/html\r\n\r\n"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Type: text/html\r\nContent-Length: 1000\r\n\r\n"),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"),
])
def test_answers_without_a_body(method, head):
    with pair(sends(head), ON) as tagway, tagway.connect() as client:
        for _ in range(2):
            got = client.request(method, fields=[ACCEPTS])
            assert (got.body, is_coded(got), got.get("vary")) == (b"", False, "Accept-Encoding")
            if b"1000" in head:
                assert got.get("content-length") == "1000"


# What the head says


@pytest.mark.parametrize("fields, want", [
    ([], ["Accept-Encoding"]),
    ([("Vary", "Cookie")], ["Cookie", "Accept-Encoding"]),
    ([("Vary", "cookie, accept-encoding")], ["cookie, accept-encoding"]),
    ([("Vary", "*")], ["*"]),
])
def test_vary_is_added_to_every_proxied_answer(fields, want):
    for body in (TEXT, b"tiny"):
        with pair(sends(response(body, fields=[HTML, *fields])), ON) as tagway:
            for asked in ([ACCEPTS], []):
                assert sorted(tagway.get(fields=asked).all("vary")) == sorted(want)


def test_vary_is_not_added_without_compression(origin):
    with Tagway(route(origin)) as tagway:
        got = tagway.get(fields=[ACCEPTS])
        assert (got.get("vary"), got.body) == (None, TEXT)


def test_answers_of_our_own_do_not_vary(origin):
    with Tagway(route(origin, "/a"), ON) as tagway:
        assert tagway.get("/b", fields=[ACCEPTS]).get("vary") is None


@pytest.mark.parametrize("etag, want", [('"abc"', 'W/"abc"'), ('W/"abc"', 'W/"abc"'), ("", None)])
def test_a_strong_etag_becomes_weak(etag, want):
    fields = [HTML, ("ETag", etag), ("Accept-Ranges", "bytes")]
    with pair(sends(response(TEXT, fields=fields)), ON) as tagway:
        got = tagway.get(fields=[ACCEPTS])
        assert (got.get("etag") or None, got.get("accept-ranges")) == (want, None)
        got = tagway.get()
        assert (got.get("etag"), got.get("accept-ranges")) == (etag, "bytes")


# Bodies


@pytest.mark.parametrize("size", [1, 255, 256, 65535, 70000, 1 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("is_random", [False, True], ids=["text", "random"])
def test_bodies_arrive_whole(size, framing, is_random):
    body = os.urandom(size) if is_random else (TEXT * (size // len(TEXT) + 1))[:size]
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

    def script(connection):
        while True:
            connection.read_request()
            if framing == "length":
                connection.send(head + b"Content-Length: %d\r\n\r\n" % size + body)
            elif framing == "chunked":
                parts = [body[at:at + 9999] for at in range(0, size, 9999)]
                connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*parts))
            else:
                connection.send(head + b"\r\n" + body)
                return

    with pair(script, {**ON, "proxy.workers": 1}) as tagway, tagway.connect() as client:
        for _ in range(3):
            got = client.request(fields=[ACCEPTS])
            is_tiny = framing == "length" and size < 256
            assert is_coded(got) != is_tiny
            assert (got.body if is_tiny else gzip.decompress(got.body)) == body


def test_http_1_0_clients_get_it_without_chunks(proxy):
    with proxy.connect() as client:
        got = client.request(version="HTTP/1.0", fields=[ACCEPTS])
        assert is_coded(got) and got.get("transfer-encoding") is None and got.get("content-length") is None
        assert gzip.decompress(got.body) == TEXT


def test_trailers_are_kept():
    answer = (b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
              + chunked(TEXT, trailers=[("X-Sum", "1")]))
    with pair(sends(answer), ON) as tagway, tagway.connect() as client:
        for _ in range(2):
            got = client.request(fields=[ACCEPTS, ("TE", "trailers"), ("Connection", "TE")])
            assert (gzip.decompress(got.body), got.trailers) == (TEXT, [("X-Sum", "1")])
            got = client.request(fields=[ACCEPTS])
            assert (gzip.decompress(got.body), got.trailers) == (TEXT, [])


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked\r\n", "Content-Length: 100000\r\n", ""],
                         ids=["chunked", "length", "close"])
def test_nothing_is_delayed(framing):
    """Each piece arrives while the origin waits for the client to have it; fabio holds it back."""
    pieces = [b"first " * 50, b"second", b"third"]
    has_piece = threading.Semaphore(0)

    def script(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n{framing}\r\n")
        for piece in pieces:
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if "chunked" in framing else piece)
            assert has_piece.acquire(timeout=TIMEOUT)

    with pair(script, ON) as tagway, tagway.connect() as client:
        reader = zlib.decompressobj(31)
        client.send(format_request(fields=[ACCEPTS]))
        assert is_coded(client.read_head())
        for piece in pieces:
            seen = b""
            while seen != piece:
                size = int(client.take_until(b"\r\n"), 16)
                seen += reader.decompress(client.take(size))
                client.take(2)
            has_piece.release()


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_cut_answer_is_never_completed(version, framing):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"

    def script(connection):
        connection.read_request()
        if framing == "length":
            connection.send(head + b"Content-Length: 100000\r\n\r\n" + TEXT)
        else:
            connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(TEXT), TEXT))

    with pair(script, ON) as tagway, Client(tagway.port) as client:
        client.send(format_request(fields=[ACCEPTS], version=version))
        with pytest.raises(Closed) as cut:
            head = client.read_head()
            assert is_coded(head)
            client.read_body(head)
        reader = zlib.decompressobj(31)
        if version == "HTTP/1.0":
            assert cut.value.was_reset, "the end of the connection looks like the end of the body"
        else:
            data = client.buffer + cut.value.data
            assert not data.endswith(b"0\r\n\r\n")
        assert not reader.eof


@pytest.mark.no_sanitizer
def test_a_client_that_does_not_read_stops_the_origin():
    sent = []

    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        connection.sock.settimeout(None)
        block = os.urandom(1 << 16)
        while len(sent) < 4000:
            connection.send(block)
            sent.append(len(block))

    def has_stopped():
        count = len(sent)
        time.sleep(0.3)
        return count > 0 and count == len(sent)

    with pair(script, ON) as tagway, Client(tagway.port, receive_buffer=4096) as client:
        before = tagway.process.rss_kib()
        client.send(format_request(fields=[ACCEPTS]))
        assert is_coded(client.read_head())
        wait_until(has_stopped, what="the origin to be held")
        assert len(sent) < 4000
        assert tagway.process.rss_kib() - before < 16 * 1024
        client.reset()


def test_too_many_at_a_time_pass_as_they_are():
    waiting = []

    def script(connection):
        request = connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + TEXT)
        if request.target == "/hold":
            waiting.append(connection)
            connection.fill()

    with pair(script, {**ON, "proxy.gzip.maxstreams": 2, "proxy.workers": 1}) as tagway:
        held = [tagway.connect() for _ in range(2)]
        for client in held:
            client.send(format_request(target="/hold", fields=[ACCEPTS]))
            assert is_coded(client.read_head())
        got = tagway.get(fields=[ACCEPTS])
        assert (is_coded(got), got.body, got.get("vary")) == (False, TEXT, "Accept-Encoding")
        held[0].reset()
        wait_until(lambda: is_coded(tagway.get(fields=[ACCEPTS])), what="a free place")
        held[1].reset()


# Configuration


@pytest.mark.parametrize("expression", ["^(text/", "[", "*", "(?<name"])
def test_a_bad_expression_is_an_error(expression):
    tagway = Tagway("", {"proxy.gzip.contenttype": expression}, is_ready=False)
    assert tagway.process.wait(20) == 1
    for word in ("proxy.gzip.contenttype", expression, "flag", "invalid expression for content types"):
        assert word in tagway.stderr()


def test_a_costly_expression_is_given_up():
    with pair(sends(response(TEXT, fields=[("Content-Type", "a" * 200 + "!")])),
              {"proxy.gzip.contenttype": "^(a+)+$"}) as tagway:
        got = tagway.get(fields=[ACCEPTS])
        assert (is_coded(got), got.body) == (False, TEXT)
