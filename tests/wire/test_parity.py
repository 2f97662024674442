# SPDX-License-Identifier: Apache-2.0
"""Holes that others have, or had: one test by name for each, made of rows of the tables. And what only the loose
parser of llhttp 8 takes, which tells the strict one from it."""

import pytest

import families
import judge
from arena_tagway import tagway_arena

ROWS = {case.id: case for case in families.ALL}

HOLES = {
    # nginx 1.22
    "nginx: any status is relayed": ["status_line:099", "status_line:000", "status_line:600"],
    "nginx: garbage is an HTTP/0.9 answer": ["status_line:http-0.9", "status_line:html", "status_line:tls-alert"],
    "nginx: a wrong length of an answer is believed": ["response_framing:length-twice-differ", "response_framing:length-minus"],
    "nginx: an answer with chunked, chunked is believed": ["response_framing:coding-chunked-twice"],
    "nginx: a 101 nobody asked for opens a tunnel": ["upgrade:unasked-101", "upgrade:bare-101"],
    "nginx: a 103 ends the answer": ["response_fields:103", "faults:closes-behind-103"],
    "nginx: fields that Connection names go on": ["connection:names-one", "connection:names-two"],
    "nginx: Host may be nearly anything": ["host:slash", "host:userinfo", "host:port-letters", "host:angle"],
    "nginx: a fragment is forwarded": ["request_line:fragment"],
    # HAProxy 2.6
    "haproxy: no Host is needed": ["host:missing"],
    "haproxy: Host may be nearly anything": ["host:query", "host:open-bracket", "host:two-ports"],
    "haproxy: NUL in values": ["fields:nul-in-value", "response_fields:nul-in-value"],
    "haproxy: any version": ["request_line:version-2.0", "request_line:version-9.9"],
    "haproxy: chunked and a comma": ["coding:comma-behind", "response_framing:coding-comma-behind"],
    "haproxy: Content-Length as a trailer": ["trailers:never-content-length"],
    "haproxy: CONNECT opens a tunnel": ["request_line:connect", "request_line:connect-path"],
    "haproxy: chunks for HTTP/1.0": ["response_bodies:chunked-to-1.0"],
    "haproxy: hop-by-hop fields go on": ["connection:hop-keep-alive", "connection:hop-proxy-authorization"],
    # fabio 1.7.3
    "fabio: a connection with length and coding lives on": ["length:and-coding", "length:behind-coding"],
    "fabio: a body in chunks of HTTP/1.0 becomes a request": ["coding:in-1.0", "coding:in-1.0-keep-alive"],
    "fabio: paths are decoded twice": ["request_line:double-escape", "options:strip-keeps-double-escape"],
    "fabio: strip, prepend and redirect decode a slash": [
        "options:strip-keeps-escaped-slash", "options:prepend-keeps-escaped-slash", "options:redirect-keeps-escaped-slash"],
    "fabio: h2c goes on": ["upgrade:h2c", "upgrade:101-for-h2c-that-was-stripped"],
    "fabio: CONNECT goes on": ["request_line:connect"],
    "fabio: what a client says of gzip is overridden": ["request_line:accept-encoding-stays", "response_bodies:gzip-as-it-comes"],
    # Pingora, Traefik, nghttpx
    "CVE-2026-2833: a tunnel before the 101": ["upgrade:declined", "upgrade:declined-with-error"],
    "CVE-2026-2835: a coding in a list or in HTTP/1.0": ["coding:gzip-chunked", "coding:in-1.0-with-length"],
    "CVE-2026-58055: an upgrade with a body": ["upgrade:websocket-with-length", "upgrade:websocket-with-chunks"],
    "CVE-2024-45410: Connection deletes X-Forwarded": ["connection:nominates-x-forwarded-for", "spoofing:x-forwarded-for-nominated"],
    "CONNECT's body becomes a request": ["request_line:connect-with-body"],
}

LOOSE = {
    "CVE-2025-23167: CR and any byte end a head": "fields:cr-after-head",
    "CVE-2023-30589: CR ends a field": "fields:cr-hides-coding",
    "any two bytes behind a chunk": "chunks:data-ends-any-two-bytes",
    "CR and any byte end a chunk line": "chunks:line-ends-cr-and-byte",
    "spaces in names": "fields:space-in-name",
    "tab and high bytes in targets": "request_line:tab-in-target",
    "CR and any byte end a status line": "status_line:cr-in-reason",
}


@pytest.fixture(scope="module")
def arena():
    with tagway_arena() as arena:
        yield arena


@pytest.mark.parametrize("name, rows", [*HOLES.items(), *((name, [row]) for name, row in LOOSE.items())],
                         ids=[*HOLES, *LOOSE])
def test_does_not_have_it(arena, name, rows):
    for row in rows:
        outcome = arena.play(ROWS[row])
        found = judge.faults(ROWS[row], outcome)
        assert not found, f"{name}: {row}\n" + "\n".join([*found, str(outcome)])
