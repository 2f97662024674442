# SPDX-License-Identifier: Apache-2.0
"""What the proxy answers by itself, and that a short, plain body comes with it."""

import pytest

from harness.client import Closed, format_request, send_and_collect
from harness.origin import ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route


@pytest.fixture(scope="module")
def proxy(origin):
    with Tagway(route(origin, "ok.example/") + route(refused_port(), "refused.example/"),
                {"proxy.request.maxtarget": "8192"}) as tagway:
        yield tagway


@pytest.mark.parametrize("name, raw, status", [
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400),
    ("garbage", b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
    ("no route", format_request(host="other.example"), 404),
    ("connect", b"CONNECT ok.example:443 HTTP/1.1\r\nHost: ok.example:443\r\n\r\n", 405),
    ("trace", format_request("TRACE", host="ok.example"), 405),
    ("long target", format_request(target="/" + "a" * 9000, host="ok.example"), 414),
    ("large head", format_request(host="ok.example", fields=[("X-A", "a" * 20000)] * 3), 431),
    ("many fields", format_request(host="ok.example", fields=[("X-A", "a")] * 200), 431),
    ("unknown method", format_request("BREW-TEA", host="ok.example"), 501),
    ("unknown coding", format_request("POST", host="ok.example",
                                      fields=[("Transfer-Encoding", "gzip, chunked")]), 501),
    ("unreachable", format_request(host="refused.example"), 502),
    ("version", b"GET / HTTP/2.0\r\nHost: ok.example\r\n\r\n", 505),
    ("expectation", format_request("PUT", host="ok.example", fields=[("Expect", "a-pony")], body=b"x"), 417),
])
def test_status(proxy, origin, name, raw, status):
    requests_before = len(origin.requests)
    with proxy.connect() as client:
        client.send(raw)
        response = client.read_response()
        assert response.status == status
        if status == 404:
            assert response.body == b""  # the operator's page, and there is none
        else:
            assert 0 < len(response.body) < 500
            assert response.get("content-type").startswith("text/plain")
        assert response.get("date")
        if status not in (404, 502):
            assert response.get("connection").lower() == "close"
            assert client.is_closed()
    assert len(origin.requests) == requests_before


def test_a_uri_of_8000_octets_and_a_field_of_8_kib_pass(proxy):
    """RFC 9110 section 4.1 recommends at least the former."""
    with proxy.connect() as client:
        assert client.request(target="/" + "a" * 7999, host="ok.example",
                              fields=[("X-Large", "b" * 8192)]).status == 200


def test_errors_keep_the_connection_where_framing_is_sure(proxy):
    with proxy.connect() as client:
        assert client.request(host="other.example").status == 404
        assert client.request(host="refused.example").status == 502
        assert client.request(host="other.example", method="HEAD").status == 404
        assert client.request(host="ok.example").status == 200


def test_options_asterisk_is_answered_by_the_proxy(proxy, origin):
    requests_before = len(origin.requests)
    with proxy.connect() as client:
        assert client.request("OPTIONS", "*", host="ok.example").status in (200, 204)
    assert len(origin.requests) == requests_before


def test_max_forwards(proxy, origin):
    with proxy.connect() as client:
        requests_before = len(origin.requests)
        assert client.request("OPTIONS", "/", [("Max-Forwards", "0")], host="ok.example").status in (200, 204)
        assert len(origin.requests) == requests_before
        client.request("OPTIONS", "/", [("Max-Forwards", "5")], host="ok.example")
        assert origin.requests[-1].get("max-forwards") == "4"


def test_a_refused_upload_still_gets_its_answer(proxy):
    """Closing with unread input would reset the connection and destroy the answer on its way."""
    for _ in range(20):
        got = send_and_collect(proxy.port,
                               b"POST / HTTP/1.1\r\nHost: a b\r\nContent-Length: 60000\r\n\r\n" + b"x" * 60000)
        assert got.startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("name, script", [
    ("closes before answering", lambda connection: connection.read_request()),
    ("resets", lambda connection: (connection.read_request(), connection.reset())),
    ("garbage", lambda connection: (connection.read_request(), connection.send(b"\x00\x01\x02garbage\r\n\r\n"))),
    ("cut head", lambda connection: (connection.read_request(), connection.send(b"HTTP/1.1 200 OK\r\nX-A"))),
    ("endless head", lambda connection: (connection.read_request(), connection.send(b"HTTP/1.1 200 OK\r\n"),
                                         [connection.send(b"X-A: " + b"a" * 1000 + b"\r\n") for _ in range(200)])),
    ("endless interim", lambda connection: (connection.read_request(),
                                            [connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
                                             for _ in range(200)])),
])
def test_a_broken_origin_is_502(name, script):
    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        response = client.request("POST", body=b"x")
        assert response.status == 502
        assert 0 < len(response.body) < 500


