# SPDX-License-Identifier: Apache-2.0
"""Holes that others have, or had: one test by name for each, made of rows of the tables. And what only the loose
parser of llhttp 8 takes, which tells the strict one from it."""

import pytest

import families
import judge
from arena_tagway import tagway_arena
from holes import HOLES

ROWS = {case.id: case for case in families.ALL}

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
