# SPDX-License-Identifier: Apache-2.0
"""Expect and early answers: a body that was not wanted is never read as a request."""

from case import (HARDENING, LAST, MUST, SHOULD, Await, Case, Relayed, Script, Sent, forwarded, get, ok, post, refused)

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_POST = post(b"Expect: 100-continue", b"Content-Length: %d" % len(LAST))
_SENT = Sent(b"POST /case HTTP/1.1", fields=(b"Expect: 100-continue",), body=LAST, framing="length")
_EARLY = b"HTTP/1.1 403 Forbidden\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\nContent-Length: 2\r\n\r\nno"
_REFUSED_EARLY = Relayed(b"HTTP/1.1 403 Forbidden", body=b"no", persists=False)

CASES = [
    forwarded("continue", MUST, "9110 10.1.1", [_POST, Await(_CONTINUE[:12]), LAST], _SENT, is_shared=False,
              script=Script(head=(_CONTINUE,), complete=(ok(b"Content-Length: 0"),))),
    forwarded("without-waiting", MUST, "9110 10.1.1", _POST + LAST, _SENT, is_shared=False),
    forwarded("value-in-other-case", MUST, "9110 10.1.1",
              post(b"Expect: 100-CONTINUE", b"Content-Length: 2", body=b"ab"),
              Sent(b"POST /case HTTP/1.1", fields=(b"Expect: 100-CONTINUE",), body=b"ab", framing="length"), is_shared=False),
    forwarded("without-body", SHOULD, "9110 10.1.1", get(b"Expect: 100-continue"),
              Sent(b"GET /case HTTP/1.1", fields=(b"Expect: 100-continue",)), is_shared=False),
    forwarded("in-1.0", MUST, "9110 10.1.1",
              b"POST /case HTTP/1.0\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nab",
              Sent(b"POST /case HTTP/1.1", body=b"ab", framing="length"), persists=False),
    refused("unknown", HARDENING, "9110 10.1.1", get(b"Expect: 200-ok"), 417, "clean"),
    refused("empty", HARDENING, "9110 10.1.1", post(b"Expect:", b"Content-Length: 2", body=b"ab"), 417, "clean"),
    refused("quoted", HARDENING, "9110 10.1.1", post(b"Expect: \"100-continue\"", b"Content-Length: 2", body=b"ab"), 417, "clean"),
    refused("second-unknown", HARDENING, "9110 10.1.1",
            post(b"Expect: 100-continue", b"Expect: x", b"Content-Length: 2", body=b"ab"), 417, "clean"),
    forwarded("twice", MUST, "9110 10.1.1", post(b"Expect: 100-continue", b"Expect: 100-continue", b"Content-Length: 2", body=b"ab"),
              Sent(b"POST /case HTTP/1.1", fields=(b"Expect: 100-continue",) * 2, body=b"ab", framing="length"), is_shared=False),
    refused("list", HARDENING, "9110 10.1.1", post(b"Expect: 100-continue, x", b"Content-Length: 2", body=b"ab"), 417, "clean"),
    refused("with-a-letter-more", HARDENING, "9110 10.1.1", post(b"Expect: 100-continuex", b"Content-Length: 2", body=b"ab"), 417,
            "clean"),
    refused("behind-a-bad-length", MUST, "9112 6.3", post(b"Expect: 100-continue", b"Content-Length: x", body=b"ab")),
    # Answered before the body is there: the answer is passed on, the rest is nobody's request.
    Case("final-answer-instead-of-100", MUST, "9110 10.1.1", [_POST, Await(b"no")], _REFUSED_EARLY, Script(head=(_EARLY,))),
    Case("final-answer-then-the-body-comes", MUST, "9110 10.1.1", [_POST, Await(b"no"), LAST], _REFUSED_EARLY,
         Script(head=(_EARLY,)), follow=b""),
    Case("early-answer", MUST, "9112 9.5", [post(b"Content-Length: %d" % len(LAST)), Await(b"no"), LAST], _REFUSED_EARLY,
         Script(head=(_EARLY,)), follow=b""),
    Case("early-answer-to-chunks", MUST, "9112 9.5",
         [post(b"Transfer-Encoding: chunked", body=b"1\r\na\r\n"), Await(b"no"), b"%x\r\n%s\r\n0\r\n\r\n" % (len(LAST), LAST)],
         _REFUSED_EARLY, Script(head=(_EARLY,)), follow=b""),
    Case("early-answer-and-close", MUST, "9112 9.5", [post(b"Content-Length: %d" % len(LAST)), Await(b"no"), LAST],
         _REFUSED_EARLY, Script(head=(_EARLY, "fin")), follow=b""),
]
