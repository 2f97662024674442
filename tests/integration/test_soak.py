# SPDX-License-Identifier: Apache-2.0
"""A short soak: ./dev soak is the long one."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "soak"))

import soak  # noqa: E402


@pytest.mark.no_sanitizer
def test_twenty_seconds_of_mixed_load_leave_nothing_behind():
    rows = soak.soak(20)
    for what, figure, bar, _ in rows:
        print(f"{what:<34}{figure!s:>18}{bar!s:>24}")
    assert not [row for row in rows if not row[3]]
