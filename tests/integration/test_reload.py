# SPDX-License-Identifier: Apache-2.0
"""SIGHUP: flags, environment and file are read again, and what they say takes effect without a lost
request; what is wrong changes nothing and is told."""

import base64
import contextlib
import hashlib
import os
import signal
import socket
import threading

import pytest

from harness.client import Client, format_request
from harness.fake_consul import FakeConsul
from harness.load import Load, Origins
from harness.origin import Origin, ScriptedOrigin
from harness.ports import free_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

from test_http_streams import UPGRADE, websocket_echo


class Reloaded(Tagway):
    """A tagway whose file of properties is rewritten."""

    def __init__(self, tmp_path, text="", routes=None, options=None, **rest):
        self.properties = tmp_path / "tagway.properties"
        self.properties.write_text(text)
        super().__init__(routes, {"cfg": str(self.properties), **(options or {})}, **rest)

    def reload(self, text=None, result="success"):
        if text is not None:
            self.properties.write_text(text)
        before = self.metric("tagway_config_reloads_total", result=result)
        self.process.signal(signal.SIGHUP)
        wait_until(lambda: self.metric("tagway_config_reloads_total", result=result) > before,
                   what=f"a reload with {result}")

    def config(self, *path):
        value = self.json("/api/config")
        for name in path:
            value = value[name]
        return value


def bare(origin):
    return origin.url.rstrip("/")


def config_problems(tagway):
    return [problem for problem in tagway.problems() if problem["source"] == "config"]


def settles(tagway, condition, what):
    """Workers take a configuration with their next turn."""
    wait_until(lambda: condition(tagway), what=what)


def test_one_line_says_what_changed(tmp_path):
    with Reloaded(tmp_path, "proxy.noroutestatus = 404\nproxy.maxconn = 7\n", "") as tagway:
        began = tagway.metric("tagway_config_last_reload_success_timestamp_seconds")
        tagway.reload("proxy.noroutestatus = 502\nproxy.maxconn = 7\nui.title = two\n")
        line = [line for line in tagway.stderr().splitlines() if "Configuration reloaded" in line]
        assert len(line) == 1
        assert 'proxy.noroutestatus "404" -> "502"' in line[0]
        assert 'ui.title "" -> "two"' in line[0]
        assert "maxconn" not in line[0]
        assert tagway.metric("tagway_config_last_reload_success_timestamp_seconds") > began
        tagway.reload()
        assert "Configuration reloaded: nothing has changed" in tagway.stderr()


def test_secrets_are_not_told(tmp_path):
    with Reloaded(tmp_path, "registry.consul.token = hush-one\n", "") as tagway:
        tagway.reload("registry.consul.token = hush-two\n")
        assert "registry.consul.token" in tagway.stderr()
        assert "hush" not in tagway.stderr()


# --- each kind of key

def test_status_without_route(tmp_path):
    with Reloaded(tmp_path, "proxy.noroutestatus = 404\n", "") as tagway, tagway.connect() as kept:
        assert kept.request().status == 404
        tagway.reload("proxy.noroutestatus = 502\n")
        settles(tagway, lambda tagway: tagway.get().status == 502, "the new status")
        assert kept.request().status == 502  # a connection that was open
        assert tagway.config("Proxy", "NoRouteStatus") == 502


def test_log_level(tmp_path):
    with Reloaded(tmp_path, "log.level = ERROR\n", "") as tagway:
        tagway.get("/silent")
        tagway.reload("log.level = DEBUG\n")
        wait_until(lambda: tagway.get("/loud") and "no route for localhost/loud" in tagway.stderr(), what="the line")
        tagway.reload("log.level = ERROR\n")
        tagway.get("/silent")
        assert "/silent" not in tagway.stderr()


def test_access_log(tmp_path):
    with Origin() as origin:
        with Reloaded(tmp_path, "log.level = ERROR\n", route(origin)) as tagway:
            tagway.get("/silent")
            tagway.reload("log.level = DEBUG\nlog.access.target = stdout\nlog.access.format = $request_uri X\n")
            wait_until(lambda: tagway.get("/first") and "/first X" in tagway.process.stdout(),
                       what="the access log")
            assert "/silent" not in tagway.process.stdout()
            tagway.reload("log.access.target = stdout\nlog.access.format = $request_uri Y\n")
            wait_until(lambda: tagway.get("/second") and "/second Y" in tagway.process.stdout(),
                       what="the other format")
            tagway.reload("log.access.target =\n")
            wait_until(lambda: _is_silent(tagway), what="no access log")


