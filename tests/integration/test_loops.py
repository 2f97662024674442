# SPDX-License-Identifier: Apache-2.0
"""A route that leads back to the proxy: known by the address it is not used and shown among the problems; where the
address says nothing, the request ends after a few rounds."""

import signal
import socket
import threading

import pytest

from harness.origin import Origin
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import Tagway, route


def own_problems(tagway):
    return [problem for problem in tagway.problems() if "this proxy itself" in problem["reason"]]


def is_refused(tagway, target="/"):
    response = tagway.get(target)
    return response.status == 508


@pytest.mark.parametrize("listens_at, name", [
    ("127.0.0.1", "127.0.0.1"),
    ("", "127.0.0.1"),
    ("", "127.1.2.3"),
    ("", "[::1]"),
    ("", "localhost"),
    ("0.0.0.0", "localhost"),
    ("127.0.0.1", "0.0.0.0"),
])
def test_a_target_that_is_our_listener_is_not_used(listens_at, name):
    port = free_port()
    target = f"http://{name}:{port}/"
    options = {"proxy.addr": f"{listens_at}:{port}"}
    with Tagway(f"route add self / {target}\n", options) as tagway:
        tagway.port = port
        wait_until(lambda: own_problems(tagway), what="the problem")
        (problem,) = own_problems(tagway)
        assert (problem["service"], problem["text"], problem["lost"]) == ("self", target, True)
        for _ in range(3):
            assert is_refused(tagway)
        # Each request came once, and none went in circles.
        assert tagway.metric("tagway_proxy_requests_total") == 3
        assert tagway.metric("tagway_proxy_loops_total") == 3
        assert tagway.stderr().count("is the proxy itself") == 1


def test_an_address_of_an_interface(origin_address):
    port = free_port()
    with Tagway(f"route add self / http://{origin_address}:{port}/\n", {"proxy.addr": f":{port}"}) as tagway:
        tagway.port = port
        assert is_refused(tagway)
        assert own_problems(tagway)


@pytest.fixture
def origin_address():
    """An address of this machine other than the loopback's, without asking any name server."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            sock.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("no route to anywhere")
        address = sock.getsockname()[0]
    if address.startswith("127."):
        pytest.skip("no other address")
    return address


def test_the_other_targets_of_the_route_take_its_share():
    with Origin(name="real") as origin:
        port = free_port()
        routes = route(origin) + route(port, service="self")
        with Tagway(routes, {"proxy.addr": f"127.0.0.1:{port}"}) as tagway:
            tagway.port = port
            for _ in range(10):
                response = tagway.get()
                assert (response.status, response.body) == (200, b"real")
            assert len(own_problems(tagway)) == 1
            # With the target the problem goes.
            tagway.set_routes(route(origin), until=lambda routes: len(routes) == 1)
            wait_until(lambda: not own_problems(tagway), what="the problem to go")


def test_a_listener_that_a_reload_opens(tmp_path):
    with Origin(name="real") as origin:
        file = tmp_path / "tagway.properties"
        port = origin.port
        first, second = free_port(), free_port()
        file.write_text(f"proxy.addr = 127.0.0.1:{first}\n")
        with Tagway(route(origin) + route(second, "/two", "self"), {"proxy.addr": None, "cfg": str(file)}) as tagway:
            tagway.port = first
            assert tagway.get("/two").status == 502  # nobody is there
            assert not own_problems(tagway)
            file.write_text(f"proxy.addr = 127.0.0.1:{first},127.0.0.1:{second}\n")
            tagway.process.signal(signal.SIGHUP)
            wait_until(lambda: own_problems(tagway), what="the problem")
            assert is_refused(tagway, "/two")
            file.write_text(f"proxy.addr = 127.0.0.1:{first}\n")
            tagway.process.signal(signal.SIGHUP)
            wait_until(lambda: not own_problems(tagway), what="the problem to go")
            assert tagway.get("/two").status == 502
            assert tagway.get().status == 200 and port == origin.port


class Forwarder:
    """A port that leads to another, as a container's published one does."""

    def __init__(self, to_port):
        self.to_port = to_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets = [self._listener]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self.to_port))
                self._sockets += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()
        except OSError:
            pass

    @staticmethod
    def _copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()


def test_a_loop_that_the_address_does_not_show_ends():
    port = free_port()
    with Forwarder(port) as forwarder, Tagway(route(forwarder.port), {"proxy.addr": f"127.0.0.1:{port}"}) as tagway:
        tagway.port = port
        assert is_refused(tagway)
        assert not own_problems(tagway)
        assert tagway.metric("tagway_proxy_requests_total") == 11
        assert tagway.metric("tagway_proxy_loops_total") == 1


def test_what_strangers_say_of_hops_is_not_believed():
    with Origin(name="real") as origin, Tagway(route(origin), {"proxy.trusted": "192.0.2.1"}) as tagway:
        fields = [("Forwarded", "for=1.1.1.1; httpproto=http/1.1; " * 20)]
        assert tagway.get(fields=fields).status == 200
    with Origin(name="real") as origin, Tagway(route(origin)) as tagway:
        for hops, status in ((9, 200), (10, 508)):
            fields = [("Forwarded", "for=1.1.1.1" + "; httpproto=http/1.1" * hops)]
            assert tagway.get(fields=fields).status == status
