# SPDX-License-Identifier: Apache-2.0
"""Slow clients cost little memory and no plain request. The whole, with thousands and with times, is
`./dev slow`. TAGWAY_SLOW_UPLOADS=1000 takes so many uploads to an origin that sips."""

import os
import signal
import socket
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))

from harness.client import chunked, format_request
from harness.load import Load
from harness.origin import ScriptedOrigin
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route
from slow_clients import KINDS, LIMITS, OPTIONS, PlainOrigin, SlowClients, SlowOrigin, hold, measure, settled_rss_kib

COUNT = 400
UPLOADS = int(os.environ.get("TAGWAY_SLOW_UPLOADS", "100"))
HELD_KIB = 76  # what one read brings, 66 KiB, its block, the request, and what is rounded to pages
SHARED_KIB = 256  # the growth of what all share
READERS = int(os.environ.get("TAGWAY_SLOW_READERS", "50"))


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_client_costs_little(kind):
    outcome = measure(kind, COUNT, seconds=1, rate=200)
    assert outcome.growth_kib <= COUNT * LIMITS[kind] / 1024 + SHARED_KIB, f"{outcome.bytes_per_client:.0f} B each"
    assert outcome.lost == 0
    for times in (outcome.without, outcome.during):
        assert times.answered and times.failed == 0


@pytest.mark.no_sanitizer
def test_uploads_of_200_megabytes_wait_for_an_origin_that_sips():
    outcome = measure("upload", UPLOADS, seconds=3, rate=200, how="sips")
    assert outcome.growth_kib <= UPLOADS * HELD_KIB + SHARED_KIB, f"{outcome.growth_kib / UPLOADS:.0f} KiB each"
    assert outcome.during.answered and outcome.during.failed == 0


@pytest.mark.no_sanitizer
def test_uploads_that_come_all_at_once_are_held_once():
    """Before the target is connected most of each is held: what one read brings, for it may have to go elsewhere."""
    with SlowOrigin("holds") as origin, Tagway(route(origin, "/slow", service="slow"), OPTIONS) as tagway:
        with SlowClients(tagway.port, 8, "upload"):
            hold(tagway, 8, "upload")
            before_kib = settled_rss_kib(tagway.process)
            os.kill(tagway.process.pid, signal.SIGSTOP)
            with SlowClients(tagway.port, 100, "upload"):
                time.sleep(1)  # their buffers fill
                os.kill(tagway.process.pid, signal.SIGCONT)
                hold(tagway, 108, "upload")
                grown_kib = settled_rss_kib(tagway.process) - before_kib
                assert grown_kib <= 100 * HELD_KIB + SHARED_KIB, f"{grown_kib / 100:.0f} KiB each"


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_slow_readers_of_a_megabyte_cost_less_than_64_kib_each(framing):
    """They read all the time, little at once. What passes unseen waits nowhere else either: there is one pipe."""
    body = os.urandom(1 << 20)
    if framing == "length":
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    else:
        answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(body[:1 << 19], body[1 << 19:])

    def script(connection):
        connection.read_request()
        connection.send(answer)

    with ScriptedOrigin(script, backlog=4096) as origin, Tagway(route(origin), OPTIONS) as tagway:
        before, files = settled_rss_kib(tagway.process), tagway.process.open_files()
        clients = [tagway.connect(receive_buffer=16384).sock for _ in range(READERS)]
        for client in clients:
            client.sendall(format_request())
        wait_until(lambda: tagway.metric("tagway_target_in_flight") == READERS, 30, "all requests")
        most = 0
        for _ in range(len(body) // 8192):
            for client in clients:
                client.recv(8192, socket.MSG_WAITALL)
            most = max(most, tagway.process.rss_kib())
        assert tagway.process.open_files() <= files + 2 * READERS
        for client in clients:
            assert client.recv(8192, socket.MSG_WAITALL)  # the head's worth is left
            client.close()
        print(f"{(most - before) / READERS:.1f} KiB each")
        assert most - before < 64 * READERS + SHARED_KIB


@pytest.mark.measured
@pytest.mark.parametrize("kind", KINDS)
def test_health_and_metrics_answer_beside_slow_clients(kind):
    count = 100
    with PlainOrigin() as plain, SlowOrigin("holds" if kind == "upload" else "reads") as slow:
        routes = route(plain.port) + route(slow, "/slow", service="slow")
        with Tagway(routes, OPTIONS) as tagway:
            tagway.wait_route("/")
            with SlowClients(tagway.port, count, kind), Load(tagway.port, [format_request()]):
                wait_until(lambda: tagway.metric("tagway_open_connections") >= count, what="all clients")
                for target in ("/health", "/metrics") * 5:
                    began = time.monotonic()
                    assert tagway.admin(target).status == 200
                    assert time.monotonic() - began < 2 * SLOWNESS
