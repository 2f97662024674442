# SPDX-License-Identifier: Apache-2.0
"""Passive ejection as clients, the API and the metrics see it. Its clockwork is tested in
tests/unit/upstream/test_eject.c."""

import contextlib

import pytest

from harness.client import Closed
from harness.origin import Origin, ScriptedOrigin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route

OPTIONS = {"proxy.workers": "1", "proxy.strategy": "rr"}
LONG = {**OPTIONS, "proxy.eject.time": "1h", "proxy.eject.maxtime": "1h"}
SHORT = {**OPTIONS, "proxy.eject.time": "300ms", "proxy.eject.maxtime": "300ms"}


def row_of(tagway, port):
    """The row of /api/routes, with figures that are read once a second."""
    return next(row for row in tagway.routes() if row["dst"].rstrip("/").endswith(f":{port}"))


def ejections(tagway, port):
    return tagway.metric("tagway_target_ejections_total", target=f"http://127.0.0.1:{port}/")


def connects(tagway, port):
    return tagway.metric("tagway_target_connects_total", target=f"http://127.0.0.1:{port}/")


def reset(connection):
    connection.read_request()
    connection.reset()


def answer(raw):
    """An origin that sends this and closes."""
    def script(connection):
        connection.read_request()
        connection.send(raw)
    return script


def unavailable(connection):
    while True:
        connection.read_request()
        connection.respond(b"busy", "503 Service Unavailable")


def stall(connection):
    connection.read_request()
    connection.fill()


@pytest.mark.parametrize("script, options, words", [
    (None, {}, "cannot be connected to"),
    (reset, {}, "closes or garbles its responses"),
    (answer(b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), {}, "closes or garbles its responses"),
    (answer(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), {}, "closes or garbles its responses"),
    (unavailable, {}, "answers with 502, 503 or 504"),
    (stall, {"proxy.responseheadertimeout": "100ms"}, "does not answer in time"),
])
def test_three_failures_take_a_target_out(script, options, words):
    with Origin() as good, ScriptedOrigin(script or reset) as bad:
        if script is None:
            bad.stop()
        with Tagway(route(good) + route(bad, service="b"), {**LONG, **options}) as tagway:
            for _ in range(20):
                with contextlib.suppress(Closed):
                    tagway.get()
            wait_until(lambda: row_of(tagway, bad.port)["ejected"], what="the row to say so")
            row = row_of(tagway, bad.port)
            assert row["ejected_why"] == words
            assert 3000 < row["ejected_s"] <= 3960
            assert not row_of(tagway, good.port)["ejected"]
            assert ejections(tagway, bad.port) == 1
            assert tagway.metric("tagway_target_ejected", target=f"http://127.0.0.1:{bad.port}/") == 1
            assert tagway.metric("tagway_targets", state="ejected") == 1
            if script:
                assert len(bad.requests) == 3
            else:
                assert connects(tagway, bad.port) == 3


def test_what_is_off():
    with Origin() as good, ScriptedOrigin(unavailable) as bad:
        table = route(good) + route(bad, service="b")
        for options in ({"proxy.eject.failures": "0"}, {"proxy.eject.gateway": "false"}):
            with Tagway(table, {**LONG, **options}) as tagway:
                assert [tagway.get().status for _ in range(20)].count(503) == 10
                assert ejections(tagway, bad.port) == 0


def test_the_last_one_stays():
    port = refused_port()
    with Tagway(route(port), LONG) as tagway:
        for _ in range(20):
            assert tagway.get().status == 502
        assert ejections(tagway, port) == 0
        with Origin(port=port):
            assert tagway.get().status == 200


def test_never_more_than_half():
    """Four of five are gone; two are left out, the other two are still tried, and nothing is lost."""
    gone = [refused_port() for _ in range(4)]
    with Origin() as good:
        table = "".join(route(port, service=f"s{port}") for port in gone) + route(good)
        with Tagway(table, {**LONG, "proxy.retry.attempts": "2"}) as tagway:
            for _ in range(60):
                tagway.get()
            assert sum(ejections(tagway, port) for port in gone) == 4
            before = [connects(tagway, port) for port in gone]
            for _ in range(30):
                assert tagway.get().status == 200
            tried = [after - old for after, old in zip([connects(tagway, port) for port in gone], before)]
            assert sorted(tried)[:2] == [0, 0]
            assert min(sorted(tried)[2:]) > 0


