# SPDX-License-Identifier: Apache-2.0
"""Trailers of requests: judged like fields, passed on only where they are asked for, never what frames, routes
or authenticates."""

from case import HARDENING, MUST, TE, Sent, forwarded, late, post

_POST = b"POST /case HTTP/1.1"


def _with(*lines):
    return b"1\r\na\r\n0\r\n" + b"".join(trailer + b"\r\n" for trailer in lines) + b"\r\n"


def _bad(name, *lines, level=MUST, section="9112 7.1.2", status=400, peers_may="clean"):
    return late(name, level, section, post(TE, body=_with(*lines)), status, peers_may)


def _dropped(name, trailer, section="9110 6.5.1"):
    return forwarded(f"never-{name}", MUST, section, post(b"TE: trailers", b"Connection: TE", TE, body=_with(b"X-T: 1", trailer)),
                     Sent(_POST, body=b"a", framing="chunked", trailers=(b"X-T: 1",)), is_shared=False)


CASES = [
    _bad("no-colon", b"X-A"),
    _bad("empty-name", b": b"),
    _bad("space-in-name", b"X A: b"),
    _bad("space-before-colon", b"X-A : b"),
    _bad("folded", b"X-A: b", b" c"),
    _bad("fold-first", b" X-A: b"),
    _bad("nul", b"X-A: \0", section="9110 5.5"),
    _bad("cr", b"X-A: b\rc", section="9110 5.5"),
    _bad("lf", b"X-A: b\nX-B: c", level=HARDENING, section="9112 2.2"),
    _bad("control", b"X-A: \x01", level=HARDENING, section="9110 5.5", peers_may="as-is"),
    _bad("high-byte-in-name", b"X-\xe4: b"),
    _bad("too-long", *[b"X-A: bbbbbbbbbbbbbbbb"] * 500, level=HARDENING, section="9110 6.5"),
    _bad("request-instead", b"GET /hidden HTTP/1.1"),
    forwarded("dropped-unless-asked-for", MUST, "9110 6.5.1", post(TE, body=_with(b"X-T: 1")),
              Sent(_POST, body=b"a", framing="chunked"), is_shared=False),
    forwarded("kept-when-asked-for", HARDENING, "9110 6.5.1", post(b"TE: trailers", b"Connection: TE", TE, body=_with(b"X-T: 1")),
              Sent(_POST, body=b"a", framing="chunked", trailers=(b"X-T: 1",)), is_shared=False),
    forwarded("read-and-next-request-found", MUST, "9112 7.1.2", post(TE, body=_with(b"X-T: 1", b"X-U: 2")),
              Sent(_POST, body=b"a", framing="chunked"), is_shared=False),
    *[_dropped(name.lower(), name.encode() + b": 1") for name in (
        "Content-Length", "Transfer-Encoding", "Host", "Authorization", "Cookie", "Set-Cookie", "X-Forwarded-For",
        "Forwarded", "X-Real-Ip", "Connection", "Content_Length", "Trailer", "Expect", "Cache-Control", "Range")],
]
