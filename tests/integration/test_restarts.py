# SPDX-License-Identifier: Apache-2.0
"""Targets are restarted under load. In good order (the new one is routed first, the old one goes on until it has
no request): nothing fails, POST included. By SIGKILL: no GET is lost.

TAGWAY_TEST_RESTARTS=100 makes 100 of each; else it is 4."""

import os
import time

import pytest

from harness.client import format_request
from harness.load import Load, Origins
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

RESTARTS = int(os.environ.get("TAGWAY_TEST_RESTARTS", "4"))
GETS_AND_POSTS = [format_request(), format_request("POST", body=b"x" * 100)]


def routes_to(origins):
    return "".join(route(origin.ports[0]) for origin in origins)


def destinations(origins):
    return {f"http://127.0.0.1:{origin.ports[0]}" for origin in origins}


@pytest.mark.multi_worker
def test_rolling_restarts_fail_nothing():
    origins = [Origins(1) for _ in range(3)]
    try:
        with Tagway(routes_to(origins), {"proxy.workers": "2"}) as tagway:
            with Load(tagway.port, GETS_AND_POSTS, connections=8, pause=0.001) as load:
                for _ in range(RESTARTS):
                    origins.append(Origins(1))
                    tagway.set_routes(routes_to(origins), until=lambda _: tagway.destinations() == destinations(origins))
                    wait_until(lambda: origins[-1].arrivals(origins[-1].ports[0]), what="requests at the new one")
                    old = origins.pop(0)
                    tagway.set_routes(routes_to(origins), until=lambda _: tagway.destinations() == destinations(origins))
                    # Drained: nothing has come for a while.
                    wait_until(lambda: time.monotonic() - old.arrivals(old.ports[0])[-1] > 0.1, what="the old one to drain")
                    old.kill()
                before = load.progress()
                wait_until(lambda: load.progress() > before + 100, what="some more requests")
                load.stop()
            print(f"{RESTARTS} restarts: {load.summary()}")
            assert load.failures == []
    finally:
        for origin in origins:
            origin.kill()


@pytest.mark.multi_worker
def test_killed_targets_cost_no_get():
    options = {"proxy.workers": "2", "proxy.eject.time": "200ms", "proxy.eject.maxtime": "400ms"}
    origins = [Origins(1) for _ in range(3)]
    try:
        with Tagway(routes_to(origins), options) as tagway:
            with Load(tagway.port, [format_request()], connections=8, pause=0.001) as load:
                for number in range(RESTARTS):
                    wait_until(lambda: all(origin.arrivals(origin.ports[0]) for origin in origins), 20 * SLOWNESS,
                               "requests at all")
                    at = number % len(origins)
                    port = origins[at].ports[0]
                    origins[at].kill()
                    before = load.progress()
                    wait_until(lambda: load.progress() > before + 100, what="requests without it")
                    origins[at] = Origins(1, ports=[port])
                load.stop()
            print(f"{RESTARTS} kills: {load.summary()}; {tagway.metric('tagway_target_retries_total'):g} tried elsewhere")
            assert load.failures == []
            assert tagway.metric("tagway_target_retries_total") + tagway.metric("tagway_proxy_replays_total") > 0
    finally:
        for origin in origins:
            origin.kill()
