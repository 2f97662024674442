#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""From a change in a real Consul to the first request that sees it, and the CPU it costs both.

The clock starts just before the change is sent to the agent and stops with the first answer through the
proxy that shows it; requests go one after the other on a kept connection. "bare" is a client that only
reads: one long poll of the catalog, then one read of the service, without a look at either: what Consul
itself takes, also of CPU. The other services are routed too, one instance each, on twenty nodes. fabio runs beside
tagway where it is on PATH, each alone with its Consul."""

import argparse
import http.client
import json
import os
import socket
import statistics
import sys
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness import fabio  # noqa: E402
from harness.client import Client  # noqa: E402
from harness.consul import Consul, find_binary  # noqa: E402
from harness.origin import Origin  # noqa: E402
from harness.process import wait_until  # noqa: E402
from harness.tagway import Tagway  # noqa: E402
from measure import machine, save  # noqa: E402

SIZES = (0, 100, 500, 2000)
LIMITS_MS = {0: 4, 100: 8, 500: 15, 2000: 40}  # median from a change to its route
CPU_SERVICES, CPU_LIMITS_S = 2000, {"proxy": 0.3, "consul": 1.0}  # for twelve adds and twelve removes
NODES = 20
DEPLOYED = 50
GONE = (404, 503)


def cpu_s(pid):
    """CPU time of all threads, from the scheduler's own account."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        except FileNotFoundError:
            pass  # a thread that has just ended
    return total / 1e9


