# SPDX-License-Identifier: Apache-2.0
"""Targets through strip, prepend, redirect and host: no option makes a line end, a space or another authority.
The routes are in arena_tagway.py."""

from case import HARDENING, Sent, answered, forwarded, get, refused


def _sent(name, target, expect, host=b"a", extra=()):
    return forwarded(name, HARDENING, "9110 7.7", get(target=target),
                     Sent(b"GET " + expect + b" HTTP/1.1", host=host, asked=b"a", extra=extra), is_shared=False)


def _stripped(name, target, expect):
    return _sent(name, target, expect, extra=(b"X-Forwarded-Prefix: /strip",))


def _location(name, target, location, host=b"redirect.example", status=302):
    return answered(name, HARDENING, "9110 10.2.2", b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", status,
                    b"Location: " + location, is_shared=False)


def _refused(name, target, host=b"redirect.example"):
    return refused(name, HARDENING, "9110 10.2.2", b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", is_shared=False)


_EVIL = b"//evil.example/x"

CASES = [
    _stripped("strip", b"/strip/case", b"/case"),
    _stripped("strip-keeps-escaped-line-end", b"/strip/%0d%0aX-Evil:%201", b"/%0d%0aX-Evil:%201"),
    _stripped("strip-keeps-escaped-slash", b"/strip/a%2fb", b"/a%2fb"),
    _stripped("strip-keeps-double-escape", b"/strip/%252e%252e/a", b"/%252e%252e/a"),
    _stripped("strip-all-leaves-slash", b"/strip", b"/"),
    _stripped("strip-leaves-one-slash", b"/strip//evil.example/x", b"/evil.example/x"),
    _stripped("strip-with-query", b"/strip/a?b=%0d%0a&c=//d", b"/a?b=%0d%0a&c=//d"),
    _sent("prepend", b"/prepend/case", b"/pre/prepend/case"),
    _sent("prepend-keeps-escaped-line-end", b"/prepend/%0d%0a", b"/pre/prepend/%0d%0a"),
    _sent("prepend-keeps-escaped-slash", b"/prepend/a%2fb", b"/pre/prepend/a%2fb"),
    _sent("prepend-cannot-be-climbed-out-of", b"/prepend/../../x/../prepend/a", b"/pre/prepend/a"),
    _sent("host-option", b"/host/case", b"/host/case", host=b"other.example"),
    _sent("dst-query", b"/query/case?a=b", b"/query/case?fixed=1&a=b"),
    _location("redirect", b"/a", b"https://fixed.example/a"),
    _location("redirect-keeps-escaped-line-end", b"/%0d%0aSet-Cookie:%20a=b", b"https://fixed.example/%0d%0aSet-Cookie:%20a=b"),
    _location("redirect-keeps-escaped-slash", b"/a%2fb", b"https://fixed.example/a%2fb"),
    _location("redirect-two-slashes", _EVIL, b"https://fixed.example/evil.example/x"),
    _location("redirect-at", b"/@evil.example/", b"https://fixed.example/@evil.example/"),
    _location("redirect-dots", b"/../../evil", b"https://fixed.example/evil"),
    _refused("redirect-backslash-escaped", b"/%5c%5cevil.example"),
    _location("redirect-query", b"/a?b=//evil.example", b"https://fixed.example/a?b=//evil.example"),
    _refused("redirect-nul", b"/%00"),
    _refused("redirect-line-end", b"/a\r\nSet-Cookie:"),
    _refused("redirect-space", b"/a b"),
    _refused("redirect-host-line-end", b"/a", b"hosted.example\r evil"),
    _location("redirect-by-host", b"/a", b"https://hosted.example/a", b"hosted.example"),
    _refused("redirect-by-bad-host", b"/a", b"hosted.example/evil"),
    _refused("redirect-by-host-with-user", b"/a", b"u@hosted.example"),
]
