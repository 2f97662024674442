# SPDX-License-Identifier: Apache-2.0
"""Content-Length and Transfer-Encoding of responses: what could be read in two ways is not passed on."""

from case import CHUNKS, HARDENING, MUST, TE, Relayed, bad_gateway, ok, relayed

_OK = b"HTTP/1.1 200 OK"


def _length(name, value, level=MUST, peers_may="", body=b"ab"):
    return bad_gateway("length-" + name, level, "9112 6.3", ok(b"Content-Length:" + value, body=body), peers_may=peers_may)


def _coding(name, value, level=MUST, section="9112 6.3", peers_may=""):
    return bad_gateway("coding-" + name, level, section, ok(b"Transfer-Encoding:" + value, body=CHUNKS), peers_may=peers_may)


CASES = [
    _length("empty", b""),
    _length("minus", b" -2"),
    _length("plus", b" +2"),
    _length("hex", b" 0x2"),
    _length("letters-behind", b" 2a"),
    _length("dot", b" 2.0"),
    _length("space-inside", b" 2 2"),
    _length("nul", b" 2\0"),
    _length("cr", b" 2\r3"),
    _length("2^63", b" 9223372036854775808", level=HARDENING),
    _length("2^64+2", b" 18446744073709551618"),
    _length("100-digits", b" " + b"9" * 100),
    _length("list-same", b" 2, 2", peers_may="clean"),
    _length("list-differ", b" 2, 3"),
    _length("comma-behind", b" 2,", peers_may="clean"),
    _length("folded", b"\r\n 2", peers_may="clean"),
    bad_gateway("length-twice-same", MUST, "9112 6.3", ok(b"Content-Length: 2", b"Content-Length: 2", body=b"ab"),
                peers_may="clean"),
    bad_gateway("length-twice-differ", MUST, "9112 6.3", ok(b"Content-Length: 1", b"Content-Length: 2", body=b"ab")),
    bad_gateway("length-twice-zero-first", MUST, "9112 6.3", ok(b"Content-Length: 0", b"Content-Length: 2", body=b"ab")),
    bad_gateway("length-space-before-colon", HARDENING, "9112 5.1", ok(b"Content-Length : 2", body=b"ab"), peers_may="clean"),
    bad_gateway("length-and-coding", MUST, "9112 6.3", ok(b"Content-Length: 4", TE, body=CHUNKS), peers_may="clean"),
    bad_gateway("coding-and-length", MUST, "9112 6.3", ok(TE, b"Content-Length: 4", body=CHUNKS), peers_may="clean"),
    bad_gateway("coding-and-length-zero", MUST, "9112 6.3", ok(TE, b"Content-Length: 0", body=CHUNKS), peers_may="clean"),
    _coding("gzip", b" gzip", HARDENING),
    _coding("gzip-chunked", b" gzip, chunked", HARDENING, "9112 6.1"),
    _coding("chunked-gzip", b" chunked, gzip", HARDENING),
    _coding("chunked-twice", b" chunked, chunked", section="9112 6.1"),
    _coding("identity", b" identity", HARDENING),
    _coding("xchunked", b" xchunked", HARDENING),
    _coding("empty", b""),
    _coding("comma-before", b" ,chunked", HARDENING, peers_may="clean"),
    _coding("comma-behind", b" chunked,", HARDENING, peers_may="clean"),
    _coding("quoted", b" \"chunked\""),
    _coding("parameter", b" chunked;q=1"),
    _coding("vertical-tab", b" \x0bchunked"),
    _coding("nul", b" chunked\0"),
    _coding("folded", b"\r\n chunked", section="9112 5.2", peers_may="clean"),
    bad_gateway("coding-two-lines", MUST, "9112 6.1", ok(TE, TE, body=CHUNKS)),
    bad_gateway("coding-two-lines-identity", MUST, "9112 6.1", ok(TE, b"Transfer-Encoding: identity", body=CHUNKS)),
    bad_gateway("coding-in-1.0", HARDENING, "9112 6.1", b"HTTP/1.0 200 OK\r\n" + TE + b"\r\n\r\n" + CHUNKS, peers_may="clean"),
    bad_gateway("coding-space-before-colon", HARDENING, "9112 5.1", ok(b"Transfer-Encoding : chunked", body=CHUNKS),
                peers_may="clean"),
    relayed("length", MUST, "9112 6.3", ok(b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab")),
    relayed("length-leading-zeros", MUST, "9110 8.6", ok(b"Content-Length: 0002", body=b"ab"), Relayed(_OK, body=b"ab")),
    relayed("chunked", MUST, "9112 6.3", ok(TE, body=CHUNKS), Relayed(_OK, body=b"a", framing="chunked")),
    relayed("chunked-other-case", MUST, "9112 7", ok(b"tRANSFER-eNCODING: CHUNKED", body=CHUNKS),
            Relayed(_OK, body=b"a", framing="chunked")),
    relayed("until-close", MUST, "9112 6.3", ok(body=b"ab"), Relayed(_OK, body=b"ab", framing="chunked"), "fin"),
    relayed("until-close-empty", MUST, "9112 6.3", ok(), Relayed(_OK, framing="chunked"), "fin"),
]
