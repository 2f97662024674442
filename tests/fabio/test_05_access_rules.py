# SPDX-License-Identifier: Apache-2.0
"""fabio's section 5.10, access rules: allow and deny of a route, against the address of the peer and,
from a trusted one, against X-Forwarded-For. Loopback is a network of its own: 127.0.0.1 is the trusted
balancer here and 127.0.0.2 a client from outside."""

import json
import urllib.parse

import pytest

from harness.client import Client, format_request
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import Tagway, route

BALANCER = "127.0.0.1"
OUTSIDER = "127.0.0.2"

# host: options
ROUTES = {
    "open": "",
    "allow-net": "allow=ip:127.0.0.0/8",
    "allow-one": "allow=ip:127.0.0.1",
    "allow-host-bits": "allow=ip:127.9.9.9/8",
    "allow-two": "allow=ip:10.0.0.0/8,ip:127.0.0.0/8",
    "allow-semicolon": "allow=ip:10.0.0.0/8;ip:127.0.0.0/8",
    "allow-bar": "allow=ip:10.0.0.0/8|ip:127.0.0.0/8",
    "allow-upper": "allow=IP:127.0.0.0/8",
    "allow-mapped": "allow=ip:::ffff:127.0.0.0/104",
    "allow-v6": "allow=ip:::/0",
    "allow-v4": "allow=ip:0.0.0.0/0",
    "allow-other": "allow=ip:10.0.0.0/8",
    "deny-net": "deny=ip:127.0.0.0/8",
    "deny-one": "deny=ip:127.0.0.1",
    "deny-other": "deny=ip:10.0.0.0/8",
    "deny-v6": "deny=ip:::/0",
    "empty": "allow= deny=",
    "both": "allow=ip:127.0.0.0/8 deny=ip:10.0.0.0/8",
    "no-type": "deny=10.0.0.1",
    "bad-type": "deny=host:10.0.0.1",
    "bad-address": "allow=ip:127.0.0.0/8,ip:10.0.0",
    "bad-bits": "deny=ip:10.0.0.0/33",
    "bad-last": "allow=ip:127.0.0.0/8;oops",
    "only-separators": "allow=,",
    "redirect": "redirect=302 deny=ip:127.0.0.0/8",
    "outsider-only": "allow=ip:127.0.0.2",
    "no-outsider": "deny=ip:127.0.0.2",
    "allow-chain": "allow=ip:127.0.0.0/8,ip:10.0.0.0/8,ip:203.0.113.0/24,ip:2001:db8::/32",
}
CLOSED = ("both", "no-type", "bad-type", "bad-address", "bad-bits", "bad-last", "only-separators")


@pytest.fixture(scope="module")
def proxy(origin):
    text = "".join(route(origin, f"{name}.example/", options=options) for name, options in ROUTES.items())
    text += route(origin, "/guarded", options="deny=ip:127.0.0.0/8") + route(origin, "/")
    port, port_v6 = free_port(), free_port()
    with Tagway(text, {"proxy.trusted": f"{BALANCER},192.0.2.0/24", "log.access.target": "stdout",
                       "log.access.format": "json",
                       "proxy.addr": f"127.0.0.1:{port},[::1]:{port_v6}"}) as tagway:
        tagway.port = port
        tagway.port_v6 = port_v6
        yield tagway


def ask(proxy, name, source=BALANCER, fields=(), method="GET", body=None, target="/"):
    with proxy.connect(source=source) as client:
        return client.request(method, target, fields, body, f"{name}.example")


def xff(*values):
    return [("X-Forwarded-For", value) for value in values]


# The lists.


@pytest.mark.parametrize("name, status", [
    ("open", 200), ("allow-net", 200), ("allow-one", 200), ("allow-host-bits", 200), ("allow-two", 200),
    ("allow-semicolon", 200), ("allow-bar", 200), ("allow-upper", 200), ("allow-mapped", 200),
    ("allow-v6", 403), ("allow-v4", 200), ("allow-other", 403), ("deny-net", 403), ("deny-one", 403),
    ("deny-other", 200), ("deny-v6", 200), ("empty", 200), ("redirect", 403),
])
def test_the_peer_is_checked(proxy, origin, name, status):
    requests_before = len(origin.requests)
    assert ask(proxy, name).status == status
    assert len(origin.requests) - requests_before == (status == 200)


