# SPDX-License-Identifier: Apache-2.0
"""docs/security.md names for each hole of others the rows that show that we do not have it: those that are played."""

import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests/wire"))

import families  # noqa: E402
from holes import HOLES  # noqa: E402


def listed():
    with open(os.path.join(ROOT, "docs/security.md"), encoding="utf-8") as page:
        text = page.read().partition("## Holes that others have")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (.+?) \| (`.+`) \|$", text, re.MULTILINE)
    return {hole: re.findall(r"`([^`]+)`", names) for hole, names in rows}


def test_the_page_lists_what_is_played():
    assert listed() == HOLES


def test_every_row_exists():
    known = {case.id for case in families.ALL}
    assert not [row for rows in HOLES.values() for row in rows if row not in known]


def test_each_measured_peer_has_its_holes():
    assert {"nginx", "haproxy", "fabio"} <= {hole.partition(":")[0] for hole in HOLES}
