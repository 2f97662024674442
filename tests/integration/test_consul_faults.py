# SPDX-License-Identifier: Apache-2.0
"""A Consul that restarts, forgets, dies, lies or says nothing: the last good routes stay, and what is new
is seen as soon as it works again."""

import json
import os
import socket
import time

import pytest

from harness.consul import Consul
from harness.fake_consul import FakeConsul, answer, silent, truncated
from harness.load import Load
from harness.client import format_request
from harness.origin import Origin
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway

pytestmark = [pytest.mark.consul, pytest.mark.measured]


@pytest.fixture
def origin():
    with Origin() as origin:
        yield origin


@pytest.fixture
def server(consul_binary):
    with Consul(consul_binary, is_dev=False) as consul:
        yield consul


def assert_new_service_is_seen(tagway, consul, origin, since):
    consul.register("newcomer", origin.port, ["urlprefix-/newcomer"])
    registered = time.monotonic()
    tagway.wait_route("/newcomer", timeout=15)
    print(f"new service seen {time.monotonic() - registered:.2f} s after its registration, "
          f"{time.monotonic() - since:.2f} s after Consul's return")
    assert time.monotonic() - registered < 3 * SLOWNESS


class Watcher:
    """Load that proves that no route is lost meanwhile."""

    def __init__(self, tagway, paths):
        self.load = Load(tagway.port, [format_request(target=path) for path in paths], 2, pause=0.002)

    def __enter__(self):
        self.load.__enter__()
        return self

    def __exit__(self, kind, *rest):
        self.load.stop()
        self.load.__exit__(kind, *rest)
        if kind is None:
            print(self.load.summary())
            assert not self.load.failures, self.load.failures[:5]
            assert self.load.count > 50


def test_restart(server, origin):
    for number in range(5):
        server.register_lasting(f"s{number}", origin.port, [f"urlprefix-/s{number}"])
    with Tagway(options=server.options()) as tagway:
        paths = [f"/s{number}" for number in range(5)]
        for path in paths:
            tagway.wait_route(path)
        with Watcher(tagway, paths):
            server.restart()
            back = time.monotonic()
            assert_new_service_is_seen(tagway, server, origin, back)
        assert len(tagway.routes()) == 6


def test_killed_for_30_seconds(server, origin):
    for number in range(5):
        server.register_lasting(f"s{number}", origin.port, [f"urlprefix-/s{number}"])
    with Tagway(options=server.options()) as tagway:
        paths = [f"/s{number}" for number in range(5)]
        for path in paths:
            tagway.wait_route(path)
        with Watcher(tagway, paths):
            server.kill()
            time.sleep(30)  # the fault itself
            server.start()
            back = time.monotonic()
            assert_new_service_is_seen(tagway, server, origin, back)
        assert len(tagway.routes()) == 6


def test_wipe(server, origin):
    """Everything is forgotten and the index starts again: what registers afterwards is seen, what does not
    come back goes, and while Consul is away nothing is lost."""
    for number in range(5):
        server.register_lasting(f"s{number}", origin.port, [f"urlprefix-/s{number}"])
    for number in range(30):  # an index well above that of a fresh agent
        server.kv_put("noise", str(number))
    with Tagway(options=server.options()) as tagway:
        paths = [f"/s{number}" for number in range(5)]
        for path in paths:
            tagway.wait_route(path)
        with Watcher(tagway, paths) as watcher:
            server.kill()
            answered = watcher.load.progress()
            wait_until(lambda: watcher.load.progress() > answered + 200, what="traffic without Consul")
        server.wipe()
        back = time.monotonic()
        assert_new_service_is_seen(tagway, server, origin, back)
        wait_until(lambda: [route["path"] for route in tagway.routes()] == ["/newcomer"], 20,
                   "the forgotten services to go")


