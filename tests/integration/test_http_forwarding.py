# SPDX-License-Identifier: Apache-2.0
"""Plain forwarding: connections, bodies, interim responses, rewriting, forwarding headers."""

import os
import threading

import pytest

from harness.client import TIMEOUT, chunked, format_request
from harness.origin import Origin, ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route


@pytest.fixture(scope="module")
def echo():
    """An origin that answers with the body it got."""
    with Origin(lambda request: request.body or b"empty") as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(echo):
    with Tagway(route(echo)) as tagway:
        yield tagway


def test_both_sides_keep_their_connection():
    with Origin() as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            for _ in range(20):
                assert client.request().body == b"origin"
        assert len(origin.connections) == 1


def test_connection_close_is_honoured():
    with Origin() as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        response = client.request(fields=[("Connection", "close")])
        assert response.get("connection").lower() == "close"
        assert client.is_closed()
        assert origin.requests[0].get("connection") in (None, "keep-alive")


def test_http_1_0_is_closed_after_its_answer(proxy):
    with proxy.connect() as client:
        response = client.request(version="HTTP/1.0")
        assert response.status == 200
        assert client.is_closed()


def test_http_1_0_keep_alive(proxy):
    with proxy.connect() as client:
        for _ in range(2):
            response = client.request(version="HTTP/1.0", fields=[("Connection", "keep-alive")])
            assert response.get("connection").lower() == "keep-alive"


def test_pipelined_requests_are_answered_in_order(proxy):
    bodies = [b"first", b"second" * 1000, b"third"]
    with proxy.connect() as client:
        client.send(b"".join(format_request("POST", body=body) for body in bodies))
        assert [client.read_response().body for _ in bodies] == bodies


def test_more_may_be_pipelined_than_is_kept():
    """What comes behind a request that is not answered yet waits in part with its sender."""
    may_answer = threading.Event()

    def script(connection):
        while True:
            request = connection.read_request()
            if request.target == "/0":
                may_answer.wait(TIMEOUT)
            connection.respond(request.target.encode())

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway, tagway.connect() as client:
        count = 300
        raw = b"".join(format_request(target=f"/{number}", fields=[("X-A", "a" * 1000)]) for number in range(count))
        sender = threading.Thread(target=client.send, args=(raw,))
        sender.start()
        wait_until(lambda: origin.requests, what="the first request")
        for _ in range(20):  # as many turns of the worker, in which it could read on
            assert tagway.get("/other").body == b"/other"
        may_answer.set()
        for number in range(count):
            assert client.read_response().body == f"/{number}".encode()
        sender.join()


def test_a_request_cut_at_every_byte(echo, proxy):
    request = format_request("POST", "/cut", [("X-A", "b")], b"body")
    with proxy.connect() as client:
        for at in range(1, len(request)):
            client.send(request[:at])
            client.send(request[at:])
            assert client.read_response().body == b"body"


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 1 << 20])
def test_bodies_of_announced_length_go_through_unchanged(proxy, size):
    body = os.urandom(size)
    with proxy.connect() as client:
        for _ in range(2):
            assert client.request("POST", body=body).body == (body or b"empty")


@pytest.mark.parametrize("size", [1, 4096, 65537, 1 << 20])
def test_chunked_uploads_go_through_unchanged(echo, proxy, size):
    body = os.urandom(size)
    parts = [body[at:at + 10000] for at in range(0, size, 10000)]
    with proxy.connect() as client:
        for _ in range(2):
            client.send("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send(chunked(*parts))
            assert client.read_response().body == body
    assert echo.requests[-1].get("transfer-encoding") == "chunked"
    assert echo.requests[-1].get("content-length") is None


@pytest.mark.parametrize("size", [0, 1, 65537, 1 << 20])
def test_chunked_answers_go_through_unchanged(size):
    body = os.urandom(size)
    parts = [body[at:at + 7000] for at in range(0, size, 7000)]

    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*parts))

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(3):
            response = client.request()
            assert response.body == body
            assert response.get("transfer-encoding") == "chunked"


