# SPDX-License-Identifier: Apache-2.0
"""Large bodies, which pass without being copied where nothing needs to look at them: every byte arrives, in
order, once; what is cut is seen to be cut; counters are as with small ones."""

import contextlib
import random
import threading

import pytest

from harness.client import Client, Closed, chunked, format_request
from harness.origin import Origin, ScriptedOrigin, response
from harness.process import wait_until
from harness.tagway import Tagway, route

OPTIONS = {"proxy.workers": "1"}
BODY = random.Random(1).randbytes(3 << 20)


def spliced(tagway):
    return tagway.metric("tagway_proxy_spliced_bytes_total")


@pytest.mark.parametrize("size", [64 << 10, (96 << 10) + 1, 1 << 20, len(BODY)])
def test_downloads_with_a_length(size):
    with Origin(lambda request: BODY[:size]) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            for _ in range(3):
                assert client.request().body == BODY[:size]
        if size >= 1 << 20:
            assert spliced(tagway) > 0
        wait_until(lambda: tagway.metric("tagway_target_received_bytes_total") == 3 * size, 10, "the count")
        assert len(origin.connections) == 1


# Behind a large body only the head's worth is read of what comes next on that connection, whatever it is.
SIZES = [1 << 20, 0, 1 << 20, 3700, 1 << 20, 4096, 1 << 20, 40000, 1 << 20, 100000, len(BODY)]


def test_large_and_small_downloads_on_one_connection():
    with Origin(lambda request: BODY[:int(request.target[1:])]) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            for size in SIZES:
                assert client.request(target=f"/{size}").body == BODY[:size]
        wait_until(lambda: tagway.metric("tagway_target_received_bytes_total") == sum(SIZES), 10, "the count")
        assert len(origin.connections) == 1


def test_large_and_small_uploads_on_one_connection():
    with Origin(lambda request: b"%d %d" % (len(request.body), request.body == BODY[:len(request.body)])) as origin:
        with Tagway(route(origin), OPTIONS) as tagway, tagway.connect() as client:
            for size in SIZES:
                assert client.request("POST", body=BODY[:size]).body == b"%d 1" % size
            wait_until(lambda: tagway.metric("tagway_target_sent_bytes_total") == sum(SIZES), 10, "the count")
            assert len(origin.connections) == 1


@pytest.mark.parametrize("first", [1, 4000, 4096, 40000, 100000, 600000])
def test_what_has_come_does_not_wait_for_what_is_late(first):
    """Behind a large body, head and first piece are sent together where both are there."""
    may_go_on = threading.Event()

    def script(connection):
        connection.read_request()
        connection.send(response(BODY))
        connection.read_request()
        head, body = response(BODY).split(b"\r\n\r\n", 1)
        connection.send(head + b"\r\n\r\n" + body[:first])
        if may_go_on.wait(10):  # else the client was kept waiting, and gets no more
            connection.send(body[first:])

    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway, tagway.connect() as client:
        assert client.request().body == BODY
        client.send(format_request())
        assert client.read_head().status == 200
        got = client.take(first)
        assert not may_go_on.is_set()
        may_go_on.set()
        assert got + client.take(len(BODY) - first) == BODY
        assert len(origin.connections) == 1


@pytest.mark.parametrize("how", ["end", "reset"])
def test_a_client_that_leaves_behind_a_large_download_ends_it(how):
    with Origin(lambda request: BODY) as origin, Tagway(route(origin), OPTIONS) as tagway:
        for _ in range(3):
            with tagway.connect() as client:
                assert client.request().body == BODY
                client.send(format_request())
                client.take(10)
                if how == "reset":
                    client.reset()
        wait_until(lambda: tagway.metric("tagway_target_in_flight") == 0, 10, "the exchanges to end")
        with tagway.connect() as client:
            assert client.request().body == BODY


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/1.0"])
def test_downloads_until_the_connection_closes(version):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n" + BODY)

    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            response = client.request(version=version)
            assert response.body == BODY
            assert (response.get("Transfer-Encoding") == "chunked") == (version == "HTTP/1.1")
        assert spliced(tagway) > 0
        wait_until(lambda: tagway.metric("tagway_target_received_bytes_total") == len(BODY), 10, "the count")


def test_chunked_downloads_are_looked_at():
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                        chunked(BODY[:100000], BODY[100000:1000000], BODY[1000000:]))

    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            assert client.request().body == BODY
        assert spliced(tagway) == 0


