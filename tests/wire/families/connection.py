# SPDX-License-Identifier: Apache-2.0
"""Connection: what it names goes no further, what a client may not name stays; and when a connection ends."""

from case import FIN, HARDENING, MUST, POISON, RST, SHOULD, Sent, dropped, forwarded, get, post

_PLAIN = b"GET /case HTTP/1.1"


def _gone(name, *lines, absent, level=MUST, section="9110 7.6.1", persists=True):
    return forwarded(name, level, section, get(*lines), Sent(_PLAIN, absent=absent), persists=persists)


def _kept(name):
    """A client may not have the proxy delete these."""
    return forwarded(f"nominates-{name.decode().lower()}", HARDENING, "9110 7.6.1",
                     post(b"Connection: " + name, b"Content-Length: 2", body=b"ab"),
                     Sent(b"POST /case HTTP/1.1", body=b"ab", framing="length"), is_shared=name in (b"Host", b"Content-Length"))


CASES = [
    # hop-by-hop whatever Connection says
    *[_gone(f"hop-{field.split(b':')[0].decode().lower()}", field, absent=(field.split(b":")[0],),
            level=HARDENING if field.startswith((b"Proxy-Auth", b"Trailer")) else SHOULD)
      for field in (b"Keep-Alive: timeout=5", b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic eDp5",
                    b"TE: gzip", b"Trailer: X-T", b"Upgrade: foo/2")],
    _gone("hop-proxy-authenticate", b"Proxy-Authenticate: Basic", absent=(b"Proxy-Authenticate",), level=HARDENING),
    # named
    _gone("names-one", b"X-Hop: 1", b"Connection: X-Hop", absent=(b"X-Hop",)),
    _gone("names-before-it-comes", b"Connection: X-Hop", b"X-Hop: 1", absent=(b"X-Hop",)),
    _gone("names-in-other-case", b"X-Hop: 1", b"Connection: x-hOP", absent=(b"X-Hop",)),
    _gone("names-two", b"X-Hop: 1", b"X-Hip: 2", b"Connection: X-Hop,X-Hip", absent=(b"X-Hop", b"X-Hip")),
    _gone("names-with-empty-members", b"X-Hop: 1", b"Connection: , ,X-Hop,", absent=(b"X-Hop",)),
    _gone("names-on-two-lines", b"X-Hop: 1", b"X-Hip: 2", b"Connection: X-Hop", b"Connection: X-Hip",
          absent=(b"X-Hop", b"X-Hip")),
    _gone("names-a-field-that-comes-twice", b"X-Hop: 1", b"X-Hop: 2", b"Connection: X-Hop", absent=(b"X-Hop",)),
    _gone("names-beside-keep-alive", b"X-Hop: 1", b"Connection: keep-alive, X-Hop", absent=(b"X-Hop",)),
    _gone("names-beside-close", b"X-Hop: 1", b"Connection: close, X-Hop", absent=(b"X-Hop",), persists=False),
    *[_gone("names-" + field.split(b":")[0].decode().lower(), field, b"Connection: " + field.split(b":")[0],
            absent=(field.split(b":")[0],)) for field in (b"Authorization: Basic eDp5", b"Cookie: a=b", b"Accept: a/b")],
    forwarded("names-what-is-no-token", HARDENING, "9110 7.6.1", get(b"X-Hop: 1", b"Connection: \"X-Hop\", X-Hop;a, X Hop, :X-Hop"),
              Sent(_PLAIN, fields=(b"X-Hop: 1",)), is_shared=False),
    _gone("names-itself", b"Connection: Connection", absent=()),
    forwarded("other-fields-stay", MUST, "9110 7.6.1", get(b"X-Hop: 1", b"X-Kept: 2", b"Connection: X-Hop"),
              Sent(_PLAIN, fields=(b"X-Kept: 2",), absent=(b"X-Hop",))),
    *[_kept(name) for name in (b"Host", b"Content-Length", b"X-Forwarded-For", b"X-Forwarded-Proto", b"X-Forwarded-Host",
                               b"X-Forwarded-Port", b"X-Real-Ip", b"Forwarded")],
    forwarded("nominates-via", HARDENING, "9110 7.6.3", get(b"Connection: Via", b"Via: 1.1 x"),
              Sent(_PLAIN, fields=(b"Via: 1.1 x",)), is_shared=False),
    forwarded("nominates-transfer-encoding", HARDENING, "9110 7.6.1",
              post(b"Connection: Transfer-Encoding", b"Transfer-Encoding: chunked", body=b"1\r\na\r\n0\r\n\r\n"),
              Sent(b"POST /case HTTP/1.1", body=b"a", framing="chunked")),
    # the end
    forwarded("close", MUST, "9112 9.6", get(b"Connection: close"), Sent(_PLAIN), persists=False),
    forwarded("close-upper-case", MUST, "9112 9.6", get(b"CONNECTION: CLOSE"), Sent(_PLAIN), persists=False),
    forwarded("close-in-a-list", MUST, "9112 9.6", get(b"Connection: foo, close"), Sent(_PLAIN), persists=False),
    forwarded("close-on-second-line", MUST, "9112 9.6", get(b"Connection: foo", b"Connection: close"), Sent(_PLAIN),
              persists=False),
    forwarded("close-beats-keep-alive", MUST, "9112 9.3", get(b"Connection: keep-alive, close"), Sent(_PLAIN), persists=False),
    forwarded("closed-is-not-close", SHOULD, "9112 9.3", get(b"Connection: closed"), Sent(_PLAIN)),
    forwarded("keep-alive", MUST, "9112 9.3", get(b"Connection: keep-alive"), Sent(_PLAIN)),
    forwarded("nothing-behind-close", MUST, "9112 9.6", get(b"Connection: close") + b"garbage\0\r\n\r\n", Sent(_PLAIN),
              persists=False),
    forwarded("an-answer-behind-close", MUST, "9112 9.6", get(b"Connection: close") + POISON, Sent(_PLAIN), persists=False),
    forwarded("fin-behind-request", MUST, "9112 9.6", [get(), FIN], Sent(_PLAIN), persists=False, follow=b""),
    forwarded("http-1.0-close", MUST, "9112 9.3", b"GET /case HTTP/1.0\r\nHost: a\r\nConnection: close\r\n\r\n", Sent(_PLAIN),
              persists=False),
    dropped("cut-in-method", MUST, "9112 8", b"GE", FIN),
    dropped("cut-in-line", MUST, "9112 8", b"GET /case HTTP/1.1\r", FIN),
    dropped("cut-in-head", MUST, "9112 8", b"GET /case HTTP/1.1\r\nHost: a\r\n", FIN),
    dropped("cut-in-end-of-head", MUST, "9112 8", b"GET /case HTTP/1.1\r\nHost: a\r\n\r", FIN),
    dropped("reset-in-head", MUST, "9112 8", b"GET /case HTTP/1.1\r\nHost: a\r\n", RST),
    dropped("cut-in-body", MUST, "9112 8", post(b"Content-Length: 5", body=b"ab"), FIN),
    dropped("reset-in-body", MUST, "9112 8", post(b"Content-Length: 5", body=b"ab"), RST),
    dropped("cut-before-body", MUST, "9112 8", post(b"Content-Length: 5"), FIN),
]