def _is_silent(tagway):
    before = len(tagway.process.stdout())
    tagway.get("/off")
    tagway.get("/off")
    return len(tagway.process.stdout()) == before


def test_limits(tmp_path):
    with Origin() as origin:
        with Reloaded(tmp_path, "", route(origin)) as tagway, tagway.connect() as kept:
            long = "/" + "x" * 2000
            assert kept.request(target=long).status == 200
            tagway.reload("proxy.request.maxtarget = 1000\n")
            settles(tagway, lambda tagway: tagway.get(long).status == 414, "the limit")
            assert kept.request(target=long).status == 414


def test_timeouts(tmp_path):
    def script(connection):
        connection.read_request()
        connection.fill()  # never answers

    with ScriptedOrigin(script) as origin:
        with Reloaded(tmp_path, "", route(origin)) as tagway:
            tagway.reload("proxy.responseheadertimeout = 300ms\n")
            wait_until(lambda: tagway.config("Proxy", "ResponseHeaderTimeout") == 300_000_000)
            assert tagway.get().status == 504


def test_timeouts_of_a_listener(tmp_path):
    with Origin() as origin:
        port = free_port()
        text = f"proxy.addr = 127.0.0.1:{port}"
        with Reloaded(tmp_path, text, route(origin), {"proxy.addr": None}) as tagway:
            tagway.port = port
            with tagway.connect() as old:
                assert old.request().status == 200
                tagway.reload(text + ";it=200ms\n")
                wait_until(lambda: _closes_soon(tagway), what="the idle timeout")
                old.request()  # also those that were open
                assert old.is_closed()


def _closes_soon(tagway):
    with tagway.connect() as client:
        client.request()
        client.sock.settimeout(1)
        try:
            return client.sock.recv(1) == b""
        except TimeoutError:
            return False


def test_header_names_and_trusted_nets(tmp_path):
    with Origin() as origin:
        with Reloaded(tmp_path, "", route(origin)) as tagway:
            tagway.reload("proxy.header.clientip = X-Client\nproxy.header.requestid = X-Id\nproxy.trusted =\n")

            def is_new(tagway):
                tagway.get(fields=[("X-Forwarded-For", "1.2.3.4")])
                request = origin.requests[-1]
                return request.get("x-client") == "127.0.0.1" and request.get("x-id")

            settles(tagway, is_new, "the header")
            assert "1.2.3.4" not in (origin.requests[-1].get("x-forwarded-for") or "")


def test_gzip(tmp_path):
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4000\r\n\r\n"
                            + b"a" * 4000)

    fields = [("Accept-Encoding", "gzip")]
    with ScriptedOrigin(script) as origin, Reloaded(tmp_path, "", route(origin)) as tagway:
        assert not tagway.get(fields=fields).get("content-encoding")
        for text, encoding in (("^text/", "gzip"), ("^image/", None), ("plain", "gzip"), ("", None)):
            tagway.reload(f"proxy.gzip.contenttype = {text}\n")
            settles(tagway, lambda tagway, encoding=encoding:
                    tagway.get(fields=fields).get("content-encoding") == encoding, f"types {text!r}")


def test_strategy_and_matcher(tmp_path):
    with Origin() as one, Origin() as two:
        table = route(one, "/Path") + route(two, "/path*x")
        with Reloaded(tmp_path, "", table) as tagway:
            assert tagway.get("/path").status == 404
            tagway.reload("proxy.matcher = iprefix\nproxy.strategy = rr\n")
            tagway.wait_route("/path")
            tagway.reload("proxy.matcher = glob\n")
            tagway.wait_route("/path-and-x")
            assert tagway.get("/Path/more").status == 404


def test_static_routes(tmp_path):
    with Origin() as one, Origin() as two:
        def text(origin, html):
            return ("registry.backend = static\n"
                    f"registry.static.routes = {route(origin)}registry.static.noroutehtml = {html}\n")

        with Reloaded(tmp_path, text(one, "first")) as tagway:
            assert tagway.destinations() == {bare(one)}
            tagway.reload(text(two, "second"))
            wait_until(lambda: tagway.destinations() == {bare(two)}, what="the new routes")


