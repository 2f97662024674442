# SPDX-License-Identifier: Apache-2.0
"""1,000 route changes under load: no request fails, and none goes to a target after its removal was
seen."""

import random
import time

import pytest

from harness.client import format_request
from harness.load import Load, Origins
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway, route

ROUTES = 8
# From the moment the API shows that a target is gone until workers have left the turn they were in
# (100 ms are allowed).
GRACE_S = 0.1 * SLOWNESS


def change_routes(changes, workers, connections):
    with Origins(6) as origins:
        random.seed(1)
        present = set(origins.ports)
        # Times when a port was surely not routed to: (port, from, to).
        absences = []
        gone_since = {}

        def table():
            return "".join(route(port, f"/r{number}", f"svc{number}") for number in range(ROUTES)
                           for port in sorted(present))

        with Tagway(table(), {"proxy.workers": workers, "proxy.strategy": "rr"}) as tagway:
            requests = [format_request(target=f"/r{number}/x") for number in range(ROUTES)]
            requests.append(format_request("POST", "/r0/upload", body=b"x" * 5000))
            with Load(tagway.port, requests, connections) as load:
                wait_until(lambda: load.progress() > 100, 30, "load")
                began = time.monotonic()
                for _ in range(changes):
                    port = random.choice(origins.ports)
                    if port in present and len(present) > 1:
                        present.remove(port)
                        wanted = {f"http://127.0.0.1:{other}" for other in present}
                        tagway.set_routes(table())
                        wait_until(lambda wanted=wanted: tagway.destinations() == wanted, 20, "a removal")
                        gone_since[port] = time.monotonic()
                    elif port not in present:
                        absences.append((port, gone_since.pop(port), time.monotonic()))
                        present.add(port)
                        wanted = {f"http://127.0.0.1:{other}" for other in present}
                        tagway.set_routes(table())
                        wait_until(lambda wanted=wanted: tagway.destinations() == wanted, 20, "an addition")
                    assert load.failed() == 0
                took = time.monotonic() - began
                load.stop()
            absences += [(port, since, time.monotonic()) for port, since in gone_since.items()]
        print(f"{changes} changes in {took:.1f} s; {load.summary()}")
        assert load.failures == []
        assert load.count > changes
        assert len(load.answers) == len(origins.ports), "not every target was used"
        for port, since, until in absences:
            late = [at for at in origins.arrivals(port) if since + GRACE_S < at < until]
            assert not late, f"{len(late)} requests up to {max(late) - since:.3f} s after the removal was seen"
        return absences


def test_1000_changes():
    absences = change_routes(1000, workers=1, connections=16)
    assert len(absences) > 100


@pytest.mark.multi_worker
def test_changes_with_several_workers():
    change_routes(200, workers=4, connections=32)
