# SPDX-License-Identifier: Apache-2.0
"""Every limit with a shortened value: what happens when it is hit, and that it is counted. Timeouts of
their own are in test_http_timeouts.py."""

import resource
import socket
import threading
import time

import pytest

from harness.client import Client, Closed, chunked, format_request
from harness.origin import Origin, ScriptedOrigin
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway, route

ONE_WORKER = {"proxy.workers": "1"}


def counted(tagway, name, number=1):
    """Waits until the counter has that value, and not more."""
    name = f"tagway_proxy_{name}_total"
    wait_until(lambda: tagway.metric(name) >= number, what=f"{name} to be {number}")
    assert tagway.metric(name) == number


def is_refused(port, source):
    try:
        with Client(port, source=source) as client:
            return client.is_closed()
    except OSError:
        return True


# Sizes

def test_a_body_announced_above_the_limit_is_413(origin):
    with Tagway(route(origin), {"proxy.request.maxbody": "1000"}) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.get("connection")) == (413, "close")
        assert client.is_closed()
        counted(tagway, "body_too_large")


@pytest.mark.parametrize("raw", [
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + b"x" * 1001,
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 600, b"x" * 401),
], ids=["length", "chunked"])
def test_a_whole_body_above_the_limit_is_413(origin, raw):
    with Tagway(route(origin), {"proxy.request.maxbody": "1000"}) as tagway, tagway.connect() as client:
        client.send(raw)
        assert client.read_response().status == 413
        counted(tagway, "body_too_large")


def test_a_body_of_exactly_the_limit_passes(origin):
    with Tagway(route(origin), {"proxy.request.maxbody": "1000"}) as tagway, tagway.connect() as client:
        assert client.request("POST", body=b"x" * 1000).status == 200
        head, body = format_request("POST", body=b"x" * 1000).split(b"\r\n\r\n")
        client.send(head + b"\r\n\r\n" + body[:400])
        time.sleep(0.05)  # in two reads or one: both are to pass
        client.send(body[400:])
        assert client.read_response().status == 200
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(b"x" * 1000))
        assert client.read_response().status == 200


@pytest.mark.parametrize("is_under_way", [False, True], ids=["at once", "under way"])
def test_a_chunked_body_that_grows_above_the_limit_is_413(is_under_way):
    def script(connection):
        connection.read_request(has_body=False)
        with pytest.raises(Closed):
            connection.take_until(b"0\r\n\r\n")  # what was cut has no end

    with ScriptedOrigin(script) as origin, Tagway(route(origin), {"proxy.request.maxbody": "1000"}) as tagway:
        with tagway.connect() as client:
            head, chunk = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", b"190\r\n" + b"x" * 400 + b"\r\n"
            client.send(head + chunk if is_under_way else head + chunk * 3)
            if is_under_way:
                wait_until(lambda: origin.requests, what="the first of it to be there")
                client.send(chunk * 2)
            assert client.read_response().status == 413
            counted(tagway, "body_too_large")


def test_a_response_head_above_the_limit_is_502():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Long: " + b"x" * 2000 + b"\r\n\r\n")
        connection.fill()

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.response.maxhead": "2000"}) as tagway:
            assert tagway.get().status == 502
            counted(tagway, "refused_responses")
        with Tagway(route(origin)) as tagway:
            assert tagway.get().status == 200


# Connections

def test_idle_connections_make_room_for_new_ones(origin):
    with Tagway(route(origin), {"proxy.maxclients": "4", **ONE_WORKER}) as tagway:
        idle = [tagway.connect() for _ in range(4)]
        for client in idle:
            assert client.request().status == 200
        for _ in range(2):
            with tagway.connect() as client:
                assert client.request().status == 200
            wait_until(lambda: tagway.metric("tagway_open_connections") <= 4)
        # The oldest had to go.
        assert idle[0].is_closed()
        counted(tagway, "shed", 0)
        assert tagway.metric("tagway_proxy_evicted_total") >= 1
        assert idle[3].request().status == 200
        for client in idle:
            client.close()


def test_dripping_heads_make_room_for_new_ones(origin):
    with Tagway(route(origin), {"proxy.maxclients": "4", **ONE_WORKER}) as tagway:
        drippers = [tagway.connect() for _ in range(4)]
        for client in drippers:
            client.send(b"GET / HTTP/1.1\r\n")

        def is_served():
            try:
                with tagway.connect() as client:
                    return client.request().status == 200
            except (Closed, OSError):
                return False

        wait_until(is_served, what="a dripping head to make room")
        assert tagway.metric("tagway_proxy_evicted_total") >= 1
        for client in drippers:
            client.close()


