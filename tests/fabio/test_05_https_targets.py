# SPDX-License-Identifier: Apache-2.0
"""https targets: the rows of fabio's sections 1.5 (proto=https), 1.6 (host, tlsskipverify), 5.12 (wss
targets), 5.13 (TLS failures) and the quirks Q-24 and Q-27."""

import json
import os
import re
import socket
import ssl
import struct
import threading
import time

import pytest

from harness.client import Closed, chunked, format_request
from harness.load import Load
from harness.origin import Origin, ScriptedOrigin, response
from harness.ports import free_port
from harness.process import SLOWNESS, Process, wait_until
from harness.tagway import Tagway, route
from harness.tls import Authority, TlsOrigin, TlsScriptedOrigin, https_route

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


@pytest.fixture(scope="module")
def ca():
    authority = Authority()
    yield authority
    authority.close()


@pytest.fixture(scope="module")
def certificate(ca):
    return ca.issue("127.0.0.1", "localhost")


def trusting(ca, **more):
    return {"proxy.upstream.cafile": ca.file, "proxy.workers": 1, **more}


def tls_log(tagway):
    return re.findall(r"\[ERROR\] TLS to (.*)", tagway.stderr())


# 1.5: what proto=https makes of a destination is in tests/unit/route/test_tag.c; here it is reached.


def test_an_https_target_is_reached(ca, certificate):
    with TlsOrigin(certificate) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        got = tagway.get("/a?b=c")
        assert (got.status, got.body) == (200, b"origin")
        assert origin.requests[0].target == "/a?b=c"
        assert origin.versions == ["TLSv1.3"]
        # The client came in plain: that is what the forwarding fields speak of.
        assert origin.requests[0].get("x-forwarded-proto") == "http"


def test_without_a_port_it_is_443(ca):
    with Tagway("route add svc / https://127.0.0.2/\n", trusting(ca)) as tagway:
        assert tagway.get().status == 502
        assert tagway.problems() == []


def test_alpn_offers_http_1_1(ca, certificate):
    with TlsOrigin(certificate) as origin:
        origin.context.set_alpn_protocols(["h2", "http/1.1"])
        with Tagway(https_route(origin), trusting(ca)) as tagway:
            assert tagway.get().status == 200
            assert origin.alpn == ["http/1.1"]


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_wss_is_https(ca, certificate, scheme):
    with TlsOrigin(certificate) as origin, \
            Tagway(https_route(origin).replace("https", scheme), trusting(ca)) as tagway:
        assert tagway.get().status == 200


# 5.13 and Q-27: a failed verification is 502 and says why.

BAD = {
    "expired": (lambda ca, other: ca.issue("127.0.0.1", days=-1), "certificate has expired"),
    "another address": (lambda ca, other: ca.issue("127.0.0.2"), "IP address mismatch"),
    "a name, not the address": (lambda ca, other: ca.issue("localhost"), "IP address mismatch"),
    "only a common name": (lambda ca, other: ca.issue(common_name="127.0.0.1"), "IP address mismatch"),
    "an authority nobody trusts": (lambda ca, other: other.issue("127.0.0.1"),
                                   "unable to get local issuer certificate"),
}


@pytest.fixture(scope="module")
def bad_certificates(ca):
    other = Authority("Somebody")
    yield {name: make(ca, other) for name, (make, _) in BAD.items()}
    other.close()


@pytest.fixture(scope="module")
def bad_world(ca, bad_certificates):
    """An origin for each bad certificate behind one proxy: checked below /bad, not checked below /skip."""
    origins = {name: TlsOrigin(bad_certificates[name]) for name in BAD}
    routes = "".join(https_route(origin, f"/bad/{number}", f"bad-{number}") +
                     https_route(origin, f"/skip/{number}", options="tlsskipverify=true")
                     for number, origin in enumerate(origins.values()))
    with Tagway(routes, trusting(ca, **{"log.access.target": "stdout", "log.access.format": "json"})) as tagway:
        yield tagway, origins
    for origin in origins.values():
        origin.stop()


