# SPDX-License-Identifier: Apache-2.0
"""The file backend: watched, and a version with a bad line is rejected as a whole."""

import os

import pytest

from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway, route


def test_a_bad_version_keeps_the_old_routes():
    with Origin(name="a") as a, Origin(name="b") as b, Tagway(route(a)) as tagway:
        assert tagway.get().body == b"a"
        assert tagway.problems() == []
        tagway.set_routes(route(b) + "route add nonsense\n")
        problems = wait_until(tagway.problems, what="the problem to be reported")
        assert "route add nonsense" in problems[0]["text"]
        assert problems[0]["reason"]
        assert tagway.get().body == b"a"
        tagway.set_routes(route(b), lambda routes: routes[0]["dst"] == b.url)
        assert tagway.get().body == b"b"
        wait_until(lambda: tagway.problems() == [], what="the problem to go")


@pytest.mark.parametrize("how", ["rename", "write", "remove and create"])
def test_changes_are_seen_however_they_are_made(how):
    with Origin(name="a") as a, Origin(name="b") as b, Tagway(route(a)) as tagway:
        for origin in (b, a, b):
            if how == "rename":
                tagway.set_routes(route(origin))
            else:
                if how == "remove and create":
                    os.unlink(tagway.routes_path)
                with open(tagway.routes_path, "w", encoding="utf-8") as file:
                    file.write(route(origin))
            wait_until(lambda origin=origin: tagway.get().body == origin.name.encode(), 3, f"the change by {how}")
