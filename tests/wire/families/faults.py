# SPDX-License-Identifier: Apache-2.0
"""An origin that closes, resets or says nothing. POST, so that nothing may be tried again."""

from case import BadGateway, Case, Cut, HARDENING, MUST, Relayed, Script, get, ok, post

_POST = post(b"Content-Length: 2", body=b"ab")


def _fault(name, *steps, level=MUST, section="9110 15.6.3"):
    return Case(name, level, section, _POST, BadGateway(), Script(complete=steps))


CASES = [
    _fault("closes", "fin"),
    _fault("resets", "rst"),
    _fault("half-closes", "half"),
    _fault("half-closes-in-head", b"HTTP/1.1 200 OK\r\nContent-Le", "half", section="9112 8"),
    Case("half-close-ends-the-answer", MUST, "9112 6.3", _POST, Relayed(b"HTTP/1.1 200 OK", body=b"ab", framing="chunked"),
         Script(complete=(ok(body=b"ab"), "half"))),
    Case("half-close-cuts-the-answer", MUST, "9112 8", _POST, Cut(), Script(complete=(ok(b"Content-Length: 5", body=b"ab"), "half"))),
    _fault("closes-in-status-line", b"HTTP/1.", "fin", section="9112 8"),
    _fault("closes-behind-status-line", b"HTTP/1.1 200 OK\r\n", "fin", section="9112 8"),
    _fault("closes-in-head", b"HTTP/1.1 200 OK\r\nContent-Le", "fin", section="9112 8"),
    _fault("closes-before-end-of-head", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n", "fin", section="9112 8"),
    _fault("closes-in-end-of-head", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r", "fin", section="9112 8"),
    _fault("resets-in-head", b"HTTP/1.1 200 OK\r\nContent-Le", "rst", section="9112 8"),
    _fault("closes-behind-103", b"HTTP/1.1 103 Early Hints\r\n\r\n", "fin", section="9112 8"),
    Case("closes-on-the-head-of-an-upload", MUST, "9110 15.6.3", post(b"Content-Length: 2"), BadGateway(persists=False),
         Script(head=("fin",)), follow=b""),
    # A request that may be repeated is.
    Case("get-is-answered-all-the-same", MUST, "9110 9.2.2", get(), Relayed(b"HTTP/1.1 200 OK", body=b"ab"),
         Script(complete=(ok(b"Content-Length: 2", body=b"ab"), "fin"))),
    Case("answers-and-closes", MUST, "9112 9.3", _POST, Relayed(b"HTTP/1.1 200 OK", body=b"ab"),
         Script(complete=(ok(b"Content-Length: 2", body=b"ab"), "fin"))),
    Case("answers-in-pieces", MUST, "9112 2.2", _POST, Relayed(b"HTTP/1.1 200 OK", body=b"ab"),
         Script(complete=(b"HTTP", b"/1.1 2", b"00 OK\r", b"\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r",
                          b"\n", b"a", b"b"))),
    Case("answers-twice", HARDENING, "9112 9.2", _POST, Relayed(b"HTTP/1.1 200 OK", body=b"ab"),
         Script(complete=(ok(b"Content-Length: 2", body=b"ab"), ok(b"Content-Length: 6", body=b"POISON")))),
]
