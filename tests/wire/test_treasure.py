# SPDX-License-Identifier: Apache-2.0
"""The treasure test: /treasure may be entered by nobody, all else is open. Mutated targets, as many as fit into the
time, and none may reach the open origin in a form that some origin could read as a path under /treasure.

TAGWAY_TREASURE_SECONDS=N (10) runs longer; TAGWAY_TEST_SEED=N gives others."""

import itertools
import os
import random
import re
import socket
import time
import urllib.parse

from harness.client import Closed
from harness.origin import Origin, ScriptedOrigin
from harness.process import SLOWNESS
from harness.tagway import Tagway, route

SECONDS = float(os.environ.get("TAGWAY_TREASURE_SECONDS", 10 / SLOWNESS))
SEED = int(os.environ.get("TAGWAY_TEST_SEED", "1"))
BATCH = 40

_STARTS = ["/treasure", "/treasure/x", "/a/../treasure", "//treasure", "/./treasure", "/a/b/../../treasure", "/treasure?x",
           "/%74reasure", "/a/..;/treasure", "/;x/treasure", "/a%2f..%2ftreasure", "/.%2e/treasure", "/a\\..\\treasure",
           "/%5ctreasure", "/x/%2e%2e/treasure", "/%2ftreasure", "/a/%00/../treasure", "/%c0%afx/../treasure", "/a//../treasure",
           "/...//treasure", "/treasure/..;/treasure", "http://public.example/treasure", "http://public.example//treasure"]
_PIECES = ["/", "//", ".", "..", "/./", "/../", "%2f", "%2F", "%2e", "%2E", ";", ";x=y", "%3b", "\\", "%5c", "%00", "%c0%af", "%c0%ae",
           "%e0%80%af", "%252f", "%252e", "%74", "%54", "?", "a", "treasure", "..;", ".;/", "%20", "%09", "~", "@", "%0a", "%", "x/..", "%u002f"]


def mutate(rng):
    target = rng.choice(_STARTS)
    for _ in range(rng.randint(0, 4)):
        kind, at = rng.randrange(4), rng.randint(1, len(target))
        if kind == 0:
            target = target[:at] + rng.choice(_PIECES) + target[at:]
        elif kind == 1 and at < len(target) and target[at] != "%":
            target = target[:at] + f"%{ord(target[at]):02x}" + target[at + 1:]
        elif kind == 2:
            target = target[:at] + rng.choice(_PIECES) + target[at + 1:]
        else:
            end = rng.randint(at, len(target))
            target = target[:at] + target[end:]
    return target


def _overlong(path):
    """As a decoder that does not count bytes."""
    path = re.sub(rb"[\xc0\xc1][\x80-\xbf]", lambda match: bytes([(match[0][0] & 1) << 6 | match[0][1] & 0x3f]), path)
    return re.sub(rb"\xe0[\x80-\x81][\x80-\xbf]", lambda match: bytes([(match[0][1] & 1) << 6 | match[0][2] & 0x3f]), path)


def _resolve(path, cuts_parameters, merges_first):
    if cuts_parameters:
        path = re.sub(rb";[^/]*", b"", path)
    if merges_first:
        path = re.sub(rb"/+", b"/", path)
    kept = []
    for segment in path.split(b"/")[1:]:
        if segment == b"..":
            kept = kept[:-1]
        elif segment != b".":
            kept.append(segment)
    return re.sub(rb"/+", b"/", b"/" + b"/".join(kept))


def readings(target):
    """What origins may take the path for: decoded before or after it is resolved, and each habit on or off."""
    path = target.split(b"?")[0]
    decoded = urllib.parse.unquote_to_bytes(path)
    if b"treasure" not in _overlong(decoded):
        return
    for early, windows, sloppy, cuts, merges, truncates in itertools.product((False, True), repeat=6):
        text = decoded if early else path
        if sloppy:
            text = _overlong(text)
        if windows:
            text = text.replace(b"\\", b"/")
        if truncates:
            text = text.split(b"\0")[0]
        text = _resolve(text, cuts, merges)
        yield text if early else urllib.parse.unquote_to_bytes(text)


def _open_origin(seen):
    def script(connection):
        buffer = b""
        while True:
            data = connection.sock.recv(1 << 16)
            if not data:
                raise Closed(buffer)
            *heads, buffer = (buffer + data).split(b"\r\n\r\n")
            for head in heads:
                seen.append(head.split(b" ", 2)[1])
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * len(heads))
    return script


def _send(port, targets):
    """Pipelines them; how many were dealt with: a refusal ends the connection."""
    client = socket.create_connection(("127.0.0.1", port), 10)
    with client:
        client.sendall(b"".join(f"GET {target} HTTP/1.1\r\nHost: public.example\r\n\r\n".encode("latin-1") for target in targets))
        client.shutdown(socket.SHUT_WR)
        got = b""
        while data := client.recv(1 << 16):
            got += data
    return len(re.findall(rb"HTTP/1\.1 \d{3} ", got))


def test_nobody_reaches_the_treasure():
    rng, seen, tried, forwarded = random.Random(SEED), [], 0, 0
    with ScriptedOrigin(_open_origin(seen)) as origin, Origin(name="treasure") as treasure:
        routes = route(origin) + route(treasure, "/treasure", "treasure", "allow=ip:192.0.2.1")
        with Tagway(routes, {"proxy.workers": 1, "proxy.client.maxrequests": 0}) as tagway:
            assert tagway.get("/treasure").status == 403
            deadline = time.monotonic() + SECONDS
            while time.monotonic() < deadline:
                targets = [mutate(rng) for _ in range(BATCH)]
                while targets:
                    done = _send(tagway.port, targets)
                    assert done, targets[0]
                    targets, tried = targets[done:], tried + done
                for target in seen:
                    hits = [text for text in readings(target) if re.match(rb"/treasure(/|$)", text)]
                    assert not hits, f"{target!r} went through and can be read as {hits[0]!r} (seed {SEED})"
                forwarded += len(seen)
                seen.clear()
            assert not treasure.requests
    print(f"{tried} targets, {forwarded} forwarded, none a hit, seed {SEED}: {tried / SECONDS:.0f}/s")
    assert forwarded > tried / 20
