# SPDX-License-Identifier: Apache-2.0
"""1,000 route changes under load: no request fails, and none goes to a target after its removal was
seen.

TAGWAY_TEST_SWAPS=1000000 also makes so many plain requests as fast as they go, beside uploads and websockets, while
17 tables a second are swapped (1,000 in a minute)."""

import os
import random
import re
import subprocess
import tempfile
import time

import pytest

from harness.client import format_request
from harness.load import Load, Origins
from harness.origin import ScriptedOrigin
from harness.ports import free_port
from harness.process import SLOWNESS, Process, wait_until
from harness.tagway import Tagway, route

from test_http_streams import UPGRADE, websocket_echo

SWAPS = int(os.environ.get("TAGWAY_TEST_SWAPS", "0"))
SWAP_EVERY_S = 0.06
ROUTES = 8
# From the moment the API shows that a target is gone until workers have left the turn they were in
# (100 ms are allowed).
GRACE_S = 0.1 * SLOWNESS


class Changes:
    """Takes targets out of all routes and puts them back, one at a time. rest: routes that stay."""

    def __init__(self, origins, rest=""):
        self.origins = origins
        self.rest = rest
        self.count = 0
        self._random = random.Random(1)
        self._present = set(origins.ports)
        # Times when a port was surely not routed to: (port, from, to).
        self._absences = []
        self._gone_since = {}

    def table(self):
        return self.rest + "".join(route(port, f"/r{number}", f"svc{number}") for number in range(ROUTES)
                                   for port in sorted(self._present))

    def make_one(self, tagway):
        """Returns when it is seen; now and then nothing is to be done."""
        port = self._random.choice(self.origins.ports)
        if port not in self._present:
            self._absences.append((port, self._gone_since.pop(port), time.monotonic()))
            self._present.add(port)
        elif len(self._present) > 1:
            self._present.remove(port)
        else:
            return
        wanted = {f"http://127.0.0.1:{other}" for other in self._present}
        wanted |= {line.split()[4].rstrip("/") for line in self.rest.splitlines()}
        tagway.set_routes(self.table())
        wait_until(lambda: tagway.destinations() == wanted, 20, "a change")
        self.count += 1
        if port not in self._present:
            self._gone_since[port] = time.monotonic()

    def check(self):
        """That no request came to a target while it was gone; returns how often one was."""
        absences = self._absences + [(port, since, time.monotonic()) for port, since in self._gone_since.items()]
        for port, since, until in absences:
            late = [at for at in self.origins.arrivals(port) if since + GRACE_S < at < until]
            assert not late, f"{len(late)} requests up to {max(late) - since:.3f} s after the removal was seen"
        return len(absences)


def change_routes(count, workers, connections):
    with Origins(6) as origins:
        changes = Changes(origins)
        with Tagway(changes.table(), {"proxy.workers": workers, "proxy.strategy": "rr"}) as tagway:
            requests = [format_request(target=f"/r{number}/x") for number in range(ROUTES)]
            requests.append(format_request("POST", "/r0/upload", body=b"x" * 5000))
            with Load(tagway.port, requests, connections) as load:
                wait_until(lambda: load.progress() > 100, 30, "load")
                began = time.monotonic()
                for _ in range(count):
                    changes.make_one(tagway)
                    assert load.failed() == 0
                took = time.monotonic() - began
                load.stop()
        print(f"{changes.count} changes in {took:.1f} s; {load.summary()}")
        assert load.failures == []
        assert load.count > count
        assert len(load.answers) == len(origins.ports), "not every target was used"
        return changes.check()


def test_1000_changes():
    assert change_routes(1000, workers=1, connections=16) > 100


@pytest.mark.multi_worker
def test_changes_with_several_workers():
    change_routes(200, workers=4, connections=32)


class FastOrigins:
    """As Origins, by nginx, which notes when each request came."""

    def __init__(self, count, folder):
        self.ports = [free_port() for _ in range(count)]
        self._log = f"{folder}/arrivals"
        self._arrivals = None
        servers = "".join(f"server {{ listen 127.0.0.1:{port}; location / {{ return 200 {port}; }} }}\n" for port in self.ports)
        paths = "".join(f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(f"{folder}/conf", "w", encoding="ascii") as conf:
            conf.write(f"""
                daemon off; master_process off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
                events {{ worker_connections 4096; }}
                http {{
                    log_format arrivals '$server_port $msec'; access_log {self._log} arrivals buffer=1m flush=1s;
                    keepalive_requests 1000000000; keepalive_timeout 600s; {paths}
                    {servers}
                }}""")
        self._process = Process(["nginx", "-e", "stderr", "-c", f"{folder}/conf"], folder, "nginx")

    def arrivals(self, port):
        """After stop()."""
        if self._arrivals is None:
            self._arrivals = {each: [] for each in self.ports}
            since_boot = time.time() - time.monotonic()
            with open(self._log, encoding="ascii") as log:
                for line in log:
                    at_port, at = line.split()
                    self._arrivals[int(at_port)].append(float(at) - since_boot)
        return self._arrivals[port]

    def stop(self):
        self._process.stop()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def h2load(port, count, folder):
    paths = f"{folder}/paths"
    with open(paths, "w", encoding="ascii") as file:
        file.write("".join(f"http://127.0.0.1:{port}/r{number}/x\n" for number in range(ROUTES)))
    return subprocess.Popen(["h2load", "--h1", "-t1", "-c32", f"-n{count}", "-i", paths], stdout=subprocess.PIPE, text=True)


@pytest.mark.no_sanitizer
@pytest.mark.skipif(not SWAPS, reason="TAGWAY_TEST_SWAPS says how many requests")
def test_swaps_at_full_load():
    options = {"proxy.workers": 2, "proxy.strategy": "rr", "proxy.client.maxrequests": "0"}
    with tempfile.TemporaryDirectory() as folder, FastOrigins(6, folder) as origins, ScriptedOrigin(websocket_echo) as echo:
        changes = Changes(origins, rest=route(echo, "/ws", "ws"))
        upload = format_request("POST", "/r0/upload", body=b"x" * 5000)
        with Tagway(changes.table(), options) as tagway, Load(tagway.port, [upload], 4, pause=0.002) as uploads:
            tunnels = [tagway.connect() for _ in range(8)]
            for tunnel in tunnels:
                assert tunnel.request(target="/ws", fields=UPGRADE).status == 101
            began = time.monotonic()
            with h2load(tagway.port, SWAPS, folder) as plain:
                while plain.poll() is None:
                    due = began + changes.count * SWAP_EVERY_S
                    time.sleep(max(0, due - time.monotonic()))  # the rate is what was asked for
                    changes.make_one(tagway)
                    for tunnel in tunnels:
                        tunnel.send(b"still here")
                        assert tunnel.take(10) == b"still here"
                took = time.monotonic() - began
                said = plain.stdout.read()
            uploads.stop()
            for tunnel in tunnels:
                tunnel.close()
        origins.stop()
        succeeded = int(re.search(r"(\d+) succeeded", said).group(1))
        removals = changes.check()
        print(f"{changes.count} swaps in {took:.0f} s, {changes.count * 60 / took:.0f} a minute; {SWAPS} requests,"
              f" {SWAPS - succeeded} failed; uploads: {uploads.summary()}; {len(tunnels)} websockets lived on;"
              f" none of {removals} targets was asked after its removal")
        assert succeeded == SWAPS, said
        assert f"status codes: {SWAPS} 2xx" in said, said
        assert uploads.failures == []