class Writer:
    """Changes, sent on a kept connection; the agent's answer is read when the route has been seen."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._connection.connect()
        self._connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._is_open = False

    def send(self, path, body=None):
        self.finish()
        self._connection.request("PUT", path, None if body is None else json.dumps(body))
        self._is_open = True

    def finish(self):
        if not self._is_open:
            return
        self._is_open = False
        answer = self._connection.getresponse()
        text = answer.read()
        assert answer.status == 200, f"Consul: {answer.status} {text[:200]!r}"


class Site:
    """A Consul with routed services and an origin behind all of them."""

    def __init__(self):
        self.consul = Consul(find_binary())
        self.origin = Origin(name="origin")
        self.writer = Writer(self.consul.port)
        self.others = 0
        for node in range(NODES):
            self.consul.put("/v1/catalog/register", {"Node": f"host{node}", "Address": "127.0.0.1"})

    def grow(self, count):
        """So many services beside the ones that change."""
        numbers = range(self.others, count)
        for first in range(0, len(numbers), 32):
            self.consul.put("/v1/txn", [self._set(kind, number) for number in numbers[first:first + 32]
                                        for kind in ("Service", "Check")])
        self.others = count

    def _set(self, kind, number, status="passing"):
        node, name = f"host{number % NODES}", f"other{number}"
        if kind == "Service":
            return {"Service": {"Verb": "set", "Node": node, "Service": {
                "ID": f"{name}-1", "Service": name, "Address": "127.0.0.1", "Port": self.origin.port,
                "Tags": [f"urlprefix-/{name}", "version-1"]}}}
        return {"Check": {"Verb": "set", "Check": {
            "Node": node, "CheckID": f"{name}-1-check", "Name": "check", "Status": status, "ServiceID": f"{name}-1"}}}

    def add(self, name="probe", path=None):
        self.writer.send("/v1/agent/service/register", {
            "ID": f"{name}-1", "Name": name, "Address": "127.0.0.1", "Port": self.origin.port,
            "Tags": [f"urlprefix-{path or '/' + name}"],
            "Check": {"CheckID": f"{name}-1-check", "TTL": "1h", "Status": "passing"}})

    def remove(self, name="probe"):
        self.writer.send(f"/v1/agent/service/deregister/{name}-1")

    def flip(self, status):
        self.writer.send("/v1/agent/check/update/probe-1-check", {"Status": status})

    def flip_other(self, number, status):
        self.writer.send("/v1/txn", [self._set("Check", number, status)])

    def close(self):
        self.consul.stop()
        self.origin.stop()


class Bare:
    """Reads what any proxy must read, and nothing more."""

    name = "bare"
    pid = None

    def __init__(self, site):
        self._connection = http.client.HTTPConnection("127.0.0.1", site.consul.port, timeout=60)
        self._index = self._read("/v1/catalog/services?stale=")

    def _read(self, path):
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        return answer.getheader("X-Consul-Index")

    def time(self, change):
        began = time.monotonic()
        change()
        self._index = self._read(f"/v1/catalog/services?stale=&index={self._index}&wait=30s")
        self._read("/v1/health/service/probe?stale=")
        return (time.monotonic() - began) * 1000

    def follow(self):
        """Reads at each change from now on, in a thread of its own."""
        threading.Thread(target=self._read_changes, daemon=True).start()

    def _read_changes(self):
        while True:
            try:
                self.time(lambda: None)
            except (OSError, http.client.HTTPException):
                return  # closed

    def close(self):
        self._connection.sock.shutdown(socket.SHUT_RDWR)  # has a reader notice
        self._connection.close()


class Proxy:
    def __init__(self, site, name, binary):
        self.name = name
        options = site.consul.options(log_level="WARN")
        if name == "tagway":
            self._proxy = Tagway(options={**options, "proxy.client.maxrequests": "0"}, binary=binary)
        else:
            self._proxy = fabio.Fabio(options={**options, "log.routes.format": "delta"})
        self.pid = self._proxy.process.pid
        self._client = Client(self._proxy.port)
        if site.others:
            wait_until(lambda: self.status(f"/other{site.others - 1}") == 200, 60, "the first table")

    def status(self, path):
        return self._client.request(target=path).status

    def time(self, change, path, statuses):
        """Milliseconds from the change to the first answer with one of the statuses."""
        began = time.monotonic()
        change()
        while self.status(path) not in statuses:
            assert time.monotonic() - began < 90, f"{self.name}: {path} never answered {statuses}"
        return (time.monotonic() - began) * 1000

    def close(self):
        self._client.close()
        self._proxy.process.stop(20)


def figures(samples):
    ordered = sorted(samples)
    return {"median_ms": statistics.median(ordered), "p90_ms": ordered[int(0.9 * (len(ordered) - 1) + 0.5)],
            "samples_ms": samples}


def measure_changes(site, peer, rounds, pause):
    samples = {}

    def take(what, change, *seen):
        samples.setdefault(what, []).append(peer.time(change, *seen))
        site.writer.finish()
        time.sleep(pause)

    for _ in range(rounds):
        take("add", site.add, *(("/probe", (200,)) if peer.pid else ()))
        take("remove", site.remove, *(("/probe", GONE) if peer.pid else ()))
    if not peer.pid:
        return {what: figures(values) for what, values in samples.items()}

    site.add()
    wait_until(lambda: peer.status("/probe") == 200, 60, "the probe")
    time.sleep(pause)
    for number in range(rounds):
        path = ("/moved", "/probe")[number % 2]
        take("tag change", lambda path=path: site.add(path=path), path, (200,))
    if rounds % 2:
        take("tag change", site.add, "/probe", (200,))
    for _ in range(rounds):
        take("health: critical", lambda: site.flip("critical"), "/probe", GONE)
        take("health: passing", lambda: site.flip("passing"), "/probe", (200,))
    site.remove()
    site.writer.finish()
    # Of services that have been quiet, each time another.
    for number in range(min(rounds, site.others)):
        path = f"/other{number}"
        take("quiet: critical", lambda number=number: site.flip_other(number, "critical"), path, GONE)
        take("quiet: passing", lambda number=number: site.flip_other(number, "passing"), path, (200,))
    return {what: figures(values) for what, values in samples.items()}


def measure_deploy(site, peer):
    """Many services at once: from the first change to the last route, and the changes alone."""
    names = [f"new{number}" for number in range(DEPLOYED)]
    result = {}
    for what, change, statuses in (("add", site.add, (200,)), ("remove", site.remove, GONE)):
        began = time.monotonic()
        for name in names:
            change(name)
        site.writer.finish()
        changed = time.monotonic()
        for name in names:
            wait_until(lambda name=name: peer.status(f"/{name}") in statuses, 120, name, 0.001)
        result[what] = {"changes_ms": (changed - began) * 1000, "all_ms": (time.monotonic() - began) * 1000}
        time.sleep(5)
    return result


def measure_cpu(site, peer, rounds):
    """CPU of adds and removes a second apart, without requests in between but one that sees the change."""
    pids = {"consul": site.consul.process.pid, **({"proxy": peer.pid} if peer.pid else {})}
    time.sleep(3)
    before = {name: cpu_s(pid) for name, pid in pids.items()}
    for _ in range(rounds):
        for change, statuses in ((site.add, (200,)), (site.remove, GONE)):
            change()
            site.writer.finish()
            time.sleep(1)
            if peer.pid:
                wait_until(lambda statuses=statuses: peer.status("/probe") in statuses, 90, "the change", 0.1)
    return {name: (cpu_s(pid) - before[name]) * 12 / rounds for name, pid in pids.items()}


class NoProxy:
    name = "none"
    pid = None

    def close(self):
        pass



def show(results):
    peers = [name for name in ("bare", "tagway", "fabio") if any(row["peer"] == name for row in results["changes"])]
    print(f"\nchange to route, ms: median (p90)\n  {'others':>6}  {'change':<18}"
          + "".join(f"{peer:>19}" for peer in peers) + f"{'to reach':>10}{'fabio / tagway':>16}")
    rows = {}
    for row in results["changes"]:
        for what, values in row["changes"].items():
            rows.setdefault((row["others"], what), {})[row["peer"]] = values
    for (others, what), values in rows.items():
        cells = "".join(f"{values[peer]['median_ms']:>10.1f} ({values[peer]['p90_ms']:>6.1f})" if peer in values
                        else " " * 19 for peer in peers)
        ratio = (f"{values['fabio']['median_ms'] / values['tagway']['median_ms']:>14.1f} x"
                 if "fabio" in values and "tagway" in values else "")
        print(f"  {others:>6}  {what:<18}{cells}{LIMITS_MS.get(others, 0):>10}{ratio}")
    for row in results["changes"]:
        for what, values in row.get("deploy", {}).items():
            print(f"  {row['others']:>6}  {what} {DEPLOYED} at once, {row['peer']}: all after "
                  f"{values['all_ms']:.0f} ms, the changes themselves took {values['changes_ms']:.0f} ms")
    if results["cpu"]:
        print(f"\nCPU for 12 adds and 12 removes beside {CPU_SERVICES} services, seconds; to reach: "
              + ", ".join(f"{name} {limit}" for name, limit in CPU_LIMITS_S.items()))
    for peer, values in results["cpu"].items():
        print(f"  {peer:<8}" + "".join(f"  {name} {value:.2f}" for name, value in sorted(values.items(), reverse=True)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagway", default=os.path.join(ROOT, "build/bench/src/app/tagway"))
    parser.add_argument("--rounds", type=int, default=12, help="changes of each kind")
    parser.add_argument("--pause", type=float, default=1.0, metavar="SECONDS", help="between two changes")
    parser.add_argument("--others", type=int, action="append", metavar="SERVICES", help="only beside so many")
    parser.add_argument("--quick", action="store_true", help="beside 0 and 2000 services, four of each kind")
    parser.add_argument("--no-fabio", action="store_true", help="leave fabio out")
    parser.add_argument("--json", metavar="FILE", help="all figures, also of each change")
    args = parser.parse_args()
    sizes = args.others or (SIZES[::3] if args.quick else SIZES)
    rounds = 4 if args.quick else args.rounds
    peers = ["tagway"] + (["fabio"] if fabio.BINARY and not args.no_fabio else [])

    about = machine(tagway=[args.tagway, "-v"], fabio=["fabio", "-v"])
    results = {"changes": [], "cpu": {}}
    site = Site()
    try:
        about["consul"] = site.consul.get("/v1/agent/self")["Config"]["Version"]
        print("\n".join(f"{key:<8} {value}" for key, value in about.items()))
        for others in sorted(sizes):
            site.grow(others)
            for name in ["bare", *peers]:
                peer = Bare(site) if name == "bare" else Proxy(site, name, args.tagway)
                row = {"peer": name, "others": others, "changes": measure_changes(site, peer, rounds, args.pause)}
                if peer.pid and others == max(sizes):
                    row["deploy"] = measure_deploy(site, peer)
                if others == CPU_SERVICES and peer.pid:
                    results["cpu"][name] = measure_cpu(site, peer, rounds)
                peer.close()
                results["changes"].append(row)
                print(".", end="", flush=True, file=sys.stderr)
            if others == CPU_SERVICES:
                bare = Bare(site)
                bare.follow()
                results["cpu"]["bare"] = measure_cpu(site, bare, rounds)
                bare.close()
                results["cpu"]["none"] = measure_cpu(site, NoProxy(), rounds)
        print(file=sys.stderr)
    finally:
        site.close()
    show(results)
    save(args.json, "consul", about, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
