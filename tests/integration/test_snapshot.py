# SPDX-License-Identifier: Apache-2.0
"""The last good routes on disk: a start while the registry is away serves them, its first answers replace
them, and nothing that is wrong with the file costs more than a line under problems."""

import os
import stat
import subprocess
import time

import pytest

from harness.client import format_request
from harness.consul import Consul
from harness.custom_backend import CustomBackend, status
from harness.fake_consul import FakeConsul, answer
from harness.load import Load
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway


@pytest.fixture
def consul():
    with FakeConsul() as consul:
        yield consul


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "routes")


def options(consul, path, wait="200ms", **more):
    return consul.options(registry_snapshot_path=path, registry_snapshot_wait=wait, **more)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def saved(path, word):
    """The file, once it has the word."""
    return wait_until(lambda: read(path) if word in read(path) else None, 20, f"{word} on disk")


def reasons(tagway):
    return " | ".join(str(problem) for problem in tagway.problems())


def is_serving(tagway):
    return tagway.metric("tagway_snapshot_serving") == 1


def save(consul, origin, path, count=2):
    """What a first run leaves behind."""
    for number in range(count):
        consul.set_service(f"s{number}", [(f"s{number}-1", origin.port, [f"urlprefix-/s{number}"])])
    consul.set_kv("fabio/config", f"route add m /manual http://127.0.0.1:{origin.port}/")
    consul.set_kv("fabio/noroute.html", "<p>nothing here")
    with Tagway(options=options(consul, path)):
        saved(path, "nothing here")
        saved(path, f"service s{count - 1}")
        saved(path, "/manual")


