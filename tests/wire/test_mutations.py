# SPDX-License-Identifier: Apache-2.0
"""The rows again, each changed at random by the techniques of hiding, with no verdict to compare but what must hold
of any message: what the origin gets is clean and complete, each request it got was answered, a second parser (h11)
reads the same requests out of the client's bytes, and nobody gets what was meant for somebody else.

TAGWAY_WIRE_MUTATIONS=N mutates each row N times (4); TAGWAY_TEST_SEED=N gives others."""

import dataclasses
import os
import random
import re

import h11
import pytest

import families
import judge
from arena_tagway import tagway_arena
from case import LAST, TUNNEL, Refused, Script
from harness.process import SLOWNESS
from mutate import mutate

ROUNDS = int(os.environ.get("TAGWAY_WIRE_MUTATIONS", max(1, round(4 / SLOWNESS))))
SEED = int(os.environ.get("TAGWAY_TEST_SEED", "1"))
SIZE_MAX = 4000  # larger rows are about sizes


@pytest.fixture(scope="module")
def arena():
    with tagway_arena({"log.level": "WARN"}) as arena:
        yield arena


def read_by_h11(stream):
    """[(method, body)] of the complete requests that h11 finds in a stream."""
    found = []
    try:
        while True:
            for _ in range(2):  # empty lines; h11 itself knows one
                stream = stream.removeprefix(b"\r\n")
            connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
            connection.receive_data(stream)
            request, body = connection.next_event(), b""
            if not isinstance(request, h11.Request):
                return found
            while not isinstance(event := connection.next_event(), h11.EndOfMessage):
                if not isinstance(event, h11.Data):
                    return found
                body += bytes(event.data)
            found.append((request.method, body))
            connection.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
            connection.send(h11.EndOfMessage())
            stream = connection.trailing_data[0]
            options = b",".join(value for name, value in request.headers if name == b"connection").lower()
            if request.http_version != b"1.0" or b"keep-alive" not in re.split(rb"[ \t]*,[ \t]*", options):
                connection.start_next_cycle()  # h11 keeps no 1.0 connection
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        return found


def request_faults(stream, outcome):
    found = judge.invariants(outcome)
    answered = [answer for answer in outcome.answers if answer.status == 200]
    own = sum(1 for answer in answered if answer.all(b"content-length") == [b"0"])  # OPTIONS *
    if outcome.ended == "fin" and len(outcome.requests) != len(answered) - own:
        found.append(f"{len(outcome.requests)} requests at the origin, {len(answered)} answers")
    sent = [(request.method, request.body) for request in outcome.requests]
    for request in outcome.requests:
        if read_by_h11(request.raw) != [(request.method, request.body)]:
            found.append(f"h11 reads {read_by_h11(request.raw)} in {request.raw!r}")
    meant = read_by_h11(stream)
    if not own and sent != meant[:len(sent)]:
        found.append(f"h11 reads {meant} in what the client sent")
    return found


def test_requests(arena):
    rows = [case for case in families.ALL if isinstance(case.client, bytes) and not case.script
            and len(case.client) < SIZE_MAX and case.follow == LAST
            # h11 refuses the trailers that are dropped here.
            and not case.name.startswith("never-")]
    # What is refused anyway has little to hide.
    rows += 2 * [case for case in rows if not isinstance(case.expect, Refused)]
    rng = random.Random(SEED)
    refused = forwarded = 0
    for case in rows * ROUNDS:
        raw = mutate(rng, case.client)
        outcome = arena.play(dataclasses.replace(case, client=raw), rng.choice((0, 0, 0, rng.randint(1, 9))))
        found = request_faults(raw + LAST, outcome)
        assert not found, f"{case.id}, seed {SEED}: {raw!r}\n" + "\n".join([*found, str(outcome)])
        refused += any(answer.status >= 400 for answer in outcome.answers)
        forwarded += bool(outcome.requests)
    print(f"{len(rows) * ROUNDS} mutated requests: {refused} refused, {forwarded} with something to forward, seed {SEED}")
    assert refused > len(rows) * ROUNDS / 10 and forwarded > len(rows) * ROUNDS / 10


def mutate_script(rng, script):
    steps = list(script.complete)
    at = [i for i, step in enumerate(steps) if isinstance(step, bytes) and len(step) > 6]
    i = rng.choice(at)
    steps[i] = mutate(rng, steps[i])
    return Script(complete=tuple(steps))


def response_faults(outcome):
    found = [fault for fault in judge.invariants(outcome) if "nobody asked for" not in fault]
    finals = [answer for answer in outcome.answers if answer.status >= 200]
    if len(finals) > 1 and finals[1].body != b"/last":
        found.append("LAST got another's answer")
    if len(finals) > 2 or (len(finals) == 2 and outcome.rest):
        found.append("more answers than requests")
    return found


def test_responses(arena):
    def has_bytes(steps):
        return any(isinstance(step, bytes) and 6 < len(step) < SIZE_MAX for step in steps)

    rows = [case for case in families.ALL if case.script and isinstance(case.client, bytes) and case.follow == LAST
            and case.family != "sequence" and not case.script.head and TUNNEL not in case.script.complete and has_bytes(case.script.complete)]
    rng = random.Random(SEED)
    relayed = refused = 0
    for case in rows * ROUNDS:
        script = mutate_script(rng, case.script)
        if not has_bytes(script.complete):
            continue
        # An origin that says no end must not make the client wait: it ends after all else.
        steps = script.complete if {"fin", "rst"} & set(script.complete) else (*script.complete, "later", "fin")
        outcome = arena.play(dataclasses.replace(case, script=Script(complete=steps)), rng.choice((0, 0, 1, 7)), waits=True)
        found = response_faults(outcome)
        assert not found, f"{case.id}, seed {SEED}: {steps!r}\n" + "\n".join([*found, str(outcome)])
        statuses = [answer.status for answer in outcome.answers if answer.status >= 200]
        refused += statuses[:1] == [502]
        relayed += bool(statuses) and statuses[0] != 502
    print(f"{len(rows) * ROUNDS} mutated responses: {refused} refused, {relayed} relayed, seed {SEED}")
    assert refused > len(rows) * ROUNDS / 10 and relayed > len(rows) * ROUNDS / 10
