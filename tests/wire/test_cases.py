# SPDX-License-Identifier: Apache-2.0
"""Every row of the tables, sent at once and again byte by byte; the verdict must be the same."""

import pytest

import families
import judge
from arena_tagway import tagway_arena


@pytest.fixture(scope="module")
def arena():
    with tagway_arena() as arena:
        yield arena


def test_the_tables_are_sound():
    names = [case.id for case in families.ALL]
    assert len(set(names)) == len(names), sorted({name for name in names if names.count(name) > 1})
    assert len(names) >= 400


@pytest.mark.parametrize("piece", [0, 1], ids=["whole", "bytes"])
@pytest.mark.parametrize("case", families.ALL, ids=lambda case: case.id)
def test_case(arena, case, piece):
    outcome = arena.play(case, piece)
    found = judge.faults(case, outcome)
    assert not found, f"{case.id} ({case.level}, RFC {case.section})\n" + "\n".join([*found, str(outcome)])
