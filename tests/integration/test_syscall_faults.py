# SPDX-License-Identifier: Apache-2.0
"""System calls that fail or are short, under everything the proxy does: nobody notices what may be
repeated (short counts, EINTR, EAGAIN); anything else costs at most the request at hand, never the
process, a descriptor or a CPU.

TAGWAY_FAULTS=all sweeps every call number of every scenario; without it they are sampled.
"""

import errno
import os
import random
import socket
import tempfile
import time

import pytest

from harness import faults as faults_module
from harness.client import Client, Closed, chunked, format_request
from harness.fake_consul import FakeConsul, truncated
from harness.faults import CALLS, SHORT, Faults
from harness.origin import Origin, ScriptedOrigin, refused_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route
from test_http_streams import UPGRADE, websocket_echo

IS_WHOLE = os.environ.get("TAGWAY_FAULTS") == "all"
SAMPLES = 6  # call numbers per scenario, call and error
HANG = 5 * SLOWNESS  # no answer and no end within this is a finding

READS = ("read", "readv", "recv")
WRITES = ("write", "writev", "send", "sendmsg", "splice")  # splice: both


def events(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    for number in range(5):
        connection.send(b"8\r\ndata: %d\n\r\n" % number)
    connection.send(b"0\r\n\r\n")


class Bench:
    def __init__(self, library, directory):
        self.echo = Origin(lambda request: request.method.encode() + b" " + request.body)
        self.events = ScriptedOrigin(events)
        self.websocket = ScriptedOrigin(websocket_echo)
        self.faults = Faults(library, directory)
        self.big = Origin(lambda request: b"x" * BIG, name="big")
        self.base_routes = (route(self.big, "/big", "big") +
                            route(self.echo) + route(self.events, "/events", "sse") +
                            route(self.websocket, "/ws", "ws") +
                            route(self.echo, "/two", "two") + route(refused_port(), "/two", "two"))
        self.tagway = Tagway(self.base_routes, {"proxy.workers": "1", "proxy.client.idletimeout": "60s"},
                             env=self.faults.env())
        self.turn = 0

    def open_files(self):
        return self.tagway.process.open_files()

    def close(self, has_failed=False):
        self.tagway.finish(has_failed)
        for origin in (self.echo, self.events, self.websocket, self.big):
            origin.stop()


@pytest.fixture(scope="module")
def library():
    with tempfile.TemporaryDirectory() as directory:
        yield faults_module.build(directory)


@pytest.fixture(scope="module")
def bench(library):
    with tempfile.TemporaryDirectory() as directory:
        bench = Bench(library, directory)
        yield bench
        bench.close()


# Scenarios. Each raises AssertionError, Closed or OSError when it does not get all it should.


def connect(bench):
    client = Client(bench.tagway.port)
    client.sock.settimeout(HANG)
    return client


def keep_alive(bench):
    with connect(bench) as client:
        for _ in range(3):
            response = client.request()
            assert (response.status, response.body) == (200, b"GET ")


def upload(bench):
    body = b"x" * 30000
    with connect(bench) as client:
        response = client.request("POST", body=body)
        assert (response.status, response.body) == (200, b"POST " + body)


BIG = 500_000


def big_download(bench):
    with connect(bench) as client:
        for _ in range(2):
            assert client.request(target="/big").body == b"x" * BIG


def big_upload(bench):
    with connect(bench) as client:
        response = client.request("POST", body=b"y" * BIG)
        assert response.body == b"POST " + b"y" * BIG


def chunked_upload(bench):
    with connect(bench) as client:
        client.send(format_request("POST", fields=[("Transfer-Encoding", "chunked")]))
        client.send(chunked(b"one", b"two" * 1000))
        response = client.read_response()
        assert (response.status, response.body) == (200, b"POST one" + b"two" * 1000)


def websocket(bench):
    with connect(bench) as client:
        assert client.request(target="/ws", fields=UPGRADE).status == 101
        client.send(b"frame" * 500)
        assert client.take(2500) == b"frame" * 500
        client.half_close()
        assert client.take_rest() == b"goodbye"


def event_stream(bench):
    with connect(bench) as client:
        response = client.request(target="/events")
        assert response.body == b"".join(b"data: %d\n" % number for number in range(5))


def another_target(bench):
    """One of the two targets refuses connections."""
    with connect(bench) as client:
        for _ in range(2):
            assert client.request(target="/two").status == 200


def table_change(bench):
    bench.turn += 1
    bench.tagway.set_routes(bench.base_routes + route(bench.echo, f"/turn{bench.turn}", "turn"))
    with connect(bench) as client:
        def is_seen():
            return any(line["path"] == f"/turn{bench.turn}" for line in bench.tagway.routes())
        wait_until(is_seen, 10, "the new route")
        assert client.request(target=f"/turn{bench.turn}").status == 200


def admin(bench):
    assert bench.tagway.routes()
    metrics = bench.tagway.admin("/metrics")
    assert metrics.status == 200 and b"tagway_requests_total" in metrics.body


SCENARIOS = [keep_alive, upload, chunked_upload, websocket, event_stream, another_target, big_download, big_upload]
CONTROL_SCENARIOS = [table_change, admin]
THREADS = {**{scenario: "workers" for scenario in SCENARIOS},
           **{scenario: "control" for scenario in CONTROL_SCENARIOS}}

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS + CONTROL_SCENARIOS, ids=lambda f: f.__name__)