@pytest.mark.parametrize("name", BAD)
def test_a_failed_verification_is_502(bad_world, name):
    tagway, origins = bad_world
    number, origin = list(BAD).index(name), origins[name]
    got = tagway.get(f"/bad/{number}")
    assert (got.status, got.body) == (502, b"502 Bad Gateway\n")
    assert f"127.0.0.1:{origin.port} (127.0.0.1): {BAD[name][1]}" in tls_log(tagway)
    assert origin.requests == []  # not a byte of the request
    assert tagway.metric("tagway_target_tls_failures_total", service=f"bad-{number}") == 1
    assert tagway.metric("tagway_target_connect_failures_total", service=f"bad-{number}") == 1
    wait_until(lambda: [entry for entry in map(json.loads, tagway.process.stdout().splitlines())
                        if f"/bad/{number}" in str(entry) and entry["reason"] == "tls_failed"], 10, "the access log")
    assert [row["tls_failure"] for row in tagway.routes() if row["service"] == f"bad-{number}"] == [BAD[name][1]]


@pytest.mark.parametrize("name", BAD)
def test_tlsskipverify_takes_every_certificate(bad_world, name):
    tagway, origins = bad_world
    assert tagway.get(f"/skip/{list(BAD).index(name)}").status == 200


@pytest.mark.parametrize("value", ["TRUE", "1", "false", ""])
def test_only_true_skips_verification(ca, bad_certificates, value):
    with TlsOrigin(bad_certificates["expired"]) as origin, \
            Tagway(https_route(origin, options=f"tlsskipverify={value}"), trusting(ca)) as tagway:
        assert tagway.get().status == 502


def test_failures_are_logged_once_in_a_while(ca, bad_certificates):
    with TlsOrigin(bad_certificates["expired"]) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway:
        for _ in range(30):
            assert tagway.get().status == 502
        assert len(tls_log(tagway)) == 1


# 1.6: host= is Host, SNI and the name to verify.


HOST_OPTION = [
    # destination, options, names of the certificate, SNI, Host that arrives, status
    ("127.0.0.1", "", ["127.0.0.1"], None, "asked.example", 200),
    ("localhost", "", ["localhost"], "localhost", "asked.example", 200),
    ("localhost", "host=dst", ["localhost"], "localhost", "localhost:PORT", 200),
    ("127.0.0.1", "host=dst", ["127.0.0.1"], None, "127.0.0.1:PORT", 200),
    ("127.0.0.1", "host=shop.internal", ["shop.internal"], "shop.internal", "shop.internal", 200),
    ("localhost", "host=shop.internal", ["shop.internal"], "shop.internal", "shop.internal", 200),
    ("127.0.0.1", "host=shop.internal:8443", ["shop.internal"], "shop.internal", "shop.internal:8443", 200),
    ("127.0.0.1", "host=a.shop.internal", ["*.shop.internal"], "a.shop.internal", "a.shop.internal", 200),
    ("127.0.0.1", "host=a.b.shop.internal", ["*.shop.internal"], "a.b.shop.internal", None, 502),
    ("127.0.0.1", "host=shop.internal", ["127.0.0.1"], "shop.internal", None, 502),
    ("127.0.0.1", "host=shop.internal tlsskipverify=true", ["127.0.0.1"], "shop.internal", "shop.internal", 200),
    ("localhost", "host=127.0.0.1", ["127.0.0.1"], None, "127.0.0.1", 200),
    ("127.0.0.1", "host=shop.internal proto=https", ["shop.internal"], "shop.internal", "shop.internal", 200),
]


@pytest.fixture(scope="module")
def host_option_world(ca):
    """An origin and a path for each row, behind one proxy."""
    certificates = {names: ca.issue(*names) for names in {tuple(row[2]) for row in HOST_OPTION}}
    origins = [TlsOrigin(certificates[tuple(row[2])]) for row in HOST_OPTION]
    routes = "".join(https_route(origin, f"/{number}/", options=row[1], host=row[0])
                     for number, (origin, row) in enumerate(zip(origins, HOST_OPTION)))
    with Tagway(routes, trusting(ca)) as tagway:
        # A name is looked up before the listeners open.
        wait_until(lambda: "HTTP proxy listening" in tagway.stderr(), 10, "the listeners")
        yield tagway, origins
    for origin in origins:
        origin.stop()