@pytest.mark.parametrize("name, status", [
    ("allow-v6", 200), ("allow-v4", 403), ("deny-v6", 403), ("deny-net", 200), ("allow-net", 403),
])
def test_the_peer_is_checked_over_ipv6(proxy, name, status):
    with Client(proxy.port_v6, "::1") as client:
        assert client.request(host=f"{name}.example").status == status


@pytest.mark.parametrize("name, status", [("allow-net", 200), ("deny-net", 403), ("deny-v6", 200)])
def test_an_ipv4_peer_of_a_listener_for_both_families_is_ipv4(origin, name, status):
    port = free_port()
    with Tagway(route(origin, f"{name}.example/", options=ROUTES[name]),
                {"proxy.addr": f"[::]:{port}"}) as tagway:
        tagway.port = port
        assert ask(tagway, name).status == status


@pytest.mark.parametrize("name", CLOSED)
def test_rules_that_are_wrong_let_nobody_in(proxy, origin, name):
    """fabio serves such a route to everyone."""
    requests_before = len(origin.requests)
    for source in (BALANCER, OUTSIDER):
        assert ask(proxy, name, source).status == 403
    assert len(origin.requests) == requests_before


@pytest.mark.parametrize("name, reason", [
    ("both", "allow and deny exclude each other"),
    ("no-type", '"10.0.0.1" is not ip:ADDRESS'),
    ("bad-type", '"host:10.0.0.1" is not'),
    ("bad-address", '"ip:10.0.0" is not'),
    ("bad-bits", '"ip:10.0.0.0/33" is not'),
    ("bad-last", '"oops" is not'),
    ("only-separators", '"," is not'),
])
def test_rules_that_are_wrong_are_listed(proxy, name, reason):
    rows = [row for row in proxy.problems() if f"{name}.example/" in row["text"]]
    assert any(reason in row["reason"] and "403" in row["reason"] for row in rows), rows


# The answer.


@pytest.mark.parametrize("method, body", [("GET", None), ("HEAD", None), ("POST", b"x" * 1000)])
def test_the_answer(proxy, method, body):
    response = ask(proxy, "deny-net", method=method, body=body)
    assert response.status == 403
    assert response.body == (b"" if method == "HEAD" else b"access denied\n")
    assert response.get("content-length") == "14"
    assert response.get("content-type") == "text/plain; charset=utf-8"
    assert response.get("x-content-type-options") == "nosniff"
    assert response.get("location") is None


def test_the_connection_goes_on(proxy):
    with proxy.connect() as client:
        assert client.request(host="deny-net.example").status == 403
        assert client.request("POST", body=b"abc", host="deny-net.example").status == 403
        assert client.request(host="open.example").status == 200


def test_a_body_that_is_still_to_come_is_not_awaited(proxy, origin):
    requests_before = len(origin.requests)
    with proxy.connect() as client:
        client.send("POST / HTTP/1.1\r\nHost: deny-net.example\r\nContent-Length: 10\r\n\r\nabc")
        assert client.read_response().status == 403
        assert client.is_closed()
    assert len(origin.requests) == requests_before


def test_a_websocket_is_refused_too(proxy, origin):
    requests_before = len(origin.requests)
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
               ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]
    assert ask(proxy, "deny-net", fields=upgrade).status == 403
    assert len(origin.requests) == requests_before


def test_it_is_counted_and_logged(proxy):
    before = proxy.metric("tagway_proxy_access_denied_total")
    assert ask(proxy, "deny-net", target="/counted").status == 403
    assert proxy.metric("tagway_proxy_access_denied_total") == before + 1
    lines = wait_until(lambda: [json.loads(line) for line in proxy.process.stdout().splitlines()
                                if "/counted" in line], what="the access log line")
    assert len(lines) == 1
    assert lines[0]["status"] == 403
    assert lines[0]["reason"] == "access_denied"


# X-Forwarded-For of a trusted peer: every member counts, any denial is one.


