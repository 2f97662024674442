# SPDX-License-Identifier: Apache-2.0
"""12 Command line: what each invocation prints and how it ends. The exit status of a bad flag is 1, not
fabio's 2 (docs/decisions/0007-exit-status.md)."""

import re
import signal

import pytest

from harness.command import keys, run
from harness.origin import Origin
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import Tagway


# -v, -version, --version anywhere

@pytest.mark.parametrize("argv", [
    ["-v"], ["-version"], ["--version"], ["--v"],
    ["-insecure", "-v"],
    ["-no.such.flag", "-v"],
    ["-proxy.strategy", "fastest", "-version"],
    ["-cfg", "/no/such/file", "--version"],
    ["check", "-v"],
])
def test_version(argv):
    code, stdout, stderr = run(*argv)
    assert code == 0
    assert re.fullmatch(r"\d+\.\d+\.\d+ tagway\n", stdout)
    assert stderr == ""


# -h, -help

@pytest.mark.parametrize("argv", [["-h"], ["-help"], ["--help"], ["-insecure", "-h"], ["check", "-h"]])
def test_help(argv):
    code, stdout, stderr = run(*argv)
    assert code == 0
    assert stdout == ""
    listed = re.findall(r"^  -([a-z][a-zA-Z0-9.]*)", stderr, re.MULTILINE)
    listed = [key for key in listed if key not in ("cfg", "h", "v")]
    assert listed == sorted(listed, key=str.lower)
    assert len(listed) > 130
    assert set(listed) == set(keys())


# unknown flag, bad flag value

@pytest.mark.parametrize("argv, reason", [
    (["-no.such.flag"], "flag provided but not defined: -no.such.flag"),
    (["--no.such.flag=1"], "flag provided but not defined: -no.such.flag"),
    (["-tracing.TracingEnabled=true"], "flag provided but not defined: -tracing.TracingEnabled"),
    (["-bgp.grpctls=true"], "flag provided but not defined: -bgp.grpctls"),
    (["-registry.static.noroutehtmlpath=/x"], "flag provided but not defined: -registry.static.noroutehtmlpath"),
    (["-proxy.maxconn", "abc"], 'invalid value "abc" for flag -proxy.maxconn'),
    (["-proxy.dialtimeout=5"], 'invalid value "5" for flag -proxy.dialtimeout'),
    (["-insecure=maybe"], 'invalid value "maybe" for flag -insecure'),
    (["-ui.title"], "flag needs an argument: -ui.title"),
    (["positional"], 'unexpected argument "positional"'),
    (["-insecure", "true", "-proxy.addr=:1"], 'unexpected argument "true" (a bool is set with -flag=true)'),
    (["-insecure", "check"], 'unexpected argument "check"'),
    (["-consul"], "flag provided but not defined: -consul"),
])
def test_bad_flags(argv, reason):
    code, stdout, stderr = run(*argv)
    assert code == 1
    assert stdout == ""
    assert reason in stderr
    assert "usage: tagway" in stderr


def test_test_flags_are_dropped():
    code, stdout, _ = run("check", "-test.v", "-test.run=x", "-registry.backend=static")
    assert (code, stdout) == (0, "configuration OK\n")


# configuration errors, bad backend, metrics target, log target, format, profile mode