@pytest.mark.parametrize("framing, sent", [
    ("Content-Length: 10", b"12345"),
    ("Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
    ("Transfer-Encoding: chunked", b"5\r\n123"),
    ("Transfer-Encoding: chunked", b"5\r\n12345\r\n0\r\n"),
])
@pytest.mark.parametrize("end", ["close", "reset"])
def test_a_cut_answer_is_never_completed(framing, sent, end):
    def script(connection):
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode() + sent)
        if end == "reset":
            connection.reset()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(format_request())
        with pytest.raises(Closed):
            response = client.read_response()
            # The reset may have overtaken the whole answer; then it is an error of ours.
            assert end == "reset" and response.status == 502
            raise Closed(b"")


def test_a_reset_ends_a_body_without_length_visibly():
    def script(connection):
        connection.read_request(has_body=False)
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 1000)
        connection.fill()
        connection.reset()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        head = client.read_head()
        client.send(b"1\r\na\r\n")  # wakes the script, which resets
        if head.get("transfer-encoding"):
            with pytest.raises(Closed):
                client.read_chunked(head)
        else:
            with pytest.raises(Closed) as closed:
                client.take_rest()
            assert closed.value.was_reset


@pytest.mark.parametrize("framing, sent", [
    (b"Content-Length: 10", b"12345"),
    (b"Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
])
def test_a_cut_upload_is_never_completed(framing, sent):
    ends = []

    def script(connection):
        connection.read_request(has_body=False)
        try:
            ends.append(connection.take_rest())
        except Closed as closed:
            ends.append(closed.data)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        with tagway.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n" + sent)
            client.half_close()
            client.is_closed()
        wait_until(lambda: ends, what="the origin to see the end")
        assert sent.startswith(ends[0])


def is_heard(client):
    """Whether what the client sends still goes to somebody."""
    try:
        client.send(b"x")
        return True
    except OSError:
        return False


def test_a_refused_client_that_stays_is_closed(proxy):
    """It is heard for a second, so that its answer reaches it, and no longer."""
    with proxy.connect() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        assert client.read_response().status == 400
        wait_until(lambda: not is_heard(client), what="the connection to be closed", interval=0.05)


def test_a_refused_client_that_goes_on_sending_is_cut(proxy):
    """What is thrown away is limited: a megabyte, and what lies in buffers."""
    with proxy.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n")
        with pytest.raises(OSError):
            client.send(b"x" * (64 << 20))


def test_an_early_answer_reaches_the_client():
    """The origin answers without reading the upload."""

    def script(connection):
        connection.read_request(has_body=False)
        connection.respond(b"enough", "413 Content Too Large", [("Connection", "close")])

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        for _ in range(20):
            with tagway.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n" + b"x" * 1000)
                response = client.read_response()
                assert (response.status, response.body) == (413, b"enough")


def test_an_early_answer_does_not_spoil_the_connection_for_others():
    def script(connection):
        while True:
            request = connection.read_request(has_body=False)
            connection.respond(request.target.encode())

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        for number in range(50):
            with tagway.connect() as client:
                client.send(b"POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n123")
                assert client.read_response().body == b"/upload"
            target = f"/{number}"
            assert tagway.get(target).body == target.encode()
    # Else the rest of an upload stands in front of the next request.
    assert {request.method for request in origin.requests} == {"POST", "GET"}


def test_a_post_is_never_sent_twice():
    def script(connection):
        connection.read_request(has_body=False)  # accepts, then dies

    with ScriptedOrigin(script) as origin, Tagway(route(origin) + route(origin, service="b")) as tagway:
        for number in range(50):
            response = tagway.get(f"/{number}", method="POST", body=b"x" * 10)
            assert response.status == 502
        targets = [request.target for request in origin.requests]
        assert len(targets) == len(set(targets)) == 50
