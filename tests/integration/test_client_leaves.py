# SPDX-License-Identifier: Apache-2.0
"""A client that leaves takes its request with it, in whatever phase it is: the target sees its connection end, long
before any timeout would end it. One that has only ended its side goes on waiting for the answer."""

import contextlib
import select
import socket
import struct
import threading

import pytest

from harness.client import format_request
from harness.origin import Blackhole, ScriptedOrigin
from harness.process import wait_until
from harness.tagway import Tagway, route

# Nothing but the leaving ends anything here.
OPTIONS = {
    "proxy.dialtimeout": "10m", "proxy.responseheadertimeout": "10m", "proxy.upstream.writetimeout": "10m",
    "proxy.client.bodytimeout": "10m", "proxy.client.writetimeout": "10m", "proxy.client.minrate": "0",
    "proxy.workers": "1",
}
UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket")]
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
PIECE = b"x" * 8192
ENDLESS = format_request("POST", "/upload", [("Content-Length", "100000000")])
CHUNKED = format_request("POST", "/upload", [("Transfer-Encoding", "chunked")])
CHUNK = b"2000\r\n" + PIECE + b"\r\n"
HELD = 16 << 10  # bytes in the proxy's kernel that it does not read


class World:
    """A proxy, and a target that does what the path says and otherwise leaves its connection alone."""

    def __init__(self, stack):
        self.is_over = threading.Event()
        self.may_read = threading.Event()
        self.full = threading.Event()
        self.origin = stack.enter_context(ScriptedOrigin(self._script))
        stack.callback(self.is_over.set)
        stack.callback(self.may_read.set)
        blackhole = stack.enter_context(Blackhole())
        routes = route(self.origin) + route(blackhole.port, "/connect", "connect")
        self.tagway = stack.enter_context(Tagway(routes, OPTIONS))

    def _script(self, connection):
        request = connection.read_request(has_body=False)
        if request.target == "/continue":
            connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        elif request.target == "/answer":
            connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        elif request.target.startswith("/tunnel"):
            connection.send(SWITCH)
        if request.target in ("/answer", "/tunnel-down"):
            connection.sock.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                while True:
                    connection.send(PIECE)
                    self.full.clear()
            self.full.set()
        if request.target == "/upload":
            self.may_read.wait()
            if not self.is_over.is_set():
                connection.read_body(request)
                connection.respond(b"%d" % len(request.body))
        self.is_over.wait()

    def ask(self, raw):
        """A client that has sent a request, and the target's connection."""
        client = self.tagway.connect()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 << 10)
        count = len(self.origin.requests)
        client.send(raw)
        wait_until(lambda: len(self.origin.requests) > count, what="the request")
        return client, self.origin.requests[-1].connection

    def aborts(self):
        return self.tagway.metric("tagway_proxy_client_aborts_total")

    @staticmethod
    def held(client):
        """Bytes of a client that the proxy's kernel has and the proxy has not read (sock_diag(7))."""
        here, there = client.sock.getsockname(), client.sock.getpeername()
        address = socket.inet_aton("127.0.0.1").ljust(16, b"\0")
        socket_id = struct.pack(">HH", there[1], here[1]) + address * 2 + struct.pack("=Iq", 0, -1)
        request = struct.pack("=BBBBI", socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xffffffff) + socket_id
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as diag:
            diag.send(struct.pack("=IHHII", 16 + len(request), 20, 1, 1, 0) + request)
            kind, answer = struct.unpack("=H", (got := diag.recv(4096))[4:6])[0], got[16:]
        assert kind == 20, f"no such socket: {got!r}"
        return struct.unpack_from("=I", answer, 56)[0]

    def pause(self, client, piece=PIECE):
        """Sends until the proxy reads no more, with room left for a FIN. Returns the bytes sent."""
        sent = 0
        while not self.is_paused(client):
            client.send(piece)
            sent += len(piece)
        return sent

    def is_paused(self, client):
        """Whether bytes wait that the only worker would have read in the turns of other requests."""
        for _ in range(4):
            if self.held(client) < HELD:
                return False
            with self.tagway.connect() as other:
                assert other.request("OPTIONS", "*").status == 200
        return self.held(client) >= HELD


def is_cut(connection):
    """Whether a connection of the target has ended, without reading what may stand before."""
    if connection.sock.fileno() < 0:
        return True  # it could not send
    poll = select.poll()
    poll.register(connection.sock, select.POLLRDHUP)
    return bool(poll.poll(0))


@pytest.fixture
def world():
    with contextlib.ExitStack() as stack:
        yield World(stack)


def leave(client, how):
    client.reset() if how == "rst" else client.close()