def test_one_probe_at_a_time_and_recovery():
    """The probe is held; meanwhile nothing else goes to the target. Then it succeeds."""
    is_well, requests = [False], []

    def script(connection):
        while True:
            requests.append(connection.read_request().target)
            if not is_well[0]:
                connection.reset()
                return
            if requests[-1] == "/probe":
                wait_until(lambda: len(is_well) > 1, what="the word to answer")
            connection.respond(b"bad")

    with Origin(name="good") as good, ScriptedOrigin(script) as bad:
        with Tagway(route(good) + route(bad, service="b"), SHORT) as tagway:
            wait_until(lambda: tagway.get().status == 200 and ejections(tagway, bad.port) == 1, what="ejection")
            is_well[0] = True
            probes = []
            try:
                # Requests that nobody waits for, until one of them is the probe.
                def sent_a_probe():
                    client = tagway.connect()
                    client.send("GET /probe HTTP/1.1\r\nHost: x\r\n\r\n")
                    probes.append(client)
                    return requests[-1] == "/probe"

                wait_until(sent_a_probe, what="a probe", interval=0.02)
                for _ in range(30):
                    assert tagway.get().body == b"good"
                assert requests.count("/probe") == 1
                is_well.append(True)
                wait_until(lambda: tagway.get().body == b"bad", what="the target to be back")
            finally:
                for client in probes:
                    client.close()


def test_a_failed_probe_costs_its_client_nothing():
    port = refused_port()
    with Origin() as good, Tagway(route(good) + route(port, service="b"), SHORT) as tagway:
        def has_failed_probes():
            assert tagway.get().status == 200
            return ejections(tagway, port) >= 3

        wait_until(has_failed_probes, what="three ejections")
        with Origin(port=port, name="back"):
            wait_until(lambda: tagway.get().body == b"back", what="the target to be back")


def test_a_post_does_not_probe_where_a_get_can():
    with Origin() as good, ScriptedOrigin(reset) as bad:
        with Tagway(route(good) + route(bad, service="b"), SHORT) as tagway:
            def get_until_ejected():
                assert tagway.get().status == 200
                return ejections(tagway, bad.port)

            wait_until(get_until_ejected, what="ejection")
            for number in range(200):
                assert tagway.get().status == 200
                assert tagway.get(f"/{number}", method="POST", body=b"x").status == 200


def test_a_target_that_the_registry_brings_up_anew_is_in_use_at_once():
    port = refused_port()
    with Origin() as good:
        both = route(good) + route(port, service="b")
        with Tagway(both, LONG) as tagway:
            wait_until(lambda: tagway.get().status == 200 and ejections(tagway, port) == 1, what="ejection")
            with Origin(port=port, name="anew"):
                assert {tagway.get().body for _ in range(10)} == {b"origin"}
                tagway.set_routes(route(good), until=lambda routes: len(routes) == 1)
                tagway.set_routes(both, until=lambda routes: len(routes) == 2)
                assert {tagway.get().body for _ in range(10)} == {b"origin", b"anew"}
                assert not row_of(tagway, port)["ejected"]


def test_a_client_that_leaves_says_nothing_of_the_target():
    with Origin() as good, ScriptedOrigin(stall) as slow:
        with Tagway(route(good) + route(slow, service="b"), LONG) as tagway:
            for number in range(10):
                with tagway.connect() as client:
                    assert client.request().body == b"origin"  # its turn
                    client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                    wait_until(lambda number=number: len(slow.requests) == number + 1, what="the request")
                    client.reset()
            wait_until(lambda: tagway.metric("tagway_proxy_client_aborts_total") == 10, what="the requests to end")
            assert ejections(tagway, slow.port) == 0
