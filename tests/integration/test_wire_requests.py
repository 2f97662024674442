# SPDX-License-Identifier: Apache-2.0
"""Requests at the level of bytes: what is refused reaches no origin, neither the message nor anything
behind it; what goes on is composed anew. Numbers say which rule: 1 strict parser,
3 length and coding, 4 chunks, 5 trailers, 6 fields, 7 request line, 8 Host, 9 CONNECT and TRACE."""

import pytest

from harness.client import Client, Closed, chunked
from harness.origin import Origin
from harness.tagway import Tagway, route

from wire import Bench, statuses

# Stands behind every refused message: it must not be taken for a request.
BEHIND = b"GET /behind HTTP/1.1\r\nHost: behind.example\r\n\r\n"


@pytest.fixture(scope="module")
def bench():
    with Origin() as origin, Tagway(route(origin)) as proxy:
        yield Bench(origin, proxy)


def post(*lines, body=b""):
    return b"\r\n".join((b"POST / HTTP/1.1", b"Host: a") + lines) + b"\r\n\r\n" + body


def get(*lines):
    return b"\r\n".join((b"GET / HTTP/1.1", b"Host: a") + lines) + b"\r\n\r\n"


def line(request_line):
    return request_line + b"\r\nHost: a\r\n\r\n"


def host(*lines):
    return b"\r\n".join((b"GET / HTTP/1.1",) + lines) + b"\r\n\r\n"


TE = b"Transfer-Encoding: chunked"
CHUNKS = b"1\r\na\r\n0\r\n\r\n"

