# SPDX-License-Identifier: Apache-2.0
"""fabio section 11: what is registered in Consul and when, signals, the way out, the error log, root.

Consul is scripted here, because what matters is what it is sent. The registration with a real one is in
tests/integration/test_consul_routes.py, the draining of requests in tests/integration/test_shutdown.py."""

import os
import re
import shutil
import signal
import socket
import subprocess

import pytest

from harness.fake_consul import FakeConsul
from harness.ports import free_port
from harness.process import SLOWNESS, Process, wait_until
from harness.tagway import BINARY, Tagway

HOST = socket.gethostname()


@pytest.fixture
def consul():
    with FakeConsul() as consul:
        yield consul


def registering(consul, **more):
    return consul.options(registry_consul_register_enabled="true", **more)


def names(consul):
    return sorted(body["Name"] for body in consul.registered.values())


# 11.1 Self registration

def expected_body(name, port, address="127.0.0.1"):
    identity = f"{name}-{HOST}-{port}"
    return {"ID": identity, "Name": name, "Port": port, "Address": address, "Check": None, "Checks": [
        {"CheckID": f"{identity}-ttl", "TTL": "15s", "DeregisterCriticalServiceAfter": "1m0s"},
        {"Interval": "1s", "Timeout": "3s", "HTTP": f"http://{address}:{port}/health"}]}


@pytest.mark.parametrize("program", ["tagway", "fabio"])
def test_11_1_body(consul, tmp_path, program):
    """The same body from both, where the other is installed."""
    binary = BINARY if program == "tagway" else shutil.which("fabio")
    if not binary:
        pytest.skip("no fabio on PATH")
    port = free_port()
    options = registering(consul, ui_addr=f"127.0.0.1:{port}", proxy_addr=f"127.0.0.1:{free_port()}", insecure="true")
    process = Process([binary] + [f"-{key}={value}" for key, value in options.items()], str(tmp_path), program)
    try:
        wait_until(lambda: len(consul.writes) >= 2, what="the registration and the first pass")
    finally:
        assert process.stop() == 0
    assert consul.writes[0] == ("PUT", "/v1/agent/service/register", expected_body("fabio", port))
    # The TTL check is passed at once.
    assert consul.writes[1] == ("PUT", f"/v1/agent/check/update/fabio-{HOST}-{port}-ttl",
                                {"Status": "passing", "Output": ""})
    assert consul.writes[-1][1] == f"/v1/agent/service/deregister/fabio-{HOST}-{port}"


@pytest.mark.parametrize("key, value, field, want", [
    ("register.name", "edge", ("Name",), "edge"),
    ("register.tags", "one, two", ("Tags",), ["one", "two"]),
    ("register.addr", "10.1.2.3:4567", ("Address",), "10.1.2.3"),
    ("register.addr", "10.1.2.3:4567", ("Port",), 4567),
    ("register.addr", "10.1.2.3:4567", ("ID",), f"fabio-{HOST}-4567"),
    ("register.addr", "[fd00::1]:4567", ("Checks", 1, "HTTP"), "http://[fd00::1]:4567/health"),
    ("register.checkInterval", "1500ms", ("Checks", 1, "Interval"), "1.5s"),
    ("register.checkInterval", "90s", ("Checks", 1, "Interval"), "1m30s"),
    ("register.checkTimeout", "500ms", ("Checks", 1, "Timeout"), "500ms"),
    ("register.checkTimeout", "2h", ("Checks", 1, "Timeout"), "2h0m0s"),
    ("register.checkTLSSkipVerify", "true", ("Checks", 1, "TLSSkipVerify"), True),
    ("register.checkDeregisterCriticalServiceAfter", "2h", ("Checks", 1, "DeregisterCriticalServiceAfter"), "2h"),
    ("namespace", "team", ("Namespace",), "team"),
])
def test_11_1_options(consul, key, value, field, want):
    with Tagway(options={**registering(consul), f"registry.consul.{key}": value}):
        wait_until(lambda: consul.registered, what="the registration")
        found = next(iter(consul.registered.values()))
        for step in field:
            found = found[step]
        assert found == want


