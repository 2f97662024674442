# SPDX-License-Identifier: Apache-2.0
"""SIGUSR2: a new process takes the listening sockets over, the old one finishes what it has begun. No
connection is refused or reset and no request fails; when the new one is no good, the old one goes on.

TAGWAY_TEST_UPGRADES=50 makes so many in a row under load; else it is 20."""

import ctypes
import os
import re
import signal
import socket
import time

import pytest

from harness.client import Client, Closed, format_request
from harness.fake_consul import FakeConsul
from harness.load import Load, Origins
from harness.origin import Origin, ScriptedOrigin
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway, route

from test_http_streams import UPGRADE, websocket_echo
from test_socket_activation import Manager

UPGRADES = int(os.environ.get("TAGWAY_TEST_UPGRADES", "20" if SLOWNESS == 1 else "6"))
REQUESTS = 50_000 if SLOWNESS == 1 else 1_500

_PR_SET_CHILD_SUBREAPER = 36


@pytest.fixture(autouse=True)
def successors_are_ours():
    """Processes whose parent has ended become our children, so that their exit status can be read."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


class Upgraded(Tagway):
    """A tagway that is replaced; `pid` is the process that serves."""

    def __init__(self, tmp_path, text, routes, options=None, env=None):
        self.properties = tmp_path / "tagway.properties"
        self.properties.write_text(text)
        self.program = tmp_path / "program"
        os.symlink(BINARY, self.program)
        super().__init__(routes, {"cfg": str(self.properties), **(options or {})}, env,
                         binary=str(self.program))
        self.pids = [self.process.pid]
        self.ended = {}

    @property
    def pid(self):
        return self.pids[-1]

    def ask(self):
        os.kill(self.pid, signal.SIGUSR2)

    def upgrade(self):
        """Returns when the new process serves."""
        seen = len(self._successors())
        self.ask()
        wait_until(lambda: len(self._successors()) > seen, 30, "the new process to serve")
        self.pids.append(self._successors()[-1])

    def _successors(self):
        return [int(pid) for pid in re.findall(r"Upgrade: process (\d+) serves", self.stderr())]

    def refuse(self, words):
        """Asks for an upgrade that must fail, and returns when the log says so with these words."""
        seen = self.stderr().count("Upgrade failed")
        self.ask()
        wait_until(lambda: self.stderr().count("Upgrade failed") > seen, 30, "the upgrade to fail")
        line = [line for line in self.stderr().splitlines() if "Upgrade failed" in line][-1]
        assert words in line

    def replace_program(self, target):
        temporary = self.program.with_suffix(".new")
        os.symlink(target, temporary)
        os.rename(temporary, self.program)

    def wait_end(self, pid, timeout=20):
        """Exit status of a process of ours."""
        if pid == self.process.pid:
            return self.process.wait(timeout)
        if pid in self.ended:
            return self.ended[pid]
        deadline = time.monotonic() + timeout * SLOWNESS
        while time.monotonic() < deadline:
            try:
                done, status = os.waitpid(pid, os.WNOHANG)
            except ChildProcessError:  # its parent, which will not ask, still lives
                done, status = 0, 0
            if done:
                self.ended[pid] = os.waitstatus_to_exitcode(status)
                return self.ended[pid]
            time.sleep(0.005)
        raise AssertionError(f"process {pid} does not end:\n{self.stderr()[-4000:]}")

    def finish(self, has_failed=False):
        try:
            if len(self.pids) > 1:
                for pid in self.pids[:-1]:
                    assert self.wait_end(pid) == 0
                os.kill(self.pid, signal.SIGTERM)
                assert self.wait_end(self.pid) == 0
        except BaseException:
            for pid in self._successors():
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            raise
        finally:
            super().finish(has_failed)


def is_gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return stat.read().rpartition(")")[2].split()[0] == "Z"


def test_a_new_process_serves_with_the_new_configuration(tmp_path):
    with Origin() as origin:
        with Upgraded(tmp_path, "proxy.workers = 1\nui.title = old\n", route(origin)) as tagway:
            assert tagway.get().status == 200
            tagway.properties.write_text("proxy.workers = 2\nui.title = new\n")
            tagway.upgrade()
            assert tagway.wait_end(tagway.pids[0]) == 0
            assert tagway.get().status == 200
            assert tagway.admin("/ready").status == 200
            assert tagway.json("/api/ui")["title"] == "new"
            assert tagway.json("/api/config")["Proxy"]["Workers"] == 2
            assert tagway.pid != tagway.pids[0]


def test_systemd_is_told_which_process_is_the_main_one(tmp_path):
    manager = Manager(tmp_path / "notify")
    with Upgraded(tmp_path, "", "", env={"NOTIFY_SOCKET": str(tmp_path / "notify")}) as tagway:
        tagway.upgrade()
        wait_until(lambda: f"MAINPID={tagway.pid}" in manager.texts(), what="MAINPID")
        tagway.wait_end(tagway.pids[0])
        assert "STOPPING" not in manager.texts()
    manager.socket.close()


def test_nothing_but_the_sockets_is_left_to_the_new_process(tmp_path):
    """Descriptors do not grow from one to the next."""
    with Upgraded(tmp_path, "", "") as tagway:
        tagway.upgrade()
        tagway.wait_end(tagway.pids[0])
        first = os.listdir(f"/proc/{tagway.pid}/fd")
        for _ in range(3):
            before = tagway.pid
            tagway.upgrade()
            tagway.wait_end(before)
        assert len(os.listdir(f"/proc/{tagway.pid}/fd")) <= len(first)
        with open(f"/proc/{tagway.pid}/environ", "rb") as environ:
            names = [entry.partition(b"=")[0] for entry in environ.read().split(b"\0")]
        assert names.count(b"TAGWAY_UPGRADE") == 1  # what it was started with, and no older one


def test_a_running_request_is_finished_by_the_old_one(tmp_path):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345")
        wait_until(lambda: goes_on, 30)
        connection.send(b"67890")

    goes_on = []
    with ScriptedOrigin(script) as origin:
        with Upgraded(tmp_path, "", route(origin)) as tagway, tagway.connect() as client:
            client.send(format_request())
            client.read_head()
            assert client.take(5) == b"12345"
            tagway.upgrade()
            goes_on.append(True)
            assert client.take(5) == b"67890"
            assert tagway.wait_end(tagway.pids[0]) == 0


def test_a_kept_connection_is_moved_over(tmp_path):
    with Origin() as origin, Upgraded(tmp_path, "", route(origin)) as tagway:
        with tagway.connect() as busy, tagway.connect() as idle:
            assert busy.request().status == 200
            assert idle.request().status == 200
            tagway.upgrade()

            def is_told():
                response = busy.request()
                assert response.status == 200
                return (response.get("connection") or "").lower() == "close"

            wait_until(is_told, what="Connection: close")
            assert idle.is_closed()


def test_a_request_behind_an_answer_of_the_admin_listener_is_answered(tmp_path):
    """The answer that is being written has said that the connection goes on. A websocket keeps the old process."""
    # More than the buffers between a server and a client hold who does not read.
    path = "x" * 1000
    table = "".join(f"route add svc {number}.example.com/{path} http://127.0.0.1:1/\n" for number in range(5000))
    with ScriptedOrigin(websocket_echo) as echo:
        with Upgraded(tmp_path, "", table + route(echo, "/ws"), {"proxy.shutdownwait": "1h"}) as tagway:
            with Client(tagway.admin_port, receive_buffer=4096) as client, tagway.connect() as tunnel:
                assert tunnel.request(target="/ws", fields=UPGRADE).status == 101
                host = f"127.0.0.1:{tagway.admin_port}"
                client.send(format_request(target="/api/routes", host=host) + format_request(target="/ready", host=host))
                head = client.read_head()
                assert head.get("connection") == "keep-alive"
                tagway.upgrade()
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
                client.read_body(head)
                response = client.read_response()
                assert (response.status, response.get("connection")) == (200, "close")


@pytest.mark.parametrize("wait, is_cut", [("1s", True), ("20s", False)])
def test_a_websocket_lives_until_the_drain_time(tmp_path, wait, is_cut):
    with ScriptedOrigin(websocket_echo) as origin:
        with Upgraded(tmp_path, f"proxy.shutdownwait = {wait}\n", route(origin)) as tagway:
            with tagway.connect() as client:
                assert client.request(fields=UPGRADE).status == 101
                tagway.upgrade()
                client.send(b"still here")
                assert client.take(10) == b"still here"
                if is_cut:
                    with pytest.raises((Closed, ConnectionError)):
                        client.take(1)
                else:
                    client.half_close()
                    assert client.take_rest() == b"goodbye"
                assert tagway.wait_end(tagway.pids[0]) == 0


def script(tmp_path, text):
    path = tmp_path / "script"
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("text, words", [
    ("exit 3", "status 3"),
    ("kill -SEGV $$", "signal 11"),
    ("exec sleep 1000", "proxy.upgradetimeout"),
    ('eval "echo what >&$TAGWAY_UPGRADE"; exec sleep 1000', "is no tagway"),
], ids=["ends", "crashes", "hangs", "babbles"])
def test_a_program_that_is_no_good(tmp_path, text, words):
    with Origin() as origin:
        with Upgraded(tmp_path, "proxy.upgradetimeout = 1s\n", route(origin)) as tagway:
            tagway.replace_program(script(tmp_path, text))
            for _ in range(2):
                tagway.refuse(words)
                assert tagway.get().status == 200
                assert tagway.admin("/ready").status == 200
            assert [problem["source"] for problem in tagway.problems()] == ["upgrade"]
            tagway.replace_program(BINARY)
            tagway.upgrade()
            assert tagway.get().status == 200
            assert tagway.problems() == []


def test_a_program_that_is_missing(tmp_path):
    with Origin() as origin, Upgraded(tmp_path, "", route(origin)) as tagway:
        tagway.program.unlink()
        tagway.refuse("no such file")
        assert tagway.get().status == 200


def test_a_bad_configuration(tmp_path):
    with Origin() as origin, Upgraded(tmp_path, "", route(origin)) as tagway:
        tagway.properties.write_text("proxy.noroutestatus = none\n")
        tagway.refuse("status 1")
        assert 'proxy.noroutestatus: bad value "none"' in tagway.stderr()
        assert tagway.get().status == 200


def test_a_second_signal_meanwhile_is_refused(tmp_path):
    with Origin() as origin:
        with Upgraded(tmp_path, "proxy.upgradetimeout = 3s\n", route(origin)) as tagway:
            tagway.replace_program(script(tmp_path, "exec sleep 1000"))
            tagway.ask()
            wait_until(lambda: "to take over" in tagway.stderr(), what="the upgrade to begin")
            tagway.ask()
            wait_until(lambda: "an upgrade is under way" in tagway.stderr(), what="the refusal")
            os.kill(tagway.pid, signal.SIGHUP)
            wait_until(lambda: "being replaced" in tagway.stderr(), what="the refusal of a reload")
            assert tagway.get().status == 200
            # A stop wins, and leaves nobody behind.
            children = f"/proc/{tagway.pid}/task/{tagway.pid}/children"
            with open(children, encoding="ascii") as file:
                child = int(file.read().split()[0])
            assert tagway.process.stop() == 0
            wait_until(lambda: is_gone(child), what="the new process to be gone")


@pytest.mark.consul
def test_the_registration_stays(tmp_path, consul_binary):
    from harness.consul import Consul

    with Consul(consul_binary) as consul, Origin() as origin:
        consul.register("web", origin.port, ["urlprefix-/"])
        options = consul.options(registry_consul_register_enabled="true")
        with Upgraded(tmp_path, "", None, options) as tagway:
            wait_until(lambda: _own_id(consul), what="the registration")
            tagway.wait_route("/")
            tagway.upgrade()
            while not is_gone(tagway.pids[0]):
                assert _own_id(consul)
                assert tagway.get().status == 200
            assert _own_id(consul)
        assert not _own_id(consul)


def _own_id(consul):
    own = [key for key, value in consul.get("/v1/agent/services").items() if value["Service"] == "fabio"]
    return own[0] if own else None


def test_a_registration_under_another_name_goes_with_the_old_process(tmp_path):
    with FakeConsul() as consul:
        options = consul.options(registry_consul_register_enabled="true")
        with Upgraded(tmp_path, "registry.consul.register.name = before\n", None, options) as tagway:
            def names():
                return {body["Name"] for body in consul.registered.values()}

            wait_until(lambda: names() == {"before"}, what="the registration")
            tagway.properties.write_text("registry.consul.register.name = after\n")
            tagway.upgrade()
            wait_until(lambda: names() == {"after"}, what="the old name to go")


def test_only_the_new_process_keeps_the_routes_on_disk(tmp_path):
    """The old one may live for hours, and knows only what was configured before."""
    paths = [tmp_path / "before", tmp_path / "after"]

    def text(path):
        return f"registry.snapshot.path = {path}\n"

    def is_saved(path, name):
        return path.exists() and f"service {name}\n" in path.read_text()

    with FakeConsul() as consul, ScriptedOrigin(websocket_echo) as echo:
        consul.set_service("ws", [("ws-1", echo.port, ["urlprefix-/ws"])])
        options = consul.options(proxy_shutdownwait="1h")
        with Upgraded(tmp_path, text(paths[0]), None, options) as tagway, tagway.connect() as tunnel:
            assert tunnel.request(target="/ws", fields=UPGRADE).status == 101
            wait_until(lambda: is_saved(paths[0], "ws"), what="the file")
            tagway.properties.write_text(text(paths[1]))
            tagway.upgrade()
            paths[0].unlink()
            # The second is written three seconds after the first; the old process would have written meanwhile.
            for name in ("one", "two"):
                consul.set_service(name, [(f"{name}-1", echo.port, [f"urlprefix-/{name}"])])
                wait_until(lambda name=name: is_saved(paths[1], name), 20, "the new file")
            assert not is_gone(tagway.pids[0])
            assert not paths[0].exists()


def test_no_time_limit(tmp_path):
    with Origin() as origin, Upgraded(tmp_path, "proxy.upgradetimeout = 0\n", route(origin)) as tagway:
        tagway.upgrade()
        assert tagway.get().status == 200


@pytest.mark.multi_worker
def test_upgrades_under_load(tmp_path):
    """With other numbers of workers each time: more, so that there are too few sockets, and fewer, so
    that some worker serves several. Each process has a websocket, which it keeps."""
    workers = [2, 4, 1, 3]
    with ScriptedOrigin(websocket_echo) as echo, Origins(2) as origins:
        table = route(origins.ports[0]) + route(origins.ports[1]) + route(echo, "/ws", "ws")
        with Upgraded(tmp_path, "proxy.workers = 2\n", table, {"proxy.shutdownwait": "1h"}) as tagway:
            ready = format_request(target="/ready", host=f"127.0.0.1:{tagway.admin_port}")
            tunnels = []
            with Load(tagway.admin_port, [ready], connections=2, pause=0.01) as admin:
                with Load(tagway.port, [format_request(target="/a")], connections=32) as load:
                    for turn in range(1, UPGRADES + 1):
                        tunnels.append(tagway.connect())
                        assert tunnels[-1].request(target="/ws", fields=UPGRADE).status == 101
                        tagway.properties.write_text(f"proxy.workers = {workers[turn % 4]}\n")
                        tagway.upgrade()
                        for tunnel in tunnels:
                            tunnel.send(b"still here")
                            assert tunnel.take(10) == b"still here"
                        wait_until(lambda turn=turn: load.progress() >= REQUESTS * turn / UPGRADES, 60, "progress")
                    load.stop()
                admin.stop()
            for tunnel in tunnels:
                tunnel.close()
            print(f"{UPGRADES} upgrades: {load.summary()}; readiness: {admin.summary()}; {len(tunnels)} websockets lived on")
            assert load.failures == []
            assert admin.failures == [], admin.failures[:3]
            assert load.count >= REQUESTS