def test_frozen_consul(server, origin):
    """A half-open agent: connections stand, nothing answers."""
    server.register_lasting("s", origin.port, ["urlprefix-/s"])
    with Tagway(options=server.options(registry_consul_wait="5s")) as tagway:
        tagway.wait_route("/s")
        with Watcher(tagway, ["/s"]):
            server.freeze()
            time.sleep(5)  # the fault itself
            server.thaw()
            assert_new_service_is_seen(tagway, server, origin, time.monotonic())


def test_consul_comes_after_us(consul_binary, origin):
    with Consul(consul_binary) as consul:
        consul.kill()
        with Tagway(options=consul.options(), is_ready=False) as tagway:
            wait_until(lambda: tagway.admin("/ready", may_fail=True).status == 503, 20, "the admin listener")
            consul.start()
            consul.register("s", origin.port, ["urlprefix-/s"])
            wait_until(lambda: tagway.admin("/ready").status == 200, 20, "readiness")
            tagway.wait_route("/s")


def established(port):
    """Established connections to a local port, as the kernel counts them."""
    count = 0
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in list(table)[1:]:
            fields = line.split()
            if fields[3] == "01" and int(fields[2].split(":")[1], 16) == port:
                count += 1
    return count


def test_300_services_stay_under_the_connection_limit(server, origin):
    """An agent that is not in dev mode refuses the 201st connection of a client and so locks out every
    other process on its host."""
    for number in range(300):
        server.register(f"s{number:03}", origin.port, [f"urlprefix-/s{number:03}"])
    most = 0
    with Tagway(options=server.options()) as tagway:
        def complete():
            nonlocal most
            most = max(most, established(server.port))
            return len(tagway.routes()) == 300

        wait_until(complete, 60, "300 routes", 0.02)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            most = max(most, established(server.port))
            assert server.get("/v1/status/leader"), "others are locked out"
            time.sleep(0.05)
        print(f"at most {most} connections for 300 services")
        assert most <= 150
        assert all(tagway.get(f"/s{number:03}").status == 200 for number in range(0, 300, 7))

        # Changes are still seen, for services with a watch of their own and for the others.
        for name in ("s000", "s150", "s299"):
            began = time.monotonic()
            server.set_health(f"{name}-{origin.port}", "critical")
            wait_until(lambda name=name: tagway.get(f"/{name}").status == 503, 10, f"{name} to be out")
            print(f"{name}: health seen after {(time.monotonic() - began) * 1000:.0f} ms")
        with Origin(name="moved") as moved:
            began = time.monotonic()
            server.register("s100", moved.port, ["urlprefix-/s100"], f"s100-{origin.port}")
            wait_until(lambda: tagway.get("/s100").body == b"moved", 15, "the port change")
            print(f"port change seen after {(time.monotonic() - began) * 1000:.0f} ms")
            began = time.monotonic()
            server.register("s300", origin.port, ["urlprefix-/s300"])
            server.register("s101", moved.port, ["urlprefix-/s101"], f"s101-{origin.port}")
            tagway.wait_route("/s300")
            print(f"new service seen after {(time.monotonic() - began) * 1000:.0f} ms")
            wait_until(lambda: tagway.get("/s101").body == b"moved", 30, "a port change beside it")
            print(f"port change beside it seen after {(time.monotonic() - began) * 1000:.0f} ms")
        most = max(most, established(server.port))
        assert most <= 150


