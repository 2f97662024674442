# SPDX-License-Identifier: Apache-2.0
"""Origins that fail in every way a connection can, under load: no GET is lost for it, and no POST that an
origin has read comes to an origin again. TAGWAY_TEST_FAULTS=10000 runs each family with that many
requests."""

import os

import pytest

from harness.faulty import FaultyOrigins, Numbered
from harness.origin import Blackhole, Origin, ScriptedOrigin, refused_port
from harness.process import SLOWNESS
from harness.tagway import Tagway, route

REQUESTS = int(os.environ.get("TAGWAY_TEST_FAULTS", "2000" if SLOWNESS == 1 else "500"))

# Faults before anything of the answer is with the client: it may be asked for again elsewhere.
BEFORE = ["close_before", "reset_before", "fin_then_reset", "half_close", "close_in_head", "reset_in_head"]
# The request was answered, what follows is the next one's problem.
AFTER = ["answer_twice", "answer_then_close", "answer_then_reset"]
# Too late for another try: the client must see it.
LATE = ["close_in_body", "reset_in_body"]


def proxy_for(origins, options=None, opts=""):
    table = "".join(route(port, options=opts) for port in origins.ports)
    return Tagway(table, {"proxy.workers": "1", "proxy.strategy": "rr", **(options or {})})


@pytest.mark.parametrize("fault", BEFORE + AFTER)
def test_no_get_is_lost(fault):
    with FaultyOrigins(fault) as origins, proxy_for(origins) as tagway:
        load = Numbered(tagway.port, REQUESTS).run()
        delivered, faults = origins.result()
        assert load.failures() == {}
        assert len(load.outcomes) == len(delivered) == REQUESTS
        assert faults > REQUESTS / 20, "the origins were too well-behaved for a test"
        if fault in BEFORE:
            assert tagway.metric("tagway_target_retries_total") == faults
        print(f"{faults} faults in {REQUESTS} requests")


@pytest.mark.parametrize("fault", LATE)
def test_what_is_cut_in_the_body_is_cut_for_the_client(fault):
    with FaultyOrigins(fault) as origins, proxy_for(origins) as tagway:
        load = Numbered(tagway.port, REQUESTS).run()
        delivered, faults = origins.result()
        assert set(load.failures()) <= {"cut", 502}  # 502: head and reset came together
        assert sum(load.failures().values()) == faults
        assert max(delivered.values()) == 1
        assert tagway.metric("tagway_target_failures_total") == faults  # theirs, each


@pytest.mark.parametrize("idle", [0.001, 0.003, 0.01])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_origins_that_close_idle_connections(idle, method):
    """A POST may meet the end of the connection that it was put on, and is not repeated then. But once is
    enough: from then on those that cannot be repeated go on connections of their own."""
    with FaultyOrigins("good", idle_close=idle) as origins, proxy_for(origins) as tagway:
        load = Numbered(tagway.port, REQUESTS, method, connections=2, body=b"x").run()
        delivered, _ = origins.result()
        assert max(delivered.values()) == 1
        if method == "GET":
            assert load.failures() == {}
            assert len(delivered) == REQUESTS
        else:
            assert set(load.failures()) <= {502}
            assert sum(load.failures().values()) <= 2 * len(origins.ports)


@pytest.mark.parametrize("fault", BEFORE + AFTER + LATE + ["garbage", "unavailable", "answer_early"])
@pytest.mark.parametrize("opts", ["", "retry=502;503;504"])
def test_no_post_is_delivered_twice(fault, opts):
    with FaultyOrigins(fault) as origins, proxy_for(origins, opts=opts) as tagway:
        load = Numbered(tagway.port, REQUESTS, "POST", body=b"x" * 100).run()
        delivered, faults = origins.result()
        assert faults > REQUESTS / 20
        assert max(delivered.values()) == 1
        for number, outcome in load.outcomes.items():
            assert outcome != 200 or delivered.get(number) == 1
        assert len(load.outcomes) == REQUESTS
        if fault in BEFORE:
            assert load.failures() == {502: faults}
        print(f"{faults} faults in {REQUESTS} requests")


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("dead", ["refuses", "blackhole", "resets in the TLS handshake"])
def test_a_target_that_cannot_be_connected_to_costs_no_request(dead, method):
    hole = Blackhole() if dead == "blackhole" else None
    scheme = "https" if dead.startswith("resets") else "http"
    resetter = ScriptedOrigin(lambda connection: connection.reset()) if scheme == "https" else None
    port = hole.port if hole else resetter.port if resetter else refused_port()
    try:
        with FaultyOrigins("good", count=1) as origins:
            table = route(origins.ports[0]) + f"route add svc / {scheme}://127.0.0.1:{port}/\n"
            options = {"proxy.strategy": "rr", "proxy.dialtimeout": "100ms", "proxy.workers": "1"}
            with Tagway(table, options) as tagway:
                load = Numbered(tagway.port, 500, method, body=b"x" * 30000).run()
                assert load.failures() == {}
                assert tagway.metric("tagway_target_ejections_total") == 1
                assert set(origins.result()[0].values()) == {1}
    finally:
        for one in (hole, resetter):
            if one:
                one.__exit__(None, None, None)


