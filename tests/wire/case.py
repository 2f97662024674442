# SPDX-License-Identifier: Apache-2.0
"""What a row of the suite is, and the words the tables in families/ are written with.

A row says what a client sends, what an origin answers, and what must come of it. LAST follows every client's
bytes unless the row says otherwise: whether it is answered shows what became of the connection, and whether the
origin sees it at all shows where the message before it ended."""

from dataclasses import dataclass, field
from typing import Any

LAST = b"GET /last HTTP/1.1\r\nHost: last.example\r\nConnection: close\r\n\r\n"
# Stands behind an origin's answer; nobody may ever get it as an answer.
POISON = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON"
DATE = b"Thu, 01 Jan 2026 00:00:00 GMT"

TE = b"Transfer-Encoding: chunked"
CHUNKS = b"1\r\na\r\n0\r\n\r\n"

MUST, SHOULD, HARDENING = "must", "should", "hardening"


# --- what a client sends

def get(*lines, target=b"/case"):
    return b"\r\n".join((b"GET " + target + b" HTTP/1.1", b"Host: a") + lines) + b"\r\n\r\n"


def post(*lines, body=b""):
    return b"\r\n".join((b"POST /case HTTP/1.1", b"Host: a") + lines) + b"\r\n\r\n" + body


def line(request_line):
    return request_line + b"\r\nHost: a\r\n\r\n"


def hosts(*lines):
    return b"\r\n".join((b"GET /case HTTP/1.1",) + lines) + b"\r\n\r\n"


def chunks(body):
    return post(TE, body=body)


@dataclass
class Await:
    """A step of a client: send nothing more until this has come."""
    mark: bytes


FIN, RST = "fin", "rst"  # steps that end a side: half-close and reset


# --- what an origin does

def ok(*lines, body=b""):
    return b"\r\n".join((b"HTTP/1.1 200 OK", b"Date: " + DATE) + lines) + b"\r\n\r\n" + body


@dataclass
class Script:
    """What the origin does for the case's first request: steps when its head is there, steps when it is
    complete. A step is bytes, FIN, "half" (it goes on reading), RST, TUNNEL (from here on bytes are no HTTP) or
    "later" (what follows comes when nobody does anything any more)."""
    complete: tuple = ()
    head: tuple = ()


TUNNEL = "tunnel"


# --- what must come of it

@dataclass
class Refused:
    """One answer of the proxy's own, the connection closed, no complete message at the origin: not one byte
    of it when the fault is in the head."""
    status: int
    is_late: bool = False  # found in the body, whose head may have been on its way


@dataclass
class Sent:
    """A request as the origin must get it. Framing: from the body, or chunked."""
    line: bytes
    host: bytes = b"a"
    fields: tuple = ()
    body: bytes = b""
    framing: str = ""  # "", "length", "chunked"; "websocket": no body, Connection and Upgrade
    trailers: tuple = ()
    asked: bytes = b""    # Host as the client wrote it, where an option gives another
    extra: tuple = ()     # fields that an option adds
    absent: tuple = ()  # names that may not be there; of ours every byte is compared anyway


@dataclass
class Dropped:
    """The client leaves in the middle of its message, which the origin never gets as a complete one."""


@dataclass
class Forwarded:
    """The origin gets exactly these, each is answered, in order, and LAST is too when it `persists`."""
    requests: tuple
    persists: bool = True
    statuses: tuple = ()  # default: 200 for each


@dataclass
class Answered:
    """The proxy answers itself and the connection persists."""
    status: int
    fields: tuple = ()
    persists: bool = True


@dataclass
class Relayed:
    """The client gets exactly this answer (a head without what the proxy adds, and a body)."""
    line: bytes
    fields: tuple = ()
    body: bytes = b""
    framing: str = "length"  # as the client gets it
    interim: tuple = ()      # lines of the 1xx before it
    persists: bool = True


@dataclass
class BadGateway:
    """The origin's answer is not believed: 502 of the proxy's own; the client's connection persists."""
    status: int = 502
    persists: bool = True


@dataclass
class Cut:
    """The client can see that its answer is not complete."""


@dataclass
class Case:
    name: str
    level: str
    section: str
    client: Any
    expect: Any
    script: Any = None
    # What the RFC leaves to a proxy beside refusing. Not for ours, whose verdict is one; counted as passed
    # for peers: "clean" (repaired), "close" (repaired, and nothing behind it on that connection), "as-is".
    peers_may: str = ""
    is_shared: bool = True  # False: about options of ours, peers are not asked
    family: str = ""
    follow: bytes = LAST

    @property
    def id(self):
        return f"{self.family}:{self.name}"

    def steps(self, waits):
        """waits: LAST comes when the answer has. An origin whose bytes trickle in would else send what is
        behind its answer just when LAST is on the way to it, and no proxy can tell whose that is."""
        steps = list(self.client) if isinstance(self.client, (list, tuple)) else [self.client]
        if waits and self.script and isinstance(self.client, bytes):
            steps.append(Await(b"\r\n\r\n"))
        return [*steps, self.follow] if self.follow else steps


@dataclass
class Outcome:
    """What one play of a case showed."""
    answers: list = field(default_factory=list)
    rest: bytes = b""
    fault: str = None        # in what the client got
    ended: str = "open"      # "fin", "rst"
    requests: list = field(default_factory=list)
    partial: bytes = b""     # of a request that was never completed
    unclean: str = None      # in what the origin got
    tunnelled: bytes = b""
    is_used_again: bool = False  # the connection on which the script was played
    probe: str = None        # what was wrong with the next client's answer

    def __str__(self):
        lines = [f"client: {[answer.raw for answer in self.answers]} rest {self.rest[:300]!r} "
                 f"{self.ended} {self.fault or ''}"]
        lines += [f"origin: {request.raw[:600]!r}" for request in self.requests]
        lines += [f"origin, partial: {self.partial[:600]!r} {self.unclean or ''} {self.tunnelled!r}"]
        return "\n".join(lines) + (f"\nprobe: {self.probe}" if self.probe else "")


# --- rows

def refused(name, level, section, client, status=400, peers_may="", **more):
    return Case(name, level, section, client, Refused(status), peers_may=peers_may, **more)


def late(name, level, section, client, status=400, peers_may="", **more):
    """The fault is behind the head."""
    return Case(name, level, section, client, Refused(status, is_late=True), peers_may=peers_may, **more)


def dropped(name, level, section, client, end, **more):
    return Case(name, level, section, [client, end], Dropped(), follow=b"", **more)


def forwarded(name, level, section, client, *requests, persists=True, statuses=(), **more):
    return Case(name, level, section, client, Forwarded(requests, persists, statuses), **more)


def answered(name, level, section, client, status, *fields, persists=True, **more):
    return Case(name, level, section, client, Answered(status, fields, persists), **more)


def _asking(answer, steps):
    return answer if isinstance(answer, Script) else Script(complete=(answer, *steps))


def bad_gateway(name, level, section, answer, *steps, client=get(), peers_may="", **more):
    """`answer`: the origin's bytes; POISON follows unless there are further steps."""
    return Case(name, level, section, client, BadGateway(), _asking(answer + POISON, steps), peers_may, **more)


def relayed(name, level, section, answer, expect, *steps, client=get(), **more):
    return Case(name, level, section, client, expect, _asking(answer, steps), **more)


def cut(name, level, section, answer, *steps, client=get(), peers_may="", **more):
    return Case(name, level, section, client, Cut(), _asking(answer, steps), peers_may, **more)
