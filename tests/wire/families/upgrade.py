# SPDX-License-Identifier: Apache-2.0
"""Upgrade: only to a websocket, only after the origin's 101; until then what the client sends is HTTP."""

from case import (FIN, HARDENING, LAST, MUST, SHOULD, TUNNEL, Await, Case, Forwarded, Script, Sent, bad_gateway, forwarded, get, ok,
                  post, refused)

_PLAIN = b"GET /case HTTP/1.1"
_KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
_VERSION = b"Sec-WebSocket-Version: 13"
_WEBSOCKET = get(b"Connection: Upgrade", b"Upgrade: websocket", _KEY, _VERSION)
_SENT = Sent(_PLAIN, fields=(_KEY, _VERSION), framing="websocket")
_SWITCHED = (b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
             b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")


def _not_switched(name, *lines, absent=(b"Upgrade",), level=MUST, section="9110 7.8", client=None):
    """Goes on as a plain request."""
    return forwarded(name, level, section, client or get(*lines), Sent(_PLAIN, absent=absent))


CASES = [
    _not_switched("h2c", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA",
                  absent=(b"Upgrade", b"HTTP2-Settings"), level=HARDENING, section="7540 3.2"),
    _not_switched("h2c-without-connection", b"Upgrade: h2c", b"HTTP2-Settings: AAAA", absent=(b"Upgrade",), level=HARDENING,
                  section="7540 3.2"),
    _not_switched("h2c-in-a-list", b"Connection: Upgrade", b"Upgrade: websocket, h2c", level=HARDENING),
    _not_switched("h2c-on-two-lines", b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: h2c", level=HARDENING),
    _not_switched("tls", b"Connection: Upgrade", b"Upgrade: TLS/1.0", level=HARDENING),
    _not_switched("websocket-without-connection", b"Upgrade: websocket", level=SHOULD, section="9110 7.6.1"),
    _not_switched("connection-without-upgrade", b"Connection: Upgrade"),
    forwarded("in-1.0", MUST, "9110 7.8", b"GET /case HTTP/1.0\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
              Sent(_PLAIN, absent=(b"Upgrade",)), persists=False),
    refused("websocket-with-length", HARDENING, "9110 7.8",
            get(b"Connection: Upgrade", b"Upgrade: websocket", b"Content-Length: 2") + b"ab"),
    refused("websocket-with-chunks", HARDENING, "9110 7.8",
            get(b"Connection: Upgrade", b"Upgrade: websocket", b"Transfer-Encoding: chunked") + b"1\r\na\r\n0\r\n\r\n"),
    refused("websocket-by-head", HARDENING, "6455 4.1", b"HEAD /case HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
    _not_switched("websocket-with-version", b"Connection: Upgrade", b"Upgrade: websocket/13", level=HARDENING),
    _not_switched("websocket-twice", b"Connection: Upgrade", b"Upgrade: websocket", b"Upgrade: websocket", level=HARDENING),
    _not_switched("websocket-second-in-a-list", b"Connection: Upgrade", b"Upgrade: foo, websocket", level=HARDENING),
    refused("websocket-by-post", HARDENING, "6455 4.1", post(b"Connection: Upgrade", b"Upgrade: websocket")),
    # What came behind the request is HTTP when the origin does not switch.
    forwarded("declined", MUST, "9110 7.8", _WEBSOCKET, _SENT),
    Case("declined-with-error", MUST, "9110 7.8", _WEBSOCKET, Forwarded((_SENT,), statuses=(403,)),
         Script(complete=(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",))),
    Case("switched", MUST, "9110 7.8", [_WEBSOCKET, Await(b"\r\n\r\n"), b"\x81\x05hello", Await(b"echo:\x81\x05hello"), FIN],
         Forwarded((_SENT,), persists=False, statuses=(101,)), Script(complete=(_SWITCHED, TUNNEL)), follow=b""),
    Case("what-waits-is-not-http-once-switched", MUST, "9110 7.8", [_WEBSOCKET + LAST, Await(b"echo:" + LAST), FIN],
         Forwarded((_SENT,), persists=False, statuses=(101,)), Script(complete=(_SWITCHED, TUNNEL)), follow=b""),
    # 101 that nobody asked for
    bad_gateway("unasked-101", MUST, "9110 15.2.2", _SWITCHED),
    bad_gateway("bare-101", MUST, "9110 15.2.2", b"HTTP/1.1 101 Switching Protocols\r\n\r\n"),
    bad_gateway("101-to-another-protocol", MUST, "9110 7.8",
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", client=_WEBSOCKET),
    bad_gateway("101-without-upgrade", MUST, "9110 7.8", b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n\r\n",
                client=_WEBSOCKET),
    bad_gateway("101-with-a-list", HARDENING, "9110 7.8",
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket, h2c\r\n\r\n", client=_WEBSOCKET),
    bad_gateway("101-twice", HARDENING, "9110 7.8",
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nUpgrade: websocket\r\n\r\n",
                client=_WEBSOCKET),
    bad_gateway("101-without-connection", HARDENING, "9110 7.8", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
                client=_WEBSOCKET),
    bad_gateway("unasked-101-to-a-post", MUST, "9110 15.2.2", _SWITCHED, client=post(b"Content-Length: 2", body=b"ab")),
    bad_gateway("101-in-1.0", HARDENING, "9110 15.2",
                b"HTTP/1.0 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", client=_WEBSOCKET),
    bad_gateway("101-for-h2c-that-was-stripped", MUST, "9110 7.8",
                b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
                client=get(b"Connection: Upgrade", b"Upgrade: h2c")),
    forwarded("not-switched-by-200", MUST, "9110 7.8", _WEBSOCKET, _SENT,
              script=Script(complete=(ok(b"Upgrade: websocket", b"Connection: Upgrade", b"Content-Length: 2", body=b"ab"),))),
]