def test_the_second_target_is_refused_after_a_stale_first():
    """A pooled connection had died, which says nothing of its target: that one is left when the other
    cannot be reached."""
    def script(connection):
        connection.read_request()
        connection.respond()
        connection.read_request()  # accepted on the pooled connection, and then it dies

    with ScriptedOrigin(script) as origin:
        with Tagway(route(origin), {"proxy.workers": "1"}) as tagway:
            assert tagway.get().status == 200
            assert tagway.get().status == 200  # replayed on a fresh connection
            tagway.set_routes(route(origin) + route(refused_port(), service="b"),
                              until=lambda routes: len(routes) == 2)
            for _ in range(10):
                assert tagway.get().status == 200


def test_statuses_that_a_route_wants_tried_elsewhere():
    with FaultyOrigins("unavailable") as origins, proxy_for(origins, opts="retry=502;503") as tagway:
        load = Numbered(tagway.port, REQUESTS).run()
        assert load.failures() == {}
        assert tagway.metric("tagway_target_retries_total") == origins.result()[1]


def test_other_statuses_go_to_the_client():
    with FaultyOrigins("unavailable") as origins, proxy_for(origins, opts="retry=502|504") as tagway:
        load = Numbered(tagway.port, 200).run()
        delivered, faults = origins.result()
        assert load.failures() == {503: faults}
        assert max(delivered.values()) == 1


def test_an_origin_that_does_not_answer():
    """By default that is the client's 504, at the time; with retry=504 it is asked for elsewhere."""
    options = {"proxy.responseheadertimeout": "200ms", "proxy.eject.failures": "0"}
    with FaultyOrigins("stall", count=2, share=1) as origins:
        with proxy_for(origins, options) as tagway:
            load = Numbered(tagway.port, 20, connections=4).run()
            assert load.failures() == {504: 10}
        with proxy_for(origins, options, "retry=504") as tagway:
            assert Numbered(tagway.port, 20, connections=4, first=1000).run().failures() == {}


def test_when_nobody_else_can_take_it_the_answer_is_passed_on():
    with Origin(respond=lambda _: (b"busy", "503 Service Unavailable")) as origin:
        with Tagway(route(origin, options="retry=503")) as tagway:
            response = tagway.get()
            assert (response.status, response.body) == (503, b"busy")
            assert len(origin.requests) == 1


def test_the_budget():
    """Every request fails, and may cost its origins only a fifth more."""
    options = {"proxy.eject.failures": "0"}
    with FaultyOrigins("reset_before", count=2, share=1) as origins:
        ports = origins.ports[0]
        both = f"route add svc / http://127.0.0.1:{ports}/\nroute add svc / http://localhost:{ports}/\n"
        for percent, most in ((20, 0.2), (0, 1.0)):
            with Tagway(both, {**options, "proxy.workers": "1", "proxy.retry.budget": str(percent)}) as tagway:
                load = Numbered(tagway.port, 1000, first=percent * 10000).run()
                assert load.failures() == {502: 1000}
                retries = tagway.metric("tagway_target_retries_total")
                denied = tagway.metric("tagway_target_retries_denied_total")
                if percent:
                    assert 200 <= retries <= 1000 * most + 2 * (10 + 30 * SLOWNESS)
                    assert retries + denied == 1000
                else:
                    assert (retries, denied) == (1000, 0)


def test_at_most_two_further_tries():
    seen = []

    def script(connection):
        seen.append(connection.read_request().target)
        connection.reset()

    many = [ScriptedOrigin(script) for _ in range(5)]
    try:
        with Tagway("".join(route(origin) for origin in many)) as tagway:
            assert tagway.get("/one").status == 502
            assert len(seen) == 3
    finally:
        for origin in many:
            origin.stop()
