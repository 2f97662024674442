# SPDX-License-Identifier: Apache-2.0
"""fabio 5.3, 5.5 and 5.6: every header rule, row by row. Fields are compared as sets: their order and
the case of their names are the client's here, canonical in fabio. What nobody may nominate, spoof or
smuggle is proved in tests/wire."""

import re
import socket

import pytest

from harness.client import Client, format_request
from harness.origin import Origin, ScriptedOrigin, response
from harness.tagway import Tagway, route

OPTIONS = {
    "proxy.header.clientip": "X-Cip", "proxy.header.requestid": "X-Id",
    "proxy.header.tls": "X-Tls", "proxy.header.tls.value": "yes", "proxy.localip": "192.0.2.2",
}
UUID4 = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
BY = "; by=192.0.2.2; httpproto=http/1.1"


@pytest.fixture(scope="module")
def proxy(origin):
    def add(path, options):
        return route(origin, path, options=options)

    with Tagway(route(origin) + add("/strip", "strip=/strip") + add("/dst", "host=dst")
                + add("/name", "host=inner.example"), OPTIONS) as tagway:
        yield tagway


def sent(proxy, origin, fields=(), target="/", host="front.example:81", version="HTTP/1.1"):
    """The request as the origin got it."""
    with proxy.connect() as client:
        assert client.request("GET", target, fields, None, host, version).status == 200
    return origin.requests[-1]


# 5.3, Host


@pytest.mark.parametrize("target, want", [("/", "front.example:81"), ("/dst", "127.0.0.1:{port}"),
                                          ("/name", "inner.example")])
def test_host(proxy, origin, target, want):
    got = sent(proxy, origin, target=target)
    assert got.all("host") == [want.replace("{port}", str(origin.port))]
    # what the client asked for, not what became of it; in fabio the rewritten one.
    assert got.get("x-forwarded-host") == "front.example:81"
    assert got.get("x-forwarded-port") == "81"


def test_http_1_0_without_host_gets_the_destination(proxy, origin):
    got = sent(proxy, origin, host=None, version="HTTP/1.0")
    assert got.all("host") == [f"127.0.0.1:{origin.port}"]
    assert got.get("x-forwarded-host") is None


# 5.5, what is added. Each row: name, fields of the request, name of a field upstream, its lines.

TRUSTED = [
    ("X-Real-Ip absent", [], "x-real-ip", ["127.0.0.1"]),
    ("X-Real-Ip empty", [("X-Real-Ip", "")], "x-real-ip", ["127.0.0.1"]),
    ("X-Real-Ip kept", [("X-Real-Ip", "3.3.3.3")], "x-real-ip", ["3.3.3.3"]),
    ("X-Forwarded-For absent", [], "x-forwarded-for", ["127.0.0.1"]),
    ("X-Forwarded-For joined", [("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-For", "2.2.2.2, 4.4.4.4")],
     "x-forwarded-for", ["1.1.1.1, 2.2.2.2, 4.4.4.4, 127.0.0.1"]),
    ("X-Forwarded-Proto absent", [], "x-forwarded-proto", ["http"]),
    ("X-Forwarded-Proto empty", [("X-Forwarded-Proto", "")], "x-forwarded-proto", ["http"]),
    ("X-Forwarded-Proto kept", [("X-Forwarded-Proto", "https")], "x-forwarded-proto", ["https"]),
    ("X-Forwarded-Proto from Forwarded", [("Forwarded", "for=1.1.1.1; proto=https;host=x")],
     "x-forwarded-proto", ["https"]),
    ("X-Forwarded-Port from Host", [], "x-forwarded-port", ["81"]),
    ("X-Forwarded-Port kept", [("X-Forwarded-Port", "1")], "x-forwarded-port", ["1"]),
    ("X-Forwarded-Host from Host", [], "x-forwarded-host", ["front.example:81"]),
    ("X-Forwarded-Host kept", [("X-Forwarded-Host", "h")], "x-forwarded-host", ["h"]),
    ("X-Forwarded-Prefix as received", [("X-Forwarded-Prefix", "/p")], "x-forwarded-prefix", ["/p"]),
    ("X-Forwarded-Prefix absent", [], "x-forwarded-prefix", []),
    ("Forwarded absent", [], "forwarded", ["for=127.0.0.1; proto=http" + BY]),
    ("Forwarded extended", [("Forwarded", "for=1.1.1.1; proto=https")], "forwarded",
     ["for=1.1.1.1; proto=https" + BY]),
    ("Forwarded says the scheme", [("X-Forwarded-Proto", "https")], "forwarded",
     ["for=127.0.0.1; proto=https" + BY]),
    ("Forwarded of several lines", [("Forwarded", "for=1.1.1.1"), ("Forwarded", "for=2.2.2.2")], "forwarded",
     ["for=1.1.1.1, for=2.2.2.2" + BY]),  # fabio loses the second
    ("client IP header", [], "x-cip", ["127.0.0.1"]),
    ("client IP header overwritten", [("X-Cip", "9.9.9.9"), ("x-cip", "8.8.8.8")], "x-cip", ["127.0.0.1"]),
    ("TLS header removed on plain", [("X-Tls", "yes")], "x-tls", []),
    ("Accept-Encoding is added", [], "accept-encoding", ["gzip"]),
    ("Accept-Encoding as received", [("Accept-Encoding", "br")], "accept-encoding", ["br"]),
    ("Accept-Encoding named by Connection", [("Accept-Encoding", "br"), ("Connection", "Accept-Encoding")],
     "accept-encoding", ["gzip"]),
    ("Accept-Encoding is not added to a Range", [("Range", "bytes=0-1")], "accept-encoding", []),
    ("no User-Agent is invented", [], "user-agent", []),
    ("User-Agent as received", [("User-Agent", "x/1")], "user-agent", ["x/1"]),
    ("repeated fields stay apart", [("X-A", "1"), ("X-B", "2"), ("X-A", "3")], "x-a", ["1", "3"]),
    ("Authorization goes on", [("Authorization", "Basic eA==")], "authorization", ["Basic eA=="]),
    ("Te: trailers is added again", [("TE", "gzip, trailers"), ("Connection", "TE")], "te", ["trailers"]),
    ("other Te is dropped", [("TE", "gzip"), ("Connection", "TE")], "te", []),
    ("Connection is dropped", [("Connection", "keep-alive, X-Foo"), ("X-Foo", "1")], "connection", []),
    ("what Connection names is dropped", [("Connection", "X-Foo"), ("X-Foo", "1")], "x-foo", []),
    ("Proxy-Connection is dropped", [("Proxy-Connection", "keep-alive")], "proxy-connection", []),
    ("Keep-Alive is dropped", [("Keep-Alive", "5")], "keep-alive", []),
    ("Proxy-Authenticate is dropped", [("Proxy-Authenticate", "x")], "proxy-authenticate", []),
    ("Proxy-Authorization is dropped", [("Proxy-Authorization", "x")], "proxy-authorization", []),
    ("Trailer is dropped", [("Trailer", "X-A")], "trailer", []),
    ("Upgrade is dropped", [("Upgrade", "h2c"), ("Connection", "Upgrade")], "upgrade", []),
]


