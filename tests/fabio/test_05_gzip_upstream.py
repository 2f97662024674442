# SPDX-License-Identifier: Apache-2.0
"""fabio 5.7, the upstream side: targets are asked for gzip on behalf of clients that say nothing of it, and
their answers are unpacked. Which heads are concerned is proved row by row in the unit test of gzip_rules,
what is gzip in that of gunzip; here is what both ends of the proxy see."""

import gzip
import os
import threading
import time
import zlib

import pytest

from harness.client import TIMEOUT, Client, Closed, chunked, format_request
from harness.origin import Origin, ScriptedOrigin, response
from harness.pair import pair, sends
from harness.process import wait_until
from harness.tagway import Tagway, route

TEXT = b"".join(b"line %d of a text that shrinks\n" % i for i in range(400))
PACKED = gzip.compress(TEXT, mtime=0)
CODED = ("Content-Encoding", "gzip")
HTML = ("Content-Type", "text/html")
ON = {"proxy.workers": 1}


def answers(request):
    """Packed for who asks for it."""
    if "gzip" in (request.get("accept-encoding") or ""):
        return (PACKED, "200 OK", [HTML, CODED, ("Vary", "Accept-Encoding"), ("ETag", '"a"'), ("X-A", "1")])
    return (TEXT, "200 OK", [HTML, ("Vary", "Accept-Encoding"), ("ETag", '"b"')])


@pytest.fixture(scope="module")
def origin():
    with Origin(answers) as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(origin):
    with Tagway(route(origin), ON) as tagway:
        yield tagway


def framed(body, framing, fields=b"Content-Encoding: gzip\r\n"):
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + fields
    if framing == "length":
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    if framing == "chunked":
        pieces = [body[at:at + 9999] for at in range(0, len(body), 9999)]
        return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(*pieces)
    return head + b"\r\n" + body


# What the target is asked


def test_who_says_nothing_gets_plain_bytes(proxy, origin):
    got = proxy.get()
    assert origin.requests[-1].all("accept-encoding") == ["gzip"]
    assert got.body == TEXT
    assert (got.get("content-encoding"), got.get("content-length")) == (None, None)
    assert got.get("transfer-encoding") == "chunked"
    assert (got.get("content-type"), got.get("vary"), got.get("x-a")) == ("text/html", "Accept-Encoding", "1")
    assert got.get("etag") == 'W/"a"'  # fabio: "a"


@pytest.mark.parametrize("accepts", ["gzip", "br", "identity", "gzip;q=0", ""])
def test_who_says_something_gets_what_the_target_says(proxy, origin, accepts):
    got = proxy.get(fields=[("Accept-Encoding", accepts)])
    assert origin.requests[-1].all("accept-encoding") == [accepts]
    assert got.body == (PACKED if "gzip" in accepts else TEXT)
    assert got.get("content-length") == str(len(got.body))
    assert (got.get("content-encoding") is not None) == ("gzip" in accepts)
    assert got.get("etag") == ('"a"' if "gzip" in accepts else '"b"')


def test_a_range_is_asked_for_as_it_is(proxy, origin):
    got = proxy.get(fields=[("Range", "bytes=0-9")])
    assert origin.requests[-1].get("accept-encoding") is None
    assert (got.body, got.get("etag")) == (TEXT, '"b"')


def test_head_is_asked_as_it_is(proxy, origin):
    got = proxy.get(method="HEAD")
    assert origin.requests[-1].get("accept-encoding") is None
    assert (got.get("content-length"), got.get("etag")) == (str(len(TEXT)), '"b"')


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_other_methods_are_like_get(proxy, origin, method):
    got = proxy.get(method=method, body=b"x")
    assert origin.requests[-1].all("accept-encoding") == ["gzip"]
    assert got.body == TEXT


def test_websockets_are_left_alone():
    def script(connection):
        request = connection.read_request()
        assert request.get("accept-encoding") is None
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                        b"Content-Encoding: gzip\r\n\r\nhello")

    fields = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
              ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")]
    with pair(script, ON) as tagway, tagway.connect() as client:
        client.send(format_request(fields=fields))
        assert client.read_head().status == 101
        assert client.take(5) == b"hello"


