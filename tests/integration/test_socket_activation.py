# SPDX-License-Identifier: Apache-2.0
"""Sockets from systemd (LISTEN_FDS), and what systemd is told (NOTIFY_SOCKET)."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys

import pytest

from harness.client import Client, format_request
from harness.load import Load, Origins
from harness.origin import Origin
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import BINARY, ROOT, Tagway, route

# As systemd does: sockets from descriptor 3 on, and whom they are for.
LAUNCHER = f"""#!{sys.executable}
import os, sys
sockets = [int(fd) for fd in os.environ.pop("SOCKETS").split(",")]
high = [os.dup(os.dup2(fd, 100 + at)) for at, fd in enumerate(sockets)]
for at in range(len(sockets)):
    os.dup2(100 + at, 3 + at)
os.environ["LISTEN_FDS"] = str(len(sockets))
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv({BINARY!r}, [{BINARY!r}, *sys.argv[1:]])
"""


@contextlib.contextmanager
def activated(tmp_path, sockets, routes, options=None):
    launcher = tmp_path / "launcher"
    launcher.write_text(LAUNCHER)
    launcher.chmod(0o755)
    # They are passed through the harness by their numbers, which they keep there.
    for each in sockets:
        os.set_inheritable(each.fileno(), True)
    numbers = ",".join(str(each.fileno()) for each in sockets)
    with passing_descriptors():
        tagway = Tagway(routes, options, {"SOCKETS": numbers}, False, str(launcher))
    with tagway:
        yield tagway


@contextlib.contextmanager
def passing_descriptors():
    """Process() closes what it does not know of."""
    start = subprocess.Popen.__init__

    def with_all(self, *args, **options):
        start(self, *args, **{**options, "close_fds": False})

    subprocess.Popen.__init__ = with_all
    try:
        yield
    finally:
        subprocess.Popen.__init__ = start


def listening(shares_port=True):
    each = socket.socket()
    each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shares_port:
        each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    each.bind(("127.0.0.1", 0))
    each.listen(128)
    return each


def addresses(proxy, ui=None):
    options = {"proxy.addr": f"127.0.0.1:{proxy.getsockname()[1]}", "proxy.workers": 4}
    if ui:
        options["ui.addr"] = f"127.0.0.1:{ui.getsockname()[1]}"
    return options


@contextlib.contextmanager
def served(tmp_path, proxy, routes, ui=None, more=(), options=None):
    options = {**addresses(proxy, ui), **(options or {})}
    with activated(tmp_path, [each for each in (proxy, ui, *more) if each], routes, options) as tagway:
        tagway.port = proxy.getsockname()[1]
        if ui:
            tagway.admin_port = ui.getsockname()[1]
        yield tagway.wait_ready()


@pytest.mark.parametrize("shares_port", [True, False])
def test_who_waits_in_the_queue_is_served(tmp_path, shares_port):
    with Origin() as origin, listening(shares_port) as proxy, listening() as ui:
        early = Client(proxy.getsockname()[1])
        early.send(format_request())
        with served(tmp_path, proxy, route(origin), ui) as tagway:
            assert early.read_response().status == 200
            for _ in range(20):
                assert tagway.get().status == 200
            early.close()


@pytest.mark.parametrize("shares_port", [True, False])
@pytest.mark.multi_worker
def test_all_workers_serve(tmp_path, shares_port):
    with Origins(1) as origins, listening(shares_port) as proxy:
        with served(tmp_path, proxy, route(origins.ports[0])) as tagway:
            with Load(tagway.port, [format_request()], connections=32) as load:
                wait_until(lambda: load.progress() > 500, 60, "load")
                load.stop()
            assert load.failures == []


def test_a_restart_refuses_nobody(tmp_path):
    """The sockets stay with whoever has opened them."""
    with Origins(1) as origins, listening() as proxy:
        with Load(proxy.getsockname()[1], [format_request()], connections=8) as load:
            for _ in range(3):
                with served(tmp_path, proxy, route(origins.ports[0])):
                    wait_until(lambda seen=load.progress(): load.progress() > seen + 200, 60, "load")
            with served(tmp_path, proxy, route(origins.ports[0])):
                wait_until(lambda seen=load.progress(): load.progress() > seen + 200, 60, "load")
                load.stop()
        assert load.failures == []


def test_a_socket_that_nobody_wants_is_closed_and_told(tmp_path):
    with Origin() as origin, listening() as proxy, listening() as other:
        port = other.getsockname()[1]
        with served(tmp_path, proxy, route(origin), more=[other]) as tagway:
            wait_until(lambda: f"127.0.0.1 port {port} is not configured" in tagway.stderr(), what="the warning")


def test_sockets_for_another_process_are_not_taken(tmp_path):
    with Origin() as origin, listening() as proxy:
        with Tagway(route(origin), env={"LISTEN_FDS": "1", "LISTEN_PID": "1"}) as tagway:
            assert tagway.get().status == 200
        assert proxy


def test_a_prometheus_listener(tmp_path):
    with Origin() as origin, listening() as proxy, listening() as scraped:
        port = scraped.getsockname()[1]
        addr = f"127.0.0.1:{proxy.getsockname()[1]},127.0.0.1:{port};proto=prometheus"
        with served(tmp_path, proxy, route(origin), more=[scraped], options={"proxy.addr": addr}):
            with Client(port) as client:
                assert b"tagway_ready 1" in client.request(target="/metrics").body


class Manager:
    """The end of NOTIFY_SOCKET that systemd has."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)
        self.messages = []

    def texts(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.messages.append(self.socket.recv(4096).decode())
        return "\n".join(self.messages)


def test_what_systemd_is_told(tmp_path):
    manager = Manager(tmp_path / "notify")
    env = {"NOTIFY_SOCKET": str(tmp_path / "notify")}
    with Origin() as origin, Tagway(route(origin), env=env) as tagway:
        wait_until(lambda: "READY=1" in manager.texts(), what="READY")
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"RELOADING=1\nMONOTONIC_USEC=\d+\nREADY=1", manager.texts()),
                   what="the reload")
        assert "STOPPING" not in manager.texts()
        assert tagway.process.stop() == 0
        assert "STOPPING=1" in manager.texts()
    manager.socket.close()


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze here")
@pytest.mark.no_sanitizer
def test_the_units_are_good(tmp_path):
    for name in ("tagway.service", "tagway.socket"):
        with open(os.path.join(ROOT, "conf", name), encoding="utf-8") as file:
            text = file.read().replace("/usr/bin/tagway", BINARY)
        (tmp_path / name).write_text(text)
    result = subprocess.run(["systemd-analyze", "verify", "--man=no", tmp_path / "tagway.service"],
                            capture_output=True, text=True, check=False)
    complaints = [line for line in result.stderr.splitlines() if "tagway." in line]
    assert complaints == []
