# SPDX-License-Identifier: Apache-2.0
"""Every row of the tables, sent at once and again byte by byte; the verdict must be the same."""

import re

import pytest

import families
import judge
from arena_tagway import tagway_arena
from harness.tagway import ROOT


@pytest.fixture(scope="module")
def arena():
    with tagway_arena() as arena:
        arena.played = set()
        yield arena


def test_the_tables_are_sound():
    names = [case.id for case in families.ALL]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    assert len(names) >= 800
    for case in families.ALL:
        assert case.level in ("must", "should", "hardening"), case.id
        assert re.fullmatch(r"\d{4} \d[\d.]*", case.section), case.id


@pytest.mark.parametrize("piece", [0, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("case", families.ALL, ids=lambda case: case.id)
def test_case(arena, case, piece):
    arena.played.add(case.id)
    outcome = arena.play(case, piece)
    found = judge.faults(case, outcome)
    assert not found, f"{case.id} ({case.level}, RFC {case.section})\n" + "\n".join([*found, str(outcome)])


def test_every_reason_to_refuse_was_met(arena):
    """The rows above leave no rule of http/refusal.h out; each is counted under its name."""
    if len(arena.played) < len(families.ALL):
        pytest.skip("not all rows were played")
    with open(f"{ROOT}/include/http/refusal.h", encoding="utf-8") as header:
        labels = re.findall(r'X\(HTTP_\w+, \d{3}, "(\w+)"', header.read())
    assert len(labels) > 20
    counted = "\n".join(name for name, value in arena.proxy.metrics().items() if value > 0)
    # Whether this one comes before the head has gone depends on the pieces, so it has no row; it is
    # met in tests/fabio/test_05_gzip_upstream.py.
    labels.remove("content_coding")
    assert [label for label in labels if f'reason="{label}"' not in counted] == []