def test_file_of_routes(tmp_path):
    with Origin() as one, Origin() as two:
        paths = [tmp_path / "one", tmp_path / "two", tmp_path / "bad"]
        for path, origin in zip(paths, (one, two)):
            path.write_text(route(origin))
        paths[2].write_text("route add\n")
        texts = [f"registry.backend = file\nregistry.file.path = {path}\n" for path in paths]
        with Reloaded(tmp_path, texts[0]) as tagway:
            assert tagway.destinations() == {bare(one)}
            tagway.reload(texts[1])
            wait_until(lambda: tagway.destinations() == {bare(two)}, what="the other file")
            tagway.reload(texts[2], "failure")
            assert f"{paths[2]} line 1: " in config_problems(tagway)[0]["reason"]
            assert tagway.destinations() == {bare(two)}
            # It is the new file that is watched.
            paths[0].write_text("")
            temporary = tmp_path / "new"
            temporary.write_text(route(one, "/x"))
            os.rename(temporary, paths[1])
            wait_until(lambda: tagway.destinations() == {bare(one)}, what="the watched file")


def test_ui_texts_and_access(tmp_path):
    with Reloaded(tmp_path, "ui.title = one\n", "") as tagway:
        tagway.reload("ui.title = two\nui.color = red\nui.access = ro\n")
        settings = tagway.json("/api/ui")
        assert (settings["title"], settings["color"], settings["access"]) == ("two", "red", "ro")


def test_users_of_the_ui_are_read_at_once(tmp_path):
    users = tmp_path / "users"

    def write(password):
        digest = base64.b64encode(hashlib.sha1(password).digest()).decode()
        users.write_text(f"me:{{SHA}}{digest}\n")

    def status(password):
        secret = base64.b64encode(b"me:" + password).decode()
        return tagway.admin("/api/ui", fields=[("Authorization", f"Basic {secret}")]).status

    write(b"old")
    scheme = f"ui.auth = name=a;type=basic;file={users}\n"
    with Reloaded(tmp_path, "", "") as tagway:
        assert tagway.admin("/api/ui").status == 200
        tagway.properties.write_text(scheme)
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: tagway.admin("/api/ui").status == 401, what="the login")
        assert status(b"old") == 200
        write(b"new")
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: status(b"new") == 200, what="the new password")
        assert status(b"old") == 401
        users.unlink()
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: "not reloaded" in tagway.stderr(), what="the failure")
        assert status(b"new") == 200
        tagway.properties.write_text("")
        tagway.process.signal(signal.SIGHUP)
        wait_until(lambda: tagway.admin("/api/ui").status == 200, what="no login")


def test_schemes_of_routes(tmp_path):
    def scheme(name, password):
        digest = base64.b64encode(hashlib.sha1(password).digest()).decode()
        (tmp_path / name).write_text(f"me:{{SHA}}{digest}\n")
        return f"name={name};type=basic;file={tmp_path / name}"

    def status(target, password):
        secret = base64.b64encode(b"me:" + password).decode()
        return tagway.get(target, fields=[("Authorization", f"Basic {secret}")]).status

    with Origin() as origin:
        table = route(origin, "/a", options="auth=a") + route(origin, "/b", options="auth=b")
        with Reloaded(tmp_path, "", table) as tagway:
            assert status("/a", b"one") == 401
            assert len([problem for problem in tagway.problems() if "no scheme" in problem["reason"]]) == 2
            tagway.reload(f"proxy.auth = {scheme('a', b'one')}\n")
            settles(tagway, lambda _: status("/a", b"one") == 200, "the scheme")
            assert status("/b", b"one") == 401
            wait_until(lambda: len([problem for problem in tagway.problems()
                                    if "no scheme" in problem["reason"]]) == 1, what="one problem less")
            # In another order, and with another password in the same file.
            tagway.reload(f"proxy.auth = {scheme('b', b'two')},{scheme('a', b'three')}\n")
            settles(tagway, lambda _: status("/b", b"two") == 200, "the other scheme")
            assert [status("/a", password) for password in (b"one", b"two", b"three")] == [401, 401, 200]
            scheme("a", b"four")
            tagway.reload()
            settles(tagway, lambda _: status("/a", b"four") == 200, "the file, although nobody watches it")
            (tmp_path / "a").unlink()
            tagway.reload(result="failure")
            assert status("/a", b"four") == 200
            tagway.reload("")
            settles(tagway, lambda _: status("/a", b"four") == 401, "no scheme")


# --- listeners