def test_it_can_be_switched_off(origin):
    with Tagway(route(origin), {"proxy.gzip.upstream": "false"}) as tagway:
        assert tagway.get().body == TEXT
        assert origin.requests[-1].get("accept-encoding") is None
    with pair(sends(framed(PACKED, "length")), {**ON, "proxy.gzip.upstream": "false"}) as tagway:
        assert tagway.get().body == PACKED


def test_a_further_try_asks_again():
    seen = []

    def script(connection):
        seen.append(connection.read_request().all("accept-encoding"))
        if len(seen) > 1:
            connection.send(framed(PACKED, "length"))

    with ScriptedOrigin(script) as one, ScriptedOrigin(script) as two:
        with Tagway(route(one) + "\n" + route(two), ON) as tagway:
            assert tagway.get().body == TEXT
    assert seen == [["gzip"], ["gzip"]]


def test_with_compression_on_the_answer_varies(origin):
    with Tagway(route(origin), {**ON, "proxy.gzip.contenttype": "text/"}) as tagway:
        got = tagway.get()
        assert (got.body, got.get("content-encoding"), got.all("vary")) == (TEXT, None, ["Accept-Encoding"])
    with pair(sends(framed(PACKED, "length")), {**ON, "proxy.gzip.contenttype": "text/"}) as tagway:
        got = tagway.get()
        assert (got.body, got.get("content-encoding"), got.all("vary")) == (TEXT, None, ["Accept-Encoding"])
        got = tagway.get(fields=[("Accept-Encoding", "gzip")])
        assert (got.body, got.get("content-encoding")) == (PACKED, "gzip")


# What is unpacked


@pytest.mark.parametrize("coding, is_unpacked", [
    ("gzip", True), ("GZIP", True), ("x-gzip", True), ("br", False), ("gzip, br", False), ("deflate", False),
])
def test_gzip_alone_is_unpacked(coding, is_unpacked):
    with pair(sends(framed(PACKED, "length", f"Content-Encoding: {coding}\r\n".encode())), ON) as tagway:
        got = tagway.get()
        assert (got.body, got.get("content-encoding")) == ((TEXT, None) if is_unpacked else (PACKED, coding))


@pytest.mark.parametrize("method, head", [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n"),
    ("GET", b"HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n"),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n"),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 0\r\n\r\n"),
])
def test_answers_without_a_body(method, head):
    with pair(sends(head), ON) as tagway, tagway.connect() as client:
        for _ in range(2):
            got = client.request(method)
            assert (got.body, got.get("content-encoding")) == (b"", "gzip")
            if b"1000" in head:
                assert got.get("content-length") == "1000"


@pytest.mark.parametrize("framing", ["chunked", "close"])
def test_a_body_of_no_bytes_is_empty(framing):
    def script(connection):
        connection.read_request()
        connection.send(framed(b"", framing))

    with pair(script, ON) as tagway:
        got = tagway.get()
        assert (got.status, got.body, got.get("content-encoding")) == (200, b"", None)


