# SPDX-License-Identifier: Apache-2.0
"""Slow clients cost little memory and no plain request. The whole, with thousands and with times, is
`./dev slow`. TAGWAY_SLOW_UPLOADS=1000 takes so many uploads to an origin that sips."""

import os
import signal
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))

from harness.client import format_request
from harness.load import Load
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route
from slow_clients import KINDS, LIMITS, OPTIONS, PlainOrigin, SlowClients, SlowOrigin, hold, measure, settled_rss_kib

COUNT = 400
UPLOADS = int(os.environ.get("TAGWAY_SLOW_UPLOADS", "100"))


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("kind", KINDS)
def test_a_slow_client_costs_little(kind):
    outcome = measure(kind, COUNT, seconds=1, rate=200)
    # On so few some growth of shared pools weighs more: 256 KiB are theirs.
    assert outcome.growth_kib * 1024 <= COUNT * LIMITS[kind] + (256 << 10), f"{outcome.bytes_per_client:.0f} B each"
    assert outcome.lost == 0
    for times in (outcome.without, outcome.during):
        assert times.took_us and times.failed == 0


@pytest.mark.no_sanitizer
def test_uploads_of_200_megabytes_wait_for_an_origin_that_sips():
    outcome = measure("upload", UPLOADS, seconds=3, rate=200, how="sips")
    assert outcome.growth_kib <= UPLOADS * 64, f"{outcome.growth_kib / UPLOADS:.0f} KiB each"
    assert outcome.during.took_us and outcome.during.failed == 0


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
                assert grown_kib <= 100 * 72 + 256, f"{grown_kib / 100:.0f} KiB each"


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
