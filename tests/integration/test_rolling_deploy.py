# SPDX-License-Identifier: Apache-2.0
"""A rolling deploy under load, with a real Consul that checks once a second and instances that are real
processes: each of four is replaced and stopped by SIGTERM (it deregisters, answers for another 0.5 s and
ends), then one is killed. No request fails.

TAGWAY_TEST_DEPLOYS=10 makes 10 runs in a row of 10,000 requests at least; else it is one of 3,000."""

import os
import signal
import sys
import tempfile

import pytest

from harness.client import format_request
from harness.consul import Consul
from harness.load import Load
from harness.ports import free_port
from harness.process import SLOWNESS, Process, wait_until
from harness.tagway import ROOT, Tagway

RUNS = int(os.environ.get("TAGWAY_TEST_DEPLOYS", "0"))
REQUESTS = 10000 if RUNS else 3000
RATE = 500 / SLOWNESS

pytestmark = pytest.mark.consul


class Instance:
    def __init__(self, consul, logs):
        self.port = free_port()
        self.dst = f"http://127.0.0.1:{self.port}"
        self.process = Process(
            [sys.executable, os.path.join(ROOT, "tests/tools/sample_service.py"), "--name", "web",
             "--port", str(self.port), "--consul", consul.address, "--tag", "urlprefix-/", "--grace", "0.5"],
            logs, f"web-{self.port}")

    def wait_routed(self, tagway):
        wait_until(lambda: self.dst in tagway.destinations(), 20, "the new instance")


@pytest.mark.parametrize("run", range(RUNS or 1))
def test_no_request_fails(consul_binary, run):
    with tempfile.TemporaryDirectory() as logs, Consul(consul_binary) as consul:
        instances = [Instance(consul, logs) for _ in range(4)]
        try:
            with Tagway(options=consul.options()) as tagway:
                for instance in instances:
                    instance.wait_routed(tagway)
                with Load(tagway.port, [format_request()], connections=8, pause=1 / RATE) as load:
                    wait_until(lambda: load.progress() > 100, 30, "load")
                    for old in instances[:4]:
                        new = Instance(consul, logs)
                        instances.append(new)
                        new.wait_routed(tagway)
                        old.process.signal(signal.SIGTERM)
                        assert old.process.wait(20) == 0
                    killed = instances[-1]
                    at = load.progress()
                    killed.process.kill()
                    wait_until(lambda: killed.dst not in tagway.destinations(), 20, "Consul to notice")
                    noticed_after = load.progress() - at
                    wait_until(lambda: load.progress() >= REQUESTS, 60, "the rest of the load")
                    load.stop()
                print(f"run {run}: {load.summary()}; {noticed_after} between SIGKILL and its notice;"
                      f" {tagway.metric('tagway_target_retries_total'):g} tried elsewhere")
                assert load.failures == []
                assert load.count >= REQUESTS
        finally:
            for instance in instances:
                instance.process.kill()
