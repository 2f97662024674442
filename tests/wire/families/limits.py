# SPDX-License-Identifier: Apache-2.0
"""Sizes: just within, at, and just beyond each limit."""

from case import HARDENING, MUST, SHOULD, TE, Sent, chunks, forwarded, get, hosts, late, post, refused

_HEAD, _TARGET, _FIELDS, _NAME = 32 << 10, 16 << 10, 128, 256
_EMPTY_FIELD = len(b"X-A: \r\n")


def _target(size):
    return b"/" + b"t" * (size - 1)


def _head(size):
    """A head of just so many bytes, none of its fields long."""
    lines, room = [], size - len(get())
    while room:
        value = min(room, 1007) if room >= 2 * 1007 or room <= 1007 else room - 20
        lines.append(b"X-A: " + b"v" * (value - _EMPTY_FIELD))
        room -= value
    return get(*lines), tuple(lines)


def _head_case(name, size):
    raw, lines = _head(size)
    return forwarded(name, HARDENING, "9110 5.4", raw, Sent(b"GET /case HTTP/1.1", fields=lines), is_shared=False)


def _count(count):
    return tuple(b"X-%d: v" % number for number in range(count - 1))


def _trailers(size):
    """Trailer lines with just so many bytes, the empty line included."""
    return b"1\r\na\r\n0\r\n" + b"X-A: " + b"v" * (size - _EMPTY_FIELD - 2) + b"\r\n\r\n"


_NAME_MAX = b"X" * _NAME

CASES = [
    forwarded("target-8000", SHOULD, "9112 3", get(target=_target(8000)), Sent(b"GET " + _target(8000) + b" HTTP/1.1")),
    forwarded("target-limit-1", HARDENING, "9112 3", get(target=_target(_TARGET - 1)),
              Sent(b"GET " + _target(_TARGET - 1) + b" HTTP/1.1"), is_shared=False),
    forwarded("target-limit", HARDENING, "9112 3", get(target=_target(_TARGET)),
              Sent(b"GET " + _target(_TARGET) + b" HTTP/1.1"), is_shared=False),
    refused("target-limit+1", HARDENING, "9110 15.5.15", get(target=_target(_TARGET + 1)), 414, is_shared=False),
    refused("target-endless", SHOULD, "9112 3", get(target=_target(100000)), 414),
    _head_case("head-limit-1", _HEAD - 1),
    _head_case("head-limit", _HEAD),
    refused("head-limit+1", HARDENING, "6585 5", _head(_HEAD + 1)[0], 431, is_shared=False),
    refused("head-endless", SHOULD, "6585 5", get(*[b"X-A: " + b"v" * 1000] * 200), 431),
    refused("head-endless-field", SHOULD, "6585 5", get(b"X-A: " + b"v" * 100000), 431),
    forwarded("field-8000", SHOULD, "9110 5.4", get(b"X-A: " + b"v" * 8000),
              Sent(b"GET /case HTTP/1.1", fields=(b"X-A: " + b"v" * 8000,))),
    forwarded("fields-limit-1", HARDENING, "9110 5.4", hosts(b"Host: a", *_count(_FIELDS - 1)),
              Sent(b"GET /case HTTP/1.1", fields=_count(_FIELDS - 1)), is_shared=False),
    forwarded("fields-limit", HARDENING, "9110 5.4", hosts(b"Host: a", *_count(_FIELDS)),
              Sent(b"GET /case HTTP/1.1", fields=_count(_FIELDS)), is_shared=False),
    refused("fields-limit+1", HARDENING, "6585 5", hosts(b"Host: a", *_count(_FIELDS + 1)), 431, is_shared=False),
    refused("fields-1000", HARDENING, "6585 5", hosts(b"Host: a", *_count(1000)), 431),
    forwarded("name-limit", HARDENING, "9110 5.4", get(_NAME_MAX + b": 1"),
              Sent(b"GET /case HTTP/1.1", fields=(_NAME_MAX + b": 1",)), is_shared=False),
    refused("name-limit+1", HARDENING, "6585 5", get(_NAME_MAX + b"X: 1"), 431, is_shared=False),
    forwarded("extension-limit", HARDENING, "9112 7.1.1", chunks(b"1;" + b"x" * 255 + b"\r\na\r\n0\r\n\r\n"),
              Sent(b"POST /case HTTP/1.1", body=b"a", framing="chunked"), is_shared=False),
    late("extension-limit+1", HARDENING, "9112 7.1.1", chunks(b"1;" + b"x" * 256 + b"\r\na\r\n0\r\n\r\n"), is_shared=False),
    forwarded("trailers-limit", HARDENING, "9110 6.5", post(TE, body=_trailers(8 << 10)),
              Sent(b"POST /case HTTP/1.1", body=b"a", framing="chunked"), is_shared=False),
    late("trailers-limit+1", HARDENING, "9110 6.5", post(TE, body=_trailers((8 << 10) + 1)), is_shared=False),
    forwarded("body-limit", HARDENING, "9110 15.5.14", post(b"Content-Length: 100000", body=b"b" * 100000),
              Sent(b"POST /case HTTP/1.1", body=b"b" * 100000, framing="length"), is_shared=False),
    forwarded("body-chunked", MUST, "9112 7.1", chunks(b"4e20\r\n" + b"b" * 20000 + b"\r\n0\r\n\r\n"),
              Sent(b"POST /case HTTP/1.1", body=b"b" * 20000, framing="chunked")),
    forwarded("connection-options-limit", HARDENING, "9110 7.6.1", get(b"Connection: " + b",".join([b"x"] * 64)),
              Sent(b"GET /case HTTP/1.1"), is_shared=False),
    refused("connection-options-limit+1", HARDENING, "9110 7.6.1", get(b"Connection: " + b",".join([b"x"] * 65)),
            is_shared=False),
]