def test_beyond_the_limit_new_connections_are_refused():
    release = threading.Event()

    def script(connection):
        connection.read_request()
        release.wait(20 * SLOWNESS)
        connection.respond()

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.maxclients": "4", **ONE_WORKER}) as tagway:
            busy = [tagway.connect() for _ in range(4)]
            for client in busy:
                client.send(format_request())
            wait_until(lambda: len(origin.requests) == 4, what="four requests")
            assert is_refused(tagway.port, "127.0.0.1")
            counted(tagway, "shed")
            release.set()
            for client in busy:
                assert client.read_response().status == 200
            # Room again at once: they are idle now.
            assert tagway.get().status == 200
            for client in busy:
                client.close()


def test_connections_of_one_address_are_limited(origin):
    options = {"proxy.maxclientsperip": "3", "proxy.trusted": "127.0.0.9", **ONE_WORKER}
    with Tagway(route(origin), options) as tagway:
        def connect(source):
            return Client(tagway.port, source=source)

        crowd = [connect("127.0.0.2") for _ in range(3)]
        for client in crowd:
            assert client.request().status == 200
        assert is_refused(tagway.port, "127.0.0.2")
        counted(tagway, "shed_address")
        # Others are not touched, and whoever is trusted, as a load balancer is, is not counted.
        with connect("127.0.0.3") as client:
            assert client.request().status == 200
        balancer = [connect("127.0.0.9") for _ in range(6)]
        for client in balancer:
            assert client.request().status == 200
        crowd.pop().close()
        wait_until(lambda: tagway.metric("tagway_open_connections") == 8, what="one to have gone")
        with connect("127.0.0.2") as client:
            assert client.request().status == 200
        counted(tagway, "shed_address")
        for client in crowd + balancer:
            client.close()


@pytest.mark.parametrize("options", [
    {"proxy.client.maxage": "300ms"},
    {"proxy.client.maxrequests": "5"},
], ids=["age", "requests"])
def test_a_connection_is_retired(origin, options):
    with Tagway(route(origin), options) as tagway, tagway.connect() as client:
        assert client.request().get("connection") is None

        def is_last():
            response = client.request()
            assert response.status == 200
            return response.get("connection") == "close"

        wait_until(is_last, interval=0.05)
        assert client.is_closed()
        counted(tagway, "retired")


# Rates

RATE = {"proxy.client.minrate": "1000", "proxy.client.minratewindow": "500ms"}


def drip(client, data, pause, is_done, piece=1):
    try:
        for at in range(0, len(data), piece):
            if is_done.wait(pause):
                return
            client.send(data[at:at + piece])
    except OSError:
        pass


def test_a_dripping_body_is_408(origin):
    with Tagway(route(origin), RATE) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
        is_done = threading.Event()
        dripper = threading.Thread(target=drip, args=(client, b"x" * 10000, 0.02, is_done))
        dripper.start()
        try:
            assert client.read_response().status == 408
        finally:
            is_done.set()
            dripper.join()
        counted(tagway, "slow_bodies")
        counted(tagway, "client_timeouts")


@pytest.mark.no_sanitizer
def test_a_slow_body_above_the_least_rate_passes(origin):
    with Tagway(route(origin), RATE) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4500\r\n\r\n")
        # 3,000 bytes a second, over three windows.
        drip(client, b"x" * 4500, 0.03, threading.Event(), piece=90)
        assert client.read_response().status == 200
        counted(tagway, "slow_bodies", 0)


def test_no_rate_is_asked_before_the_body_begins():
    """A client may wait for 100 Continue as long as the origin lets it."""
    def script(connection):
        request = connection.read_request(has_body=False)
        time.sleep(1.0)
        connection.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        connection.read_body(request)
        connection.respond()

    with ScriptedOrigin(script) as origin, Tagway(route(origin), RATE) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.read_head().status == 100
        client.send(b"abc")
        assert client.read_response().status == 200


def endless(connection):
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
    while True:
        connection.send(b"x" * 65536)