def assert_is_cut(connection):
    wait_until(lambda: is_cut(connection), what="the target to see the end")


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("raw", [
    pytest.param(format_request("POST", "/continue", [("Content-Length", "9"), ("Expect", "100-continue")]), id="continue"),
    pytest.param(format_request("POST", "/", [("Content-Length", "9")]) + b"12345", id="upload"),
    pytest.param(format_request("POST", "/", [("Transfer-Encoding", "chunked")]) + b"5\r\n12345\r\n", id="chunks"),
])
def test_while_its_body_is_awaited(world, raw, how):
    client, connection = world.ask(raw)
    if b"Expect" in raw:
        assert client.read_response().status == 100
    leave(client, how)
    assert_is_cut(connection)


@pytest.mark.parametrize("how", ["rst", "fin"])
@pytest.mark.parametrize("raw, piece", [(ENDLESS, PIECE), (CHUNKED, CHUNK)], ids=["length", "chunked"])
def test_while_the_target_does_not_take_its_body(world, raw, piece, how):
    client, connection = world.ask(raw)
    world.pause(client, piece)
    leave(client, how)
    assert_is_cut(connection)
    assert world.aborts() == 1


def test_behind_a_shut_window(world):
    """RST comes through where FIN cannot."""
    client, connection = world.ask(ENDLESS)
    world.pause(client)
    client.sock.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            client.send(PIECE)
    client.reset()
    assert_is_cut(connection)


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_a_half_closed_client_with_its_whole_body_under_way(world, is_chunked):
    if is_chunked:
        patient, patients = world.ask(CHUNKED)
        sent = world.pause(patient, CHUNK) // len(CHUNK) * len(PIECE)
        patient.send(b"0\r\n\r\n")
    else:
        trial, _ = world.ask(ENDLESS)
        sent = world.pause(trial)
        trial.reset()
        wait_until(lambda: world.aborts() == 1, what="the trial's end")
        patient, patients = world.ask(format_request("POST", "/upload", [("Content-Length", str(sent))]))
        patient.send(b"x" * sent)
    patient.half_close()
    before = world.aborts()
    # Whoever leaves later is cut later: the patient one has been asked for by then, more than once.
    for number in range(2):
        leaver, leavers = world.ask(ENDLESS)
        world.pause(leaver)
        leaver.close()
        assert_is_cut(leavers)
        assert world.aborts() == before + number + 1
    assert not is_cut(patients)
    world.may_read.set()
    response = patient.read_response()
    assert (response.status, response.body) == (200, b"%d" % sent)


def test_while_the_target_is_being_connected():
    with contextlib.ExitStack() as stack:
        world = World(stack)
        heads = [format_request(target="/connect"), format_request("POST", "/connect", [("Content-Length", "9")]),
                 format_request("POST", "/connect", [("Content-Length", "100000000")])]
        for number, (raw, how) in enumerate([(heads[0], "rst"), (heads[1], "fin"), (heads[2], "rst"), (heads[2], "fin")]):
            client = world.tagway.connect()
            before = world.tagway.metric("tagway_proxy_requests_total")
            client.send(raw)
            wait_until(lambda before=before: world.tagway.metric("tagway_proxy_requests_total") > before, what="the request")
            if raw is heads[2]:
                world.pause(client)
            leave(client, how)
            wait_until(lambda number=number: world.aborts() == number + 1, what="the request to end")


@pytest.mark.parametrize("raw", [
    pytest.param(format_request(), id="alone"),
    pytest.param(format_request() + format_request(target="/next"), id="with-the-next-request-behind"),
    pytest.param(format_request(target="/answer"), id="while-it-does-not-read"),
    pytest.param(format_request(target="/answer") + format_request(target="/next"), id="while-it-does-not-read-with-next"),
])
def test_while_it_waits_for_its_answer(world, raw):
    client, connection = world.ask(raw)
    if b"/answer" in raw:
        wait_until(world.full.is_set, what="the proxy to read no more")
    client.reset()
    assert_is_cut(connection)


def test_while_its_answer_flows(world):
    client, connection = world.ask(format_request(target="/answer"))
    client.take(1 << 20)
    client.reset()
    assert_is_cut(connection)


@pytest.mark.parametrize("phase", ["flows", "up", "down"])
def test_out_of_a_tunnel(world, phase):
    client, connection = world.ask(format_request(target="/tunnel-down" if phase == "down" else "/tunnel", fields=UPGRADE))
    assert client.read_head().status == 101
    if phase == "up":
        world.pause(client)
    elif phase == "down":
        wait_until(world.full.is_set, what="the proxy to read no more")
    client.reset()
    assert_is_cut(connection)


def test_the_target_out_of_a_tunnel(world):
    client, connection = world.ask(format_request(target="/tunnel", fields=UPGRADE))
    assert client.read_head().status == 101
    connection.reset()
    assert client.is_closed()