def test_an_answer_that_ends_with_the_connection():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 100000)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway:
        response = tagway.get()
        assert response.body == b"x" * 100000


def test_http_1_0_clients_get_no_chunks():
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"a" * 10, b"b"))

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        response = client.request(version="HTTP/1.0")
        assert response.get("transfer-encoding") is None
        assert response.body == b"aaaaaaaaaab"
        assert client.is_closed()


def test_the_answer_behind_one_without_a_body_is_the_right_one():
    def script(connection):
        while True:
            request = connection.read_request()
            if request.method == "HEAD":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
            elif request.target == "/204":
                connection.send(b"HTTP/1.1 204 No Content\r\n\r\n")
            elif request.target == "/304":
                connection.send(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 1000\r\n\r\n")
            else:
                connection.respond(b"body")

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.workers": 1}) as tagway:
        with tagway.connect() as client:
            for _ in range(3):
                assert client.request("HEAD").get("content-length") == "1000"
                assert client.request(target="/204").status == 204
                assert client.request(target="/304").status == 304
                assert client.request().body == b"body"
        # A body may still follow where none belongs, so only what has answered with one is lent at once:
        # each HEAD but the first goes out on the connection of the answer before it.
        assert len(origin.connections) <= 10


def test_interim_responses_are_relayed_in_order():
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                            b"HTTP/1.1 102 Processing\r\n\r\n")
            connection.respond(b"final")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(2):
            client.send(format_request())
            early = client.read_response()
            assert (early.status, early.get("link")) == (103, "</a>")
            assert client.read_response().status == 102
            assert client.read_response().body == b"final"


def test_http_1_0_clients_get_no_interim_response():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        connection.respond(b"final")

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        assert client.request(version="HTTP/1.0").status == 200


def test_expect_100_continue_is_asked_of_the_origin():
    def script(connection):
        request = connection.read_request(has_body=False)
        assert request.get("expect") == "100-continue"
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.respond(request.body)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
        assert client.read_response().status == 100
        client.send(b"body")
        assert client.read_response().body == b"body"


def test_a_refused_expectation_never_becomes_a_request():
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"

    def script(connection):
        connection.read_request(has_body=False)
        connection.respond(b"no", "403 Forbidden")
        connection.read_request(has_body=False)

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        client.send(b"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                    b"Content-Length: %d\r\n\r\n" % len(smuggled))
        assert client.read_response().status == 403
        try:
            client.send(smuggled)
            assert client.take_rest() == b""
        except OSError:
            pass  # already closed, which is as good
        assert [request.target for request in origin.requests] == ["/"]


def test_trailers_are_passed_to_who_asks_for_them():
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
                            + chunked(b"body", trailers=[("X-Sum", "1"), ("Set-Cookie", "evil=1")]))

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        response = client.request(fields=[("TE", "trailers"), ("Connection", "TE")])
        assert response.trailers == [("X-Sum", "1")]
        response = client.request()
        assert response.body == b"body"
        assert response.trailers == []


def test_request_trailers_are_dropped_unless_asked_for(echo, proxy):
    with proxy.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(b"body", trailers=[("X-Sum", "1"), ("Host", "evil")]))
        assert client.read_response().body == b"body"
    assert echo.requests[-1].trailers == []
    assert echo.requests[-1].all("host") == ["x"]


def test_a_trailer_says_nothing_that_only_the_proxy_says(echo):
    own = {"proxy.header.clientip": "X-Client-Addr", "proxy.header.requestid": "X-Request-Id"}
    with Tagway(route(echo), own) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nConnection: TE\r\nTransfer-Encoding: chunked\r\n\r\n"
                    + chunked(b"body", trailers=[("X-Sum", "1"), ("x-client-addr", "10.9.8.7"), ("X_Client-Addr", "10.9.8.7"),
                                                 ("X-Request-ID", "evil")]))
        assert client.read_response().body == b"body"
    assert echo.requests[-1].trailers == [("X-Sum", "1")]