def test_a_client_that_does_not_read_is_cut():
    with ScriptedOrigin(endless) as origin:
        with Tagway(route(origin), {"proxy.client.writetimeout": "400ms"}) as tagway:
            with tagway.connect(receive_buffer=4096) as client:
                client.send(format_request())
                client.read_head()
                counted(tagway, "write_timeouts")
                with pytest.raises(Closed) as closed:
                    while True:
                        client.fill()
                        client.buffer = b""
                assert closed.value.was_reset


def test_a_client_that_reads_less_than_the_least_rate_is_cut():
    with ScriptedOrigin(endless) as origin:
        options = {"proxy.client.writetimeout": "400ms", "proxy.client.minrate": "100000000"}
        with Tagway(route(origin), options) as tagway, tagway.connect(receive_buffer=4096) as client:
            client.send(format_request())
            client.read_head()
            until = time.monotonic() + 20 * SLOWNESS
            with pytest.raises(Closed):
                while time.monotonic() < until:
                    client.take(500)
                    time.sleep(0.02)
            counted(tagway, "write_timeouts")


def test_a_client_that_reads_slowly_is_not_cut():
    """Its socket takes nothing for longer than the timeout, but what is in the kernel becomes less."""
    with ScriptedOrigin(endless) as origin:
        with Tagway(route(origin), {"proxy.client.writetimeout": "400ms"}) as tagway:
            with tagway.connect(receive_buffer=4096) as client:
                client.send(format_request())
                client.read_head()
                until = time.monotonic() + 2.5
                while time.monotonic() < until:
                    client.take(2000)
                    time.sleep(0.02)
                counted(tagway, "write_timeouts", 0)
                client.reset()


def test_a_target_that_does_not_read_is_504():
    release = threading.Event()

    def script(connection):
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.read_request(has_body=False)
        release.wait(20 * SLOWNESS)

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.upstream.writetimeout": "400ms"}) as tagway:
            with tagway.connect() as client:
                client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
                client.sock.setblocking(False)
                answer = b""

                def is_answered():
                    nonlocal answer
                    try:
                        while True:
                            client.sock.send(b"x" * 65536)
                    except OSError:
                        pass
                    try:
                        answer += client.sock.recv(65536)
                    except OSError:
                        pass
                    return answer.startswith(b"HTTP/1.1 504 ")

                wait_until(is_answered, what="504")
                counted(tagway, "target_write_timeouts")
        release.set()


# Pipelining

def test_pipelined_answers_wait_for_the_client_to_read():
    """64 KiB of small requests must not make the proxy hold megabytes of answers."""
    def respond(_):
        return b"x" * 60000

    with Origin(respond) as origin, Tagway(route(origin), ONE_WORKER) as tagway:
        with tagway.connect(receive_buffer=4096) as client:
            count = 400
            requests = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * count
            sender = threading.Thread(target=client.send, args=(requests,))
            sender.start()

            def settled():
                before = len(origin.requests)
                time.sleep(0.3)
                return len(origin.requests) == before > 0

            wait_until(settled, what="the answers to stop")
            sent = len(origin.requests)
            assert sent < count / 2  # what kernels hold, not what we would
            for _ in range(count):
                response = client.read_response()
                assert response.status == 200 and len(response.body) == 60000
            sender.join()
            assert len(origin.requests) == count


def test_a_client_that_pipelines_and_half_closes_gets_all_answers():
    def respond(_):
        return b"x" * 60000

    with Origin(respond) as origin, Tagway(route(origin), ONE_WORKER) as tagway:
        with tagway.connect(receive_buffer=4096) as client:
            count = 100
            client.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            client.half_close()
            time.sleep(0.3)  # until it is stalled, most likely
            for _ in range(count):
                assert client.read_response().status == 200
            assert client.is_closed()


# Descriptors

@pytest.fixture
def limited_binary(tmp_path):
    """tagway under a limit of 200 open files: 72 are for clients and targets, the rest is reserve."""
    path = tmp_path / "limited"
    path.write_text(f'#!/bin/sh\nulimit -n 200\nexec "{BINARY}" "$@"\n')
    path.chmod(0o755)
    return str(path)


USABLE = 72
HELD = b"GET /held HTTP/1.1\r\nHost: x\r\n\r\n"


def hold(connection):
    """Answers but what is below /held."""
    while True:
        request = connection.read_request()
        if request.target == "/held":
            connection.fill()
        connection.respond()


