# SPDX-License-Identifier: Apache-2.0
"""fabio 5.15, the access log: what goes where, each field of the table, and which requests have a
line. How a line is written (escapes, limits, the language of formats) is proved by the unit test of
access_log."""

import datetime
import json
import re
import time

import pytest

from harness.client import format_request
from harness.origin import Origin, ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route

UUID = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class Logged(Tagway):
    """A tagway whose access log goes to stdout."""

    def __init__(self, routes, form="common", env=None, **options):
        super().__init__(routes, {"log.access.target": "stdout", "log.access.format": form, **options}, env)

    def lines(self, count):
        return wait_until(lambda: (lines := self.process.stdout().splitlines()) and len(lines) >= count and lines,
                          what=f"{count} lines")


def line_of(form, routes, ask=lambda tagway: tagway.get(), **options):
    """The one line of what is asked."""
    with Logged(routes, form, **options) as tagway:
        ask(tagway)
        lines = tagway.lines(1)
        tagway.finish()
        assert tagway.process.stdout().splitlines() == lines[:1]
        return lines[0]


# Where it goes


def test_target_empty_is_off(origin):
    with Tagway(route(origin), {"log.access.target": ""}) as tagway:
        tagway.get()
        tagway.finish()
        assert tagway.process.stdout() == ""


def exits_with(options, *words):
    with_error = Tagway("", options, is_ready=False)
    assert with_error.process.wait(20) == 1
    for word in words:
        assert word in with_error.stderr()


def test_target_other_than_stdout_is_fatal():
    exits_with({"log.access.target": "file"}, "log.access.target", "file")


@pytest.mark.parametrize("form, error", [
    ("", "empty log format"),
    ("$remote_host $nope", 'invalid field "$nope"'),
    ("$header.", 'invalid field "$header"'),
])
def test_a_bad_format_is_fatal(form, error):
    exits_with({"log.access.target": "stdout", "log.access.format": form}, "log.access.format", error)


# Formats


def test_common(origin):
    line = line_of("common", route(origin), lambda tagway: tagway.get("/a?b"))
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000\] "GET /a\?b HTTP/1\.1" 200 6',
                        line)


def test_combined(origin):
    line = line_of("combined", route(origin), lambda tagway: tagway.get(
        fields=[("Referer", "http://from/"), ("User-Agent", 'evil" 200 0')]))
    assert line.endswith(r'"GET / HTTP/1.1" 200 6 "http://from/" "evil\" 200 0"')


def test_json_is_an_object_a_line():
    def script(connection):
        connection.read_request()
        time.sleep(0.05)
        connection.respond()

    with ScriptedOrigin(script) as slow:
        entry = json.loads(line_of("json", route(slow, "/a"), lambda tagway: tagway.get("/a?b", "x.example")))
    assert entry["upstream_us"] > 50000 and entry["duration_us"] > entry["upstream_us"]
    assert (entry["method"], entry["target"], entry["host"], entry["status"], entry["route"], entry["service"],
            entry["attempts"], entry["bytes_sent"]) == ("GET", "/a?b", "x.example", 200, "/a", "svc", 1, 2)


def test_times_are_utc(origin):
    with Logged(route(origin), "$time_rfc3339_us", env={"TZ": "Asia/Tokyo"}) as tagway:
        before = datetime.datetime.now(datetime.timezone.utc)
        tagway.get()
        line = tagway.lines(1)[0]
    logged = datetime.datetime.fromisoformat(line.replace("Z", "+00:00"))
    assert before - datetime.timedelta(seconds=1) <= logged <= datetime.datetime.now(datetime.timezone.utc)


