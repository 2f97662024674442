# SPDX-License-Identifier: Apache-2.0
"""The chunked coding of requests: sizes, line ends, extensions. What has its end in doubt is never completed."""

from case import HARDENING, MUST, FIN, RST, Sent, chunks, dropped, forwarded, late

_END = b"0\r\n\r\n"


def _bad(name, body, level=MUST, section="9112 7.1", peers_may=""):
    return late(name, level, section, chunks(body), peers_may=peers_may)


def _size(name, size, **more):
    return _bad("size-" + name, size + b"\r\na\r\n" + _END, **more)


def _good(name, body, data, level=MUST, section="9112 7.1"):
    return forwarded(name, level, section, chunks(body), Sent(b"POST /case HTTP/1.1", body=data, framing="chunked"))


CASES = [
    _size("plus", b"+1"),
    _size("minus", b"-1"),
    _size("0x", b"0x1"),
    _size("0X", b"0X1"),
    _size("x-first", b"x1"),
    _size("letters", b"g"),
    _size("h-suffix", b"1h"),
    _size("underscore", b"1_0"),
    _size("dot", b"1.0"),
    _size("comma", b"1,1"),
    _size("space-before", b" 1"),
    _size("tab-before", b"\t1"),
    _size("space-behind", b"1 ", level=HARDENING, peers_may="clean"),
    _size("tab-behind", b"1\t", level=HARDENING, peers_may="clean"),
    _size("space-inside", b"0 1"),
    _size("nul-behind", b"1\0"),
    _size("nul-before", b"\x001"),
    _size("vertical-tab", b"1\x0b"),
    _size("high-byte", b"1\xe4"),
    _size("full-width-digit", b"\xef\xbc\x91"),
    _size("quoted", b"\"1\""),
    _size("escape", b"%31"),
    _size("17-digits", b"00000000000000001", level=HARDENING, peers_may="clean"),
    _size("18-f", b"ffffffffffffffffff"),
    _size("2^64", b"10000000000000000"),
    _size("2^64+1", b"10000000000000001"),
    _size("2^64-1", b"ffffffffffffffff", level=HARDENING),
    _size("2^63", b"8000000000000000", level=HARDENING),
    _size("negative-in-disguise", b"fffffffffffffffe", level=HARDENING),
    _bad("sizes-sum-to-2^63", b"1\r\na\r\n7fffffffffffffff\r\nb", level=HARDENING),
    _bad("size-empty", b"\r\na\r\n" + _END),
    _bad("size-only-extension", b";a=b\r\na\r\n" + _END),
    # line ends
    _bad("line-ends-lf", b"1\na\r\n" + _END, level=HARDENING, section="9112 2.2", peers_may="clean"),
    _bad("line-ends-cr", b"1\ra\r\n" + _END),
    _bad("line-ends-cr-and-byte", b"1\rXa\r\n" + _END),
    _bad("line-ends-cr-cr-lf", b"1\r\r\na\r\n" + _END),
    _bad("line-ends-lf-cr", b"1\n\ra\r\n" + _END),
    _bad("data-ends-lf", b"1\r\na\n" + _END, level=HARDENING, peers_may="clean"),
    _bad("data-ends-cr", b"1\r\na\r" + _END),
    _bad("data-ends-any-two-bytes", b"1\r\naXX" + _END),
    _bad("data-ends-with-nothing", b"1\r\na" + _END),
    _bad("data-ends-cr-and-byte", b"1\r\na\rX" + _END),
    _bad("data-ends-twice", b"1\r\na\r\n\r\n" + _END),
    _bad("data-too-long", b"1\r\nab\r\n" + _END),
    _bad("data-too-short", b"3\r\na\r\n" + _END),
    _bad("last-of-17-zeros", b"1\r\na\r\n00000000000000000\r\n\r\n", level=HARDENING, peers_may="clean"),
    _bad("last-then-space", b"1\r\na\r\n0 \r\n\r\n", level=HARDENING, peers_may="clean"),
    _bad("last-is-0x0", b"1\r\na\r\n0x0\r\n\r\n"),
    _bad("end-behind-two-cr", b"1\r\na\r\n0\r\n\r\r\n"),
    _bad("empty-line-before-last", b"1\r\na\r\n\r\n0\r\n\r\n"),
    _bad("last-ends-lf", b"1\r\na\r\n0\n\r\n", level=HARDENING, peers_may="clean"),
    _bad("end-is-lf", b"1\r\na\r\n0\r\n\n", level=HARDENING, section="9112 2.2", peers_may="clean"),
    _bad("end-is-cr-and-byte", b"1\r\na\r\n0\r\n\rX"),
    _bad("last-is-minus-zero", b"1\r\na\r\n-0\r\n\r\n"),
    # extensions
    _bad("extension-with-cr", b"1;a\rb\r\na\r\n" + _END),
    _bad("extension-with-lf", b"1;a\nb\r\na\r\n" + _END, section="9112 2.2"),
    _bad("extension-hides-chunk-by-lf", b"1;\nX\r\na\r\n" + _END, section="9112 2.2"),
    _bad("extension-with-nul", b"1;a\0b\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("extension-with-control", b"1;a\x01b\r\na\r\n" + _END, level=HARDENING, peers_may="clean"),
    _bad("extension-quoted-cr", b"1;a=\"\r\"\r\na\r\n" + _END),
    _bad("extension-ends-quoted", b"1;a=\"b\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("extension-hides-chunk-by-quotes", b"1;a=\"\r\na\r\n0\r\n\r\n\";b\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1",
         peers_may="as-is"),
    _bad("extension-ends-quoted-by-escape", b"1;a=\"b\\\"\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("extension-257", b"1;" + b"x" * 257 + b"\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("extension-long", b"1;" + b"x" * 20000 + b"\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1",
         peers_may="clean"),
    # Enough data for so much framing, so that it is the extensions that are too many.
    _bad("extensions-17-KiB", (b"14;" + b"x" * 200 + b"\r\n" + b"a" * 20 + b"\r\n") * 90 + _END, level=HARDENING,
         section="9112 7.1.1", peers_may="clean"),
    _bad("extension-behind-space", b"1 ;a=b\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("extension-by-comma", b"1,a=b\r\na\r\n" + _END, section="9112 7.1.1"),
    _bad("extension-with-del", b"1;a\x7f\r\na\r\n" + _END, level=HARDENING, section="9112 7.1.1", peers_may="clean"),
    _bad("framing-without-data", b"0000000000000001;xxxxxxx\r\na\r\n" * 1500 + _END, level=HARDENING,
         section="9112 7.1.1", peers_may="clean"),
    _good("extension", b"1;ext=1\r\na\r\n" + _END, b"a", section="9112 7.1.1"),
    _good("extension-without-value", b"1;ext\r\na\r\n" + _END, b"a", section="9112 7.1.1"),
    _good("extension-quoted", b"1;a=\"b;c\"\r\na\r\n" + _END, b"a", section="9112 7.1.1"),
    _good("extension-quoted-escapes", b"1;a=\"\\\"\\\\;\";b=\\\r\na\r\n" + _END, b"a", section="9112 7.1.1"),
    _good("extension-of-last", b"1\r\na\r\n0;last\r\n\r\n", b"a", section="9112 7.1.1"),
    # sound
    _good("leading-zeros", b"0001\r\na\r\n" + _END, b"a"),
    _good("16-digits", b"0000000000000001\r\na\r\n" + _END, b"a"),
    _good("upper-case-hex", b"A\r\n0123456789\r\n" + _END, b"0123456789"),
    _good("lower-case-hex", b"a\r\n0123456789\r\n" + _END, b"0123456789"),
    _good("several", b"1\r\na\r\n2\r\nbc\r\n3\r\ndef\r\n" + _END, b"abcdef"),
    _good("empty-body", _END, b""),
    _good("last-of-many-zeros", b"1\r\na\r\n000\r\n\r\n", b"a"),
    _good("data-like-framing", b"5\r\n0\r\n\r\n\r\n" + _END, b"0\r\n\r\n"),
    # cut
    dropped("cut-in-size", MUST, "9112 8", chunks(b"1"), FIN),
    dropped("cut-in-data", MUST, "9112 8", chunks(b"5\r\nab"), FIN),
    dropped("cut-before-last", MUST, "9112 8", chunks(b"1\r\na\r\n"), FIN),
    dropped("cut-in-end", MUST, "9112 8", chunks(b"1\r\na\r\n0\r\n"), FIN),
    dropped("reset-in-data", MUST, "9112 8", chunks(b"5\r\nab"), RST),
]
