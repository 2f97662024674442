# SPDX-License-Identifier: Apache-2.0
"""Status lines of origins: what is none is not believed."""

from case import DATE, HARDENING, MUST, Relayed, bad_gateway, relayed

_REST = b"\r\nDate: " + DATE + b"\r\nContent-Length: 0\r\n\r\n"


def _bad(name, line, level=MUST, section="9112 4", peers_may=""):
    return bad_gateway(name, level, section, line + _REST, peers_may=peers_may)


def _good(name, line, expect=None, section="9112 4"):
    return relayed(name, MUST, section, line + _REST, Relayed(expect or line))


CASES = [
    _bad("no-status", b"HTTP/1.1"),
    _bad("no-status-but-space", b"HTTP/1.1 "),
    _bad("two-digits", b"HTTP/1.1 20 OK"),
    _bad("one-digit", b"HTTP/1.1 2 OK"),
    _bad("four-digits", b"HTTP/1.1 2000 OK"),
    _bad("099", b"HTTP/1.1 099 X", section="9110 15"),
    _bad("000", b"HTTP/1.1 000 X", section="9110 15"),
    _bad("600", b"HTTP/1.1 600 X", HARDENING, "9110 15", "as-is"),
    _bad("999", b"HTTP/1.1 999 X", HARDENING, "9110 15", "as-is"),
    _bad("letters", b"HTTP/1.1 2oo OK"),
    _bad("hex", b"HTTP/1.1 0xc OK"),
    _bad("minus", b"HTTP/1.1 -20 OK"),
    _bad("plus", b"HTTP/1.1 +20 OK"),
    _bad("two-spaces", b"HTTP/1.1  200 OK", HARDENING, "9112 4", "clean"),
    _bad("tab", b"HTTP/1.1\t200 OK", HARDENING, "9112 4", "clean"),
    _bad("no-space-before-reason", b"HTTP/1.1 200OK"),
    _bad("colon", b"HTTP/1.1: 200 OK"),
    _bad("space-first", b" HTTP/1.1 200 OK"),
    _bad("empty-line-first", b"\r\nHTTP/1.1 200 OK", HARDENING, peers_may="clean"),
    _bad("version-0.9", b"HTTP/0.9 200 OK", HARDENING, "9110 2.5"),
    _bad("version-1.2", b"HTTP/1.2 200 OK", HARDENING, "9110 2.5", "clean"),
    _bad("version-2.0", b"HTTP/2.0 200 OK", HARDENING, "9110 2.5"),
    _bad("version-2", b"HTTP/2 200 OK", section="9112 2.3"),
    _bad("version-1.10", b"HTTP/1.10 200 OK", section="9112 2.3"),
    _bad("version-lower-case", b"http/1.1 200 OK", section="9112 2.3"),
    _bad("icy", b"ICY 200 OK", section="9112 2.3"),
    _bad("rtsp", b"RTSP/1.0 200 OK", section="9112 2.3"),
    _bad("cr-in-reason", b"HTTP/1.1 200 OK\rX", section="9112 2.2"),
    _bad("cr-hides-field", b"HTTP/1.1 200 OK\rSet-Cookie: a=b", section="9112 2.2"),
    _bad("nul-in-reason", b"HTTP/1.1 200 O\0K", section="9112 4"),
    _bad("control-in-reason", b"HTTP/1.1 200 O\x01K", HARDENING, "9112 4", "as-is"),
    bad_gateway("ends-lf", HARDENING, "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 0\r\n\r\n", peers_may="clean"),
    bad_gateway("all-end-lf", HARDENING, "9112 2.2", b"HTTP/1.1 200 OK\nContent-Length: 0\n\n", peers_may="clean"),
    bad_gateway("http-0.9", MUST, "9112 4", b"just text\r\n\r\n"),
    bad_gateway("html", MUST, "9112 4", b"<html><body>hello</body></html>\r\n\r\n"),
    bad_gateway("tls-alert", MUST, "9112 4", b"\x15\x03\x01\x00\x02\x02\x28\r\n\r\n"),
    bad_gateway("field-first", MUST, "9112 4", b"Content-Length: 0\r\n\r\n"),
    bad_gateway("request-instead", MUST, "9112 4", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
    _good("plain", b"HTTP/1.1 200 OK"),
    _good("odd-status", b"HTTP/1.1 299 Odd But Fine", section="9110 15"),
    _good("599", b"HTTP/1.1 599 X", section="9110 15"),
    _good("empty-reason", b"HTTP/1.1 200 "),
    _good("reason-with-high-bytes", b"HTTP/1.1 200 \xc3\x96K"),
    relayed("http-1.0", MUST, "9112 2.3", b"HTTP/1.0 200 OK" + _REST, Relayed(b"HTTP/1.1 200 OK")),
    relayed("no-space-without-reason", HARDENING, "9112 4", b"HTTP/1.1 200" + _REST, Relayed(b"HTTP/1.1 200 "),
            is_shared=False),
]