# Fields: name, what is expected of GET /s//a/../b?x=y with strip=/s, host=inner and dst ...?q=1.
FIELDS = [
    ("$header.X-Any", "thing"),
    ("$header.x-any", "thing"),
    ("$header.None", ""),
    ("$header.X-Forwarded-For", "127.0.0.1"),  # after the proxy's edits
    ("$header.X-Forwarded-Prefix", "/s"),
    ("$header.X-Id", UUID),
    ("$remote_addr", r"127\.0\.0\.1:\d+"),
    ("$remote_host", r"127\.0\.0\.1"),
    ("$remote_port", r"\d+"),
    ("$request", r"GET /s//a/\.\./b\?x=y HTTP/1\.1"),
    ("$request_args", "x=y"),
    ("$request_host", "inner"),  # after the rewrite
    ("$request_method", "GET"),
    ("$request_proto", r"HTTP/1\.1"),
    ("$request_scheme", "http"),
    ("$request_uri", r"/s//a/\.\./b\?x=y"),
    ("$request_url", r"http://front\.example/s/b\?x=y"),
    ("$response_body_size", "6"),
    ("$response_status", "200"),
    ("$response_time_ms", r"0\.\d{3}"),
    ("$response_time_us", r"0\.\d{6}"),
    ("$response_time_ns", r"0\.\d{9}"),
    ("$time_common", r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000"),
    ("$time_rfc3339", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"),
    ("$time_rfc3339_ms", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    ("$time_rfc3339_us", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"),
    ("$time_rfc3339_ns", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z"),
    ("$time_unix_ms", r"\d{13}"),
    ("$time_unix_us", r"\d{16}"),
    ("$time_unix_ns", r"\d{19}"),
    ("$upstream_addr", r"127\.0\.0\.1:{port}"),
    ("$upstream_host", r"127\.0\.0\.1"),
    ("$upstream_port", "{port}"),
    ("$upstream_request_scheme", "http"),
    ("$upstream_request_uri", r"/b\?q=1&x=y"),
    ("$upstream_request_url", r"http://127\.0\.0\.1:{port}/b\?q=1&x=y"),
    ("$upstream_service", "svc"),
    ("$$remote_host", r"\$\$remote_host"),
]


@pytest.fixture(scope="module")
def values(origin):
    """All fields of one request."""
    table = f'route add svc /s http://127.0.0.1:{origin.port}/?q=1 opts "strip=/s host=inner"\n'
    line = line_of("\t".join(name for name, _ in FIELDS), table,
                   lambda tagway: tagway.get("/s//a/../b?x=y", "front.example",
                                             [("X-Any", "thing"), ("X-Id", "the client's")]),
                   **{"proxy.header.requestid": "X-Id"})
    return dict(zip((name for name, _ in FIELDS), line.split("\t"), strict=True))


@pytest.mark.parametrize("name, want", FIELDS, ids=[name for name, _ in FIELDS])
def test_field(values, origin, name, want):
    want = want.replace("{port}", str(origin.port))
    assert re.fullmatch(want, values[name]), values[name]


def test_the_upstream_has_the_id_that_is_logged():
    with Origin() as origin:
        for form in ("$header.X-Id", "json"):
            line = line_of(form, route(origin), **{"proxy.header.requestid": "X-Id"})
            assert origin.requests[-1].get("x-id") in line


def test_a_destination_without_a_port(origin):
    """fabio's request fails here (its quirk Q-9)."""
    assert line_of("$upstream_addr|$upstream_host|$upstream_port|$response_status",
                   "route add svc / http://127.0.0.1/\n", **{"proxy.retry.attempts": 0}) in (
        "127.0.0.1|127.0.0.1||502", "127.0.0.1|127.0.0.1||200", "127.0.0.1|127.0.0.1||404")


def test_the_scheme_of_a_trusted_peer(origin):
    assert line_of("$request_scheme $request_url", route(origin), lambda tagway: tagway.get(
        "/a", "x.example", [("X-Forwarded-Proto", "https")])) == "https https://x.example/a"


def test_the_body_size_is_without_chunk_lines():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                        b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

    with ScriptedOrigin(script) as origin:
        assert line_of("$response_body_size", route(origin)) == "5"


# Which requests have a line; in fabio only the first, and websockets that fail.


def websocket(tagway):
    with tagway.connect() as client:
        client.send(format_request(fields=[("Connection", "Upgrade"), ("Upgrade", "websocket")]))
        assert client.read_head().status == 101
        client.half_close()
        assert client.is_closed()


def leave(tagway):
    client = tagway.connect()
    client.send(format_request())
    assert client.read_response().status == 102
    client.reset()


def raw(data):
    def ask(tagway):
        with tagway.connect() as client:
            client.send(data)
            client.take_rest()
    return ask


def never_answers(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 102 Processing\r\n\r\n")
    connection.fill()


def upgrades(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    connection.fill()


@pytest.mark.parametrize("status, service, routes, ask", [
    ("200", "svc", "origin", lambda tagway: tagway.get()),
    ("404", "", "", lambda tagway: tagway.get()),
    ("301", "", 'route add svc / http://else.example/ opts "redirect=301"', lambda tagway: tagway.get()),
    ("502", "svc", "refused", lambda tagway: tagway.get()),
    ("400", "", "origin", raw(b"GET / HTTP/1.1\r\n\r\n")),
    ("400", "", "origin", raw(b"GET /%zz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")),
    ("405", "", "origin", raw(b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")),
    ("101", "svc", upgrades, websocket),
    ("499", "svc", never_answers, leave),
], ids=["proxied", "no route", "redirect", "bad gateway", "refused head", "refused path", "refused method",
        "websocket", "client gone"])
def test_has_a_line(origin, status, service, routes, ask):
    form = "$response_status|$upstream_service"
    if routes == "origin":
        assert line_of(form, route(origin), ask) == f"{status}|{service}"
    elif routes == "refused":
        assert line_of(form, route(refused_port()), ask) == f"{status}|{service}"
    elif isinstance(routes, str):
        assert line_of(form, routes, ask) == f"{status}|{service}"
    else:
        with ScriptedOrigin(routes) as scripted:
            assert line_of(form, route(scripted), ask) == f"{status}|{service}"


def test_a_request_that_comes_too_slowly_has_a_line(origin):
    def ask(tagway):
        with tagway.connect() as client:
            client.send(b"GET / HT")
            assert client.read_response().status == 408

    assert line_of("$response_status", route(origin), ask, **{"proxy.client.headtimeout": "100ms"}) == "408"


def test_empty_lines_are_left_out(origin):
    with Logged(route(origin), "$header.X-Line") as tagway:
        tagway.get()
        tagway.get(fields=[("X-Line", "here")])
        assert tagway.lines(1) == ["here"]