def test_absolute_form_replaces_host(echo):
    with Tagway(route(echo, "abs.example/")) as tagway, tagway.connect() as client:
        response = client.request(target="http://abs.example/p?q", host="other.example")
        assert response.status == 200
        assert echo.requests[-1].target == "/p?q"
        assert echo.requests[-1].all("host") == ["abs.example"]


def test_a_half_closed_client_still_gets_its_answer(proxy):
    with proxy.connect() as client:
        client.send(format_request("POST", body=b"x" * 100000))
        client.half_close()
        assert client.read_response().body == b"x" * 100000
        assert client.is_closed()


# Rewriting


@pytest.mark.parametrize("options, target, want", [
    ("", "/a%2Fb//c?x=%20", "/a%2Fb//c?x=%20"),
    ("strip=/app", "/app/x?y", "/x?y"),
    ("strip=/app", "/app", "/"),
    ("prepend=/pre", "/app/x", "/pre/app/x"),
    ("strip=/app prepend=/pre", "/app/x", "/pre/x"),
])
def test_path_options(options, target, want):
    with Origin() as origin, Tagway(route(origin, options=options)) as tagway:
        assert tagway.get(target).status == 200
        assert origin.requests[-1].target == want


@pytest.mark.parametrize("options, want", [
    ("", "front.example:81"),
    ("host=dst", None),
    ("host=inner.example", "inner.example"),
])
def test_host_option(options, want):
    with Origin() as origin, Tagway(route(origin, options=options)) as tagway:
        tagway.get(host="front.example:81")
        assert origin.requests[-1].get("host") == (want or f"127.0.0.1:{origin.port}")
        # What the client asked for, not what it was rewritten to.
        assert origin.requests[-1].get("x-forwarded-host") == "front.example:81"
        assert origin.requests[-1].get("x-forwarded-port") == "81"


@pytest.mark.parametrize("opts", ["", "host=dst"])
def test_a_destination_that_no_host_can_name_is_502(opts):
    """A zone is of no meaning to anybody else."""
    with Tagway(f'route add svc / http://[fe80::1%25lo]:1/ opts "{opts}"\n') as tagway, tagway.connect() as client:
        assert client.request().status == 502
        client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert client.read_response().status == 502


@pytest.mark.parametrize("dst, target, want", [
    ("http://bar.example/", "/a?x=1", "http://bar.example/"),
    ("https://$host$path", "/abc/?a=1", "https://front.example/abc/?a=1"),
    ("http://bar.example/bbb/$path", "/a/b", "http://bar.example/bbb/a/b"),
    ("http://bar.example/$path", "/a%2fbc", "http://bar.example/a%2fbc"),
])
def test_redirects(dst, target, want):
    with Tagway(f'route add svc / {dst} opts "redirect=301"\n') as tagway:
        response = tagway.get(target, host="front.example")
        assert (response.status, response.get("location")) == (301, want)
        assert want.encode() in response.body
        response = tagway.get(target, host="front.example", method="HEAD")
        assert (response.status, response.get("location")) == (301, want)


def test_the_longest_prefix_and_the_exact_host_win():
    with Origin(name="root") as root, Origin(name="deep") as deep, Origin(name="host") as host:
        table = route(root) + route(deep, "/deep/er") + route(host, "front.example/")
        with Tagway(table) as tagway:
            assert tagway.get("/deep/er/x").body == b"deep"
            assert tagway.get("/deep/").body == b"root"
            assert tagway.get("/deep/er", host="FRONT.example:80").body == b"host"


def test_requests_are_spread_over_the_targets():
    with Origin(name="a") as a, Origin(name="b") as b:
        with Tagway(route(a) + route(b), {"proxy.strategy": "rr"}) as tagway, tagway.connect() as client:
            bodies = [client.request().body for _ in range(20)]
    assert bodies.count(b"a") == bodies.count(b"b") == 10


def test_weights_are_kept():
    with Origin(name="a") as a, Origin(name="b") as b:
        table = f"route add s / {a.url} weight 0.9\nroute add s / {b.url}\n"
        with Tagway(table) as tagway, tagway.connect() as client:
            bodies = [client.request().body for _ in range(1000)]
    # 900 expected; five standard deviations are 48.
    assert 850 < bodies.count(b"a") < 950


