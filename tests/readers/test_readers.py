# SPDX-License-Identifier: Apache-2.0
"""A short run of `./dev readers`: what is sent on is read by other servers as the requests that were meant.
TAGWAY_READERS_STREAMS=N plays so many streams (600); TAGWAY_TEST_SEED=N gives others."""

import os

import pytest

import readers
from harness.process import SLOWNESS
from harness.tagway import BINARY

PROGRAM = os.path.join(os.path.dirname(BINARY), "../../tests/readers/readers")
STREAMS = int(os.environ.get("TAGWAY_READERS_STREAMS", max(1, round(600 / SLOWNESS))))
SEED = int(os.environ.get("TAGWAY_TEST_SEED", "1"))


def test_all_read_the_same():
    report, text, _ = readers.run(PROGRAM, STREAMS, SEED)
    assert {"nginx", "haproxy"} <= set(report["readers"])
    assert report["streams"] == STREAMS and report["requests"] >= STREAMS / 10
    for name, of_reader in report["readers"].items():
        assert of_reader["different"] == 0, f"{name}, seed {SEED}:\n{text}"
        assert of_reader["same"] + sum(of_reader["refused"].values()) == report["requests"], name


@pytest.mark.parametrize("name, server", [("node", "nginx"), ("nginx", "haproxy")])
def test_what_is_told_otherwise_is_found(name, server):
    """One that passes for another tells less, or more, than that one would."""
    report, text, _ = readers.run(PROGRAM, 20, SEED, {name: server})
    of_reader = report["readers"][name]
    assert of_reader["different"] > 0 and of_reader["same"] < report["requests"]
    assert f"{name} reads otherwise" in text
