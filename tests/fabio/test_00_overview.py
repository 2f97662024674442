# SPDX-License-Identifier: Apache-2.0
"""fabio section 0: what happens in which order from the start to the end, and what can be asked when."""

import json
import os
import re
import subprocess

import pytest

from harness.fake_consul import FakeConsul, silent
from harness.origin import Origin
from harness.ports import free_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway

ADDRS = (f"-proxy.addr=127.0.0.1:{free_port()}", f"-ui.addr=127.0.0.1:{free_port()}")


def run(*argv):
    result = subprocess.run([BINARY, *argv], capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    return result.returncode, result.stdout, result.stderr


@pytest.fixture
def consul():
    with FakeConsul() as consul:
        yield consul


@pytest.fixture(scope="module")
def origin():
    with Origin(name="a") as origin:
        yield origin


def test_0_2_version_ends_with_0():
    code, stdout, stderr = run("-v")
    assert code == 0
    assert re.match(r"\d+\.\d+\.\d+", stdout)
    assert stderr == ""


def test_0_2_a_bad_configuration_is_fatal_with_the_version():
    code, stdout, stderr = run(*ADDRS, "-proxy.strategy=fastest")
    assert code == 1
    assert stdout == ""
    version = run("-v")[1].split()[0]
    assert re.search(rf"\[FATAL\] {re.escape(version)}\. proxy\.strategy: ", stderr), stderr


def test_0_3_the_configuration_is_logged_as_indented_json_with_secrets_masked():
    options = {"registry.consul.token": "hush-hush", "proxy.strategy": "rr"}
    with Tagway("", options) as tagway:
        log = tagway.stderr()
        text = re.search(r"\[INFO\] Runtime config\n(\{\n.*?^\})$", log, re.S | re.M).group(1)
        config = json.loads(text)
        assert text.splitlines()[1].startswith('    "') and not text.splitlines()[1].startswith("     ")
        assert config["Proxy"]["Strategy"] == "rr"
        assert config == tagway.json("/api/config")
        assert "hush-hush" not in log


def test_0_3_no_configuration_below_info():
    with Tagway("", {"log.level": "WARN"}) as tagway:
        assert "Runtime config" not in tagway.stderr()


def test_0_order_of_the_log(consul, origin):
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/")
        tagway.finish()
        log = tagway.stderr()
    marks = ["[INFO] Runtime config\n", " starting\n", "[INFO] Running tagway as UID=", "Admin server listening on ",
             "[INFO] Waiting for first routing table\n", "[INFO] Config updates\n", "HTTP proxy listening on ",
             "[INFO] Caught SIGTERM. Exiting\n", "[INFO] Down\n"]
    if os.getuid() != 0:
        marks.remove("[INFO] Running tagway as UID=")
    places = [log.find(mark) for mark in marks]
    assert -1 not in places, dict(zip(marks, places))
    assert places == sorted(places), log


def test_0_9_the_admin_server_answers_before_there_is_a_table(consul, origin):
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    consul.fault = lambda path: silent if path.startswith("/v1/catalog/") else None
    with Tagway(options=consul.options(), is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, what="the admin server")
        assert tagway.admin("/api/routes").body in (b"null", b"[]")
        assert tagway.admin("/ready").status == 503
        with pytest.raises(OSError):
            tagway.get()


@pytest.mark.parametrize("late", ["/v1/health/service/web", "/v1/kv/fabio/config"])
def test_0_10_the_listeners_wait_for_all_first_results(consul, origin, late):
    """Q-12: fabio opens when either services or manual routes are there."""
    consul.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    held = True

    def hold(handler):
        wait_until(lambda: not held, 30, "the test to go on")
        handler.server.consul.fault = None
        handler.do_GET()

    consul.fault = lambda path: hold if path.startswith(late) else None
    with Tagway(options=consul.options(), is_ready=False) as tagway:
        wait_until(lambda: any(path.startswith(late) for _, path in consul.requests) and len(consul.requests) >= 4,
                   what="all first requests")
        wait_until(lambda: tagway.admin("/ready", may_fail=True).status == 503, what="the admin server")
        with pytest.raises(OSError):
            tagway.get()
        held = False
        tagway.wait_ready()
        assert tagway.get().body == b"a"


def test_0_12_sigterm_ends_with_down_and_0():
    with Tagway("") as tagway:
        tagway.process.stop()
        assert tagway.process.wait() == 0
        assert tagway.stderr().endswith("[INFO] Down\n")


def test_0_an_error_after_the_start_takes_the_way_out_and_exits_1():
    code, _, stderr = run(*ADDRS, "-registry.backend=file", "-registry.file.path=/no/such/file")
    assert code == 1
    assert "[FATAL]" in stderr and stderr.endswith("[INFO] Down\n")