@pytest.mark.parametrize("number", range(len(HOST_OPTION)), ids=[f"{row[0]} {row[1]} {row[2][0]}" for row in HOST_OPTION])
def test_host_option(host_option_world, number):
    tagway, origins = host_option_world
    _, _, _, sni, host, status = HOST_OPTION[number]
    origin = origins[number]
    assert tagway.get(f"/{number}/", host="asked.example").status == status
    assert origin.asked == [sni]
    assert [request.get("host") for request in origin.requests] == (
        [host.replace("PORT", str(origin.port))] if host else [])


# Whom to trust.


@pytest.mark.parametrize("how", ["cafile", "capath", "SSL_CERT_FILE", "SSL_CERT_DIR", "leaf", "nobody"])
def test_trust(ca, certificate, how):
    alone = ca.path("alone.pem")
    with open(certificate, encoding="ascii") as source, open(alone, "w", encoding="ascii") as leaf:
        leaf.write(source.read().partition("-----BEGIN PRIVATE")[0])
    options = {
        "cafile": {"proxy.upstream.cafile": ca.file},
        "capath": {"proxy.upstream.capath": ca.folder()},
        "leaf": {"proxy.upstream.cafile": alone},
    }.get(how, {})
    env = {
        "SSL_CERT_FILE": {"SSL_CERT_FILE": ca.file},
        "SSL_CERT_DIR": {"SSL_CERT_DIR": ca.folder()},
    }.get(how, {})
    with TlsOrigin(certificate) as origin, Tagway(https_route(origin), options, env=env) as tagway:
        assert tagway.get().status == (502 if how == "nobody" else 200)


@pytest.mark.parametrize("key, value, reason", [
    ("proxy.upstream.cafile", "/nowhere/ca.pem", "trusted certificates in /nowhere/ca.pem"),
    ("proxy.upstream.cafile", "/etc/passwd", "trusted certificates in /etc/passwd"),
    ("proxy.upstream.capath", "/nowhere", "is no folder"),
    ("proxy.upstream.capath", "/etc/passwd", "is no folder"),
    ("proxy.upstream.handshaketimeout", "soon", "duration"),
])
def test_bad_settings_end_the_start(key, value, reason):
    tagway = Tagway("", {key: value}, is_ready=False)
    assert tagway.process.wait() == 1
    assert key in tagway.stderr() and reason in tagway.stderr() and f"flag -{key}" in tagway.stderr()


# Versions.


def limited(certificate, lowest, highest):
    origin = TlsOrigin(certificate)
    origin.context.set_ciphers("ALL:@SECLEVEL=0")
    origin.context.minimum_version = lowest
    origin.context.maximum_version = highest
    return origin


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("version, status", [("TLSv1", 502), ("TLSv1_1", 502), ("TLSv1_2", 200), ("TLSv1_3", 200)])
def test_versions(ca, certificate, version, status):
    only = getattr(ssl.TLSVersion, version)
    with limited(certificate, only, only) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        assert tagway.get().status == status
        assert origin.versions == ([version.replace("_", ".")] if status == 200 else [])


@pytest.mark.parametrize("suites, status", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", 200),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", 200),
    ("ECDHE-ECDSA-AES256-SHA384", 200),
    ("ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0", 502),
    ("AECDH-AES128-SHA:@SECLEVEL=0", 502),
])
def test_suites_of_tls_1_2(ca, certificate, suites, status):
    with TlsOrigin(certificate) as origin:
        origin.context.maximum_version = ssl.TLSVersion.TLSv1_2
        origin.context.set_ciphers(suites)
        with Tagway(https_route(origin), trusting(ca)) as tagway:
            assert tagway.get().status == status


# Peers that do not speak TLS, or not to its end.


def closes(connection):
    connection.sock.recv(1)


def resets(connection):
    connection.sock.recv(1)
    connection.reset()


def talks_plainly(connection):
    connection.sock.recv(65536)
    connection.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def sends_garbage(connection):
    connection.sock.recv(65536)
    connection.send(os.urandom(70000))


@pytest.mark.parametrize("script", [closes, resets, talks_plainly, sends_garbage])
def test_a_broken_handshake_is_502_at_once(ca, script):
    with ScriptedOrigin(script) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        began = time.monotonic()
        assert tagway.get().status == 502
        assert time.monotonic() - began < 2 * SLOWNESS
        assert tagway.metric("tagway_target_tls_failures_total") == 1