@pytest.mark.parametrize("size", [0, 1, 32767, 32768, 32769, 70000, 3 << 20])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("is_random", [False, True], ids=["text", "random"])
def test_bodies_arrive_whole(size, framing, is_random):
    body = os.urandom(size) if is_random else (TEXT * (size // len(TEXT) + 1))[:size]
    packed = gzip.compress(body, 6 if size < 100000 else 1, mtime=0)

    def script(connection):
        while True:
            connection.read_request()
            connection.send(framed(packed, framing))
            if framing == "close":
                return

    with pair(script, ON) as tagway, tagway.connect() as client:
        for _ in range(3):
            got = client.request()
            assert got.get("content-encoding") is None
            assert got.body == body
        if framing != "close":
            assert tagway.metric("tagway_proxy_reused_total") == 2, "the connection is kept"


def test_members_are_joined():
    members = gzip.compress(b"one ") + gzip.compress(b"") + gzip.compress(b"two")
    with pair(sends(framed(members, "length")), ON) as tagway:
        assert tagway.get().body == b"one two"


def test_byte_by_byte():
    def script(connection):
        connection.read_request()
        for byte in framed(PACKED, "length"):
            connection.send(bytes([byte]))

    with pair(script, ON) as tagway:
        assert tagway.get().body == TEXT


def test_http_1_0_clients_get_it_without_chunks(proxy):
    with proxy.connect() as client:
        got = client.request(version="HTTP/1.0", fields=[("Connection", "keep-alive")])
        assert (got.body, got.get("transfer-encoding"), got.get("content-length")) == (TEXT, None, None)


def test_trailers_are_kept():
    answer = (b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
              + chunked(PACKED, trailers=[("X-Sum", "1")]))
    with pair(sends(answer), ON) as tagway, tagway.connect() as client:
        for _ in range(2):
            got = client.request(fields=[("TE", "trailers"), ("Connection", "TE")])
            assert (got.body, got.trailers) == (TEXT, [("X-Sum", "1")])
            got = client.request()
            assert (got.body, got.trailers) == (TEXT, [])


@pytest.mark.parametrize("framing", ["Transfer-Encoding: chunked\r\n", "Content-Length: 100000\r\n", ""],
                         ids=["chunked", "length", "close"])
def test_nothing_is_delayed(framing):
    """Each piece that the origin flushes arrives while the origin waits for the client to have it."""
    pieces = [b"first " * 50, b"second", b"third"]
    has_piece = threading.Semaphore(0)

    def script(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n{framing}\r\n")
        packer = zlib.compressobj(wbits=31)
        for piece in pieces:
            packed = packer.compress(piece) + packer.flush(zlib.Z_SYNC_FLUSH)
            connection.send(b"%x\r\n%s\r\n" % (len(packed), packed) if "chunked" in framing else packed)
            assert has_piece.acquire(timeout=TIMEOUT)

    with pair(script, ON) as tagway, tagway.connect() as client:
        client.send(format_request())
        client.read_head()
        for piece in pieces:
            seen = b""
            while seen != piece:
                size = int(client.take_until(b"\r\n"), 16)
                seen += client.take(size)
                client.take(2)
            has_piece.release()


# What is not what it says


BAD = {
    "cut": PACKED[:-20],
    "cut in the trailer": PACKED[:-3],
    "cut in the header": PACKED[:5],
    "a wrong sum": PACKED[:-6] + bytes([PACKED[-6] ^ 1]) + PACKED[-5:],
    "garbage inside": PACKED[:200] + b"\xff" * 100 + PACKED[300:],
    "garbage behind": PACKED + b"garbage",
    "zeros behind": PACKED + bytes(8),
    "half a member behind": PACKED + PACKED[:40],
    "plain text": TEXT,
    "zlib": zlib.compress(TEXT),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_bad_body_at_once_is_a_502(case, framing):
    with pair(sends(framed(BAD[case], framing)), ON) as tagway:
        got = tagway.get()
        assert (got.status, got.get("content-encoding")) == (502, None)
        assert tagway.metric("tagway_refused_responses_total", reason="content_coding") == 1


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_bad_body_is_never_completed(case, version, framing):
    """Part of the answer is with the client when it turns out to be bad."""
    good = gzip.compress(os.urandom(5000))
    go_on = threading.Event()

    def script(connection):
        connection.read_request()
        answer = framed(good + BAD[case], framing)
        at = answer.index(good[:100]) + len(good)
        connection.send(answer[:at])
        assert go_on.wait(TIMEOUT)
        connection.send(answer[at:])

    with pair(script, ON) as tagway, Client(tagway.port) as client:
        client.send(format_request(version=version))
        got = client.read_head()
        assert got.status == 200
        client.take(5000)
        go_on.set()
        with pytest.raises(Closed) as cut:
            while True:
                client.fill()
        if version == "HTTP/1.0":
            assert cut.value.was_reset, "the end of the connection looks like the end of the body"
        assert not (client.buffer + cut.value.data).endswith(b"0\r\n\r\n")
        assert tagway.metric("tagway_refused_responses_total", reason="content_coding") == 1


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_a_target_that_closes_early_cuts_the_answer(version):
    def script(connection):
        connection.read_request()
        connection.send(framed(PACKED, "length")[:-20])

    with pair(script, ON) as tagway, Client(tagway.port) as client:
        client.send(format_request(version=version))
        with pytest.raises(Closed) as cut:
            client.read_body(client.read_head())
        assert version == "HTTP/1.1" or cut.value.was_reset


# What becomes large


def bomb(size):
    """1000:1"""
    packer = zlib.compressobj(9, wbits=31)
    packed = b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()
    assert len(packed) < size / 1000
    return packed


def read_to_the_end(client):
    """How many bytes came, with chunk lines, until the last chunk."""
    count = len(client.buffer)
    while True:
        data = client.sock.recv(1 << 20)
        count += len(data)
        if not data or data.endswith(b"\r\n0\r\n\r\n"):
            return count


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("framing", ["length", "close"])
def test_a_bomb_costs_only_who_reads_it(framing):
    """For clients that do not read, nothing of it is kept but what had come."""
    size = 200 << 20
    packed = bomb(size)
    sent = []

    def script(connection):
        connection.read_request()
        connection.sock.settimeout(None)
        sent.append(0)
        connection.send(framed(packed, framing))

    with pair(script, ON, path="/bomb") as tagway:
        assert tagway.get("/nowhere").status == 404
        before = tagway.process.rss_kib()
        clients = [Client(tagway.port, receive_buffer=4096) for _ in range(20)]
        for client in clients:
            client.send(format_request(target="/bomb"))
        for client in clients:
            client.read_head()
        wait_until(lambda: len(sent) == len(clients), what="all to be served")

        def is_idle():
            cpu = tagway.process.cpu_seconds()
            time.sleep(0.3)
            return tagway.process.cpu_seconds() - cpu < 0.05

        wait_until(is_idle, what="the proxy to wait for its clients")
        assert tagway.process.rss_kib() - before < len(clients) * 512
        assert tagway.get("/nowhere").status == 404
        for client in clients:
            client.reset()


def test_a_bomb_gives_way_to_others(origin):
    """While a client that takes everything gets one, others are answered in between."""
    size = 100 << 20
    packed = bomb(size)
    is_over = threading.Event()
    total = []

    def script(connection):
        connection.read_request()
        connection.send(framed(packed, "length"))
        is_over.wait(TIMEOUT)

    def read_all(client):
        total.append(read_to_the_end(client))
        is_over.set()

    with ScriptedOrigin(script) as large:
        with Tagway(route(origin, "/small") + "\n" + route(large, "/large"), ON) as tagway, \
                tagway.connect() as client, tagway.connect() as other:
            client.send(format_request(target="/large"))
            reader = threading.Thread(target=read_all, args=(client,))
            reader.start()
            answered = 0
            while not is_over.is_set():
                assert other.request(target="/small").body == TEXT
                answered += 1
            reader.join()
    assert total[0] > size
    assert answered > 20


def test_a_client_that_leaves_a_bomb_frees_its_place():
    packed = gzip.compress(bytes(50 << 20), 9)

    def script(connection):
        while True:
            if connection.read_request().target == "/bomb":
                connection.send(framed(packed, "length"))
            else:
                connection.send(framed(PACKED, "length"))

    with pair(script, ON) as tagway:
        for _ in range(30):
            client = Client(tagway.port, receive_buffer=4096)
            client.send(format_request(target="/bomb"))
            client.read_head()
            client.reset()
        wait_until(lambda: tagway.metric("tagway_proxy_client_aborts_total") == 30, what="the clients to be gone")
        assert tagway.get().body == TEXT


def test_too_many_waiting_requests_do_not_ask():
    """1024 places in a worker."""
    release = threading.Event()
    asked = []

    def script(connection):
        request = connection.read_request()
        coding = request.get("accept-encoding")
        asked.append(coding)
        if request.target == "/wait":
            release.wait(TIMEOUT)
        connection.send(framed(PACKED, "length") if coding else response(TEXT))

    with pair(script, {**ON, "proxy.maxconn": 1}) as tagway:
        held = [tagway.connect() for _ in range(1030)]
        for client in held:
            client.send(format_request(target="/wait"))
        wait_until(lambda: len(asked) == 1030, what="all to wait", timeout=30)
        assert (asked.count("gzip"), asked.count(None)) == (1024, 6)
        assert tagway.get().body == TEXT
        release.set()
        for client in held:
            assert client.read_response().body == TEXT
            client.close()
        assert tagway.get().body == TEXT
        assert asked[-1] == "gzip"