@pytest.mark.parametrize("name, values, status", [
    ("allow-chain", ["10.1.2.3"], 200),
    ("allow-chain", ["11.1.2.3"], 403),
    ("allow-chain", ["10.1.2.3, 203.0.113.9"], 200),
    ("allow-chain", ["10.1.2.3,203.0.113.9"], 200),
    ("allow-chain", ["8.8.8.8, 203.0.113.9"], 403),
    ("allow-chain", ["203.0.113.9, 8.8.8.8"], 403),
    ("allow-chain", ["127.0.0.1"], 200),
    ("allow-chain", ["2001:db8::7"], 200),
    ("allow-chain", ["2001:db9::7"], 403),
    ("allow-chain", ["::ffff:10.1.2.3"], 200),
    ("allow-chain", ["::ffff:8.8.8.8"], 403),
    ("allow-chain", ["10.1.2.3:4711"], 200),
    ("allow-chain", ["8.8.8.8:4711"], 403),
    ("allow-chain", ["[2001:db8::7]:4711, [2001:db8::8]"], 200),
    ("allow-chain", ["[2001:db9::7]:4711"], 403),
    ("allow-chain", [""], 200),
    ("allow-chain", [" , ,10.1.2.3,"], 200),
    ("allow-chain", ["8.8.8.8", "10.1.2.3"], 403),  # every line of the field
    ("allow-chain", ["10.1.2.3", "8.8.8.8"], 403),
    ("allow-chain", ["10.1.2.3", "10.1.2.4"], 200),
    ("deny-other", ["8.8.8.8"], 200),
    ("deny-other", ["10.1.2.3"], 403),
    ("deny-other", ["8.8.8.8, 10.1.2.3"], 403),
    ("deny-other", ["10.1.2.3, 8.8.8.8"], 403),
    # What is no address: the balancer's own word closes, what is behind it says nothing.
    ("deny-other", ["unknown"], 403),
    ("deny-other", ["8.8.8.8, unknown"], 403),
    ("deny-other", ["8.8.8.8, unknown, 192.0.2.1"], 403),
    ("deny-other", ["unknown, 8.8.8.8"], 200),
    ("deny-other", ["1.2.3, <b>, 8.8.8.8, 192.0.2.1"], 200),
    ("deny-other", [", ".join(["8.8.8.8"] * 64)], 200),
    ("deny-other", [", ".join(["8.8.8.8"] * 65)], 403),
])
def test_x_forwarded_for_of_a_trusted_peer(proxy, name, values, status):
    assert ask(proxy, name, BALANCER, xff(*values)).status == status


def test_the_peer_counts_beside_x_forwarded_for(proxy):
    assert ask(proxy, "deny-one", BALANCER, xff("8.8.8.8")).status == 403
    assert ask(proxy, "allow-other", BALANCER, xff("10.1.2.3")).status == 403


# Whatever a client that is not trusted says, it is its socket's address that counts.

SPOOFS = {
    "x-forwarded-for": xff("{}"),
    "lower case": [("x-forwarded-for", "{}")],
    "a list": xff("{}, {}"),
    "a list with a trusted proxy": xff("{}, 127.0.0.1"),
    "two lines": xff("{}", "{}"),
    "with port": xff("{}:80"),
    "in brackets": xff("[{}]"),
    "mapped": xff("::ffff:{}"),
    "no address": xff("unknown"),
    "empty": xff(""),
    "other fields with underscores": [("X_Cluster_Client_Ip", "{}"), ("Remote_Addr", "{}")],
    "nominated": [("Connection", "X-Forwarded-For"), *xff("{}")],
    "x-real-ip": [("X-Real-Ip", "{}")],
    "forwarded": [("Forwarded", "for={}")],
    "forwarded quoted": [("Forwarded", 'for="{}:80";proto=http')],
    "client ip": [("X-Client-IP", "{}"), ("Client-IP", "{}")],
    "cluster client": [("X-Cluster-Client-Ip", "{}")],
    "true client": [("True-Client-IP", "{}"), ("CF-Connecting-IP", "{}")],
    "original": [("X-Original-Forwarded-For", "{}"), ("X-Originating-IP", "{}")],
    "remote": [("X-Remote-Addr", "{}"), ("X-Remote-IP", "{}"), ("Remote-Addr", "{}")],
    "via": [("Via", "1.1 {}")],
    "everything": [(name, "{}") for name in ("X-Forwarded-For", "X-Real-Ip", "Forwarded", "Via")],
}


