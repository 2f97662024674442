# SPDX-License-Identifier: Apache-2.0
"""Field lines of requests: names, values, folds, bare CR, LF and NUL."""

from case import HARDENING, LAST, MUST, SHOULD, Sent, forwarded, get, hosts, refused

_PLAIN = b"GET /case HTTP/1.1"


def _kept(name, *fields, level=MUST, section="9110 5.5"):
    return forwarded(name, level, section, get(*fields), Sent(_PLAIN, fields=fields))


CASES = [
    # names
    refused("name-empty", SHOULD, "9112 2.2", get(b": b")),
    refused("name-empty-with-space", MUST, "9112 5", get(b" : b"), peers_may="clean"),
    refused("colon-alone", SHOULD, "9112 2.2", get(b":")),
    refused("no-colon", SHOULD, "9112 2.2", get(b"X-A")),
    refused("no-colon-two-words", SHOULD, "9112 2.2", get(b"X-A b")),
    refused("no-colon-last", SHOULD, "9112 2.2", hosts(b"Host: a", b"X-A: b", b"garbage")),
    refused("space-before-colon", MUST, "9112 5.1", get(b"X-A : b")),
    refused("tab-before-colon", MUST, "9112 5.1", get(b"X-A\t: b")),
    refused("space-in-name", SHOULD, "9112 2.2", get(b"X A: b")),
    *[refused(f"{name}-in-name", SHOULD, "9112 2.2", get(b"X" + char + b"A: b")) for name, char in (
        ("nul", b"\0"), ("control", b"\x01"), ("vertical-tab", b"\x0b"), ("del", b"\x7f"), ("high-byte", b"\xe4"),
        ("parenthesis", b"("), ("slash", b"/"), ("at", b"@"), ("bracket", b"["), ("backslash", b"\\"),
        ("semicolon", b";"), ("equals", b"="), ("quote", b"\""), ("comma", b","), ("cr", b"\r"))],
    refused("lf-in-name", HARDENING, "9112 2.2", get(b"X\nA: b")),
    refused("name-quoted", SHOULD, "9112 2.2", get(b"\"X-A\": b")),
    _kept("name-case-is-kept", b"x-wEIRD: 1", level=SHOULD, section="9110 5.1"),
    _kept("name-all-token-bytes", b"!#$%&'*+-.^`|~9: 1", section="9110 5.1"),
    _kept("name-one-letter", b"X: 1", section="9110 5.1"),
    _kept("name-digits", b"0123: 1", section="9110 5.1"),
    # values
    *[refused(f"{name}-in-value", level, section, get(b"X-A: a" + char + b"b"), peers_may=peers)
      for name, char, level, section, peers in (
          ("nul", b"\0", MUST, "9110 5.5", ""), ("cr", b"\r", MUST, "9110 5.5", ""),
          ("control", b"\x01", HARDENING, "9110 5.5", "as-is"), ("escape", b"\x1b", HARDENING, "9110 5.5", "as-is"),
          ("del", b"\x7f", HARDENING, "9110 5.5", "as-is"), ("vertical-tab", b"\x0b", HARDENING, "9110 5.5", "as-is"))],
    refused("nul-at-value-start", MUST, "9110 5.5", get(b"X-A: \0b")),
    refused("nul-at-value-end", MUST, "9110 5.5", get(b"X-A: b\0")),
    refused("cr-at-value-start", MUST, "9110 5.5", get(b"X-A:\rb")),
    refused("cr-cr-lf", MUST, "9110 5.5", get(b"X-A: b\r")),
    refused("cr-hides-coding", MUST, "9112 2.2", get(b"X-A:\rTransfer-Encoding: chunked")),
    refused("cr-hides-length", MUST, "9112 2.2", get(b"X-A: b\rContent-Length: 40")),
    refused("cr-hides-host", MUST, "9112 2.2", get(b"X-A: b\rHost: b")),
    refused("lf-ends-field", HARDENING, "9112 2.2", get(b"X-A: b\nX-B: c"), peers_may="clean"),
    refused("lf-hides-length", HARDENING, "9112 2.2", get(b"X-A: b\nContent-Length: %d" % len(LAST)),
            peers_may="clean"),
    refused("lf-lf-hides-request", HARDENING, "9112 2.2", get(b"X-A: b\n\nGET /hidden HTTP/1.1\nHost: a"), peers_may="as-is"),
    forwarded("value-is-trimmed", MUST, "9112 5.1", get(b"X-A: \t b c \t "), Sent(_PLAIN, fields=(b"X-A: b c",))),
    forwarded("value-without-space", MUST, "9112 5.1", get(b"X-A:b"), Sent(_PLAIN, fields=(b"X-A: b",))),
    forwarded("value-empty", MUST, "9110 5.5", get(b"X-A:"), Sent(_PLAIN, fields=(b"X-A: ",))),
    forwarded("value-blank", MUST, "9110 5.5", get(b"X-A:  \t "), Sent(_PLAIN, fields=(b"X-A: ",))),
    _kept("value-high-bytes", b"X-A: \xe4\xff"),
    _kept("value-tab-inside", b"X-A: a\tb"),
    _kept("value-of-colons", b"X-A: ::: a: b"),
    _kept("value-is-a-request", b"X-A: GET /hidden HTTP/1.1"),
    _kept("equal-names-in-order", b"X-A: 1", b"X-B: 2", b"X-A: 3", section="9110 5.3"),
    _kept("cookies-on-lines", b"Cookie: a=1", b"Cookie: b=2", section="9110 5.3"),
    _kept("authorization", b"Authorization: Basic eDp5", section="9110 11.6.2"),
    _kept("underscore-of-no-importance", b"X_Trace: 1", section="9110 5.1"),
    # folds
    refused("fold", MUST, "9112 5.2", get(b"X-A: b", b" c"), peers_may="clean"),
    refused("fold-by-tab", MUST, "9112 5.2", get(b"X-A: b", b"\tc"), peers_may="clean"),
    refused("fold-blank-line", MUST, "9112 5.2", get(b"X-A: b", b" ", b"X-B: c"), peers_may="clean"),
    refused("fold-empty-value", MUST, "9112 5.2", get(b"X-A:", b" c"), peers_may="clean"),
    refused("fold-looks-like-field", MUST, "9112 5.2", get(b"X-A: b", b" Content-Length: 40"), peers_may="clean"),
    refused("fold-looks-like-coding", MUST, "9112 5.2", get(b"X-A: b", b"\tTransfer-Encoding: chunked"), peers_may="clean"),
    refused("fold-before-first-field", MUST, "9112 2.2", hosts(b" X-A: b", b"Host: a"), peers_may="clean"),
    refused("host-behind-blank", MUST, "9112 2.2", hosts(b" Host: a")),
    # the end of the head
    refused("cr-after-head", MUST, "9112 2.2", b"GET /case HTTP/1.1\r\nHost: a\r\n\rX"),
    refused("lf-ends-head", HARDENING, "9112 2.2", b"GET /case HTTP/1.1\r\nHost: a\r\n\n", peers_may="clean"),
    refused("cr-cr-ends-head", MUST, "9112 2.2", b"GET /case HTTP/1.1\r\nHost: a\r\r\n\r\n"),
    refused("space-line-ends-head", MUST, "9112 5.2", b"GET /case HTTP/1.1\r\nHost: a\r\n \r\n\r\n", peers_may="clean"),
]