@pytest.mark.parametrize("options", [
    {"proxy.upstream.handshaketimeout": "300ms"},
    {"proxy.dialtimeout": "300ms"},
])
def test_a_stalled_handshake_is_504(ca, options):
    def stalls(connection):
        while connection.sock.recv(65536):
            pass

    with ScriptedOrigin(stalls) as origin, Tagway(https_route(origin), trusting(ca, **options)) as tagway:
        began = time.monotonic()
        assert tagway.get().status == 504
        assert 0.29 <= time.monotonic() - began < 2 * SLOWNESS


def test_a_plain_request_to_a_tls_port(certificate):
    with TlsOrigin(certificate) as origin, Tagway(route(origin)) as tagway:
        assert tagway.get().status == 502


def test_a_client_certificate_is_not_to_be_had(ca, certificate):
    """In TLS 1.3 the refusal comes behind the handshake, as an answer to the request."""
    with TlsOrigin(certificate) as origin:
        origin.context.verify_mode = ssl.CERT_REQUIRED
        origin.context.load_verify_locations(ca.file)
        with Tagway(https_route(origin), trusting(ca)) as tagway:
            assert tagway.get().status == 502


# Section 5 of the design: a failed handshake loses no request.


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_failed_handshake_goes_to_another_target(ca, certificate, bad_certificates, method):
    with TlsOrigin(certificate, name="good") as good, TlsOrigin(bad_certificates["expired"]) as expired, \
            ScriptedOrigin(closes) as broken, \
            Tagway("".join(map(https_route, (good, expired, broken))), trusting(ca)) as tagway:
        for number in range(60):
            got = tagway.get(f"/{number}", method=method, body=b"body" if method == "POST" else None)
            assert (got.status, got.body) == (200, b"good")
        # Each arrived once, whole.
        assert [request.target for request in good.requests] == [f"/{number}" for number in range(60)]
        if method == "POST":
            assert {request.body for request in good.requests} == {b"body"}
        assert tagway.metric("tagway_target_tls_failures_total") >= 2


# Q-24: pools belong to address, name and verification.


def test_connections_are_reused_and_outlive_tables(ca, certificate):
    with TlsOrigin(certificate) as origin, Origin() as other:
        mine = https_route(origin, options="host=localhost")
        with Tagway(mine, trusting(ca)) as tagway:
            for turn in range(5):
                assert tagway.get().status == 200
                tagway.set_routes(mine + route(other, f"/{turn}"),
                                  until=lambda routes, turn=turn: any(r["path"] == f"/{turn}" for r in routes))
            assert tagway.get().status == 200
            assert len(origin.connections) == 1
            assert len(origin.requests) == 6


def test_names_and_verification_share_no_connection(ca, bad_certificates):
    """A route that must verify never travels on what one without verification has opened, nor begins
    with its session."""
    with TlsOrigin(bad_certificates["an authority nobody trusts"]) as origin:
        routes = (https_route(origin, "/careless", options="tlsskipverify=true") +
                  https_route(origin, "/careful") +
                  https_route(origin, "/named", options="host=a.example tlsskipverify=true"))
        with Tagway(routes, trusting(ca)) as tagway:
            for _ in range(3):
                assert tagway.get("/careless").status == 200
                assert tagway.get("/careful").status == 502
                assert tagway.get("/named").status == 200
            assert origin.asked.count("a.example") == 1
            assert len(origin.versions) == 2


# Sessions.


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
@pytest.mark.parametrize("options", ["", "tlsskipverify=true"])
def test_sessions_are_resumed(ca, certificate, version, options):
    def close_each_time(_):
        return b"ok", "200 OK", [("Connection", "close")]

    with TlsOrigin(certificate, close_each_time) as origin:
        origin.context.maximum_version = getattr(ssl.TLSVersion, version)
        with Tagway(https_route(origin, options=options), trusting(ca)) as tagway:
            for _ in range(10):
                assert tagway.get().status == 200
        assert len(origin.versions) == 10
        assert origin.resumed == 9


def test_an_origin_that_has_forgotten_its_sessions(ca, certificate):
    """Its successor on the same port has other ticket keys: a full handshake, nothing else."""
    port = free_port()
    with Tagway(https_route(port), trusting(ca)) as tagway:
        for _ in range(3):
            with TlsOrigin(certificate, port=port) as origin:
                wait_until(lambda: tagway.get().status == 200, 10, "an answer")
                assert origin.resumed == 0
                assert "tls_failure" not in tagway.routes()[0]


