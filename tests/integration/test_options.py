# SPDX-License-Identifier: Apache-2.0
"""Where values come from, and that a bad one ends the program with its name before it listens."""

import subprocess

import pytest

from harness.client import get
from harness.origin import Origin
from harness.ports import free_port
from harness.process import SLOWNESS
from harness.tagway import BINARY, Tagway, route


def run(*argv, env=None):
    """Runs to the end; (exit code, stdout, stderr)."""
    result = subprocess.run([BINARY, *argv], capture_output=True, text=True, timeout=20 * SLOWNESS,
                            env={"PATH": "/usr/bin:/bin", **(env or {})}, check=False)
    return result.returncode, result.stdout, result.stderr


BASE = ["-registry.backend=static", "-proxy.addr=127.0.0.1:1", "-ui.addr=127.0.0.1:2"]


@pytest.mark.parametrize("key, value", [
    ("proxy.strategy", "fastest"),
    ("proxy.matcher", "regexp"),
    ("proxy.maxconn", "abc"),
    ("proxy.maxconn", "-1"),
    ("proxy.dialtimeout", "5"),
    ("proxy.dialtimeout", "soon"),
    ("proxy.noroutestatus", "99"),
    ("proxy.noroutestatus", "1000"),
    ("proxy.addr", "nonsense"),
    ("proxy.addr", ":99999"),
    ("proxy.addr", ":9999;proto=gopher"),
    ("proxy.trusted", "10.0.0.0/99"),
    ("registry.backend", "etcd"),
    ("registry.consul.checksRequired", "most"),
    ("registry.consul.maxwatches", "1000"),
    ("ui.access", "maybe"),
    ("log.level", "LOUD"),
    ("log.access.target", "nowhere"),
    ("insecure", "maybe"),
    ("proxy.header.clientip", "bad header"),
])
@pytest.mark.parametrize("source", ["flag", "environment", "file"])
def test_a_bad_value_is_named(tmp_path, key, value, source):
    if source == "flag":
        code, _, stderr = run(*BASE, f"-{key}={value}")
        assert code == 1
    elif source == "environment":
        code, _, stderr = run("-registry.backend=static" if key != "registry.backend" else "-insecure=true",
                              env={"FABIO_" + key.replace(".", "_").upper(): value})
        assert code == 1
    else:
        path = tmp_path / "tagway.properties"
        path.write_text(f"{key} = {value}\n")
        code, _, stderr = run("-cfg", str(path))
        assert code == 1
    assert key in stderr, stderr
    assert "listening on" not in stderr


def test_an_unknown_flag_is_named():
    code, _, stderr = run("-proxy.adr=:9999")
    assert code == 1
    assert "proxy.adr" in stderr


def test_a_positional_argument_is_refused():
    code, _, stderr = run("-insecure=true", "proxy.addr=:1")
    assert code == 1
    assert "proxy.addr=:1" in stderr


@pytest.mark.parametrize("argv", [["-cfg", "/no/such/file"], ["-cfg", ""], ["-cfg"]])
def test_a_missing_configuration_file(argv):
    code, _, stderr = run(*argv)
    assert code == 1
    assert stderr


def test_an_address_in_use_ends_the_program():
    with Origin() as origin:
        code, _, stderr = run("-registry.backend=static", f"-proxy.addr=127.0.0.1:{origin.port}",
                              f"-ui.addr=127.0.0.1:{free_port()}")
        assert code == 1
        assert str(origin.port) in stderr
        code, _, stderr = run("-registry.backend=static", f"-proxy.addr=127.0.0.1:{free_port()}",
                              f"-ui.addr=127.0.0.1:{origin.port}")
        assert code == 1
        assert str(origin.port) in stderr


def test_a_missing_route_file_ends_the_program():
    code, _, stderr = run("-registry.backend=file", "-registry.file.path=/no/such/file",
                          f"-proxy.addr=127.0.0.1:{free_port()}", f"-ui.addr=127.0.0.1:{free_port()}")
    assert code == 1
    assert "/no/such/file" in stderr


@pytest.mark.parametrize("flag", ["-v", "-version", "--version"])
def test_version(flag):
    code, stdout, _ = run(flag)
    assert code == 0
    assert stdout.startswith("0.")


@pytest.mark.parametrize("flag", ["-h", "-help", "--help"])
def test_help_names_the_keys(flag):
    code, stdout, stderr = run(flag)
    assert code in (0, 2)
    for key in ("proxy.addr", "registry.consul.addr", "ui.addr"):
        assert key in stdout + stderr


def test_precedence(tmp_path):
    """flag > FABIO_ environment > environment > file > default, seen by the no-route status."""
    path = tmp_path / "tagway.properties"
    path.write_text("proxy.noroutestatus = 410\nregistry.backend = static\n")
    steps = [
        ({"cfg": path}, {}, 410),
        ({"cfg": path}, {"proxy_noroutestatus": "411"}, 411),
        ({"cfg": path}, {"PROXY_NOROUTESTATUS": "411", "FABIO_proxy_noroutestatus": "412"}, 412),
        ({"cfg": path, "proxy.noroutestatus": "413"}, {"FABIO_PROXY_NOROUTESTATUS": "412"}, 413),
        ({"registry.backend": "static"}, {}, 404),
    ]
    for options, env, status in steps:
        with Tagway(options=options, env=env) as tagway:
            assert tagway.get().status == status


def test_static_routes():
    with Origin(name="a") as a, Origin(name="b") as b:
        table = route(a, "/a") + "# a comment\n\n" + route(b, "/b")
        with Tagway(options={"registry.backend": "static", "registry.static.routes": table,
                             "registry.static.noroutehtml": "<p>nothing here</p>"}) as tagway:
            assert tagway.get("/a").body == b"a"
            assert tagway.get("/b").body == b"b"
            response = tagway.get("/c")
            assert (response.status, response.body) == (404, b"<p>nothing here</p>")


def test_several_listeners():
    ports = [free_port(), free_port()]
    with Origin() as origin:
        addr = ",".join(f"127.0.0.1:{port}" for port in ports)
        with Tagway(route(origin), {"proxy.addr": addr}):
            for port in ports:
                assert get(port).status == 200


def test_secrets_are_masked():
    with Tagway("", {"registry.consul.token": "s3cr3t-token"}) as tagway:
        config = tagway.admin("/api/config")
        assert config.status == 200
        assert b"s3cr3t-token" not in config.body
        assert "s3cr3t-token" not in tagway.stderr()


def test_access_log():
    with Origin() as origin:
        for form, mark in (("common", '"GET /logged?x HTTP/1.1" 200 6'), ("combined", '"http://from/" "agent \\x22'),
                           ("json", '"status":200')):
            with Tagway(route(origin), {"log.access.target": "stdout", "log.access.format": form,
                                         "proxy.workers": 1}) as tagway:
                tagway.get("/logged?x", fields=[("Referer", "http://from/"), ("User-Agent", 'agent "x')])
                tagway.get("/", host="none")
                tagway.finish()
                lines = tagway.process.stdout().splitlines()
            assert len(lines) == 2, lines
            if form != "combined":
                assert mark in lines[0].replace(" :", ":").replace(": ", ":")
            else:
                assert '"http://from/"' in lines[0] and 'agent "x"' not in lines[0]
    with Origin() as origin, Tagway(route(origin)) as tagway:
        tagway.get()
        tagway.finish()
        assert tagway.process.stdout() == ""
