# SPDX-License-Identifier: Apache-2.0
"""Bodies of responses: which have none, chunks, truncation, and what stands behind the end."""

from case import (CHUNKS, DATE, HARDENING, MUST, POISON, TE, Relayed, Script, cut, get, ok, relayed)

_OK = b"HTTP/1.1 200 OK"
_OLD = b"GET /case HTTP/1.0\r\nHost: a\r\n\r\n"
_HEAD = b"HEAD /case HTTP/1.1\r\nHost: a\r\n\r\n"


def _status(line, *lines):
    return b"\r\n".join((line, b"Date: " + DATE) + lines) + b"\r\n\r\n"


def _chunks(name, body, level=MUST, section="9112 7.1", peers_may=""):
    """A faulty chunked body, its head sent before: all that can be done is to cut."""
    return cut(name, level, section, Script(complete=(ok(TE), body)), peers_may=peers_may)


def _bare(name, line, *lines, client=get(), fields=(), section="9112 6.3", **more):
    """Has no body whatever its fields say; POISON stands where one might be looked for."""
    return relayed(name, MUST, section, _status(line, *lines) + POISON, Relayed(line, fields, framing="none"), client=client, **more)


CASES = [
    _bare("204", b"HTTP/1.1 204 No Content"),
    _bare("204-with-length", b"HTTP/1.1 204 No Content", b"Content-Length: 5"),
    _bare("204-with-coding", b"HTTP/1.1 204 No Content", TE),
    _bare("304", b"HTTP/1.1 304 Not Modified", b"ETag: \"a\"", fields=(b"ETag: \"a\"",)),
    _bare("304-with-coding", b"HTTP/1.1 304 Not Modified", TE, is_shared=False),
    relayed("304-with-length", MUST, "9112 6.3", _status(b"HTTP/1.1 304 Not Modified", b"Content-Length: 5") + POISON,
            Relayed(b"HTTP/1.1 304 Not Modified", (b"Content-Length: 5",), framing="none")),
    relayed("head-with-length", MUST, "9110 9.3.2", ok(b"Content-Length: 6") + POISON,
            Relayed(_OK, (b"Content-Length: 6",), framing="none"), client=_HEAD),
    relayed("head-with-coding", MUST, "9110 9.3.2", ok(TE) + POISON, Relayed(_OK, framing="none"), client=_HEAD,
            is_shared=False),
    relayed("head-with-body", MUST, "9110 9.3.2", ok(b"Content-Length: 2", body=b"ab") + POISON,
            Relayed(_OK, (b"Content-Length: 2",), framing="none"), client=_HEAD),
    relayed("head-without-framing", MUST, "9110 9.3.2", ok() + POISON, Relayed(_OK, framing="none"), client=_HEAD),
    relayed("205-with-body", MUST, "9110 15.3.6", _status(b"HTTP/1.1 205 Reset Content", b"Content-Length: 2") + b"ab",
            Relayed(b"HTTP/1.1 205 Reset Content", body=b"ab"), is_shared=False),
    # what stands behind the end
    relayed("surplus-behind-length", MUST, "9112 6.3", ok(b"Content-Length: 2", body=b"ab") + POISON, Relayed(_OK, body=b"ab")),
    relayed("surplus-behind-empty", MUST, "9112 6.3", ok(b"Content-Length: 0") + POISON, Relayed(_OK)),
    relayed("surplus-behind-chunks", MUST, "9112 6.3", ok(TE, body=CHUNKS) + POISON,
            Relayed(_OK, body=b"a", framing="chunked")),
    relayed("surplus-later", MUST, "9112 6.3", ok(b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab"), "later", POISON),
    relayed("surplus-later-behind-head", MUST, "9110 9.3.2", ok(b"Content-Length: 6"), Relayed(_OK, (b"Content-Length: 6",), framing="none"),
            "later", POISON, client=_HEAD),
    relayed("surplus-later-behind-304", MUST, "9112 6.3", _status(b"HTTP/1.1 304 Not Modified"),
            Relayed(b"HTTP/1.1 304 Not Modified", framing="none"), "later", POISON),
    relayed("surplus-second-end", MUST, "9112 6.3", ok(TE, body=CHUNKS) + b"0\r\n\r\n" + POISON,
            Relayed(_OK, body=b"a", framing="chunked")),
    relayed("surplus-100", MUST, "9110 15.2", ok(b"Content-Length: 2", body=b"ab") + b"HTTP/1.1 100 Continue\r\n\r\n" + POISON,
            Relayed(_OK, body=b"ab")),
    relayed("surplus-nul", HARDENING, "9112 6.3", ok(b"Content-Length: 2", body=b"ab") + b"\0" + POISON, Relayed(_OK, body=b"ab")),
    relayed("surplus-behind-1.0", MUST, "9112 6.3", b"HTTP/1.0 200 OK\r\nDate: " + DATE
            + b"\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nab" + POISON, Relayed(_OK, body=b"ab")),
    relayed("surplus-crlf", HARDENING, "9112 6.3", ok(b"Content-Length: 2", body=b"ab") + b"\r\n", Relayed(_OK, body=b"ab")),
    relayed("closed-later", MUST, "9112 9.3.1", ok(b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab"), "later", "fin"),
    relayed("reset-later", MUST, "9112 9.3.1", ok(b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab"), "later", "rst"),
    relayed("gzip-as-it-comes", MUST, "9110 7.7", ok(b"Content-Encoding: gzip", b"Content-Length: 4", body=b"\x1f\x8b\0\xff"),
            Relayed(_OK, (b"Content-Encoding: gzip",), b"\x1f\x8b\0\xff"),
            client=get(b"Accept-Encoding: gzip")),
    # chunks
    relayed("chunk-extensions", MUST, "9112 7.1.1", ok(TE, body=b"1;a=b\r\na\r\n0;c\r\n\r\n"), Relayed(_OK, body=b"a", framing="chunked")),
    relayed("chunk-zeros", MUST, "9112 7.1", ok(TE, body=b"0001\r\na\r\n00\r\n\r\n"), Relayed(_OK, body=b"a", framing="chunked")),
    relayed("trailers-dropped", MUST, "9110 6.5.1", ok(TE, body=b"1\r\na\r\n0\r\nX-T: 1\r\n\r\n"), Relayed(_OK, body=b"a", framing="chunked")),
    _chunks("chunk-size-letters", b"x\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-size-plus", b"+1\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-size-minus", b"-1\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-size-0x", b"0x1\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-size-overflow", b"fffffffffffffffff\r\na"),
    _chunks("chunk-size-2^64+1", b"10000000000000001\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-size-empty", b"\r\na\r\n0\r\n\r\n"),
    _chunks("chunk-line-lf", b"1\na\r\n0\r\n\r\n", HARDENING, "9112 2.2", "clean"),
    _chunks("chunk-line-cr", b"1\rXa\r\n0\r\n\r\n"),
    _chunks("chunk-data-too-long", b"1\r\nab\r\n0\r\n\r\n"),
    _chunks("chunk-data-ends-any-two-bytes", b"1\r\naXX0\r\n\r\n"),
    _chunks("chunk-sizes-sum-to-2^63", b"1\r\na\r\n7fffffffffffffff\r\nb", HARDENING),
    _chunks("chunk-extension-ends-quoted", b"1;a=\"\r\na\r\n0\r\n\r\n", HARDENING, "9112 7.1.1", "clean"),
    _chunks("chunk-extension-behind-space", b"1 ;a\r\na\r\n0\r\n\r\n", HARDENING, "9112 7.1.1", "clean"),
    _chunks("chunk-end-cr-and-byte", b"1\r\na\r\n0\r\n\rX"),
    _chunks("chunk-second-bad", b"1\r\na\r\nx\r\n"),
    _chunks("chunk-extension-long", b"1;" + b"x" * 300 + b"\r\na\r\n0\r\n\r\n", HARDENING, "9112 7.1.1", "clean"),
    _chunks("trailer-space-in-name", b"1\r\na\r\n0\r\nX A: b\r\n\r\n", HARDENING, "9112 5", "clean"),
    _chunks("trailer-nul", b"1\r\na\r\n0\r\nX-A: \0\r\n\r\n", HARDENING, "9110 5.5", "clean"),
    cut("chunk-bad-at-once", MUST, "9112 7.1", ok(TE, body=b"x\r\na\r\n0\r\n\r\n")),
    # truncation
    cut("cut-in-length", MUST, "9112 8", ok(b"Content-Length: 5", body=b"ab"), "fin"),
    cut("cut-before-length", MUST, "9112 8", ok(b"Content-Length: 5"), "fin"),
    cut("reset-in-length", MUST, "9112 8", ok(b"Content-Length: 5", body=b"ab"), "rst"),
    cut("cut-in-chunk", MUST, "9112 8", ok(TE, body=b"5\r\nab"), "fin"),
    cut("cut-in-chunk-line", MUST, "9112 8", ok(TE, body=b"1\r\na\r\n5"), "fin"),
    cut("cut-before-last-chunk", MUST, "9112 8", ok(TE, body=b"1\r\na\r\n"), "fin"),
    cut("cut-in-end", MUST, "9112 8", ok(TE, body=b"1\r\na\r\n0\r\n"), "fin"),
    cut("reset-before-last-chunk", MUST, "9112 8", ok(TE, body=b"1\r\na\r\n"), "rst"),
    cut("reset-until-close", MUST, "9112 8", ok(body=b"ab"), "rst"),
    cut("chunked-cut-to-1.0", MUST, "9112 8", ok(TE, body=b"5\r\nab"), "fin", client=_OLD),
    cut("until-close-reset-to-1.0", HARDENING, "9112 8", ok(body=b"ab"), "rst", client=_OLD),
    # HTTP/1.0 clients get no chunks
    relayed("chunked-to-1.0", MUST, "9112 7", ok(TE, body=b"1;x\r\na\r\n0\r\nX-T: 1\r\n\r\n"),
            Relayed(_OK, body=b"a", framing="close", persists=False), client=_OLD),
    relayed("until-close-to-1.0", MUST, "9112 6.3", ok(body=b"ab"), Relayed(_OK, body=b"ab", framing="close", persists=False), "fin",
            client=_OLD),
    relayed("length-to-1.0", MUST, "9112 6.3", ok(b"Content-Length: 2", body=b"ab"), Relayed(_OK, body=b"ab", persists=False), client=_OLD),
]