def assert_well(bench):
    """The process is there, serves at once, and holds as many descriptors as when it has nothing to do."""
    assert bench.tagway.process.is_running(), bench.tagway.stderr()[-3000:]
    keep_alive(bench)


def assert_settles(bench, before):
    """Descriptors go back to what they were (pooled connections of the bench's own apart) and the loop
    is quiet."""
    wait_until(lambda: bench.tagway.metric("tagway_open_connections") == 0, 10, "no client left")
    pooled = 8
    wait_until(lambda: bench.open_files() <= before + pooled, 10, f"{before} descriptors again")
    cpu = bench.tagway.process.cpu_seconds()
    began = time.monotonic()
    time.sleep(0.3)  # what is measured is that nothing happens in it
    used = bench.tagway.process.cpu_seconds() - cpu
    assert used < 0.5 * (time.monotonic() - began) + 0.02, f"{used:.2f} s of CPU while idle"


@every_scenario
@pytest.mark.parametrize("name, calls, error, n", [
    ("one byte at a time", READS + WRITES, SHORT, 1),
    ("short now and then", READS + WRITES, SHORT, 3),
    ("EINTR", READS + WRITES + ("connect", "accept4"), errno.EINTR, 2),
    ("EAGAIN, each other", READS + WRITES, errno.EAGAIN, 2),
    ("EAGAIN, each third", READS + WRITES + ("accept4",), errno.EAGAIN, 3),
])
def test_what_may_be_repeated_is_not_noticed(bench, scenario, name, calls, error, n):
    if scenario in (upload, big_download, big_upload) and n == 1:
        pytest.skip("30,000 turns are no use; the others go byte by byte")
    before = bench.open_files()
    with bench.faults.every(n, calls, error, THREADS[scenario]):
        scenario(bench)
        assert bench.faults.injected() > 0
    assert_well(bench)
    assert_settles(bench, before)


ONCE = [
    ("reads", READS, errno.ECONNRESET),
    ("reads", READS, errno.ETIMEDOUT),
    ("writes", WRITES, errno.EPIPE),
    ("writes", WRITES, errno.ECONNRESET),
    ("writes", WRITES, errno.ENOMEM),
    ("accept", ("accept4",), errno.EMFILE),
    ("accept", ("accept4",), errno.ECONNABORTED),
    ("connect", ("connect",), errno.ENETUNREACH),
    ("connect", ("connect",), errno.EADDRNOTAVAIL),
    ("socket", ("socket",), errno.EMFILE),
    ("open", ("open",), errno.EMFILE),
    ("heap", ("heap",), errno.ENOMEM),
]


def count_calls(bench, scenario, calls):
    with bench.faults.counting(calls, THREADS[scenario]):
        scenario(bench)
        return bench.faults.counted()


@every_scenario
@pytest.mark.parametrize("name, calls, error", ONCE, ids=lambda value: str(value))
def test_one_fault_costs_at_most_the_request_at_hand(bench, scenario, name, calls, error):
    if calls == ("heap",) and faults_module.is_sanitized():
        pytest.skip("the heap is the sanitizer's")
    before = bench.open_files()
    total = count_calls(bench, scenario, calls)
    numbers = list(range(1, total + 1))
    if not IS_WHOLE and len(numbers) > SAMPLES:
        numbers = [1, *sorted(random.Random(total).sample(numbers[1:], SAMPLES - 1))]
    for number in numbers:
        with bench.faults.once(number, calls, error, THREADS[scenario]):
            try:
                scenario(bench)
            except TimeoutError:
                pytest.fail(f"call {number} of {total}: neither an answer nor an end")
            except (AssertionError, Closed, OSError):
                pass  # it may cost this request
        assert_well(bench)
    print(f"{scenario.__name__}, {name}: {len(numbers)} of {total} calls")
    assert_settles(bench, before)