def test_a_start_while_consul_is_down_serves_the_last_routes(consul, origin, path):
    save(consul, origin, path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert os.listdir(os.path.dirname(path)) == [os.path.basename(path)]
    consul.hang_up()
    with Tagway(options=options(consul, path)) as tagway:
        for target in ("/s0", "/s1", "/manual"):
            assert tagway.get(target).status == 200
        missing = tagway.get("/missing")
        assert missing.status == 404 and b"nothing here" in missing.body
        assert is_serving(tagway)
        assert "serving routes of" in reasons(tagway)
        # What is on disk says since when, and is as good.
        with pytest.raises(AssertionError):
            wait_until(lambda: tagway.metric("tagway_snapshot_saves_total"), 1.5)
        totals = tagway.json("/api/consul")
        assert totals["data_age_ms"] > 0
        assert tagway.metric("tagway_data_age_seconds") > 0
        before = read(path)

        # Consul is back with changes: one service as it was, one gone, one moved, one new.
        consul.set_service("s1", [])
        consul.set_service("new", [("new-1", origin.port, ["urlprefix-/new"])])
        consul.kv.clear()
        consul.listen()
        tagway.wait_route("/new")
        wait_until(lambda: tagway.get("/s1").status == 404, 10, "the vanished service to go")
        wait_until(lambda: tagway.get("/manual").status == 404, 10, "the vanished manual route to go")
        assert tagway.get("/s0").status == 200
        wait_until(lambda: not is_serving(tagway), 10, "nothing to be served from disk")
        wait_until(lambda: "serving routes of" not in reasons(tagway), 10, "the problem to go")
        assert tagway.metric("tagway_data_age_seconds") == 0
        wait_until(lambda: "service s1" not in read(path) and "service new" in read(path), 20, "the new file")
        assert read(path) != before


def test_a_registry_that_answers_in_time_is_believed_alone(consul, origin, path):
    save(consul, origin, path)
    consul.set_service("s0", [])
    with Tagway(options=options(consul, path, "10s")) as tagway:
        assert tagway.get("/s0").status == 404
        assert tagway.get("/s1").status == 200
        assert not is_serving(tagway)


def test_one_service_that_cannot_be_read_is_taken_from_disk(consul, origin, path):
    save(consul, origin, path)
    consul.set_service("s0", [])
    consul.fault = lambda request: answer(500, b"rpc error") if "/health/service/s1" in request else None
    with Tagway(options=options(consul, path)) as tagway:
        assert tagway.get("/s1").status == 200
        assert tagway.get("/s0").status == 404, "the catalog has said that it is gone"
        assert is_serving(tagway)
        consul.fault = None
        wait_until(lambda: not is_serving(tagway), 20 * SLOWNESS, "the first answer")
        assert tagway.get("/s1").status == 200


def test_what_is_restored_is_guarded_as_what_was_read(consul, origin, path):
    """Consul comes back empty: most routes at once are held, asked for again, then go."""
    save(consul, origin, path, 20)
    consul.hang_up()
    with Tagway(options=options(consul, path)) as tagway:
        assert len(tagway.routes()) == 21
        for number in range(20):
            consul.services.pop(f"s{number}")
        consul.index = 5
        consul.listen()
        wait_until(lambda: tagway.metric("tagway_consul_guard_activations_total") == 1, 20, "the guard")
        assert len(tagway.routes()) >= 10
        wait_until(lambda: len(tagway.routes()) == 1, 30, "the removals to be believed")


def test_unhealthy_owners_and_options_survive(consul, origin, path):
    tag = 'urlprefix-example.com/old strip=/old'
    consul.set_service("s", [("s-1", origin.port, [tag, "plain"])])
    with Tagway(options=options(consul, path)) as tagway:
        tagway.wait_route("/old/x", "example.com")
        before = tagway.routes()
        text = saved(path, "service s\n")
        assert " opts strip=/old\n" in text and " tag plain\n" in text and f" text {tag}\n" in text
    consul.hang_up()
    with Tagway(options=options(consul, path)) as tagway:
        assert tagway.routes() == before


DAMAGES = {
    "cut": lambda text: text[:len(text) // 2],
    "empty": lambda text: b"",
    "one byte": lambda text: text.replace(b"/s0", b"/s9", 1),
    "newer": lambda text: text.replace(b"snapshot 1", b"snapshot 2", 1),
    "other": lambda text: b"route add a / http://127.0.0.1:1/\n",
    "zeros": lambda text: b"\0" * len(text),
}


def test_what_cannot_be_read_is_a_problem_and_no_more(consul, origin, path):
    save(consul, origin, path)
    with open(path, "rb") as file:
        good = file.read()
    consul.hang_up()
    with open(path, "wb") as file:
        file.write(DAMAGES["cut"](good))
    with Tagway(options=options(consul, path), is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
        wait_until(lambda: "snapshot cannot be used" in reasons(tagway), 10, "the problem")
        assert tagway.admin("/ready").status == 503
        consul.listen()
        tagway.wait_ready()
        assert tagway.get("/s0").status == 200
        wait_until(lambda: "snapshot" not in reasons(tagway), 20, "the problem to go with a good file")
        assert saved(path, "service s0")


@pytest.mark.parametrize("name", [name for name in DAMAGES if name != "cut"])
def test_damaged(consul, origin, path, name):
    consul.set_service("s0", [("s0-1", origin.port, ["urlprefix-/s0"])])
    with Tagway(options=options(consul, path)):
        saved(path, "service s0")
    with open(path, "rb") as file:
        good = file.read()
    with open(path, "wb") as file:
        file.write(DAMAGES[name](good))
    consul.hang_up()
    with Tagway(options=options(consul, path), is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
        wait_until(lambda: "snapshot cannot be used" in reasons(tagway), 10, "the problem")
        assert tagway.admin("/ready").status == 503 and not is_serving(tagway)


def test_the_routes_of_another_registry_are_not_served(consul, origin, path):
    save(consul, origin, path)
    with FakeConsul() as other:
        other.hang_up()
        with Tagway(options=options(other, path), is_ready=False) as tagway:
            wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
            wait_until(lambda: "another registry" in reasons(tagway), 10, "the problem")
            assert tagway.admin("/ready").status == 503


@pytest.fixture
def small_disk(tmp_path):
    """A folder for one page."""
    folder = tmp_path / "full"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs privileges")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_costs_nothing(consul, origin, small_disk):
    path = str(small_disk / "routes")
    consul.set_service("s", [("s-1", origin.port, ["urlprefix-/s"])])
    with Tagway(options=options(consul, path)) as tagway:
        before = saved(path, "service s\n")
        for number in range(40):
            consul.services[f"s{number}"] = [(f"s{number}-1", origin.port, [f"urlprefix-/s{number}"])]
        consul.touch()
        wait_until(lambda: "No space left" in reasons(tagway), 20, "the problem")
        assert read(path) == before, "the file before stands"
        assert os.listdir(small_disk) == ["routes"]
        tagway.wait_route("/s39")


@pytest.mark.parametrize("where", ["missing/routes", "folder"])
def test_a_place_that_cannot_be_written_costs_nothing(consul, origin, tmp_path, where):
    (tmp_path / "folder").mkdir()
    path = str(tmp_path / where)
    consul.set_service("s", [("s-1", origin.port, ["urlprefix-/s"])])
    with Tagway(options=options(consul, path)) as tagway:
        wait_until(lambda: "snapshot cannot be written" in reasons(tagway), 20, "the problem")
        assert tagway.get("/s").status == 200
        assert tagway.metric("tagway_snapshot_saves_total", result="failed") >= 1
        consul.set_service("t", [("t-1", origin.port, ["urlprefix-/t"])])
        tagway.wait_route("/t")
    assert sorted(os.listdir(tmp_path)) == ["folder"], "nothing is left behind"


def test_writes_are_collected(consul, origin, path):
    with Tagway(options=options(consul, path)) as tagway:
        began = time.monotonic()
        for number in range(40):
            consul.set_service(f"s{number}", [(f"s{number}-1", origin.port, [f"urlprefix-/s{number}"])])
            time.sleep(0.05)  # the changes are meant to be spread
        saved(path, "service s39")
        seconds = time.monotonic() - began
        saves = tagway.metric("tagway_snapshot_saves_total", result="saved")
        assert 1 <= saves <= 2 + seconds / 3


def test_the_state_directory_is_used_by_itself(consul, origin, tmp_path):
    consul.set_service("s", [("s-1", origin.port, ["urlprefix-/s"])])
    env = {"STATE_DIRECTORY": f"{tmp_path}:/nowhere"}
    with Tagway(options=consul.options(), env=env):
        saved(str(tmp_path / "routes.snapshot"), "service s\n")
    os.unlink(tmp_path / "routes.snapshot")
    with Tagway(options=options(consul, "off"), env=env) as tagway:
        tagway.wait_route("/s")
        assert "tagway_snapshot" not in tagway.admin("/metrics").body.decode()
    assert not os.listdir(tmp_path)


def test_the_custom_backend_has_one_too(origin, path):
    with CustomBackend([{"cmd": "route add", "service": "a", "src": "/a",
                         "dst": f"http://127.0.0.1:{origin.port}/", "opts": {"strip": "/a"},
                         "tags": ["x", "y"], "weight": 0.5}]) as server:
        more = {"registry.snapshot.path": path, "registry.snapshot.wait": "200ms"}
        with Tagway(options={**server.options(), **more}) as tagway:
            tagway.wait_route("/a")
            saved(path, "/a")
            before = [(route["src"], route["dst"], route["opts"], route["tags"]) for route in tagway.routes()]
        server.fault = status(500)
        with Tagway(options={**server.options(), **more}) as tagway:
            assert tagway.get("/a").status == 200
            assert [(route["src"], route["dst"], route["opts"], route["tags"])
                    for route in tagway.routes()] == before
            assert is_serving(tagway)
            server.fault = None
            server.routes = []
            wait_until(lambda: tagway.get("/a").status == 404, 20, "the answer")
            wait_until(lambda: not is_serving(tagway), 10, "nothing to be served from disk")


@pytest.mark.consul
def test_both_restart_and_no_route_is_lost(consul_binary, origin, path):
    """A machine that boots: tagway is up before Consul, and Consul calls every check critical until it has run
    once."""
    with Consul(consul_binary, is_dev=False) as server:
        for number in range(3):
            server.register(f"s{number}", origin.port, [f"urlprefix-/s{number}"])
        with Tagway(options=options(server, path)):
            saved(path, "service s2")
        server.kill()
        with Tagway(options=options(server, path)) as tagway:
            assert is_serving(tagway)
            requests = [format_request(target=f"/s{number}") for number in range(3)]
            with Load(tagway.port, requests, 2, pause=0.002) as load:
                server.start()
                server.register("late", origin.port, ["urlprefix-/late"])
                registered = time.monotonic()
                tagway.wait_route("/late")
                assert time.monotonic() - registered < 3 * SLOWNESS
                wait_until(lambda: not is_serving(tagway), 20, "the registry's answers")
                for number in range(3):
                    server.set_health(f"s{number}-{origin.port}", "passing")
                load.stop()
            assert load.count > 50 and not load.failures, load.failures[:5]