def test_a_crowd_that_fills_the_agent(server, origin):
    """429, or a reset, at the 201st connection: everything is routed all the same, and the agent is not asked
    again and again."""
    count = int(os.environ.get("TAGWAY_CONSUL_SERVICES", "100"))
    for number in range(count):
        server.register(f"s{number:04}", origin.port, [f"urlprefix-/s{number:04}"])

    def refusals():
        return sum(tagway.metric("tagway_consul_requests_total", endpoint=endpoint, code=code)
                   for endpoint in ("catalog", "service", "state") for code in ("4xx", "none"))

    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(165)]
    try:
        with Tagway(options=server.options(), is_ready=False) as tagway:
            wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
            wait_until(lambda: len(tagway.routes()) == count, 60, "all routes", 0.2)
            # Where the request meets a connection that is closed already, the refusal is a reset.
            wait_until(lambda: refusals() > 0, 20, "a refusal")
            before, began = refusals(), time.monotonic()
            while time.monotonic() - began < 6:  # what is measured is a rate
                assert tagway.get(f"/s{count // 2:04}").status == 200
                time.sleep(0.1)
            count_refused = refusals() - before
            print(f"{count_refused} refusals in 6 s")
            # One a second and the burst; each answer that comes through meanwhile lets two more try. A watch
            # each on its own would make a hundred.
            assert count_refused <= 2 * (time.monotonic() - began) + 8
            while crowd:
                crowd.pop().close()
            wait_until(lambda: established(server.port) < 150, 20, "the crowd to be gone")
            assert_new_service_is_seen(tagway, server, origin, time.monotonic())
            assert len(tagway.routes()) == count + 1
    finally:
        for connection in crowd:
            connection.close()


# Scripted faults


GARBAGE = {
    "500": answer(500, b"No cluster leader"),
    "503": answer(503, b"try again"),
    "429": answer(429, b"Your IP is issuing too many concurrent connections"),
    "403": answer(403, b"Permission denied"),
    "garbage": answer(200, b"\x00\xff<html>"),
    "wrong type": answer(200, b'"text"'),
    "null": answer(200, b"null"),
    "cut JSON": answer(200, b'[{"Node": {"Node": "no'),
    "deep": answer(200, b"[" * 100000),
    "truncated": truncated,
    "empty body": answer(200, b""),
    "redirect": answer(302, b""),
    "wrong fields": answer(200, b'[{"Node": 5, "Service": [], "Checks": "x"}]'),
}


@pytest.mark.parametrize("name", GARBAGE)
def test_a_faulty_answer_changes_nothing(origin, name):
    with FakeConsul() as consul:
        consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good"])])
        consul.set_service("bad", [("bad-1", origin.port, ["urlprefix-/bad"])])
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/good")
            tagway.wait_route("/bad")
            # Every kind of request about the service, and then everything, answers with the fault.
            for is_hit in (lambda path: "/health/service/bad" in path, lambda path: path.startswith("/v1/")):
                faults = []

                def fault(path, is_hit=is_hit, faults=faults):
                    if is_hit(path):
                        faults.append(path)
                        return GARBAGE[name]
                    return None

                consul.fault = fault
                consul.touch()
                consul.set_service("bad", [("bad-1", origin.port, ["urlprefix-/bad", "more"])])
                wait_until(lambda faults=faults: len(faults) >= 2, 45, "the fault to be met")
                assert tagway.get("/good").status == 200
                assert tagway.get("/bad").status == 200
                assert len(tagway.routes()) == 2
            consul.fault = None
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            tagway.wait_route("/late", timeout=40)


def test_silence_changes_nothing(origin):
    with FakeConsul() as consul:
        consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good"])])
        with Tagway(options=consul.options(registry_consul_wait="1s")) as tagway:
            tagway.wait_route("/good")
            silenced = []

            def fault(path):
                silenced.append(path)
                return silent

            consul.fault = fault
            consul.touch()
            wait_until(lambda: silenced, what="silence")
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                assert tagway.get("/good").status == 200
                time.sleep(0.05)
            assert len(tagway.routes()) == 1


