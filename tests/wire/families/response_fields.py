# SPDX-License-Identifier: Apache-2.0
"""Field lines of responses: splitting, hop-by-hop fields, 1xx, sizes."""

from case import HARDENING, MUST, SHOULD, TE, Relayed, bad_gateway, ok, relayed

_OK = b"HTTP/1.1 200 OK"
_EMPTY = b"Content-Length: 0"
_HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"


def _bad(name, *lines, level=MUST, section="9112 5", peers_may=""):
    return bad_gateway(name, level, section, ok(*lines, _EMPTY), peers_may=peers_may)


def _good(name, *fields, level=MUST, section="9110 5.5"):
    return relayed(name, level, section, ok(*fields, _EMPTY), Relayed(_OK, fields))


def _gone(name, *lines, section="9110 7.6.1"):
    return relayed(name, MUST, section, ok(*lines, _EMPTY), Relayed(_OK), is_shared=False)


CASES = [
    _bad("no-colon", b"X-A"),
    _bad("empty-name", b": a"),
    _bad("space-in-name", b"X A: b"),
    _bad("space-before-colon", b"X-A : b", level=HARDENING, section="9112 5.1", peers_may="clean"),
    _bad("tab-before-colon", b"X-A\t: b", level=HARDENING, section="9112 5.1", peers_may="clean"),
    _bad("fold", b"X-A: b", b" c", section="9112 5.2", peers_may="clean"),
    _bad("fold-by-tab", b"X-A: b", b"\tc", section="9112 5.2", peers_may="clean"),
    _bad("fold-hides-field", b"X-A: b", b" Set-Cookie: a=b", section="9112 5.2", peers_may="clean"),
    _bad("fold-first", b" X-A: b", section="9112 5.2", peers_may="clean"),
    _bad("nul-in-value", b"X-A: a\0b", section="9110 5.5"),
    _bad("cr-in-value", b"X-A: a\rb", section="9110 5.5"),
    _bad("cr-splits", b"Location: /a\rSet-Cookie: b=c", section="9110 5.5"),
    _bad("lf-splits", b"Location: /a\nSet-Cookie: b=c", level=HARDENING, section="9112 2.2", peers_may="clean"),
    _bad("lf-lf-splits", b"Location: /a\n\nHTTP/1.1 200 OK\nX-A: b", level=HARDENING, section="9112 2.2", peers_may="clean"),
    _bad("escape-in-value", b"X-A: a\x1bb", level=HARDENING, section="9110 5.5", peers_may="as-is"),
    _bad("del-in-value", b"X-A: a\x7fb", level=HARDENING, section="9110 5.5", peers_may="as-is"),
    _bad("nul-in-name", b"X\0A: b", section="9110 5.1"),
    _bad("high-byte-in-name", b"X-\xe4: b", section="9110 5.1"),
    _bad("parenthesis-in-name", b"X(A): b", section="9110 5.1"),
    _bad("cr-cr-lf", b"X-A: b\r", section="9112 2.2"),
    _bad("head-too-large", *[b"X-A: " + b"a" * 1000] * 80, level=HARDENING, section="9110 5.4"),
    _bad("head-field-too-large", b"X-A: " + b"a" * 100000, level=HARDENING, section="9110 5.4"),
    _bad("too-many-fields", *[b"X-A: a"] * 500, level=HARDENING, section="9110 5.4", peers_may="clean"),
    bad_gateway("cr-after-head", MUST, "9112 2.2", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\rX"),
    bad_gateway("lf-ends-head", HARDENING, "9112 2.2", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\n", peers_may="clean"),
    _good("cookies", b"Set-Cookie: a=1", b"Set-Cookie: b=2", section="9110 5.3"),
    relayed("server", MUST, "9110 10.2.4", ok(b"Server: origin/1", _EMPTY), Relayed(_OK, (b"Server: origin/1",)), is_shared=False),
    _good("authenticate", b"WWW-Authenticate: Basic realm=\"a, b\"", section="9110 11.6.1"),
    _good("allow", b"Allow: GET, POST", section="9110 10.2.1"),
    _good("high-bytes", b"X-A: \xe4"),
    _good("empty-value", b"X-A: "),
    _good("location", b"Location: http://a/b?c#d", section="9110 10.2.2"),
    _good("fields-120", *[b"X-%d: a" % number for number in range(90)], level=SHOULD, section="9110 5.4"),
    _gone("hop-by-hop", b"Connection: keep-alive, X-Hop", b"X-Hop: 1", b"Keep-Alive: timeout=5", b"Proxy-Authenticate: Basic",
          b"Upgrade: h2c", b"Trailer: X-T", b"TE: trailers", b"Proxy-Connection: x"),
    _gone("nominated-twice", b"Connection: X-Hop", b"Connection: X-Hip", b"X-Hop: 1", b"X-Hip: 2"),
    relayed("content-length-nominated", HARDENING, "9110 7.6.1",
            ok(b"Connection: Content-Length", b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab")),
    relayed("coding-nominated", HARDENING, "9110 7.6.1", ok(b"Connection: Transfer-Encoding", TE, body=b"1\r\na\r\n0\r\n\r\n"),
            Relayed(_OK, body=b"a", framing="chunked")),
    _gone("content-type-nominated", b"Connection: X-Hop, Content-Type", b"X-Hop: 1", b"Content-Type: a/b"),
    # 1xx
    relayed("103", MUST, "9110 15.2", _HINTS + ok(_EMPTY), Relayed(_OK, interim=(b"HTTP/1.1 103 Early Hints",))),
    relayed("102-103", MUST, "9110 15.2", b"HTTP/1.1 102 Processing\r\n\r\n" + _HINTS + ok(_EMPTY),
            Relayed(_OK, interim=(b"HTTP/1.1 102 Processing", b"HTTP/1.1 103 Early Hints"))),
    relayed("unknown-1xx", MUST, "9110 15", b"HTTP/1.1 199 Odd\r\n\r\n" + ok(_EMPTY), Relayed(_OK, interim=(b"HTTP/1.1 199 Odd",))),
    relayed("100-unasked", SHOULD, "9110 15.2.1", b"HTTP/1.1 100 Continue\r\n\r\n" + ok(_EMPTY),
            Relayed(_OK, interim=(b"HTTP/1.1 100 Continue",)), is_shared=False),
    relayed("1xx-limit", HARDENING, "9110 15.2", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 32 + ok(_EMPTY),
            Relayed(_OK, interim=(b"HTTP/1.1 103 Early Hints",) * 32), is_shared=False),
    relayed("1xx-to-1.0", MUST, "9110 15.2", _HINTS + ok(_EMPTY), Relayed(_OK, persists=False),
            client=b"GET /case HTTP/1.0\r\nHost: a\r\n\r\n"),
    bad_gateway("1xx-limit+1", HARDENING, "9110 15.2", b"HTTP/1.1 103 Early Hints\r\n\r\n" * 33 + ok(_EMPTY), is_shared=False),
    bad_gateway("bad-1xx", MUST, "9112 2.2", b"HTTP/1.1 103 Early\rHints\r\n\r\n" + ok(_EMPTY)),
    bad_gateway("bad-behind-1xx", MUST, "9112 6.3", _HINTS + ok(b"Content-Length: x")),
    bad_gateway("nothing-behind-1xx", MUST, "9112 8", _HINTS + b"x\r\n\r\n"),
    relayed("1xx-with-length", MUST, "9110 8.6", b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n" + ok(_EMPTY),
            Relayed(_OK, interim=(b"HTTP/1.1 103 Early Hints",)), is_shared=False),
]