# Stale connections: no GET is lost.


def says_goodbye(connection):
    connection.close()


def just_ends(connection):
    connection.cut()


def just_resets(connection):
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.cut()


@pytest.mark.parametrize("leave", [says_goodbye, just_ends, just_resets])
def test_no_get_is_lost_to_a_stale_connection(ca, certificate, leave):
    def answers_a_few_and_leaves(connection):
        for _ in range(1 + len(connection.origin.connections) % 3):
            connection.read_request()
            connection.respond()
        leave(connection)

    with TlsScriptedOrigin(certificate, answers_a_few_and_leaves) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway:
        with Load(tagway.port, [format_request()], connections=8) as load:
            wait_until(lambda: load.progress() > 1200, 120, "load")
            load.stop()
        print(load.summary(), f"{origin.resumed} of {len(origin.versions)} handshakes resumed")
        assert load.failures == []
        assert origin.resumed > len(origin.versions) // 2


def test_a_post_waits_for_a_connection_that_lives(ca, certificate):
    """It cannot be replayed, so an idle connection is looked at before it carries one."""
    left = threading.Event()

    def answers_once(connection):
        connection.read_request()
        connection.respond()
        connection.close()
        left.set()

    with TlsScriptedOrigin(certificate, answers_once) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        for number in range(100):
            assert client.request("POST", f"/{number}", body=b"x").status == 200
            # Had the goodbye come only after the next POST was sent, that would be lost.
            assert left.wait(10 * SLOWNESS)
            left.clear()
        assert [request.target for request in origin.requests] == [f"/{number}" for number in range(100)]


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong", b"\r\n"])
@pytest.mark.parametrize("is_at_once", [True, False])
def test_surplus_of_an_idle_connection_reaches_nobody(ca, certificate, surplus, is_at_once):
    left = threading.Event()

    def answers_twice(connection):
        request = connection.read_request()
        answer = response(request.target.encode())
        if is_at_once:
            connection.send(answer + surplus)
        else:
            connection.send(answer)
            time.sleep(0.02)
            connection.send(surplus)
        try:
            connection.fill()
        finally:
            left.set()

    with TlsScriptedOrigin(certificate, answers_twice) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        for number in range(5):
            got = client.request(target=f"/{number}")
            assert (got.status, got.body) == (200, f"/{number}".encode())
            assert left.wait(10 * SLOWNESS)
            left.clear()


# Bodies.


def test_large_bodies_both_ways(ca, certificate):
    data = os.urandom(6_000_000)
    with TlsOrigin(certificate, lambda request: request.body) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        client.sock.settimeout(60 * SLOWNESS)
        sender = threading.Thread(target=client.send, args=(format_request("PUT", body=data),))
        sender.start()
        assert client.read_response().body == data
        sender.join()
        pieces = [data[at:at + 70000] for at in range(0, 2_000_000, 70000)]
        client.send(format_request("PUT", fields=[("Transfer-Encoding", "chunked")]) + chunked(*pieces))
        assert client.read_response().body == b"".join(pieces)


@pytest.mark.no_sanitizer
def test_who_does_not_read_is_not_written_to(ca, certificate):
    """200 MB towards a client that reads nothing, and 200 MB towards such an origin."""
    release = threading.Event()

    def script(connection):
        request = connection.read_request(has_body=False)
        if request.method == "PUT":
            release.wait(30)
            return
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 200000000\r\n\r\n")
        try:
            while not release.is_set():
                connection.send(bytes(100000))
        except OSError:
            pass

    with TlsScriptedOrigin(certificate, script) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway:
        before = tagway.process.rss_kib()
        down, up = tagway.connect(receive_buffer=4096), tagway.connect()
        down.send(format_request())
        up.send(format_request("PUT", fields=[("Content-Length", "200000000")]))
        up.sock.settimeout(1)
        sent = 0
        try:
            while True:
                sent += up.sock.send(bytes(100000))
        except TimeoutError:
            pass
        assert sent < 30_000_000
        assert tagway.process.rss_kib() - before < 8192
        release.set()
        down.close()
        up.close()


def test_a_slow_client_gets_every_byte(ca, certificate):
    data = os.urandom(3_000_000)
    with TlsOrigin(certificate, lambda _: data) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        with tagway.connect(receive_buffer=8192) as client:
            client.send(format_request())
            time.sleep(0.3)
            assert client.read_response().body == data