def cpu_share(process, seconds=1.5):
    """Of one CPU."""
    before, began = process.cpu_seconds(), time.monotonic()
    time.sleep(seconds)
    return (process.cpu_seconds() - before) / (time.monotonic() - began)


def is_served(tagway):
    try:
        return tagway.get().status == 200
    except (Closed, OSError):
        return False


def test_held_at_the_limit_of_descriptors(limited_binary):
    """Requests that hold a client and a target connection each take all there are. Nothing spins, who
    administers still gets through, and all is well as soon as they are gone."""
    with ScriptedOrigin(hold, backlog=512) as origin:
        options = {"proxy.maxclients": "1000", **ONE_WORKER}
        with Tagway(route(origin), options, binary=limited_binary) as tagway:
            idle = [tagway.connect() for _ in range(10)]
            for client in idle:
                assert client.request().status == 200
            held = []
            for _ in range(USABLE // 2):
                client = tagway.connect()
                client.send(HELD)
                held.append(client)
            # Idle ones, of both sides, have made room for all of them.
            wait_until(lambda: sum("/held" in request.target for request in origin.requests) == USABLE // 2,
                       what="all to be held")
            assert tagway.metric("tagway_proxy_evicted_total") >= 9
            assert tagway.metric("tagway_proxy_shed_total") == 0
            for _ in range(20):
                assert is_refused(tagway.port, "127.0.0.1")
            assert tagway.metric("tagway_proxy_shed_total") >= 20
            assert tagway.process.open_files() < 200 - 64
            assert cpu_share(tagway.process) <= 0.05 * SLOWNESS
            assert tagway.admin("/health").status == 200
            for client in held:
                client.reset()
            wait_until(lambda: is_served(tagway), timeout=1, what="service again")
            assert "Out of file descriptors" not in tagway.stderr()


def test_no_descriptor_for_a_target_is_503(limited_binary):
    """Clients alone can take them all: a request that is left without a connection to its target says so."""
    with ScriptedOrigin(hold, backlog=512) as origin:
        options = {"proxy.maxclients": "1000", **ONE_WORKER}
        with Tagway(route(origin), options, binary=limited_binary) as tagway:
            held = [tagway.connect() for _ in range(USABLE // 2)]
            for client in held:
                client.send(HELD)
            wait_until(lambda: len(origin.requests) == USABLE // 2, what="all to be held")
            # One leaves; in its place come two clients, and no descriptor is left for their requests.
            held.pop().reset()
            wait_until(lambda: tagway.metric("tagway_open_connections") == USABLE // 2 - 1)
            pair = [tagway.connect() for _ in range(2)]
            for client in pair:
                client.send(b"GET / HTTP/1.1\r\n")  # begun: not idle
            wait_until(lambda: tagway.metric("tagway_open_connections") == USABLE // 2 + 1)
            pair[0].send(b"Host: x\r\n\r\n")
            response = pair[0].read_response()
            assert (response.status, response.get("retry-after")) == (503, "1")
            counted(tagway, "no_descriptor")
            pair[1].close()
            wait_until(lambda: pair[0].request().status == 200, what="service again")
            for client in held + pair[:1]:
                client.reset()


def test_out_of_descriptors_all_the_same(origin):
    """As when somebody else in the process took them: nothing can be accepted, no socket opened."""
    with ScriptedOrigin(hold) as busy_origin, Tagway(route(busy_origin), ONE_WORKER) as tagway:
        pid = tagway.process.pid
        with tagway.connect() as client, tagway.connect() as held:
            assert client.request().status == 200
            held.send(HELD)
            wait_until(lambda: len(busy_origin.requests) == 2, what="the request")
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, hard))
            try:
                waiting = []
                for _ in range(20):
                    sock = socket.socket()
                    sock.setblocking(False)
                    sock.connect_ex(("127.0.0.1", tagway.port))
                    waiting.append(sock)
                assert cpu_share(tagway.process) <= 0.1 * SLOWNESS
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            for sock in waiting:
                sock.close()
            wait_until(lambda: is_served(tagway), timeout=2, what="service again")


def test_a_failing_socket_call_is_503_and_nobodys_fault(origin):
    with Tagway(route(origin), ONE_WORKER) as tagway:
        pid = tagway.process.pid
        with tagway.connect() as client:
            soft, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            wait_until(lambda: tagway.metric("tagway_open_connections") == 1)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (8, hard))
            try:
                for _ in range(20):
                    assert client.request().status == 503
            finally:
                resource.prlimit(pid, resource.RLIMIT_NOFILE, (soft, hard))
            assert client.request().status == 200  # the target was not ejected for it
        counted(tagway, "no_descriptor", 20)


# Memory

def test_memory_is_limited():
    """Requests whose origin does not answer hold memory until there is a limit to it; then those who come
    hear 503, and when they are gone all is well."""
    with ScriptedOrigin(hold, backlog=512) as origin:
        with Tagway(route(origin), ONE_WORKER) as tagway:
            wait_until(lambda: tagway.get().status == 200)
            base = int(tagway.metric("tagway_heap_bytes"))
        limit = base + 2_000_000
        with Tagway(route(origin), {"proxy.maxmemory": str(limit), **ONE_WORKER}) as tagway:
            idle = tagway.connect()
            assert idle.request().status == 200
            held = []

            def is_short():
                client = tagway.connect()
                # 30 KB each: a large head that is kept for another try.
                client.send(b"GET /held HTTP/1.1\r\nHost: x\r\nX-Large: " + b"x" * 30000 + b"\r\n\r\n")
                held.append(client)
                return tagway.metric("tagway_proxy_no_memory_total") > 0

            wait_until(is_short, what="memory to be short")
            assert idle.is_closed()
            assert tagway.metric("tagway_heap_bytes") < limit + 2_000_000
            with tagway.connect() as client:
                response = client.request()
                assert (response.status, response.get("retry-after")) == (503, "1")
            assert tagway.admin("/health").status == 200
            for client in held:
                client.reset()
            wait_until(lambda: is_served(tagway), what="service again")


# Oddities

ODD_REQUESTS = {
    "empty lines": b"\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "protected fields": b"GET / HTTP/1.1\r\nHost: x\r\nConnection: host, x-forwarded-for\r\nX-Forwarded-For: 1.2.3.4\r\n\r\n",
    "chunk extensions": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0;b\r\n\r\n",
    "trailers": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\nC: d\r\n\r\n",
    "forbidden trailers": b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\nCookie: d\r\n\r\n",
}


@pytest.mark.parametrize("name", ODD_REQUESTS)
def test_a_client_with_many_oddities_is_closed(origin, name):
    """Two a request: the fourth is one too many of seven."""
    with Tagway(route(origin), {"proxy.maxglitches": "7"}) as tagway, tagway.connect() as client:
        for number in range(1, 5):
            client.send(ODD_REQUESTS[name])
            response = client.read_response()
            assert response.status == 200
            assert response.get("connection") == ("close" if number == 4 else None)
        assert client.is_closed()
        counted(tagway, "glitched")


def test_oddities_are_counted_within_one_upload(origin):
    with Tagway(route(origin), {"proxy.maxglitches": "7"}) as tagway, tagway.connect() as client:
        client.send(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        for _ in range(8):
            client.send(b"1;a\r\nx\r\n")
        client.send(b"0\r\n\r\n")
        response = client.read_response()
        assert (response.status, response.get("connection")) == (200, "close")
        assert origin.requests[-1].body == b"x" * 8
        counted(tagway, "glitched")


def test_clients_without_oddities_and_without_limit_are_kept(origin):
    plain = [format_request(), format_request("POST", body=b"x"), b"POST / HTTP/1.1\r\nHost: x\r\n"
             b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"x"),
             b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, x-own\r\nX-Own: 1\r\n\r\n",
             b"POST / HTTP/1.1\r\nHost: x\r\nTE: trailers\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"]
    for limit, requests in ((1, plain), (0, list(ODD_REQUESTS.values()))):
        with Tagway(route(origin), {"proxy.maxglitches": str(limit)}) as tagway, tagway.connect() as client:
            for raw in requests * 5:
                client.send(raw)
                response = client.read_response()
                assert (response.status, response.get("connection")) == (200, None)
            counted(tagway, "glitched", 0)


def test_a_target_with_many_oddities_gets_a_new_connection():
    def script(connection):
        while True:
            connection.read_request()
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\r\nx\r\n0;b\r\n\r\n")

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.maxglitches": "7", **ONE_WORKER}) as tagway, tagway.connect() as client:
            for _ in range(8):
                response = client.request()
                assert (response.status, response.body, response.get("connection")) == (200, b"x", None)
            assert len(origin.connections) == 2
            counted(tagway, "glitched_targets", 2)