@pytest.mark.parametrize("argv, reason", [
    (["-proxy.strategy=x"], "must be rnd or rr"),
    (["-registry.backend=etcd"], "registry.backend"),
    (["-registry.backend=file"], "registry.file.path"),
    (["-metrics.target=influx"], "metrics.target"),
    (["-log.access.target=stderr"], "log.access.target"),
    (["-log.access.format=$nope"], "log.access.format"),
    (["-log.level=LOUD"], "log.level"),
    (["-log.routes.format=short"], "log.routes.format"),
    (["-profile.mode=heap"], "must be empty, cpu, mem, mutex, block or trace"),
    (["-cfg", "/no/such/file"], "/no/such/file"),
    (["-cfg"], "invalid or missing path to config file"),
])
def test_configuration_errors(argv, reason):
    code, stdout, stderr = run(*argv)
    assert code == 1
    assert stdout == ""
    assert re.match(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d \[FATAL\] \d+\.\d+\.\d+\. ", stderr)
    assert reason in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize("key", ["proxy.addr", "ui.addr"])
def test_an_address_in_use(key):
    with Origin() as origin:
        addresses = {"proxy.addr": f"127.0.0.1:{free_port()}", "ui.addr": f"127.0.0.1:{free_port()}",
                     key: f"127.0.0.1:{origin.port}"}
        code, _, stderr = run("-registry.backend=static", *(f"-{name}={value}" for name, value in addresses.items()))
        assert code == 1
        assert "[FATAL]" in stderr and str(origin.port) in stderr


def test_a_registry_out_of_reach():
    code, _, stderr = run(f"-registry.consul.addr=127.0.0.1:{free_port()}", "-registry.timeout=300ms",
                          f"-proxy.addr=127.0.0.1:{free_port()}", f"-ui.addr=127.0.0.1:{free_port()}")
    assert code == 1
    assert "Timeout registering backend." in stderr


# signals

@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_service(number):
    with Tagway(options={"registry.backend": "static"}) as tagway:
        tagway.process.signal(number)
        assert tagway.process.wait() == 0
        assert "[INFO] Down" in tagway.stderr()


def test_a_signal_while_the_registry_is_awaited():
    """fabio exits 1 here. A process that was told to stop and stops has done what it should."""
    with Tagway(options={"registry.consul.addr": f"127.0.0.1:{free_port()}"}, is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, what="the admin listener")
        tagway.process.signal(signal.SIGTERM)
        assert tagway.process.wait() == 0


# check, which fabio has not

def test_check_starts_nothing():
    with Origin() as origin:  # an address in use does not matter
        code, stdout, stderr = run("check", "-registry.backend=static", f"-proxy.addr=127.0.0.1:{origin.port}")
        assert (code, stdout, stderr) == (0, "configuration OK\n", "")


def test_check_prints_warnings():
    code, stdout, _ = run("check", "-registry.backend=static", "-runtime.gogc=50", env={"FABIO_NONE": "1"})
    assert code == 0
    assert "warning: runtime.gogc from flag -runtime.gogc has no effect" in stdout
    assert "warning: environment FABIO_NONE: there is no such option" in stdout
    assert stdout.endswith("configuration OK\n")


@pytest.mark.parametrize("argv", [
    ["-proxy.strategy=x"], ["-no.such.flag"], ["-proxy.maxconn=abc"], ["-cfg", "/no/such/file"],
    ["-registry.backend=file", "-registry.file.path=/no/such/file"],
    ["-registry.backend=file"], ["-proxy.addr=:1;proto=tcp"],
    ["-registry.consul.token.file=/no/such/token"],
])
def test_check_says_what_the_start_would_say(argv):
    addresses = [f"-ui.addr=127.0.0.1:{free_port()}"]
    if not any("proxy.addr" in arg for arg in argv):
        addresses.append(f"-proxy.addr=127.0.0.1:{free_port()}")
    checked, started = run("check", *addresses, *argv), run(*addresses, "-log.level=FATAL", *argv)

    def reasons(text):
        return [line.split("] ", 1)[-1] for line in text.splitlines() if "FATAL" in line or "[" not in line]

    assert checked[0] == started[0] == 1
    assert reasons(checked[2]) == reasons(started[2]) and reasons(checked[2])


def test_check_names_each_bad_route(tmp_path):
    text = "route add a /a http://127.0.0.1:1/\nroute foo\n\n# a comment\nroute add b\n"
    (tmp_path / "routes").write_text(text)
    for options, place in ((["-registry.backend=static", f"-registry.static.routes={text}"], "registry.static.routes"),
                           (["-registry.backend=file", f"-registry.file.path={tmp_path / 'routes'}"],
                            str(tmp_path / "routes"))):
        code, stdout, stderr = run("check", *options)
        assert code == 1
        assert re.findall(rf"^{re.escape(place)} line (\d+): ", stdout, re.MULTILINE) == ["2", "5"]
        assert f"{place}: 2 bad lines" in stderr
        assert "configuration OK" not in stdout


def test_check_reads_the_page(tmp_path):
    (tmp_path / "routes").write_text("route add a /a http://127.0.0.1:1/\n")
    argv = ["check", "-registry.backend=file", f"-registry.file.path={tmp_path / 'routes'}"]
    assert run(*argv)[0] == 0
    code, _, stderr = run(*argv, "-registry.file.noroutehtmlpath=/no/such/page")
    assert code == 1 and "/no/such/page" in stderr
