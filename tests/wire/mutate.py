# SPDX-License-Identifier: Apache-2.0
"""The ways of hiding a message from one of two readers: letters' case, padding, doubles, folds, look-alikes, and
bytes that one skips and the other does not. Given a random.Random, so that a seed tells the whole run."""

import re

TOKENS = [b"\0", b"\t", b"\n", b"\x0b", b"\x0c", b"\r", b" ", b"\x1f", b"\x7f", b"\x80", b"\xa0", b"\xff", b",", b";", b":",
        b"_", b"+", b"-", b"0", b"x", b"\"", b"\\", b"#", b"%", b"\r\n", b"\r\n ", b"\n\n", b"\r\n\r\n", b" \r\n", b"0\r\n\r\n"]
LINES = [b"Content-Length: 0", b"Content-Length: 5", b"content-length:40", b"Transfer-Encoding: chunked",
          b"Transfer-Encoding: identity", b"transfer-encoding:\tchunked", b"Host: other.example", b"Connection: close",
          b"Connection: Content-Length, Host", b"Connection: Transfer-Encoding", b"Expect: 100-continue",
          b"Upgrade: websocket", b"X-A: b", b" folded: c", b"TE: trailers"]


def _flip_case(rng, raw):
    at = rng.randrange(len(raw))
    end = min(len(raw), at + rng.randint(1, 12))
    return raw[:at] + raw[at:end].swapcase() + raw[end:]


def _insert(rng, raw):
    at = rng.randrange(len(raw) + 1)
    return raw[:at] + rng.choice(TOKENS) + raw[at:]


def _insert_at_joint(rng, raw):
    """Where names, values and lines meet: where readers differ."""
    joints = [match.start() for match in re.finditer(rb"[:\r\n; ,]", raw)] or [0]
    at = min(len(raw), rng.choice(joints) + rng.randint(0, 1))
    return raw[:at] + rng.choice(TOKENS) + raw[at:]


def _delete(rng, raw):
    at = rng.randrange(len(raw))
    return raw[:at] + raw[at + rng.randint(1, 2):]


def _replace(rng, raw):
    at = rng.randrange(len(raw))
    return raw[:at] + rng.choice(TOKENS)[:1] + raw[at + 1:]


def _underscore(rng, raw):
    dashes = [match.start() for match in re.finditer(rb"-", raw)]
    if not dashes:
        return _replace(rng, raw)
    at = rng.choice(dashes)
    return raw[:at] + b"_" + raw[at + 1:]


def _lines(raw):
    head, separator, rest = raw.partition(b"\r\n\r\n")
    return head.split(b"\r\n"), separator + rest


def _double_line(rng, raw):
    lines, rest = _lines(raw)
    lines.insert(rng.randint(1, len(lines)), rng.choice(lines))
    return b"\r\n".join(lines) + rest


def _add_line(rng, raw):
    lines, rest = _lines(raw)
    lines.insert(rng.randint(1, len(lines)), rng.choice(LINES))
    return b"\r\n".join(lines) + rest


def _swap_lines(rng, raw):
    lines, rest = _lines(raw)
    tail = lines[1:]
    rng.shuffle(tail)
    return b"\r\n".join([lines[0], *tail]) + rest


def _fold(rng, raw):
    spaces = [match.start() for match in re.finditer(rb"[: ]", raw)]
    if not spaces:
        return _insert(rng, raw)
    at = rng.choice(spaces) + 1
    return raw[:at] + rng.choice([b"\r\n ", b"\r\n\t", b"\n ", b"\r "]) + raw[at:]


def _number(rng, raw):
    numbers = list(re.finditer(rb"[0-9a-fA-F]+(?=\r\n)", raw))
    if not numbers:
        return _insert_at_joint(rng, raw)
    match = rng.choice(numbers)
    value = rng.choice([b"0", b"00", b"1", b"2", b"+" + match[0], b"0x" + match[0], match[0] + b" ", b" " + match[0],
                        b"0" * 16 + match[0], b"f" * 16, match[0] + b";a", b"-1", b"18446744073709551617"])
    return raw[:match.start()] + value + raw[match.end():]


_TECHNIQUES = (_flip_case, _insert, _insert_at_joint, _insert_at_joint, _delete, _replace, _underscore, _double_line,
               _add_line, _add_line, _swap_lines, _fold, _number, _number)


def mutate(rng, raw):
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        if raw:
            raw = rng.choice(_TECHNIQUES)(rng, raw)
    return raw