@pytest.mark.parametrize("call, error", [("pipe2", errno.EMFILE), ("splice", errno.EINVAL)])
def test_where_nothing_can_be_spliced_everything_is_copied(library, call, error):
    with tempfile.TemporaryDirectory() as directory, Origin(lambda request: b"x" * BIG) as origin:
        faults = Faults(library, directory)
        with faults.once(1, (call,), error, "all"):
            with Tagway(route(origin), {"proxy.workers": "1"}, env=faults.env()) as tagway:
                for _ in range(2):
                    assert tagway.get().body == b"x" * BIG
                assert faults.injected() == 1  # after which it is not tried again
                assert faults.counted() == 1
                assert tagway.metric("tagway_proxy_spliced_bytes_total") == 0


@pytest.mark.parametrize("seed", range(4 if not IS_WHOLE else 100))
def test_a_storm_of_all_faults(bench, seed):
    """Two in a hundred calls fail, on all threads."""
    before = bench.open_files()
    kinds = random.Random(seed)
    for scenario in SCENARIOS * 2:
        error = kinds.choice([SHORT, errno.EINTR, errno.EAGAIN, errno.ECONNRESET, errno.EPIPE])
        with bench.faults.chance(20000, READS + WRITES, error, "workers", seed):
            try:
                scenario(bench)
            except TimeoutError:
                pytest.fail(f"{scenario.__name__} under {error}: neither an answer nor an end")
            except (AssertionError, Closed, OSError):
                pass
    assert_well(bench)
    assert_settles(bench, before)


def test_no_descriptor_for_clients_is_no_reason_to_spin(bench):
    """Each other accept says EMFILE, and some client has to go for it; the others are served."""
    before = bench.open_files()
    answered = 0
    with bench.faults.every(2, ("accept4",), errno.EMFILE):
        cpu, began = bench.tagway.process.cpu_seconds(), time.monotonic()
        while time.monotonic() - began < 1:
            try:
                keep_alive(bench)
                answered += 1
            except (Closed, OSError):
                pass
            time.sleep(0.02)  # the time over which CPU is measured
        used = (bench.tagway.process.cpu_seconds() - cpu) / (time.monotonic() - began)
        assert bench.tagway.routes()  # the admin has its own
        assert bench.faults.injected() > 3
    print(f"{used * 100:.0f} % of a CPU, {answered} answered")
    assert used < 0.5 and answered > 0
    assert_well(bench)
    assert_settles(bench, before)


def test_without_a_descriptor_an_idle_client_goes_and_not_the_one_that_waits(bench):
    with connect(bench) as idle:
        assert idle.request().status == 200
        with bench.faults.once(1, ("accept4",), errno.EMFILE):
            keep_alive(bench)
            assert bench.faults.injected() == 1
        assert idle.is_closed()


@pytest.mark.parametrize("calls, error, n", [
    (READS + WRITES, SHORT, 1), (READS + WRITES, errno.EINTR, 2), (READS + WRITES, errno.EAGAIN, 2),
    (READS, errno.ECONNRESET, 7), (("connect",), errno.ENETUNREACH, 2), (("socket",), errno.EMFILE, 2),
    (("heap",), errno.ENOMEM, 50)], ids=str)
def test_routes_from_consul_outlive_faults(library, calls, error, n):
    """Whatever becomes of single calls, no route is lost, and what is new comes in the end."""
    if calls == ("heap",) and faults_module.is_sanitized():
        pytest.skip("the heap is the sanitizer's")
    with tempfile.TemporaryDirectory() as directory, FakeConsul() as consul, Origin() as origin:
        faults = Faults(library, directory)
        consul.set_service("web", [("web-1", origin.port, ["urlprefix-/web"])])
        with Tagway(options=consul.options(), env=faults.env()) as tagway:
            tagway.wait_route("/web")
            before = tagway.process.open_files()
            with faults.every(n, calls, error, "control"):
                consul.set_service("new", [("new-1", origin.port, ["urlprefix-/new"])])
                # New connections are wanted, too.
                consul.fault = lambda path: truncated if faults.counted() < n else None
                consul.touch()
                wait_until(lambda: faults.counted() >= n, 10, "calls that fail")
                assert tagway.get("/web").status == 200
            tagway.wait_route("/new", timeout=15)
            assert tagway.get("/web").status == 200
            wait_until(lambda: tagway.process.open_files() <= before + 4, 10, "descriptors given back")