def test_11_1_a_host_that_is_no_address_stands_for_the_machine(consul):
    with Tagway(options={**registering(consul), "registry.consul.register.addr": "localhost:4567"}):
        wait_until(lambda: consul.registered, what="the registration")
        address = next(iter(consul.registered.values()))["Address"]
        assert re.fullmatch(r"\d+\.\d+\.\d+\.\d+|[0-9a-f:]+", address) and not address.startswith("169.254.")


def test_11_1_not_with_register_enabled_false(consul, origin):
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/")
    assert consul.writes == []


def test_11_1_registered_again_when_the_agent_has_forgotten(consul):
    with Tagway(options=registering(consul)):
        wait_until(lambda: len(consul.writes) >= 2, what="the registration")
        consul.registered.clear()  # the next pass, within ten seconds, is answered 404
        wait_until(lambda: consul.registered, 15, "the registration to be renewed")
        wait_until(lambda: consul.writes[-1][1].startswith("/v1/agent/check/update/"), what="its check to be passed")


def test_11_1_a_refused_registration_is_tried_again_and_does_not_hold_up_routing(consul, origin):
    from harness.fake_consul import answer
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    consul.fault = lambda path: answer(500, b"no") if "/register" in path else None
    with Tagway(options=registering(consul)) as tagway:
        tagway.wait_route("/")
        wait_until(lambda: len([w for w in consul.writes if w[1].endswith("/register")]) >= 2, what="another try")
        consul.fault = None
        wait_until(lambda: consul.registered, what="the registration")


# 11.2 Aliases

@pytest.mark.parametrize("is_enabled", ["true", "false"])
def test_11_2_aliases_come_and_go_with_the_routes(consul, origin, is_enabled):
    own = ["fabio"] if is_enabled == "true" else []
    with Tagway(options={**consul.options(), "registry.consul.register.enabled": is_enabled}) as tagway:
        consul.set_service("web", [("web-1", origin.port, ["urlprefix-/ register=alias"])])
        wait_until(lambda: names(consul) == sorted(["alias"] + own), what="the alias")
        assert consul.registered[f"alias-{HOST}-{tagway.admin_port}"] == expected_body("alias", tagway.admin_port)
        consul.set_service("web", [("web-1", origin.port, ["urlprefix-/ register=other"])])
        wait_until(lambda: names(consul) == sorted(["other"] + own), what="the other alias alone")
        consul.set_service("web", [])
        wait_until(lambda: names(consul) == own, what="the alias to go")


def test_11_2_aliases_of_manual_routes(consul):
    consul.kv["fabio/config"] = "cm91dGUgYWRkIG0gL20gaHR0cDovLzEyNy4wLjAuMTo5LyBvcHRzICJyZWdpc3Rlcj1tYW51YWwi"
    with Tagway(options=consul.options()):
        wait_until(lambda: names(consul) == ["manual"], what="the alias")


@pytest.mark.parametrize("broken", [["urlprefix-"], ["urlprefix-/x weight=many"], ['a"b', "urlprefix-/x[y"]])
def test_11_2_an_error_elsewhere_drops_no_alias(consul, origin, broken):
    """Q-1."""
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/ register=alias"])])
    with Tagway(options=consul.options()) as tagway:
        wait_until(lambda: names(consul) == ["alias"], what="the alias")
        consul.set_service("odd", [("odd-1", origin.port, broken + ["urlprefix-/odd"])])
        wait_until(lambda: "/odd" in [route["src"] for route in tagway.routes()], what="what is good of it")
        assert any(problem["service"] == "odd" for problem in tagway.problems())
        # A change that is seen by then: another alias comes, the first one is still there.
        consul.set_service("more", [("more-1", origin.port, ["urlprefix-/more register=more"])])
        wait_until(lambda: names(consul) == ["alias", "more"], what="the second alias")
        assert not any("/deregister/" in path for _, path, _ in consul.writes)


# 11.3 Signals

@pytest.mark.parametrize("number, name", [(signal.SIGINT, "SIGINT"), (signal.SIGTERM, "SIGTERM")])
def test_11_3_signals_that_end(number, name):
    with Tagway("") as tagway:
        tagway.process.signal(number)
        assert tagway.process.wait() == 0
        assert f"[INFO] Caught {name}. Exiting\n" in tagway.stderr()
        assert tagway.stderr().endswith("[INFO] Down\n")


def test_11_3_sighup_ends_nothing():
    with Tagway("") as tagway:
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: "[INFO] Caught SIGHUP. Reloading" in tagway.stderr(), what="the message")
        assert tagway.get().status == 404