def test_uploads_with_a_request_behind():
    with Origin(lambda request: b"%d" % (request.body == BODY)) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            # What comes behind a body is seen to be another request.
            client.send(format_request("POST", body=BODY) + format_request("POST", body=BODY) + format_request())
            assert [client.read_response().body for _ in range(3)] == [b"1", b"1", b"0"]
        assert spliced(tagway) > 0
        wait_until(lambda: tagway.metric("tagway_target_sent_bytes_total") == 2 * len(BODY), 10, "the count")


@pytest.mark.parametrize("how", ["end", "reset"])
@pytest.mark.parametrize("framing", ["length", "close"])
def test_what_is_cut_is_seen_to_be_cut(framing, how):
    may_end = threading.Event()

    def script(connection):
        connection.read_request()
        length = b"Content-Length: %d\r\n" % (2 * len(BODY)) if framing == "length" else b""
        connection.send(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n" + BODY)
        may_end.wait(10)
        if how == "reset":
            connection.reset()

    if (framing, how) == ("close", "end"):
        pytest.skip("an end is what is meant")
    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway:
        # HTTP/1.0: the body goes on until the connection closes, too.
        for version in ("HTTP/1.1", "HTTP/1.0"):
            may_end.clear()
            with tagway.connect() as client:
                client.send(format_request(version=version))
                head = client.read_head()
                assert head.status == 200
                client.take(len(BODY) // 2)
                may_end.set()
                with pytest.raises(Closed) as closed:
                    client.take(2 * len(BODY))
                # Where nothing else says how much is to come, only a reset can.
                assert closed.value.was_reset or head.get("Content-Length") or head.get("Transfer-Encoding")


def test_an_upload_that_is_cut_is_cut_for_the_target():
    seen = []

    def script(connection):
        request = connection.read_request(has_body=False)
        try:
            connection.read_body(request)
        except Closed as error:
            seen.append(error)

    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            client.send(format_request("POST", body=BODY)[:-10])
            wait_until(lambda: tagway.metric("tagway_target_sent_bytes_total") == len(BODY) - 10, 10, "the upload")
            client.reset()
        wait_until(lambda: seen, 10, "the target to see it")
        wait_until(lambda: tagway.metric("tagway_proxy_client_aborts_total") == 1, 10, "the abort")


def test_a_reader_that_stops_and_goes_on_gets_every_byte():
    body = BODY * 3
    with Origin(lambda request: body if request.target == "/" else b"ok") as origin:
        with Tagway(route(origin), OPTIONS) as tagway, tagway.connect(receive_buffer=65536) as client:
            client.send(format_request())
            client.read_head()
            got = [client.take(1 << 20)]
            last = [-1]

            def has_stopped():
                before, last[0] = last[0], tagway.metric("tagway_target_received_bytes_total")
                return before == last[0] < len(body)

            wait_until(has_stopped, 10, "the sender to wait")
            for _ in range(len(body) // (1 << 20) - 1):
                got.append(client.take(1 << 20))
            assert b"".join(got) == body
            assert client.request(target="/again").body == b"ok"


def test_a_target_that_answers_early_ends_the_upload():
    def script(connection):
        connection.read_request(has_body=False)
        connection.take(200000)
        connection.send(response(b"enough", "413 Content Too Large"))
        with contextlib.suppress(Closed):
            connection.take(2 * len(BODY))

    with ScriptedOrigin(script) as origin, Tagway(route(origin), OPTIONS) as tagway:
        with tagway.connect() as client:
            client.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (len(BODY) * 2) + BODY[:400000])
            answer = client.read_response()
            assert (answer.status, answer.body) == (413, b"enough")
            assert client.is_closed(5)


def test_a_compressed_body_is_not_passed_unseen():
    with Origin(lambda request: b"x" * (1 << 20)) as origin:
        with Tagway(route(origin), {**OPTIONS, "proxy.gzip.contenttype": ".*"}) as tagway:
            with tagway.connect() as client:
                answer = client.request(fields=[("Accept-Encoding", "gzip")])
                assert answer.status == 200
            with tagway.connect() as client:
                assert client.request().body == b"x" * (1 << 20)


def test_many_at_a_time_do_not_mix():
    """One pipe serves them all."""
    bodies = [random.Random(number).randbytes(700000 + number) for number in range(8)]
    with Origin(lambda request: bodies[int(request.target[1:])]) as origin, Tagway(route(origin), OPTIONS) as tagway:
        failures = []

        def download(number):
            with Client(tagway.port) as client:
                for _ in range(5):
                    if client.request(target=f"/{number}").body != bodies[number]:
                        failures.append(number)

        threads = [threading.Thread(target=download, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert spliced(tagway) > 0