def test_listeners_come_and_go(tmp_path):
    first, second = free_port(), free_port()

    def text(*ports):
        return "proxy.addr = " + ",".join(f"127.0.0.1:{port}" for port in ports) + "\n"

    def script(connection):
        while True:
            connection.read_request()
            connection.respond(b"hello")

    with ScriptedOrigin(script) as origin:
        options = {"proxy.addr": None, "proxy.workers": 2}
        with Reloaded(tmp_path, text(first), route(origin), options) as tagway:
            tagway.port = first
            kept = Client(first)
            assert kept.request().status == 200
            tagway.reload(text(first, second))
            assert Client(second).request().status == 200
            tagway.reload(text(second))
            wait_until(lambda: not _accepts(first), what="the listener to close")
            assert kept.request().status == 200  # its connections go on
            kept.close()
            tagway.port = second
            assert tagway.get().status == 200
            tagway.reload(text(first, second))
            assert Client(first).request().status == 200


def _accepts(port):
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), 2).close()
        return True
    return False


def test_a_port_that_is_taken_changes_nothing(tmp_path):
    port = free_port()
    with Origin() as origin:
        with Reloaded(tmp_path, f"proxy.addr = 127.0.0.1:{port}\n", route(origin),
                      {"proxy.addr": None}) as tagway:
            other = origin.port
            tagway.reload(f"proxy.addr = 127.0.0.1:{other}\nproxy.noroutestatus = 502\n", "failure")
            assert f"listen on 127.0.0.1:{other}" in config_problems(tagway)[0]["reason"]
            tagway.port = port
            assert tagway.get().status == 200
            assert tagway.config("Proxy", "NoRouteStatus") == 404


def test_a_port_that_is_taken_before_the_first_table(tmp_path):
    """Nothing listens yet, so nothing is bound: it would end the process once the registry answers."""
    port = free_port()
    with FakeConsul() as consul, Origin() as origin:
        consul.set_service("s", [("s-1", origin.port, ["urlprefix-/"])])
        consul.hang_up()
        text = f"proxy.addr = 127.0.0.1:{port}\n"
        with Reloaded(tmp_path, text, None, {"proxy.addr": None, **consul.options()}, is_ready=False) as tagway:
            wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
            tagway.reload(f"proxy.addr = 127.0.0.1:{origin.port}\n", "failure")
            assert f"listen on 127.0.0.1:{origin.port}" in config_problems(tagway)[0]["reason"]
            consul.listen()
            tagway.wait_ready()
            tagway.port = port
            assert tagway.get().status == 200


# --- what is wrong, and what cannot change

@pytest.mark.parametrize("text, words", [
    ("proxy.noroutestatus = abc\n", ["proxy.noroutestatus", "abc", "tagway.properties line 1"]),
    ("proxy.gzip.contenttype = (\n", ["proxy.gzip.contenttype"]),
    ("proxy.trusted = nonsense\n", ["proxy.trusted", "nonsense"]),
    ("proxy.workers = many\n", ["proxy.workers", "many"]),
    ("registry.backend = none\n", ["registry.backend", "none"]),
    ("ui.auth = name=a;type=basic;file=/no/such/file\n", ["ui.auth", "/no/such/file"]),
    ("a = ${b}\nb = ${a}\n", ["tagway.properties"]),
    ("registry.static.routes = route add a / http://127.0.0.1:1/\\nroute ad x\n",
     ["registry.static.routes line 2", "route ad x"]),
], ids=lambda value: value.split(" ")[0] if isinstance(value, str) else "")
def test_a_bad_file_keeps_the_old_and_says_so(tmp_path, text, words):
    good = "registry.backend = static\n"
    with Reloaded(tmp_path, good + "proxy.noroutestatus = 503\n") as tagway:
        tagway.reload(text, "failure")
        assert tagway.get().status == 503
        assert tagway.config("Proxy", "NoRouteStatus") == 503
        problems = config_problems(tagway)
        assert len(problems) == 1
        for word in words:
            assert word in problems[0]["reason"]
            assert word in tagway.stderr()
        tagway.reload(good + "proxy.noroutestatus = 502\n")
        assert config_problems(tagway) == []


def test_a_file_that_is_gone(tmp_path):
    with Reloaded(tmp_path, "proxy.noroutestatus = 503\n", "") as tagway:
        tagway.properties.unlink()
        tagway.reload(result="failure")
        assert tagway.get().status == 503
        assert tagway.process.is_running()