# 11.4 The way out

def accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def test_11_4_deregistered_first_then_the_grace_period_then_refused(consul, origin):
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/ register=alias"])])
    options = registering(consul, proxy_deregistergraceperiod="1s")
    with Tagway(options=options) as tagway:
        tagway.wait_route("/")
        wait_until(lambda: names(consul) == ["alias", "fabio"], what="the registrations")
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: not consul.registered, what="all names to be withdrawn")
        # Deregistered, but in its grace period: requests that still come are served.
        assert tagway.get().status == 200
        assert tagway.admin("/ready").status == 503
        wait_until(lambda: not accepts(tagway.port), what="connections to be refused")
        assert tagway.process.wait() == 0


def test_11_4_no_grace_period_by_default():
    with Tagway("") as tagway:
        tagway.process.signal(signal.SIGTERM)
        wait_until(lambda: not accepts(tagway.port), 2, "connections to be refused")
        assert tagway.process.wait() == 0


def test_11_4_an_agent_that_does_not_answer_does_not_hold_up_the_end_for_long(consul):
    from harness.fake_consul import silent
    with Tagway(options=registering(consul)) as tagway:
        wait_until(lambda: len(consul.writes) >= 2, what="the registration")
        consul.fault = lambda path: silent if "/deregister/" in path else None
        assert tagway.process.stop(10) == 0


# 11.5 The error log

def test_11_5_format_and_stream():
    with Tagway("route add a /a http://127.0.0.1:9/\n") as tagway:
        tagway.finish()
        assert tagway.process.stdout() == ""
        lines = tagway.stderr().splitlines()
        assert re.fullmatch(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[INFO\] .+", lines[0])
        # Lines without a time belong to the message before: the configuration, changes of routes.
        assert all(re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[(INFO|WARN)\] |[{}]$|    |[+] route add ", line)
                   for line in lines)


@pytest.mark.parametrize("level, shown", [("DEBUG", True), ("info", True), ("WARN", False), ("ERROR", False),
                                          ("FATAL", False)])
def test_11_5_levels(level, shown):
    with Tagway("", {"log.level": level}) as tagway:
        tagway.finish()
        assert ("[INFO]" in tagway.stderr()) == shown
        assert ("[WARN]" in tagway.stderr()) == (os.getuid() == 0 and level not in ("ERROR", "FATAL"))


# 11.6 Root

@pytest.mark.skipif(os.getuid() != 0, reason="not root")
@pytest.mark.parametrize("insecure, words", [("true", "with the '-insecure' flag"),
                                             ("false", "without the '-insecure' flag")])
def test_11_6_root_is_warned_at_start_and_once_it_serves(insecure, words):
    with Tagway("", {"insecure": insecure}) as tagway:
        log = tagway.stderr()
        assert log.count(f"[WARN] You are running tagway as root {words}") == 2
        assert log.count(f"[INFO] Running tagway as UID=0 EUID=0 GID={os.getgid()}\n") == 2
        assert log.index(words) < log.index("HTTP proxy listening") < log.rindex(words)


# Q-40 What ends the program at the start

@pytest.mark.parametrize("key", ["proxy.addr", "ui.addr"])
def test_q40_an_address_in_use_is_named_before_anything_is_registered(consul, origin, key):
    options = registering(consul, proxy_addr=f"127.0.0.1:{free_port()}", ui_addr=f"127.0.0.1:{free_port()}")
    options[key] = f"127.0.0.1:{origin.port}"
    result = subprocess.run([BINARY] + [f"-{key}={value}" for key, value in options.items()],
                            capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    assert result.returncode == 1
    assert f"127.0.0.1:{origin.port}" in result.stderr.splitlines()[-2]
    assert "[FATAL]" in result.stderr
    assert consul.writes == []


def test_q40_one_address_twice(consul):
    addr = f"127.0.0.1:{free_port()}"
    options = registering(consul, proxy_addr=f"{addr},{addr}", ui_addr=f"127.0.0.1:{free_port()}")
    result = subprocess.run([BINARY] + [f"-{key}={value}" for key, value in options.items()],
                            capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    assert result.returncode == 1
    assert addr in result.stderr.splitlines()[-2]
    assert consul.writes == []