@pytest.mark.parametrize("index", ["0", "-1", "abc", "18446744073709551615", None, "1"])
def test_odd_indexes(origin, index):
    """No busy loop, no route lost, and changes are seen."""
    with FakeConsul() as consul:
        consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good"])])

        def fault(path):
            if "/health/service/good" not in path and "/catalog/services" not in path:
                return None

            def odd(handler):
                status, body = handler._content(path.split("?")[0])
                answer(status, json.dumps(body).encode(), index)(handler)

            return odd

        consul.fault = fault
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/good")
            wait_until(lambda: tagway.metric("tagway_consul_watches_spinning") == 2, 20, "two polls in doubt")
            count = len(consul.requests)
            time.sleep(5)  # what is measured is a rate
            count = len(consul.requests) - count
            print(f"{count / 5:.1f} requests/s")
            assert count <= 5
            assert tagway.get("/good").status == 200
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            tagway.wait_route("/late", timeout=20)
            consul.fault = None
            consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good", "urlprefix-/more"])])
            began = time.monotonic()
            tagway.wait_route("/more")
            assert time.monotonic() - began < 3 * SLOWNESS


def test_a_disappearance_is_confirmed(origin):
    """One empty answer about a service that had healthy instances is asked again before it counts."""
    with FakeConsul() as consul:
        consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good"])])
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/good")
            lies = []

            def fault(path):
                if "/health/service/good" in path and not lies:
                    lies.append(path)
                    return answer(200, b"[]", consul.index)
                return None

            with Watcher(tagway, ["/good"]) as watcher:
                consul.fault = fault
                asked = len(consul.requests)
                consul.touch()
                wait_until(lambda: lies, what="the lie")

                def polls_again():
                    """The next long poll about the service: the lie is dealt with."""
                    return [path for _, path in consul.requests[asked:]
                            if "/health/service/good" in path and "index=" in path]

                wait_until(polls_again, 20, "it to be asked again")
                answered = watcher.load.progress()
                wait_until(lambda: watcher.load.progress() > answered + 200, what="traffic")
            consul.fault = None
            consul.set_service("good", [])
            wait_until(lambda: tagway.get("/good").status == 404, 20, "the service to go")


def test_a_mass_drop_is_held_back(origin):
    """Most instances gone at once: more likely a fault of Consul's than the truth. What exceeds half of
    them is held, asked again, then believed."""
    with FakeConsul() as consul:
        names = [f"s{number}" for number in range(20)]
        for name in names:
            consul.set_service(name, [(f"{name}-1", origin.port, [f"urlprefix-/{name}"])])
        with Tagway(options=consul.options()) as tagway:
            for name in names:
                tagway.wait_route(f"/{name}")
            began = time.monotonic()
            for name in names:
                consul.services.pop(name)
            consul.touch()
            while time.monotonic() - began < 3:
                assert len(tagway.routes()) >= len(names) // 2
                time.sleep(0.01)
            assert tagway.metric("tagway_consul_guard_activations_total") == 1
            wait_until(lambda: not tagway.routes(), 60, "the removals to be believed")
            took = time.monotonic() - began
            print(f"removed after {took:.1f} s")
            assert took > 4


@pytest.mark.no_sanitizer
def test_memory_stays_flat_under_churn(origin):
    """C33: nothing outlives its service."""
    with FakeConsul() as consul:
        with Tagway(options=consul.options()) as tagway:
            def churn(first, count):
                for number in range(first, first + count, 50):
                    for other in range(number, number + 50):
                        consul.services[f"churn{other}"] = [(f"c{other}", origin.port, [f"urlprefix-/c{other}"])]
                    consul.touch()
                    wait_until(lambda: len(tagway.routes()) == 50, 30, "50 services")
                    consul.services.clear()
                    consul.touch()
                    wait_until(lambda: not tagway.routes(), 60, "no services", 0.05)

            churn(0, 50)
            before = tagway.process.rss_kib()
            files = tagway.process.open_files()
            churn(1000, 100)
            print(f"RSS {before} -> {tagway.process.rss_kib()} KiB")
            assert tagway.process.rss_kib() < before * 1.5 + 2000
            wait_until(lambda: tagway.process.open_files() <= files + 10, 30, "descriptors")