# Forwarding headers


def test_forwarding_headers_of_a_plain_request():
    with Origin() as origin, Tagway(route(origin, options="strip=/s")) as tagway:
        tagway.get("/s/x", host="front.example:8080")
        got = origin.requests[-1]
    assert got.get("x-forwarded-for") == "127.0.0.1"
    assert got.get("x-real-ip") == "127.0.0.1"
    assert got.get("x-forwarded-proto") == "http"
    assert got.get("x-forwarded-port") == "8080"
    assert got.get("x-forwarded-host") == "front.example:8080"
    assert got.get("x-forwarded-prefix") == "/s"
    assert got.get("forwarded").startswith("for=127.0.0.1; proto=http")
    assert "httpproto=http/1.1" in got.get("forwarded")


INCOMING = [("X-Forwarded-For", "9.9.9.9"), ("X-Forwarded-Proto", "https"), ("X-Real-Ip", "9.9.9.9"),
            ("X-Forwarded-Host", "outer.example"), ("X-Forwarded-Port", "443"),
            ("Forwarded", "for=9.9.9.9; proto=https")]


def test_a_trusted_peer_is_believed():
    with Origin() as origin, Tagway(route(origin)) as tagway:
        tagway.get(fields=INCOMING)
        got = origin.requests[-1]
    assert got.all("x-forwarded-for") == ["9.9.9.9, 127.0.0.1"]
    assert got.get("x-forwarded-proto") == "https"
    assert got.get("x-real-ip") == "9.9.9.9"
    assert got.get("x-forwarded-host") == "outer.example"
    assert got.get("x-forwarded-port") == "443"
    assert got.get("forwarded").startswith("for=9.9.9.9; proto=https")


def test_nobody_else_is_believed():
    with Origin() as origin, Tagway(route(origin), {"proxy.trusted": "10.0.0.0/8"}) as tagway:
        tagway.get(fields=INCOMING)
        got = origin.requests[-1]
    assert got.all("x-forwarded-for") == ["127.0.0.1"]
    assert got.get("x-forwarded-proto") == "http"
    assert got.all("x-real-ip") == ["127.0.0.1"]
    assert got.get("x-forwarded-host") == "localhost"
    assert "9.9.9.9" not in got.raw_head.decode()


# Failures of the origin


def test_no_route_is_404():
    with Tagway("", {"proxy.noroutestatus": "404"}) as tagway:
        assert tagway.get().status == 404


def test_the_no_route_status_is_the_operators():
    with Tagway("", {"proxy.noroutestatus": "418"}) as tagway:
        assert tagway.get().status == 418


def test_connect_failure_goes_to_the_next_target():
    with Origin() as origin:
        table = route(refused_port(), service="a") + route(origin, service="b")
        with Tagway(table, {"proxy.strategy": "rr"}) as tagway:
            for _ in range(20):
                assert tagway.get().body == b"origin"
            assert tagway.get(method="POST", body=b"x" * 100000).status == 200


def test_connect_failure_everywhere_is_502():
    with Tagway(route(refused_port())) as tagway:
        response = tagway.get()
        assert response.status == 502
        assert 0 < len(response.body) < 1000


def test_a_stale_connection_loses_no_get():
    """The origin closes after each answer without saying so."""

    def script(connection):
        connection.read_request()
        connection.respond()

    with ScriptedOrigin(script) as origin, Tagway(route(origin)) as tagway, tagway.connect() as client:
        for _ in range(200):
            assert client.request().status == 200


def test_routes_change_while_running():
    with Origin(name="a") as a, Origin(name="b") as b, Tagway(route(a)) as tagway:
        assert tagway.get().body == b"a"
        tagway.set_routes(route(b), lambda routes: routes[0]["dst"] == b.url)
        assert tagway.get().body == b"b"
        tagway.set_routes("")
        wait_until(lambda: tagway.get().status == 404, what="the route to go")