def spoof(variant, address):
    return [(name, value.replace("{}", address)) for name, value in SPOOFS[variant]]


@pytest.mark.parametrize("variant", SPOOFS)
def test_an_outsider_cannot_change_its_address(proxy, origin, variant):
    requests_before = len(origin.requests)
    for name, address in (("allow-one", "127.0.0.1"), ("allow-other", "10.1.2.3"),
                          ("no-outsider", "127.0.0.3"), ("no-outsider", "10.1.2.3")):
        assert ask(proxy, name, OUTSIDER, spoof(variant, address)).status == 403
    assert len(origin.requests) == requests_before
    for name, address in (("outsider-only", "127.0.0.1"), ("outsider-only", "10.1.2.3"),
                          ("deny-other", "10.1.2.3"), ("deny-one", "127.0.0.1")):
        assert ask(proxy, name, OUTSIDER, spoof(variant, address)).status == 200


@pytest.mark.parametrize("name", ["X_Forwarded_For", "X-Forwarded_For", "X_Real_Ip"])
@pytest.mark.parametrize("source", [BALANCER, OUTSIDER])
def test_look_alikes_are_refused(proxy, origin, source, name):
    requests_before = len(origin.requests)
    for host, address in (("allow-one", "127.0.0.1"), ("allow-net", "10.1.2.3")):
        assert ask(proxy, host, source, [(name, address)]).status in (400, 403)
    assert len(origin.requests) == requests_before


def test_an_outsider_cannot_speak_the_proxy_protocol(proxy, origin):
    requests_before = len(origin.requests)
    with proxy.connect(source=OUTSIDER) as client:
        client.send(b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n" + format_request(host="allow-one.example"))
        assert client.read_response().status == 400
    assert len(origin.requests) == requests_before


# The route that is matched is the one that is used.

PATHS = [
    "/guarded", "/guarded/", "/guarded/x", "//guarded", "///guarded//x", "/./guarded", "/x/../guarded",
    "/%67uarded", "/g%75arde%64/x", "/%2fguarded", "/%2Fguarded", "/x%2f..%2fguarded", "/x/%2e%2e/guarded",
    "/x/.%2e/guarded", "/x/..;/guarded", "/x/..%3b/guarded", "/%252fguarded", "/%25%36%37uarded",
    "/\\guarded", "/x\\..\\guarded", "/%5cguarded", "/x%5c..%5cguarded", "/%00/guarded", "/guarded%00",
    "/%c0%afguarded", "/x/%c0%ae%c0%ae/guarded", "/guarded?x", "/x?/../guarded", "/guarded;x", "/;/guarded",
    "/x/../../guarded", "/%2e/guarded", "http://other.example/guarded", "http://other.example//guarded",
    "http://other.example/x/../guarded",
]


def resolve(target):
    """What an origin that decodes once and removes dot segments makes of a target."""
    if "://" in target:
        target = "/" + target.split("://", 1)[1].partition("/")[2]
    path = urllib.parse.unquote(target.partition("?")[0], "latin-1")
    parts = []
    for part in path.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


@pytest.mark.parametrize("target", PATHS)
def test_no_way_around_through_the_path(proxy, origin, target):
    requests_before = len(origin.requests)
    with proxy.connect() as client:
        status = client.request(target=target, host="other.example").status
    assert status in (200, 400, 403)
    for request in origin.requests[requests_before:]:
        assert not resolve(request.target).startswith("/guarded"), request.target
    if target in ("/guarded", "//guarded", "/%67uarded", "/x/../guarded", "/%2fguarded"):
        assert status == 403


# Changes.


def test_rules_can_be_changed(origin):
    with Tagway(route(origin, options="deny=ip:127.0.0.0/8")) as tagway:
        with tagway.connect() as client:
            assert client.request().status == 403
            tagway.set_routes(route(origin, options="deny=ip:10.0.0.0/8"),
                              lambda rows: "10.0.0.0" in json.dumps(rows))
            wait_until(lambda: client.request().status == 200, what="the new rules")
            tagway.set_routes(route(origin, options="deny=oops"), lambda rows: "oops" in json.dumps(rows))
            wait_until(lambda: client.request().status == 403, what="the closed route")