@pytest.mark.parametrize("row, fields, name, want", TRUSTED, ids=[row for row, _, _, _ in TRUSTED])
def test_request_header(proxy, origin, row, fields, name, want):
    assert sent(proxy, origin, fields).all(name) == want


@pytest.mark.parametrize("name, value", [
    ("Forwarded", "for=1.1.1.1"), ("X-Forwarded-For", "1.1.1.1"), ("X-Forwarded-Host", "h"),
    ("X-Forwarded-Port", "1"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Prefix", "/p"),
    ("X-Real-Ip", "1.1.1.1"),
])
def test_connection_cannot_delete_protected_headers(proxy, origin, name, value):
    got = sent(proxy, origin, [("Connection", f"close, {name.lower()}"), (name, value)])
    assert got.get(name).startswith(value)


@pytest.mark.parametrize("name", ["X-Id", "X-Cip"])
def test_connection_cannot_delete_ours(proxy, origin, name):
    assert len(sent(proxy, origin, [("Connection", name)]).all(name)) == 1


@pytest.mark.parametrize("target, fields, want", [
    ("/strip/x", [], ["/strip"]),
    ("/strip/x", [("X-Forwarded-Prefix", "/p")], ["/strip"]),
])
def test_prefix_of_a_stripped_route(proxy, origin, target, fields, want):
    assert sent(proxy, origin, fields, target).all("x-forwarded-prefix") == want


@pytest.mark.parametrize("host, port", [
    ("front.example", "80"), ("front.example:81", "81"),
    ("[2001:db8::1]", "80"), ("[2001:db8::1]:81", "81"),  # fabio says 2001:db8::1]...
])
def test_forwarded_port(proxy, origin, host, port):
    assert sent(proxy, origin, host=host).all("x-forwarded-port") == [port]


def test_httpproto_of_http_1_0(proxy, origin):
    got = sent(proxy, origin, version="HTTP/1.0")
    assert got.get("forwarded") == "for=127.0.0.1; proto=http; by=192.0.2.2; httpproto=http/1.0"


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6_peer():
    """Q-6: RFC 7239 wants quotes and brackets; fabio writes neither."""
    from harness.ports import free_port

    port = free_port()
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no IPv6")
    with Origin() as origin, Tagway(route(origin), {"proxy.addr": f"[::1]:{port}", "proxy.localip": "2001:db8::2"}):
        with socket.create_connection(("::1", port)) as client:
            client.sendall(format_request())
            assert client.recv(100).startswith(b"HTTP/1.1 200")
        got = origin.requests[-1]
        assert got.get("forwarded") == \
            'for="[::1]"; proto=http; by="[2001:db8::2]"; httpproto=http/1.1'
        assert got.get("x-forwarded-for") == got.get("x-real-ip") == "::1"


def test_without_localip_there_is_no_by():
    with Origin() as origin, Tagway(route(origin), {"proxy.localip": ""}) as tagway:
        tagway.get()
        assert origin.requests[-1].get("forwarded") == "for=127.0.0.1; proto=http; httpproto=http/1.1"


# The request id


def test_request_id_is_a_fresh_uuid(proxy, origin):
    """Q-26: fabio's are sequential and no UUIDs."""
    ids = set()
    for _ in range(50):
        (one,) = sent(proxy, origin, [("X-Id", "the client's"), ("x-id", "again")]).all("x-id")
        assert re.fullmatch(UUID4, one)
        ids.add(one)
    assert len(ids) == 50


def test_a_further_try_keeps_its_request_id():
    seen = []

    def script(connection):
        while True:
            seen.append(connection.read_request().get("x-id"))
            if len(seen) == 2:
                return  # the pooled connection dies
            connection.respond()

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.header.requestid": "X-Id", "proxy.workers": 1}) as tagway:
            with tagway.connect() as client:
                for _ in range(2):
                    assert client.request().status == 200
    assert len(seen) == 3 and seen[1] == seen[2] != seen[0]


def test_without_the_option_the_client_s_id_goes_on():
    with Origin() as origin, Tagway(route(origin)) as tagway:
        tagway.get(fields=[("X-Request-Id", "mine")])
        assert origin.requests[-1].all("x-request-id") == ["mine"]


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-Ip"])
def test_a_client_ip_header_that_has_rules_of_its_own(name):
    with Origin() as origin, Tagway(route(origin), {"proxy.header.clientip": name}) as tagway:
        tagway.get()
        assert origin.requests[-1].all(name) == ["127.0.0.1"]


# Untrusted peers: nothing they say of themselves goes on (fabio believes everyone).


@pytest.mark.parametrize("name, value, want", [
    ("Forwarded", "for=1.1.1.1", ["for=127.0.0.1; proto=http; by=192.0.2.2; httpproto=http/1.1"]),
    ("X-Forwarded-For", "1.1.1.1", ["127.0.0.1"]),
    ("X-Forwarded-Host", "h", ["localhost"]),
    ("X-Forwarded-Port", "1", ["80"]),
    ("X-Forwarded-Proto", "https", ["http"]),
    ("X-Forwarded-Prefix", "/p", []),
    ("X-Real-Ip", "1.1.1.1", ["127.0.0.1"]),
])
def test_untrusted(name, value, want, untrusting, origin):
    untrusting.get(fields=[(name, value)])
    assert origin.requests[-1].all(name) == want


@pytest.fixture(scope="module")
def untrusting(origin):
    with Tagway(route(origin), {**OPTIONS, "proxy.trusted": ""}) as tagway:
        yield tagway


# 5.6, responses


@pytest.fixture(scope="module")
def answering():
    fields = [("X-A", "1"), ("X-A", "2"), ("Connection", "X-Nom, keep-alive"), ("X-Nom", "1"), ("Keep-Alive", "5"),
              ("Proxy-Connection", "x"), ("Trailer", "X-T"), ("Proxy-Authenticate", "Basic"), ("Server", "o"),
              ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("Strict-Transport-Security", "max-age=1")]

    def respond(request):
        return (b"body", "200 OK", fields + ([("Date", "then")] if request.target == "/dated" else []))

    with Origin(respond) as origin:
        with Tagway(route(origin), {"proxy.header.sts.maxage": "60", "proxy.header.sts.subdomains": "true",
                                    "proxy.header.sts.preload": "true"}) as tagway:
            yield tagway


@pytest.mark.parametrize("name, want", [
    ("X-A", ["1", "2"]), ("Set-Cookie", ["a=1", "b=2"]), ("Server", ["o"]),
    ("X-Nom", []), ("Connection", []), ("Keep-Alive", []), ("Proxy-Connection", []), ("Trailer", []),
    ("Proxy-Authenticate", []),
    ("Strict-Transport-Security", ["max-age=1"]),  # the origin's own; ours only where TLS is
])
def test_response_header(answering, name, want):
    assert answering.get().all(name) == want


def test_date_is_added_where_there_is_none(answering):
    assert re.fullmatch(r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT", answering.get().get("date"))
    assert answering.get("/dated").all("date") == ["then"]


def test_no_server_header_is_added():
    with ScriptedOrigin(lambda connection: (connection.read_request(), connection.send(response(b"x")))) as origin:
        with Tagway(route(origin), {"proxy.header.sts.maxage": "60"}) as tagway:
            got = tagway.get()
            assert got.get("server") is None
            assert got.get("strict-transport-security") is None
            assert got.get("content-type") is None  # fabio sniffs one


def test_answers_of_our_own_have_a_date():
    with Tagway("") as tagway, Client(tagway.port) as client:
        assert client.request().get("date")
