# SPDX-License-Identifier: Apache-2.0
"""A second, strict reader of HTTP/1.1, written from the RFCs and sharing nothing with the proxy: what a proxy
sends is clean when this reads it. It repairs nothing and knows one form of everything; a Fault is a message
that another recipient may read differently."""

import re

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_REQUEST_LINE = re.compile(rb"(" + _TOKEN + rb") ([\x21\x22\x24-\x7e]+) HTTP/1\.1")
_STATUS_LINE = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9])(?: ([\t\x20-\x7e\x80-\xff]*))?")
_FIELD = re.compile(rb"(" + _TOKEN + rb"):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_CHUNK_LINE = re.compile(rb"[0-9A-Fa-f]{1,16}")
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[A-Za-z0-9\-._~!$&'()*+,;=]|%[0-9A-Fa-f]{2})+)(?::[0-9]*)?")

# Concern one connection only, and must not reach the next hop.
HOP_BY_HOP = {b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"http2-settings"}


class Fault(Exception):
    pass


class Message:
    """`raw` is what it took on the wire, once complete."""

    def __init__(self, head):
        self.head = head
        lines = head[:-4].split(b"\r\n")
        self.line = lines[0]
        self.fields = []
        for line in lines[1:]:
            match = _FIELD.fullmatch(line)
            if not match:
                raise Fault(f"field line {line!r}")
            self.fields.append((match[1], match[2].rstrip(b" \t")))
        self.body = b""
        self.trailers = []
        self.framing = b"none"
        self.left = 0

    def all(self, name):
        return [value for key, value in self.fields if key.lower() == name.lower()]

    def read_framing(self):
        lengths, codings = self.all(b"content-length"), self.all(b"transfer-encoding")
        if lengths and codings:
            raise Fault("length and coding")
        if len(lengths) > 1 or len(codings) > 1:
            raise Fault("framing field twice")
        if codings:
            if codings[0].lower() != b"chunked":
                raise Fault(f"coding {codings[0]!r}")
            self.framing = b"chunked"
        elif lengths:
            if not re.fullmatch(rb"[0-9]{1,19}", lengths[0]) or int(lengths[0]) >= 1 << 63:
                raise Fault(f"length {lengths[0]!r}")
            self.framing, self.left = b"length", int(lengths[0])


def _split_head(data):
    """The bytes of the head, None while it is not complete."""
    end = data.find(b"\r\n\r\n")
    seen = data if end < 0 else data[:end]
    if re.search(rb"(?<!\r)\n|\r(?!\n)(?!$)", seen):
        raise Fault(f"bare CR or LF in {seen[:200]!r}")
    if b"\0" in seen:
        raise Fault("NUL in a head")
    return None if end < 0 else data[:end + 4]


def request_head(data):
    head = _split_head(data)
    if head is None:
        return None
    request = Message(head)
    match = _REQUEST_LINE.fullmatch(request.line)
    if not match:
        raise Fault(f"request line {request.line!r}")
    request.method, request.target = match[1], match[2]
    if not request.target.startswith(b"/") and (request.method, request.target) != (b"OPTIONS", b"*"):
        raise Fault(f"target {request.target!r}")
    hosts = request.all(b"host")
    if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
        raise Fault(f"Host {hosts!r}")
    if request.method == b"CONNECT":
        raise Fault("CONNECT")
    _check_hops(request)
    request.read_framing()
    return request


def _check_hops(message):
    for name, value in message.fields:
        if name.lower() in HOP_BY_HOP:
            raise Fault(f"hop-by-hop field {name!r}")
        if name.lower() == b"te" and value.lower() != b"trailers":
            raise Fault(f"TE: {value!r}")
        if name.lower() == b"connection" and value.lower() not in (b"close", b"keep-alive", b"upgrade"):
            raise Fault(f"Connection: {value!r}")


def response_head(data, method):
    head = _split_head(data)
    if head is None:
        return None
    response = Message(head)
    match = _STATUS_LINE.fullmatch(response.line)
    if not match:
        raise Fault(f"status line {response.line!r}")
    response.status = int(match[1])
    response.read_framing()
    bare = response.status < 200 or response.status in (204, 304) or method == b"HEAD"
    if (response.status < 200 or response.status == 204) and response.framing != b"none":
        raise Fault(f"framing fields in {response.status}")
    if bare:
        response.framing, response.left = b"none", 0
    elif response.framing == b"none":
        response.framing = b"close"
    return response


def _read_chunks(message, data):
    """Bytes used, None while they are not complete; a Fault as soon as one can be seen."""
    at, parts = 0, []
    while True:
        end = data.find(b"\r\n", at)
        line = data[at:] if end < 0 else data[at:end]
        if line and not _CHUNK_LINE.fullmatch(line[:-1] if end < 0 and line.endswith(b"\r") else line):
            raise Fault(f"chunk line {line[:60]!r}")
        if end < 0:
            return None
        if not line:
            raise Fault("empty chunk line")
        size, at = int(line, 16), end + 2
        if size == 0:
            break
        if len(data) < at + size + 2:
            return None
        if data[at + size:at + size + 2] != b"\r\n":
            raise Fault("chunk without its end")
        parts.append(data[at:at + size])
        at += size + 2
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        line, at = data[at:end], end + 2
        if not line:
            break
        match = _FIELD.fullmatch(line)
        if not match:
            raise Fault(f"trailer {line!r}")
        message.trailers.append((match[1], match[2]))
    message.body = b"".join(parts)
    return at


def complete(message, data, has_ended=False):
    """Takes the body of a message at the start of `data`. Bytes used; None while it is not complete."""
    rest = data[len(message.head):]
    if message.framing == b"chunked":
        used = _read_chunks(message, rest)
    elif message.framing == b"length":
        used = message.left if len(rest) >= message.left else None
        message.body = rest[:message.left]
    elif message.framing == b"close":
        used = len(rest) if has_ended else None
        message.body = rest
    else:
        used = 0
    if used is None:
        return None
    message.raw = data[:len(message.head) + used]
    return len(message.raw)


def responses(data, methods, has_ended):
    """All complete responses in a stream, the rest, and what is wrong with it (or None)."""
    found, finals = [], 0
    try:
        while data:
            method = methods[finals] if finals < len(methods) else b"GET"
            response = response_head(data, method)
            used = response and complete(response, data, has_ended)
            if not used:
                break
            found.append(response)
            finals += response.status >= 200
            data = data[used:]
            if response.status == 101:
                break
    except Fault as fault:
        return found, data, str(fault)
    return found, data, None