def test_what_cannot_change_is_named_and_shown_as_it_is(tmp_path):
    with Reloaded(tmp_path, "proxy.workers = 2\n", "") as tagway:
        tagway.reload("proxy.workers = 3\nregistry.consul.addr = other:1\nproxy.noroutestatus = 502\n")
        reasons = " ".join(problem["reason"] for problem in config_problems(tagway))
        for word in ("proxy.workers", "registry.consul.addr", '"3" is not used'):
            assert word in reasons
            assert word in tagway.stderr()
        assert tagway.config("Proxy", "Workers") == 2
        assert tagway.config("Registry", "Consul", "Addr") == "localhost:8500"
        assert tagway.config("Proxy", "NoRouteStatus") == 502
        tagway.reload("proxy.workers = 2\n")
        assert config_problems(tagway) == []


def test_a_signal_while_another_is_obeyed_is_obeyed_too():
    """What was read by then may be the text of before."""
    texts, asked, goes_on = ["ui.title = one\n"], [], threading.Event()
    goes_on.set()

    def script(connection):
        connection.read_request()
        asked.append(texts[-1])
        goes_on.wait(20 * SLOWNESS)
        connection.respond(asked[-1].encode())

    with ScriptedOrigin(script) as server, Tagway("", {"cfg": server.url}) as tagway:
        goes_on.clear()
        for title, signals, count in (("two", 1, 2), ("three", 3, 2)):
            texts.append(f"ui.title = {title}\n")
            for _ in range(signals):
                tagway.process.signal(signal.SIGHUP)
                assert tagway.admin("/health").status == 200
            wait_until(lambda count=count: len(asked) == count, what="the request")
        goes_on.set()
        wait_until(lambda: tagway.json("/api/ui")["title"] == "three", what="the last text")
        assert len(asked) == 3


def test_a_signal_before_the_first_table(tmp_path):
    """Never dies of SIGHUP, whenever it comes."""
    text = "registry.consul.addr = 127.0.0.1:1\nregistry.consul.register.enabled = false\n"
    with Reloaded(tmp_path, text, is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status, what="the admin listener")
        tagway.reload(text + "ui.title = early\n")
        assert tagway.json("/api/ui")["title"] == "early"
        for _ in range(20):
            tagway.process.signal(signal.SIGHUP)
        assert tagway.admin("/health").status
        # Ends without having served.


# --- under load

@pytest.mark.multi_worker
def test_reloads_under_load(tmp_path):
    """Each one changes listeners, formats, limits and routes. Websockets go on."""
    turns = 100 if SLOWNESS == 1 else 30
    least = 50_000 if SLOWNESS == 1 else 2_000
    main, extra = free_port(), free_port()
    with ScriptedOrigin(websocket_echo) as echo, Origins(2) as origins:
        table = route(origins.ports[0], "/") + route(echo, "/ws", "ws")

        def text(turn):
            return (f"proxy.addr = 127.0.0.1:{main}" + (f",127.0.0.1:{extra}" if turn % 2 else "") + "\n"
                    f"proxy.gzip.contenttype = {'text' if turn % 3 else ''}\n"
                    f"log.access.target = {'stdout' if turn % 4 == 1 else ''}\n"
                    f"log.access.format = {'common' if turn % 8 == 1 else 'json'}\n"
                    f"proxy.strategy = {'rr' if turn % 2 else 'rnd'}\n"
                    f"proxy.header.requestid = {'X-Id' if turn % 5 else ''}\n"
                    f"proxy.client.headtimeout = {10 + turn}s\n")

        with Reloaded(tmp_path, text(0), table, {"proxy.addr": None, "proxy.workers": 4}) as tagway:
            tagway.port = main
            tunnels = [tagway.connect() for _ in range(8)]
            for tunnel in tunnels:
                assert tunnel.request(target="/ws", fields=UPGRADE).status == 101
            with Load(main, [format_request(target="/a")], connections=32) as load:
                for turn in range(1, turns + 1):
                    tagway.reload(text(turn))
                    for tunnel in tunnels:
                        tunnel.send(b"still here")
                        assert tunnel.take(10) == b"still here"
                    wait_until(lambda turn=turn: load.progress() >= least * turn / turns, 60, "progress")
                load.stop()
            print(f"{turns} reloads: {load.summary()}; {len(tunnels)} websockets lived on")
            assert load.failures == []
            assert load.count >= least
            for tunnel in tunnels:
                tunnel.close()
