# SPDX-License-Identifier: Apache-2.0
"""Section 2: the route command language. Text in; the table, its weights and the problems out."""

import pytest

from fabio.language_rows import NOTE, ROWS
from harness.fake_consul import FakeConsul
from harness.process import wait_until
from harness.tagway import Tagway


def static(text, is_ready=True, **options):
    return Tagway(options={"registry.backend": "static", "registry.static.routes": text, **options},
                  is_ready=is_ready)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_language(row):
    with static(row.text) as tagway:
        assert tagway.admin("/api/routes?raw").body.decode() == row.raw + "\n"
        problems = [problem for problem in tagway.problems() if NOTE not in problem["reason"]]
        if row.problem:
            assert [row.problem in problem["reason"] for problem in problems] == [True], problems
            lost = (row.lost or row.text.splitlines()[-1]).strip()
            assert lost.startswith(problems[0]["text"].strip()), problems
        else:
            assert not problems, problems
        if row.weights:
            weights = [route["weight"] for route in tagway.routes()]
            assert weights == pytest.approx(row.weights, abs=0.00005)


def test_problem_names_the_line():
    """2.1: line numbers count comments and blank lines."""
    with static("# one\n\nroute add a /a\nroute add b /b http://10.0.0.1/") as tagway:
        problem, = tagway.problems()
        assert problem["instance"].endswith("line 3") and problem["text"] == "route add a /a"


# 2.8 combining sources

def test_manual_commands_act_on_services():
    with FakeConsul() as consul:
        consul.set_service("web", [("web-1", 1001, ["urlprefix-/a", "blue"]),
                                   ("web-2", 1002, ["urlprefix-/a", "green"])])
        consul.set_service("other", [("other-1", 1003, ["urlprefix-/b"])])
        consul.set_kv("fabio/config", "route add manual /m http://10.0.0.1/\n"
                                      'route weight web /a weight 0.2 tags "blue"\nroute del other')
        with Tagway(options=consul.options()) as tagway:
            wait_until(lambda: len(tagway.routes()) == 3 and "weight 0.2000" in
                       tagway.admin("/api/routes?raw").body.decode(), what="both sources")
            # Services' commands are sorted descending as text (3.5), whatever the order of instances.
            assert tagway.admin("/api/routes?raw").body.decode() == (
                "route add manual /m http://10.0.0.1/\n"
                'route add web /a http://127.0.0.1:1002/ tags "green"\n'
                'route add web /a http://127.0.0.1:1001/ weight 0.2000 tags "blue"\n')


TREE = """\
+-- host=
|   |-- path=/foo
|   |    +-- addr=10.0.0.1:900 weight 1.00 slots 1/1
|   +-- path=/
|       +-- addr=10.0.0.1:800 weight 1.00 slots 1/1
+-- host=abc.com
    +-- path=/
        |-- addr=10.0.0.1:1000 weight 0.25 slots 2500/10000
        +-- addr=10.0.0.1:1001 weight 0.75 slots 7500/10000
"""
TREE_ROUTES = ("route add a / http://10.0.0.1:800\nroute add a /foo http://10.0.0.1:900\n"
               "route add a abc.com/ http://10.0.0.1:1000 weight 0.25\n"
               "route add a abc.com/ http://10.0.0.1:1001 weight 0.75\n"
               "route add a abc.com/ http://10.0.0.1:1002\n")


def logged(tagway):
    """The log without its stamps, [INFO] or not."""
    lines = []
    for line in tagway.stderr().splitlines():
        lines.append(line.partition("[INFO] ")[2] or line)
    return "\n".join(lines)


@pytest.mark.parametrize("log_format, expected", [
    ("delta", "Config updates\n+ route add a / http://10.0.0.1:800\n"),
    ("all", "Updated config to\nroute add a / http://10.0.0.1:800\n"),
    ("detail", "Updated config to\n" + TREE),
])
def test_log_routes_format(log_format, expected):
    with static(TREE_ROUTES, **{"log.routes.format": log_format}) as tagway:
        wait_until(lambda: expected in logged(tagway) + "\n", what=f"the {log_format} log")


def test_log_routes_format_of_another_kind():
    """fabio warns each time and logs the delta; here it is an error at start, as any bad value."""
    with static("", **{"log.routes.format": "odd"}, is_ready=False) as tagway:
        assert tagway.process.wait() == 1
        assert "log.routes.format" in tagway.stderr() and "odd" in tagway.stderr()
        tagway.finish = lambda **_: None


def test_delta_shows_what_changed():
    with Tagway("route add a / http://10.0.0.1:800\nroute add a /b http://10.0.0.1:801\n") as tagway:
        tagway.set_routes("route add a /b http://10.0.0.1:801\nroute add a /c http://10.0.0.1:802\n",
                          until=lambda routes: any(route["path"] == "/c" for route in routes))
        wait_until(lambda: "- route add a / http://10.0.0.1:800" in tagway.stderr(), what="the delta")
        log = logged(tagway)
        update = log[log.rindex("Config updates"):]
        assert "+ route add a /c http://10.0.0.1:802" in update and "/b" not in update


def test_equal_text_changes_nothing():
    text = "route add a / http://10.0.0.1:800\n"
    with Tagway(text) as tagway:
        tagway.set_routes(text)
        tagway.set_routes(text + "# comment\n" + "route add a /b http://10.0.0.1:801\n",
                          until=lambda routes: len(routes) == 2)
        assert logged(tagway).count("+ route add a / http://10.0.0.1:800") == 1