def test_a_slow_origin_gets_every_byte(ca, certificate):
    data = os.urandom(3_000_000)

    def reads_late(connection):
        request = connection.read_request(has_body=False)
        time.sleep(0.3)
        connection.read_body(request)
        connection.respond()

    with TlsScriptedOrigin(certificate, reads_late) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway:
        assert tagway.get(method="PUT", body=data).status == 200
        assert origin.requests[0].body == data


def test_small_records(ca, certificate):
    """Each byte in a record of its own, head and all."""
    message = response(os.urandom(500), fields=[("X-A", "b")])

    def drips(connection):
        connection.read_request()
        for byte in message:
            connection.send(bytes([byte]))

    with TlsScriptedOrigin(certificate, drips) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        got = tagway.get()
        assert (got.get("x-a"), got.body) == ("b", message[-500:])


def test_head_and_interim_responses(ca, certificate):
    def script(connection):
        while True:
            request = connection.read_request(has_body=False)
            if request.method == "HEAD":
                connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n")
                continue
            if request.get("expect"):
                connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
            connection.send(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
            connection.read_body(request)
            connection.respond(request.body)

    with TlsScriptedOrigin(certificate, script) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        assert client.request("HEAD").get("content-length") == "12345"
        client.send(format_request("PUT", fields=[("Expect", "100-continue"), ("Content-Length", "4")]))
        assert client.read_response().status == 100
        client.send(b"body")
        assert client.read_response().status == 103
        assert client.read_response().body == b"body"
        assert client.request("HEAD").status == 200
        # A body may still follow the first HEAD's answer; the PUT's connection is used again.
        assert len(origin.connections) <= 2


# Truncation is visible.

UNTIL_CLOSE = b"HTTP/1.1 200 OK\r\n\r\n" + b"a" * 1000


@pytest.mark.parametrize("version", ["HTTP/1.0", "HTTP/1.1"])
@pytest.mark.parametrize("leave, is_whole", [(says_goodbye, True), (just_ends, False), (just_resets, False)])
def test_a_body_that_ends_with_the_connection(ca, certificate, version, leave, is_whole):
    def script(connection):
        connection.read_request()
        connection.send(UNTIL_CLOSE)
        time.sleep(0.05)
        leave(connection)

    with TlsScriptedOrigin(certificate, script) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        client.send(format_request(version=version))
        if is_whole:
            assert client.read_response().body == b"a" * 1000
        else:
            with pytest.raises(Closed) as closed:
                client.read_response()
            assert closed.value.was_reset or version == "HTTP/1.1"


@pytest.mark.parametrize("head", [b"Content-Length: 2000", b"Transfer-Encoding: chunked"])
@pytest.mark.parametrize("leave", [says_goodbye, just_ends, just_resets])
def test_a_cut_body(ca, certificate, head, leave):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n3e8\r\n" + b"a" * 1000 + b"\r\n")
        time.sleep(0.05)
        leave(connection)

    with TlsScriptedOrigin(certificate, script) as origin, \
            Tagway(https_route(origin), trusting(ca)) as tagway, tagway.connect() as client:
        client.send(format_request())
        with pytest.raises(Closed):
            client.read_response()


@pytest.mark.parametrize("leave", [says_goodbye, just_ends, just_resets])
def test_no_answer_is_502(ca, certificate, leave):
    def script(connection):
        connection.read_request()
        leave(connection)

    with TlsScriptedOrigin(certificate, script) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        assert tagway.get(method="POST", body=b"x").status == 502
        assert len(origin.requests) == 1


def test_a_cut_upload_is_no_upload(ca, certificate):
    outcome = []

    def script(connection):
        request = connection.read_request(has_body=False)
        try:
            connection.read_body(request)
        except (Closed, OSError) as error:
            outcome.append(error)
            raise

    with TlsScriptedOrigin(certificate, script) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        client = tagway.connect()
        client.send(format_request("PUT", fields=[("Content-Length", "1000")]) + b"half")
        wait_until(lambda: origin.requests, 10, "the request")
        client.close()
        wait_until(lambda: outcome, 10, "the cut")


# 5.12: websockets.


def websocket_echo(connection):
    request = connection.read_request()
    assert request.get("upgrade") == "websocket"
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    try:
        while True:
            if not connection.buffer:
                connection.fill()
            data, connection.buffer = connection.buffer, b""
            connection.send(data)
    except Closed:
        connection.send(b"goodbye")


@pytest.mark.parametrize("scheme", ["https", "wss"])
def test_websockets(ca, certificate, scheme):
    with TlsScriptedOrigin(certificate, websocket_echo) as origin, \
            Tagway(https_route(origin).replace("https", scheme), trusting(ca)) as tagway, \
            tagway.connect() as client:
        client.send(format_request(fields=UPGRADE) + b"early")
        assert client.read_head().status == 101
        assert client.take(5) == b"early"
        for size in (1, 100, 16384, 16385, 1_000_000):
            data = os.urandom(size)
            threading.Thread(target=client.send, args=(data,)).start()
            assert client.take(size) == data
        client.half_close()
        assert client.take_rest() == b"goodbye"


def test_a_websocket_to_nobody_is_answered(ca, bad_certificates):
    with TlsOrigin(bad_certificates["expired"]) as origin, Tagway(https_route(origin), trusting(ca)) as tagway:
        assert tagway.get(fields=UPGRADE).status == 502


# Many at once.


@pytest.mark.multi_worker
def test_several_workers_under_load(ca, certificate):
    """Handshakes, resumption, reuse and counters on four workers, one target of three failing."""
    def now_and_then_closes(request):
        if request.target == "/close":
            return b"origin", "200 OK", [("Connection", "close")]
        return None

    with TlsOrigin(certificate, now_and_then_closes) as one, TlsOrigin(certificate, now_and_then_closes) as two, \
            ScriptedOrigin(closes) as broken:
        routes = "".join(map(https_route, (one, two, broken)))
        with Tagway(routes, {**trusting(ca), "proxy.workers": 4}) as tagway:
            requests = [format_request()] * 7 + [format_request(target="/close")]
            with Load(tagway.port, requests, connections=32) as load:
                wait_until(lambda: load.progress() > 200, 120, "load")
                for turn in range(20):
                    tagway.set_routes(routes if turn % 2 else routes + https_route(one, "/other"))
                    tagway.metrics()
                wait_until(lambda: load.progress() > 2000, 120, "load")
                load.stop()
            print(load.summary())
            assert load.failures == []
            assert one.resumed + two.resumed > 0


NGINX = """
daemon off;
worker_processes 2;
pid {dir}/nginx.pid;
error_log {dir}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  keepalive_requests 50;
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name shop.internal;
    ssl_certificate {certificate};
    ssl_certificate_key {certificate};
    ssl_protocols {protocols};
    ssl_session_timeout 1m;
    ssl_session_cache shared:s:1m;
    location / {{ default_type text/plain; return 200 "nginx $ssl_server_name $ssl_protocol"; }}
    location /large {{ alias {dir}/large; }}
  }}
}}
"""


@pytest.mark.multi_worker
@pytest.mark.parametrize("protocols", ["TLSv1.2", "TLSv1.3"])
def test_nginx_as_origin(ca, tmp_path, protocols):
    """A real origin that closes each connection after 50 requests, thousands of requests, four workers."""
    port = free_port()
    large = os.urandom(3_000_000)
    (tmp_path / "large").write_bytes(large)
    config = tmp_path / "nginx.conf"
    config.write_text(NGINX.format(dir=tmp_path, port=port, protocols=protocols,
                                   certificate=ca.issue("shop.internal")))
    # Its workers must read what a test of root's has written.
    nginx = Process(["nginx", "-c", str(config), "-g", "user root;" if os.getuid() == 0 else ""], str(tmp_path), "nginx")
    try:
        with Tagway(https_route(port, options="host=shop.internal"),
                    {**trusting(ca), "proxy.workers": 4}) as tagway:
            wait_until(lambda: tagway.get().status == 200, 20, "nginx")
            assert tagway.get().body == f"nginx shop.internal {protocols}".encode()
            assert tagway.get("/large").body == large
            with Load(tagway.port, [format_request()], connections=32) as load:
                wait_until(lambda: load.progress() > 4000, 120, "load")
                load.stop()
            print(load.summary())
            assert load.failures == []
            assert load.answers.keys() == {f"nginx shop.internal {protocols}".encode()}
    finally:
        nginx.stop()
