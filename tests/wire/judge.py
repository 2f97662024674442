# SPDX-License-Identifier: Apache-2.0
"""Whether an outcome is what a row says. Of ours every byte on both sides is compared; peers add other fields
and choose other statuses, so that of them the meaning is compared."""

import http
import re

import strict
from case import (DATE, LAST, Answered, BadGateway, Case, Cut, Dropped, Forwarded, Refused, Relayed, Sent)

LOCAL_IP = b"192.0.2.1"
_LAST_SENT = Sent(b"GET /last HTTP/1.1", host=b"last.example")
_REASONS = {413: "Content Too Large", 414: "URI Too Long"}


def own_answer(status, closes, is_head=False):
    """An answer of ours, as a pattern: only the date is free."""
    reason = (_REASONS.get(status) or http.HTTPStatus(status).phrase).encode()
    body = b"%d %s\n" % (status, reason)
    return re.compile(
        b"HTTP/1\\.1 %d %s\r\nDate: [A-Z][a-z]{2}, [^\r\n]{20} GMT\r\n" % (status, re.escape(reason))
        + b"Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
        + b"Content-Length: %d\r\n" % len(body) + (b"Connection: close\r\n" if closes else b"") + b"\r\n"
        + (b"" if is_head else re.escape(body)))


def composed(sent, minor=b"1"):
    """The head that goes to the origin, byte for byte."""
    asked = sent.asked or sent.host
    port = re.search(rb":(\d*)$", asked)
    lines = [sent.line, b"Host: " + sent.host, *sent.fields,
             b"Forwarded: for=127.0.0.1; proto=%s; by=%s; httpproto=http/1.%s" % (
                 b"ws" if sent.framing == "websocket" else b"http", LOCAL_IP, minor),
             b"X-Forwarded-For: 127.0.0.1",
             b"X-Forwarded-Host: " + asked,
             b"X-Forwarded-Port: " + (port[1] if port else b"80"),
             b"X-Forwarded-Proto: http",
             b"X-Real-Ip: 127.0.0.1", *sent.extra]
    says_coding = any(field.lower().startswith((b"accept-encoding:", b"range:")) for field in sent.fields)
    if not says_coding and sent.framing != "websocket" and not sent.line.startswith(b"HEAD "):
        lines += [b"Accept-Encoding: gzip"]
    if sent.framing == "websocket":
        lines += [b"Connection: Upgrade", b"Upgrade: websocket"]
    if sent.trailers:
        lines += [b"TE: trailers"]
    if sent.framing == "chunked":
        lines += [b"Transfer-Encoding: chunked"]
    elif sent.framing == "length":
        lines += [b"Content-Length: %d" % len(sent.body)]
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _request_faults(request, sent, is_exact, minor=b"1"):
    found = []
    if is_exact:
        if request.head != composed(sent, minor):
            found.append(f"head\n    {request.head!r} instead of\n    {composed(sent, minor)!r}")
    else:
        if request.line != sent.line or request.all(b"host") != [sent.host]:
            found.append(f"{request.line!r} {request.all(b'host')} instead of {sent.line!r} {sent.host!r}")
        for name, _, value in (line.partition(b":") for line in sent.fields):
            if value.strip() not in request.all(name):
                found.append(f"field {name!r} {request.all(name)}")
        found += [f"field {name!r}" for name in sent.absent if request.all(name)]
    if request.body != sent.body:
        found.append(f"body {request.body[:200]!r}")
    if is_exact and tuple(name + b": " + value for name, value in request.trailers) != sent.trailers:
        found.append(f"trailers {request.trailers}")
    return found


def _last_faults(outcome, persists):
    """Whether LAST was answered (or not) as the last message of the connection."""
    if not persists:
        return [] if not outcome.rest else ["bytes behind the last answer"]
    if not outcome.answers or outcome.answers[-1].body != b"/last":
        return ["LAST was not answered"]
    return []


def _refused(case, outcome, is_exact):
    expect, found = case.expect, []
    if outcome.requests:
        found.append("a message reached the origin")
    if outcome.partial and not expect.is_late:
        found.append("bytes reached the origin")
    if outcome.ended == "open":
        found.append("the connection stays open")
    if not is_exact:
        if len(outcome.answers) > 1 or any(answer.status < 400 for answer in outcome.answers):
            found.append("not refused")
        return found
    is_head = isinstance(case.client, bytes) and case.client.startswith(b"HEAD")
    if len(outcome.answers) != 1 or outcome.rest or outcome.ended != "fin":
        return [*found, "not one answer and an orderly end"]
    if not own_answer(expect.status, True, is_head).fullmatch(outcome.answers[0].raw):
        found.append(f"answer is not {expect.status}")
    return found


def _dropped(case, outcome, is_exact):
    found = ["a message reached the origin"] if outcome.requests else []
    if any(answer.status < 400 for answer in outcome.answers):
        found.append("it was answered")
    if outcome.ended == "open":
        found.append("the connection stays open")
    return found


