# SPDX-License-Identifier: Apache-2.0
"""The network between tagway and Consul loses every packet for a while, both ways and without a word: connections
stand on one side only, and what was said meanwhile was never heard. No route is lost, and what is new is routed soon
after the network's return, although no long poll would have ended by itself for a minute. All cases run side by side."""

import signal
import threading
import time

import pytest

from harness import far_host
from harness.fake_consul import FakeConsul
from harness.origin import Origin
from harness.process import SLOWNESS
from harness.tagway import Tagway

pytestmark = pytest.mark.skipif(not far_host.is_possible(), reason="needs to make network namespaces")

SOON = 3 * SLOWNESS


class Loss:
    """tagway here, Consul on a far host. is_restarted: Consul's side of the connections is gone for good;
    is_suspended: tagway's machine sleeps until shortly before the end, beyond the deadline of its polls."""

    def __init__(self, port, services, seconds, is_restarted=False, is_suspended=False):
        self.port, self.services, self.seconds, self.is_restarted = port, services, seconds, is_restarted
        self.is_suspended = is_suspended
        self.lost = []
        self.error = self.recovered_s = None
        self.heard = 0
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            with far_host.FarHost() as host, FakeConsul(host) as consul:
                for number in range(self.services):
                    consul.set_service(f"s{number}", [(f"s{number}-1", self.port, [f"urlprefix-/s{number}"])])
                wait = "1s" if self.is_suspended else "60s"
                with Tagway(options=consul.options(registry_consul_wait=wait, runtime_gomaxprocs="1")) as tagway:
                    self._play(host, consul, tagway)
        except BaseException as error:  # judged by the test of this case
            self.error = error

    def _play(self, host, consul, tagway):
        paths = [f"/s{number}" for number in range(min(self.services, 4))]
        for path in paths:
            tagway.wait_route(path, timeout=40)
        host.cut()
        began = time.monotonic()
        if self.is_restarted:
            consul.crash()
        consul.set_service("early", [("early-1", self.port, ["urlprefix-/early"])])
        if self.is_suspended:
            tagway.process.signal(signal.SIGSTOP)
        while time.monotonic() - began < self.seconds:
            if not self.is_suspended:
                self._look(tagway, paths)
            time.sleep(0.05)
        tagway.process.signal(signal.SIGCONT)
        consul.services["s0"].append(("s0-2", self.port, ["urlprefix-/more"]))
        consul.set_service("late", [("late-1", self.port, ["urlprefix-/late"])])
        if self.is_restarted:
            consul.listen()
        self.heard = sum(when > began + self.seconds / 2 for when, _ in consul.requests)
        host.mend()
        mended = time.monotonic()
        for path in ("/early", "/late", "/more"):
            tagway.wait_route(path, timeout=90)
        self.recovered_s = time.monotonic() - mended
        self._look(tagway, paths)

    def _look(self, tagway, paths):
        self.lost += [path for path in paths if tagway.get(path).status != 200]


CASES = {
    "a moment": {"services": 3, "seconds": 1},
    "two seconds": {"services": 3, "seconds": 2},
    "three seconds": {"services": 3, "seconds": 3},
    "four seconds": {"services": 3, "seconds": 4},
    "long": {"services": 3, "seconds": 9.5},
    "long, one service": {"services": 1, "seconds": 11},
    "long, many polls": {"services": 55, "seconds": 10},
    "Consul restarts meanwhile": {"services": 3, "seconds": 2, "is_restarted": True},
    "Consul restarts meanwhile, many polls": {"services": 55, "seconds": 1.5, "is_restarted": True},
    "Consul is away for long": {"services": 3, "seconds": 9, "is_restarted": True},
    "both sleep": {"services": 3, "seconds": 12, "is_suspended": True},
    "both sleep, Consul restarts": {"services": 55, "seconds": 12, "is_suspended": True, "is_restarted": True},
}


@pytest.fixture(scope="module")
def losses():
    with Origin() as origin:
        losses = {name: Loss(origin.port, **case) for name, case in CASES.items()}
        for loss in losses.values():
            loss.thread.start()
        for loss in losses.values():
            loss.thread.join()
        yield losses


@pytest.mark.parametrize("name", CASES)
def test_every_packet_is_lost_for(losses, name):
    loss = losses[name]
    if loss.error:
        raise loss.error
    print(f"right again after {loss.recovered_s:.2f} s")
    assert not loss.lost, loss.lost[:5]
    assert loss.heard == 0, "the cable was not cut"
    assert loss.recovered_s < SOON
