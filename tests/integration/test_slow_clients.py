# SPDX-License-Identifier: Apache-2.0
"""Slow clients cost little memory and no plain request. The whole, with thousands and with times, is
`./dev slow`."""

import os
import sys
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "tools"))

from harness.client import format_request
from harness.load import Load, Origins
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route
from slow_clients import KINDS, LIMITS, OPTIONS, SlowClients, SlowOrigin, measure

COUNT = 400


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("kind", LIMITS)
def test_a_slow_client_costs_little(kind):
    outcome = measure(kind, COUNT, seconds=0.5)
    # On so few some growth of shared pools weighs more: 256 KiB are theirs.
    assert outcome.growth_kib * 1024 <= COUNT * LIMITS[kind] + (256 << 10), f"{outcome.bytes_per_client:.0f} B each"
    for load in (outcome.before, outcome.during):
        assert load.count > 0 and not load.failures, load.failures[:3]


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("kind", ["answer", "upload"])
def test_200_megabytes_that_nobody_reads_stay_where_they_are(kind):
    outcome = measure(kind, 100, seconds=0.5)
    # Of an upload both what waits to be sent and the copy for another try, 64 KiB each at most.
    assert outcome.growth_kib <= 100 * (128 if kind == "upload" else 64)
    assert not outcome.during.failures


@pytest.mark.parametrize("kind", KINDS)
def test_health_and_metrics_answer_beside_slow_clients(kind):
    count = 100
    with Origins(1) as plain, SlowOrigin(reads=kind != "upload") as slow:
        with Tagway(route(plain.ports[0]) + route(slow, "/slow", service="slow"), OPTIONS) as tagway:
            with SlowClients(tagway.port, count, **KINDS[kind]), Load(tagway.port, [format_request()]):
                wait_until(lambda: tagway.metric("tagway_open_connections") >= count, what="all clients")
                for target in ("/health", "/metrics") * 5:
                    began = time.monotonic()
                    assert tagway.admin(target).status == 200
                    assert time.monotonic() - began < 2 * SLOWNESS