def _forwarded(case, outcome, is_exact):
    expect = case.expect
    sent = [*expect.requests]
    if expect.persists and case.follow == LAST:
        sent.append(_LAST_SENT)
    if len(outcome.requests) != len(sent):
        return [f"{len(outcome.requests)} requests at the origin instead of {len(sent)}"]
    minor = b"0" if isinstance(case.client, bytes) and b" HTTP/1.0\r\n" in case.client else b"1"
    found = []
    for request, want in zip(outcome.requests, sent):
        found += _request_faults(request, want, is_exact, minor if want is not _LAST_SENT else b"1")
    finals = [answer for answer in outcome.answers if answer.status >= 200 or answer.status == 101]
    statuses = list(expect.statuses or [200] * len(expect.requests)) + [200] * (len(sent) - len(expect.requests))
    if [answer.status for answer in finals] != statuses:
        found.append(f"answers {[answer.status for answer in finals]} instead of {statuses}")
    elif not case.script and any(answer.body not in (request.target, b"")
                                 for answer, request in zip(finals, outcome.requests)):
        found.append("answers are mixed up")
    return found + ([] if case.script else _last_faults(outcome, expect.persists and case.follow == LAST))


def _answered(case, outcome, is_exact):
    expect = case.expect
    finals = [answer for answer in outcome.answers if answer.status >= 200]
    found = _last_faults(outcome, expect.persists)
    if not finals or finals[0].status != expect.status:
        return [*found, f"status is not {expect.status}"]
    for field in expect.fields:
        name, _, value = field.partition(b": ")
        if finals[0].all(name) != [value]:
            found.append(f"{name!r} is {finals[0].all(name)}")
    if [request for request in outcome.requests if request.target != b"/last"]:
        found.append("the origin was asked")
    return found


def _relayed(case, outcome, is_exact):
    expect, found = case.expect, []
    finals = [answer for answer in outcome.answers if answer.status >= 200]
    # A proxy may say 100 of its own.
    interim = tuple(answer.line for answer in outcome.answers
                    if answer.status < 200 and (is_exact or answer.status != 100))
    if not finals:
        return ["no complete answer"]
    answer = finals[0]
    if is_exact:
        closes = [] if expect.persists and case.follow == LAST else [b"Connection: close"]
        framing = {"length": [b"Content-Length: %d" % len(expect.body)], "none": [],
                   "chunked": [b"Transfer-Encoding: chunked"], "close": []}[expect.framing]
        head = b"\r\n".join([expect.line, b"Date: " + DATE, *expect.fields, *framing, *closes]) + b"\r\n\r\n"
        if answer.head != head:
            found.append(f"head\n    {answer.head!r} instead of\n    {head!r}")
    else:
        if answer.line != expect.line:
            found.append(f"{answer.line!r} instead of {expect.line!r}")
        for name, _, value in (line.partition(b":") for line in expect.fields):
            if value.strip() not in answer.all(name):
                found.append(f"field {name!r} {answer.all(name)}")
    if interim != expect.interim:
        found.append(f"1xx {interim}")
    if answer.body != expect.body:
        found.append(f"body {answer.body[:200]!r}")
    # That a connection lasts is nobody's duty.
    return found + (_last_faults(outcome, expect.persists and case.follow == LAST) if is_exact else [])


def _bad_gateway(case, outcome, is_exact):
    finals = [answer for answer in outcome.answers if answer.status >= 200]
    if not is_exact:
        return [] if not finals or finals[0].status >= 500 else ["the answer was believed"]
    if not finals or not own_answer(case.expect.status, not case.expect.persists).fullmatch(finals[0].raw):
        return [f"not {case.expect.status}"]
    return _last_faults(outcome, case.expect.persists and case.follow == LAST)


def _cut(case, outcome, is_exact):
    finals = [answer for answer in outcome.answers if answer.status >= 200]
    if finals and finals[0].status != 502:
        return ["the client takes its answer for complete"]
    return ["the client waits"] if outcome.ended == "open" else []


_JUDGES = {Refused: _refused, Dropped: _dropped, Forwarded: _forwarded, Answered: _answered, Relayed: _relayed,
           BadGateway: _bad_gateway, Cut: _cut}


def invariants(outcome):
    """What must hold of any outcome, whatever was sent."""
    found = []
    if outcome.unclean:
        found.append(f"unclean at the origin: {outcome.unclean}")
    if outcome.fault:
        found.append(f"unclean at the client: {outcome.fault}")
    if any(b"POISON" in answer.raw for answer in outcome.answers):
        found.append("an answer nobody asked for was passed on")
    if outcome.probe:
        found.append(f"the next client got {outcome.probe}")
    return found


def faults(case: Case, outcome, is_exact=True):
    found = invariants(outcome)
    if is_exact and outcome.ended == "open":
        found.append("the client waits")
    if is_exact and outcome.is_used_again and isinstance(case.expect, (BadGateway, Cut)):
        found.append("the origin's connection was used again")
    if case.peers_may == "as-is" and not is_exact:
        return [outcome.probe] if outcome.probe else []
    own = _JUDGES[type(case.expect)](case, outcome, is_exact)
    if own and not is_exact and case.peers_may and not _strays(case, outcome):
        own = []
    return found + own


def _strays(case, outcome):
    """What of a repaired message is not as the RFC leaves it to a proxy."""
    targets = [request.target for request in outcome.requests]
    if isinstance(case.expect, Refused):
        return (not targets or any(target != b"/last" for target in targets[1:]) or targets[0] == b"/last"
                or (case.peers_may == "close" and len(targets) > 1))
    return not outcome.answers
