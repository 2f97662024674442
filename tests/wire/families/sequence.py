# SPDX-License-Identifier: Apache-2.0
"""Several requests on one connection: told apart, answered in order, and nothing behind a fault is seen."""

from case import CHUNKS, HARDENING, LAST, MUST, TE, Await, Case, Forwarded, Refused, Sent, forwarded, get, ok, refused, Script


def _post(number, *lines, body=b""):
    return b"\r\n".join((b"POST /%d HTTP/1.1" % number, b"Host: a") + lines) + b"\r\n\r\n" + body


def _get(number, *lines):
    return get(*lines, target=b"/%d" % number)


def _sent(method, number, body=b"", framing=""):
    return Sent(b"%s /%d HTTP/1.1" % (method, number), body=body, framing=framing)


_G = [_sent(b"GET", number) for number in range(20)]
_P = [_sent(b"POST", number, b"a", "chunked") for number in range(20)]
_L = [_sent(b"POST", number, b"ab", "length") for number in range(20)]


def _length(number):
    return _post(number, b"Content-Length: 2", body=b"ab")


def _chunked(number):
    return _post(number, TE, body=CHUNKS)


CASES = [
    forwarded("two-gets", MUST, "9112 9.3.2", _get(0) + _get(1), *_G[:2]),
    forwarded("ten-gets", MUST, "9112 9.3.2", b"".join(map(_get, range(10))), *_G[:10]),
    forwarded("bodies-by-length", MUST, "9112 9.3.2", _length(0) + _length(1), *_L[:2]),
    forwarded("bodies-by-chunks", MUST, "9112 9.3.2", _chunked(0) + _chunked(1), *_P[:2]),
    forwarded("all-kinds", MUST, "9112 9.3.2", _get(0) + _length(1) + _chunked(2) + _get(3) + _chunked(4) + _length(5),
              _G[0], _L[1], _P[2], _G[3], _P[4], _L[5]),
    forwarded("one-after-the-other", MUST, "9112 9.3", [_get(0), Await(b"/0"), _length(1), Await(b"/1"), _chunked(2), Await(b"/2")],
              _G[0], _L[1], _P[2]),
    forwarded("head-then-get", MUST, "9110 9.3.2", b"HEAD /0 HTTP/1.1\r\nHost: a\r\n\r\n" + _get(1), _sent(b"HEAD", 0), _G[1]),
    forwarded("empty-line-between", MUST, "9112 2.2", _length(0) + b"\r\n" + _get(1), _L[0], _G[1]),
    forwarded("nested-requests-stay-bodies", MUST, "9112 6.3",
              _post(0, b"Content-Length: %d" % len(LAST), body=LAST) + _post(1, TE, body=b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST), LAST)),
              _sent(b"POST", 0, LAST, "length"), _sent(b"POST", 1, LAST, "chunked")),
    Case("slow-first-answer-keeps-the-order", MUST, "9112 9.3.2", _get(0) + _get(1),
         Forwarded((_G[0], _G[1]), statuses=(299, 200)),
         Script(complete=(b"HTTP/1.1 299 First\r\n", b"Content-Length: 2\r\n\r\n", b"/0"))),
    # a fault in the second
    *[Case(f"then-{name}", level, section, [_get(0), Await(b"/0"), bad], Forwarded((_G[0],), False, (200, status)),
           peers_may=peers) for name, level, section, bad, status, peers in (
        ("bad-length", MUST, "9112 6.3", _post(1, b"Content-Length: x", body=b"ab"), 400, ""),
        ("length-and-coding", MUST, "9112 6.1", _post(1, b"Content-Length: 5", TE, body=CHUNKS), 400, "close"),
        ("two-hosts", MUST, "9112 3.2", _get(1, b"Host: b"), 400, ""),
        ("no-version", HARDENING, "9112 3", b"GET /1\r\n\r\n", 400, ""),
        ("garbage", MUST, "9112 3", b"\0\1\2\3\r\n\r\n", 400, ""))],
    *[Case(f"fault-behind-{name}", level, section, bad + _get(1), Refused(400, is_late=True), peers_may=peers)
      for name, level, section, bad, peers in (
          ("bad-chunk", MUST, "9112 7.1", _post(0, TE, body=b"1\r\nab\r\n0\r\n\r\n"), ""),
          ("bad-size", MUST, "9112 7.1", _post(0, TE, body=b"1x\r\na\r\n0\r\n\r\n"), ""))],
    # bodies that are no bodies
    refused("head-refused-has-no-body", MUST, "9110 9.3.2", b"HEAD /0 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    refused("head-refused-by-method-rule", MUST, "9110 9.3.2", b"HEAD /0#a HTTP/1.1\r\nHost: a\r\n\r\n"),
    forwarded("get-with-hidden-request", MUST, "9112 6.3",
              b"GET /0 HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(LAST) + LAST, _sent(b"GET", 0, LAST, "length")),
    forwarded("head-with-body", MUST, "9112 6.3", b"HEAD /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
              _sent(b"HEAD", 0, b"ab", "length")),
    forwarded("options-with-body", MUST, "9112 6.3", b"OPTIONS /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab",
              _sent(b"OPTIONS", 0, b"ab", "length")),
    forwarded("surplus-behind-length-is-the-next", MUST, "9112 6.3", _post(0, b"Content-Length: 1", body=b"a") + _get(1),
              _sent(b"POST", 0, b"a", "length"), _G[1]),
    Case("answer-with-close-ends-nothing-for-the-client", MUST, "9110 7.6.1", _get(0) + _get(1),
         Forwarded((_G[0], _G[1])), Script(complete=(ok(b"Connection: close", b"Content-Length: 2", body=b"/0"), "fin"))),
]