# id: (bytes, allowed statuses)
REFUSED = {
    # 1: what only the loose parser takes
    "cr-after-head": (b"GET / HTTP/1.1\r\nHost: a\r\n\rX" + BEHIND, {400}),
    "cr-field-end": (post(b"X-Abc:\rxTransfer-Encoding: chunked", body=CHUNKS), {400}),
    "cr-in-chunk-line": (post(TE, body=b"1\rXa\r\n0\r\n\r\n"), {400}),
    "bytes-after-chunk": (post(TE, body=b"1\r\naXX0\r\n\r\n"), {400}),
    "space-in-name": (get(b"X A: b"), {400}),
    "space-before-colon": (get(b"X-A : b"), {400}),
    "tab-before-colon": (get(b"X-A\t: b"), {400}),
    "tab-in-target": (line(b"GET /a\tb HTTP/1.1"), {400}),
    "high-byte-in-target": (line(b"GET /\xe4 HTTP/1.1"), {400}),
    # 3: length and coding
    "cl-and-te": (post(b"Content-Length: 4", TE, body=CHUNKS), {400}),
    "te-and-cl": (post(TE, b"Content-Length: 4", body=CHUNKS), {400}),
    "cl-0-and-te": (post(b"Content-Length: 0", TE, body=CHUNKS), {400}),
    "cl-twice-differ": (post(b"Content-Length: 1", b"Content-Length: 2", body=b"ab"), {400}),
    "cl-twice-same": (post(b"Content-Length: 2", b"Content-Length: 2", body=b"ab"), {400}),
    "cl-list": (post(b"Content-Length: 2, 2", body=b"ab"), {400}),
    "cl-empty": (post(b"Content-Length:", body=b""), {400}),
    "cl-plus": (post(b"Content-Length: +2", body=b"ab"), {400}),
    "cl-minus": (post(b"Content-Length: -2", body=b"ab"), {400}),
    "cl-hex": (post(b"Content-Length: 0x2", body=b"ab"), {400}),
    "cl-space-inside": (post(b"Content-Length: 1 2", body=b"ab"), {400}),
    "cl-letters": (post(b"Content-Length: 2a", body=b"ab"), {400}),
    "cl-dot": (post(b"Content-Length: 2.0", body=b"ab"), {400}),
    "cl-2^63": (post(b"Content-Length: 9223372036854775808", body=b"ab"), {400, 413}),
    "cl-2^64": (post(b"Content-Length: 18446744073709551616", body=b"ab"), {400, 413}),
    "cl-2^64+2": (post(b"Content-Length: 18446744073709551618", body=b"ab"), {400, 413}),
    "cl-100-digits": (post(b"Content-Length: " + b"9" * 100, body=b"ab"), {400, 413}),
    "cl-folded": (post(b"Content-Length:\r\n 2", body=b"ab"), {400}),
    "cl-space-before-colon": (post(b"Content-Length : 2", body=b"ab"), {400}),
    "te-gzip": (post(b"Transfer-Encoding: gzip", body=CHUNKS), {400, 501}),
    "te-gzip-chunked": (post(b"Transfer-Encoding: gzip, chunked", body=CHUNKS), {400, 501}),
    "te-chunked-gzip": (post(b"Transfer-Encoding: chunked, gzip", body=CHUNKS), {400, 501}),
    "te-chunked-twice": (post(b"Transfer-Encoding: chunked, chunked", body=CHUNKS), {400}),
    "te-two-lines": (post(TE, TE, body=CHUNKS), {400}),
    "te-two-lines-identity": (post(TE, b"Transfer-Encoding: identity", body=CHUNKS), {400, 501}),
    "te-identity": (post(b"Transfer-Encoding: identity", body=CHUNKS), {400, 501}),
    "te-xchunked": (post(b"Transfer-Encoding: xchunked", body=CHUNKS), {400, 501}),
    "te-leading-comma": (post(b"Transfer-Encoding: ,chunked", body=CHUNKS), {400, 501}),
    "te-trailing-comma": (post(b"Transfer-Encoding: chunked,", body=CHUNKS), {400, 501}),
    "te-empty": (post(b"Transfer-Encoding:", body=CHUNKS), {400, 501}),
    "te-quoted": (post(b'Transfer-Encoding: "chunked"', body=CHUNKS), {400, 501}),
    "te-parameter": (post(b"Transfer-Encoding: chunked;q=1", body=CHUNKS), {400, 501}),
    "te-vertical-tab": (post(b"Transfer-Encoding: \x0bchunked", body=CHUNKS), {400, 501}),
    "te-folded": (post(b"Transfer-Encoding:\r\n chunked", body=CHUNKS), {400}),
    "te-folded-value": (post(b"Transfer-Encoding: x\r\n chunked", body=CHUNKS), {400, 501}),
    "te-space-before-colon": (post(b"Transfer-Encoding : chunked", body=CHUNKS), {400}),
    "te-in-1.0": (b"POST / HTTP/1.0\r\nHost: a\r\n" + TE + b"\r\n\r\n" + CHUNKS, {400}),
    "te-underscore": (post(b"Transfer_Encoding: chunked", b"Content-Length: 3", body=b"0\r\n"), {400}),
    "cl-underscore": (post(b"Content_Length: 3", body=b""), {400}),
    # 4: chunks
    "chunk-plus": (post(TE, body=b"+1\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-minus": (post(TE, body=b"-1\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-0x": (post(TE, body=b"0x1\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-empty-line": (post(TE, body=b"\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-space-before": (post(TE, body=b" 1\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-space-after": (post(TE, body=b"1 \r\na\r\n0\r\n\r\n"), {400}),
    "chunk-letters": (post(TE, body=b"g\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-lf": (post(TE, body=b"1\na\r\n0\r\n\r\n"), {400}),
    "chunk-data-lf": (post(TE, body=b"1\r\na\n0\r\n\r\n"), {400}),
    "chunk-17-digits": (post(TE, body=b"00000000000000001\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-overflow": (post(TE, body=b"ffffffffffffffffff\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-2^64-1": (post(TE, body=b"ffffffffffffffff\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-2^63": (post(TE, body=b"8000000000000000\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-too-long-data": (post(TE, body=b"1\r\nab\r\n0\r\n\r\n"), {400}),
    "chunk-long-extension": (post(TE, body=b"1;" + b"x" * 300 + b"\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-extension-cr": (post(TE, body=b"1;a\rb\r\na\r\n0\r\n\r\n"), {400}),
    "chunk-extension-nul": (post(TE, body=b"1;a\0b\r\na\r\n0\r\n\r\n"), {400}),
    "chunks-of-nothing-but-framing": (
        post(TE, body=(b"1;" + b"x" * 200 + b"\r\na\r\n") * 200 + b"0\r\n\r\n"), {400}),
    # 5: trailers
    "trailer-no-colon": (post(TE, body=b"1\r\na\r\n0\r\nX-A\r\n\r\n"), {400}),
    "trailer-space-in-name": (post(TE, body=b"1\r\na\r\n0\r\nX A: b\r\n\r\n"), {400}),
    "trailer-folded": (post(TE, body=b"1\r\na\r\n0\r\nX-A: b\r\n c\r\n\r\n"), {400}),
    "trailer-nul": (post(TE, body=b"1\r\na\r\n0\r\nX-A: \0\r\n\r\n"), {400}),
    "trailers-too-long": (post(TE, body=b"1\r\na\r\n0\r\n" + b"X-A: bbbbbbbbbbbbbbbb\r\n" * 500 + b"\r\n"), {400, 431}),
    # 6: fields
    "empty-name": (get(b": b"), {400}),
    "no-colon": (get(b"X-A"), {400}),
    "obs-fold": (get(b"X-A: b\r\n c"), {400}),
    "obs-fold-first": (b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", {400}),
    "nul-in-value": (get(b"X-A: a\0b"), {400}),
    "cr-in-value": (get(b"X-A: a\rb"), {400}),
    "control-in-value": (get(b"X-A: a\x01b"), {400}),
    "del-in-value": (get(b"X-A: a\x7fb"), {400}),
    "nul-in-name": (get(b"X-\0A: b"), {400}),
    "high-byte-in-name": (get(b"X-\xe4: b"), {400}),
    "parenthesis-in-name": (get(b"X(A): b"), {400}),
    "slash-in-name": (get(b"X/A: b"), {400}),
    "name-too-long": (get(b"X-" + b"a" * 300 + b": b"), {400, 431}),
    "lf-line-ends": (b"GET / HTTP/1.1\nHost: a\n\n", {400}),
    "lf-in-one-line": (b"GET / HTTP/1.1\r\nHost: a\nX-A: b\r\n\r\n", {400}),
    "host-underscore": (get(b"X_Forwarded_For: 1.2.3.4"), {400}),
    # 7: request line
    "two-spaces": (line(b"GET  / HTTP/1.1"), {400}),
    "space-at-end": (line(b"GET / HTTP/1.1 "), {400, 505}),
    "tab-separated": (line(b"GET\t/\tHTTP/1.1"), {400}),
    "space-before-method": (line(b" GET / HTTP/1.1"), {400}),
    "no-version": (line(b"GET /"), {400, 505}),
    "http-0.9": (line(b"GET / HTTP/0.9"), {400, 505}),
    "http-1.2": (line(b"GET / HTTP/1.2"), {400, 505}),
    "http-2.0": (line(b"GET / HTTP/2.0"), {400, 505}),
    "http-1.10": (line(b"GET / HTTP/1.10"), {400, 505}),
    "http-01.1": (line(b"GET / HTTP/01.1"), {400, 505}),
    "http-lower-case": (line(b"GET / http/1.1"), {400, 505}),
    "rtsp": (line(b"GET / RTSP/1.0"), {400, 505}),
    "ice": (line(b"SOURCE / ICE/1.0"), {400, 501, 505}),
    "h2-preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 501, 505}),
    "method-bytes": (line(b"G\x01T / HTTP/1.1"), {400, 501}),
    "method-colon": (line(b"GE:T / HTTP/1.1"), {400, 501}),
    "target-relative": (line(b"GET a HTTP/1.1"), {400}),
    "target-empty-query": (line(b"GET ?a HTTP/1.1"), {400}),
    "target-fragment": (line(b"GET /a#b HTTP/1.1"), {400}),
    "target-space": (line(b"GET /a b HTTP/1.1"), {400, 505}),
    "target-nul": (line(b"GET /a\0b HTTP/1.1"), {400}),
    "target-del": (line(b"GET /a\x7fb HTTP/1.1"), {400}),
    "target-asterisk": (line(b"GET * HTTP/1.1"), {400}),
    "target-userinfo": (line(b"GET http://user@a/ HTTP/1.1"), {400}),
    "target-ftp": (line(b"GET ftp://a/ HTTP/1.1"), {400}),
    "target-no-authority": (line(b"GET http:///x HTTP/1.1"), {400}),
    "target-authority": (line(b"GET a:80 HTTP/1.1"), {400}),
    "target-backslash": (line(b"GET /a\\b HTTP/1.1"), {400}),
    "target-nul-escaped": (line(b"GET /a%00b HTTP/1.1"), {400}),
    "target-bad-percent": (line(b"GET /%zz HTTP/1.1"), {400}),
    # 8: Host
    "host-missing": (host(), {400}),
    "host-twice": (host(b"Host: a", b"Host: a"), {400}),
    "host-twice-differ": (host(b"Host: a", b"Host: b"), {400}),
    "host-list": (host(b"Host: a, b"), {400}),
    "host-space": (host(b"Host: a b"), {400}),
    "host-slash": (host(b"Host: a/b"), {400}),
    "host-at": (host(b"Host: u@a"), {400}),
    "host-port-letters": (host(b"Host: a:b"), {400}),
    "host-port-too-large": (host(b"Host: a:99999"), {400}),
    "host-two-ports": (host(b"Host: a:1:2"), {400}),
    "host-open-bracket": (host(b"Host: [::1"), {400}),
    "host-fragment": (host(b"Host: a#b"), {400}),
    "host-query": (host(b"Host: a?b"), {400}),
    "host-backslash": (host(b"Host: a\\b"), {400}),
    "host-percent": (host(b"Host: a%zz"), {400}),
    "host-control": (host(b"Host: a\x01"), {400}),
    # 9
    "connect": (b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", {405, 501}),
    "trace": (line(b"TRACE / HTTP/1.1"), {405}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(bench, name):
    raw, allowed = REFUSED[name]
    answer, seen = bench.run(raw + BEHIND)
    got = statuses(answer)
    assert len(got) == 1, f"{len(got)} answers: {answer[:600]!r}"
    assert got[0] in allowed, answer[:300]
    assert b"connection: close" in answer.lower()
    # A chunked body is found bad only when its head is already on its way; the message must then not
    # have been completed. Nothing behind it may be seen in any case.
    for request in seen:
        assert request.target == "/" and TE.lower() in raw.lower(), f"leaked: {request.raw_head!r}"
    assert not any("behind" in request.target for request in seen)


@pytest.mark.parametrize("name", [name for name, (raw, _) in REFUSED.items() if len(raw) < 1000])
def test_refused_byte_by_byte(bench, name):
    """Segmentation must not matter: the same, cut in the middle of everything."""
    raw, allowed = REFUSED[name]
    answer = b""
    seen_before = len(bench.origin.requests)
    with Client(bench.proxy.port) as client:
        try:
            for at in range(0, len(raw), 3):
                client.send(raw[at:at + 3])
            client.send(BEHIND)
        except OSError:
            pass
        try:
            while True:
                client.fill()
        except Closed as closed:
            answer = closed.data
    got = statuses(answer)
    # Bytes that are sent after the refusal may turn the close into a reset that takes the answer along.
    assert got == [] or (len(got) == 1 and got[0] in allowed), answer[:300]
    assert not any("behind" in request.target for request in bench.origin.requests[seen_before:])


# id: (bytes, what the origin must see, as start line and some fields)
FORWARDED = {
    "plain": (get(), b"GET / HTTP/1.1", {}),
    "method-extension": (line(b"PROPFIND /x HTTP/1.1"), b"PROPFIND /x HTTP/1.1", {}),
    "query": (line(b"GET /x?a=b?c=/../d HTTP/1.1"), b"GET /x?a=b?c=/../d HTTP/1.1", {}),
    "raw-path": (line(b"GET /%41//b%2fc;d=e HTTP/1.1"), b"GET /%41//b%2fc;d=e HTTP/1.1", {}),
    # What was matched is what is sent: no route's rule is walked around by dot segments.
    "dot-segments": (line(b"GET /%41//./b/../c;d=e HTTP/1.1"), b"GET /A/c;d=e HTTP/1.1", {}),
    "odd-bytes": (line(b"GET /[]{}|^`\"<>?\\ HTTP/1.1"), b"GET /[]{}|^`\"<>?\\ HTTP/1.1", {}),
    "absolute": (line(b"GET http://abs.example:81/x?y HTTP/1.1"), b"GET /x?y HTTP/1.1",
                 {"host": "abs.example:81"}),
    "absolute-no-path": (line(b"GET http://abs.example HTTP/1.1"), b"GET / HTTP/1.1", {"host": "abs.example"}),
    "absolute-query-only": (line(b"GET http://abs.example?q HTTP/1.1"), b"GET /?q HTTP/1.1", {"host": "abs.example"}),
    "absolute-https": (line(b"GET HTTPS://abs.example/ HTTP/1.1"), b"GET / HTTP/1.1", {"host": "abs.example"}),
    "http-1.0": (b"GET / HTTP/1.0\r\nHost: a\r\n\r\n", b"GET / HTTP/1.1", {"host": "a"}),
    "host-ipv6": (host(b"Host: [::1]:80"), b"GET / HTTP/1.1", {"host": "[::1]:80"}),
    "host-empty-port": (host(b"Host: a:"), b"GET / HTTP/1.1", {}),
    "value-spaces": (get(b"X-A: \t b c \t "), b"GET / HTTP/1.1", {"x-a": "b c"}),
    "value-high-bytes": (get(b"X-A: \xe4\xff"), b"GET / HTTP/1.1", {"x-a": "\xe4\xff"}),
    "value-empty": (get(b"X-A:"), b"GET / HTTP/1.1", {"x-a": ""}),
    "name-case": (get(b"x-wEIRD: 1"), b"GET / HTTP/1.1", {"x-weird": "1"}),
    "name-token-bytes": (get(b"!#$%&'*+-.^`|~9: 1"), b"GET / HTTP/1.1", {"!#$%&'*+-.^`|~9": "1"}),
    "te-upper-case": (post(b"TRANSFER-ENCODING: CHUNKED", body=CHUNKS), b"POST / HTTP/1.1",
                      {"transfer-encoding": "chunked"}),
    "cl-zeros": (post(b"Content-Length: 0002", body=b"ab"), b"POST / HTTP/1.1", {"content-length": "2"}),
    "cl-0": (post(b"Content-Length: 0"), b"POST / HTTP/1.1", {"content-length": "0"}),
    "authorization": (get(b"Authorization: Basic eDp5"), b"GET / HTTP/1.1", {"authorization": "Basic eDp5"}),
    "cookie-lines": (get(b"Cookie: a=1", b"Cookie: b=2"), b"GET / HTTP/1.1", {}),
}


@pytest.mark.parametrize("name", FORWARDED)
def test_forwarded(bench, name):
    raw, start_line, fields = FORWARDED[name]
    answer, seen = bench.run(raw.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
    assert statuses(answer) == [200], answer[:300]
    assert len(seen) == 1
    assert seen[0].start_line.encode("latin-1") == start_line
    for field, value in fields.items():
        assert seen[0].all(field) == [value]


HOP_BY_HOP = [b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5",
              b"Proxy-Authenticate: Basic", b"TE: gzip", b"Trailer: X-T", b"Upgrade: h2c", b"HTTP2-Settings: AAAA"]


@pytest.mark.parametrize("field", HOP_BY_HOP)
def test_hop_by_hop_fields_go_no_further(bench, field):
    answer, seen = bench.run(get(field, b"Connection: close, Upgrade, HTTP2-Settings, TE"))
    assert statuses(answer) == [200]
    assert field.split(b":")[0].decode().lower() not in seen[0].names()
    assert (seen[0].get("connection") or "keep-alive").lower() == "keep-alive"


def test_nominated_fields_go_no_further(bench):
    _, seen = bench.run(get(b"X-Secret: 1", b"X-Other: 2", b"X-Kept: 3", b"Connection: close,X-Secret, , x-other"))
    assert not {"x-secret", "x-other"} & set(seen[0].names())
    assert seen[0].get("x-kept") == "3"


@pytest.mark.parametrize("name", ["Host", "Content-Length", "X-Forwarded-For", "X-Forwarded-Proto",
                                  "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"])
def test_a_client_cannot_nominate_protected_fields(bench, name):
    _, seen = bench.run(post(f"Connection: close, {name}".encode(), b"Content-Length: 2", b"Via: 1.1 x", body=b"ab"))
    assert name.lower() in seen[0].names()
    assert seen[0].body == b"ab"


def test_chunk_extensions_and_odd_sizes_are_composed_anew(bench):
    """The origin reads chunks strictly and would fail on anything else."""
    body = b"0000000000000001;ext=1\r\na\r\nA\r\n0123456789\r\n0;last\r\n\r\n"
    answer, seen = bench.run(post(TE, b"Connection: close", body=body))
    assert statuses(answer) == [200]
    assert seen[0].body == b"a0123456789"


def test_pipelined_requests_are_told_apart(bench):
    raw = (post(b"Content-Length: 40", body=b"GET /not-a-request HTTP/1.1\r\nHost: a\r\n\r\n"[:40])
           + post(TE, body=chunked(b"GET /not-this HTTP/1.1\r\nHost: a\r\n\r\n"))
           + get(b"Connection: close"))
    answer, seen = bench.run(raw)
    assert statuses(answer) == [200, 200, 200], answer
    assert [(request.method, request.target, len(request.body)) for request in seen] == [
        ("POST", "/", 40), ("POST", "/", 35), ("GET", "/", 0)]


def test_nothing_behind_connection_close_is_processed(bench):
    answer, seen = bench.run(get(b"Connection: close") + BEHIND)
    assert statuses(answer) == [200]
    assert len(seen) == 1


def test_nothing_behind_http_1_0_is_processed(bench):
    answer, seen = bench.run(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n" + BEHIND)
    assert statuses(answer) == [200]
    assert len(seen) == 1


def test_an_upgrade_request_does_not_open_a_tunnel(bench):
    """What stands behind it is a request, because the origin did not switch."""
    upgrade = get(b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                  b"Sec-WebSocket-Version: 13")
    answer, seen = bench.run(upgrade + get(b"Connection: close"))
    assert statuses(answer) == [200, 200]
    assert len(seen) == 2


def test_leading_empty_lines_are_ignored(bench):
    """RFC 9112 section 2.2: at least one."""
    answer, seen = bench.run(b"\r\n" + get(b"Connection: close"))
    assert statuses(answer) == [200]
    assert len(seen) == 1


def test_every_refusal_reason_that_was_seen_is_counted(bench):
    bench.run(REFUSED["cl-and-te"][0])
    assert any("length_and_coding" in name for name, value in bench.proxy.metrics().items() if value > 0)
