#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Latency at a constant rate: 30, 60 and 80 % of what the slowest of the proxies manages on this machine, which is
measured first; then at 60 % while routes change.

Requests fall due whether or not earlier ones are answered, and latency counts from then (bench/pace.c), so that a
stall is charged to all whom it delays. The origin alone at the same rates is what machine and generator
cost. All have one worker on one CPU; generator and origin share another. tagway takes 20 changes of its routes a
second, each of another of 1,000 hosts; nginx and haproxy, which know no other way, reload once a second."""

import argparse
import os
import signal
import statistics
import sys
import threading

import measure
from peers import PACE, VERSIONS, Peer, Site

sys.path.insert(0, os.path.join(measure.ROOT, "tests"))

from harness.client import get  # noqa: E402

PROXIES = ("tagway", "nginx", "haproxy")
PERCENTS = (30, 60, 80)
CHANGES_PERCENT = 60
CHANGES_PER_S = 20
HOSTS = 1000
CONNECTIONS = 64


def capacity(site, peers, rounds):
    """Requests/s of each under closed load; the origin is at its limit too, or the generator is."""
    samples = {name: [] for name in PROXIES}
    for _ in range(rounds):
        for name in PROXIES:
            found = measure.closed_loop(peers[name].port, connections=CONNECTIONS, cpu=site.load_cpu)
            samples[name].append(found["requests"] / found["duration_us"] * 1e6)
    return {name: statistics.median(each) for name, each in samples.items()}


class Changes:
    """Changes something regularly in a thread while a load runs."""

    def __init__(self, per_s, change):
        self.count = 0
        self._period_s = 1 / per_s
        self._change = change
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        while not self._end.wait(self._period_s):
            self._change(self.count)
            self.count += 1

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()


def write_routes(peer, site, changed):
    """The route that takes the load, those of 1,000 hosts, and one that has the number of the change."""
    target = f"http://127.0.0.1:{site.origin_ports[0]}/"
    lines = [f"route add all / {target}", f"route add changed changed{changed}.example.com/ {target}"]
    lines += [f"route add s{number} h{number}.example.com/ {target}" for number in range(HOSTS)
              if number != changed % HOSTS]
    path = f"{peer.folder}/routes"
    with open(f"{path}.new", "w", encoding="ascii") as file:
        file.write("\n".join(lines) + "\n")
    os.replace(f"{path}.new", path)


def change_routes(site, peer):
    return Changes(CHANGES_PER_S, lambda number: write_routes(peer, site, number))


def reload(number):
    """Once a second by a signal to the master process."""
    return lambda site, peer: Changes(1, lambda _: os.kill(peer.pid, number))


# name of the row: (proxy, what changes); None for the same at rest
CHANGING = {
    "tagway, at rest": ("tagway", None),
    "tagway, 20 changes/s": ("tagway", change_routes),
    "nginx, 1 reload/s": ("nginx", reload(signal.SIGHUP)),
    "haproxy, 1 reload/s": ("haproxy", reload(signal.SIGUSR2)),
}


def pace(site, port, rate, seconds):
    return measure.constant_rate(PACE, port, round(rate), seconds, CONNECTIONS, cpu=site.load_cpu)


def summary(samples):
    """Medians of the quantiles; of what must not happen, the sum."""
    figures = measure.medians(samples)
    figures["failed"] = sum(sample["due"] - sample["answered"] for sample in samples)
    figures["rounds"] = samples
    return figures


def steady(site, peers, rates, rounds, seconds):
    ports = {"origin alone": site.origin_ports[0], **{name: peers[name].port for name in PROXIES}}
    rows = {}
    for percent, rate in rates.items():
        samples = {name: [] for name in ports}
        for _ in range(rounds):
            for name, port in ports.items():
                samples[name].append(pace(site, port, rate, seconds))
        rows[percent] = {name: summary(each) for name, each in samples.items()}
        show(f"{percent} %: {rate:.0f} requests/s", rows[percent])
    return rows


def changing(site, rate, rounds, seconds):
    samples = {name: [] for name in CHANGING}
    peers = {}
    for program in PROXIES:
        peers[program] = site.start(Peer(program, is_reloaded=True))
    write_routes(peers["tagway"], site, 0)
    changes = 0
    for _ in range(rounds):
        for name, (program, start) in CHANGING.items():
            peer = peers[program]
            if not start:
                samples[name].append(pace(site, peer.port, rate, seconds))
                continue
            with start(site, peer) as running:
                samples[name].append(pace(site, peer.port, rate, seconds))
            if program == "tagway":
                changes += running.count
                check_routed(peer, running.count - 1)
    rows = {name: summary(each) for name, each in samples.items()}
    show(f"{CHANGES_PERCENT} % while routes change ({changes} changes in {rounds} rounds of {seconds} s)", rows)
    return {"rows": rows, "changes": changes}


def check_routed(peer, changed):
    """That the changes have come into effect, and not only been written."""
    for _ in range(200):
        if get(peer.port, "/128", f"changed{changed}.example.com").status == 200 and \
                f"changed{changed}.example.com/" in get(peer.admin_port, "/api/routes?raw").body.decode():
            return
        threading.Event().wait(0.05)
    raise AssertionError(f"change {changed} has not come into effect")


def show(title, rows):
    print(f"\n{title}")
    print(f"  {'':<22}{'p50 ms':>9}{'p99 ms':>9}{'p99.9 ms':>10}{'worst ms':>10}{'failed':>8}{'sent late ms':>14}")
    for name, row in rows.items():
        print(f"  {name:<22}{row['p50_us'] / 1000:>9.2f}{row['p99_us'] / 1000:>9.2f}{row['p999_us'] / 1000:>10.2f}"
              f"{row['max_us'] / 1000:>10.2f}{row['failed']:>8}{row['sent_late_us'] / 1000:>14.2f}")
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="of one round")
    parser.add_argument("--quick", action="store_true", help="one round of 2 s each")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    rounds, seconds = (1, 2) if args.quick else (args.rounds, args.seconds)

    about = measure.machine(**VERSIONS)
    print("\n".join(f"{key:<8} {value}" for key, value in about.items()))
    with Site() as site:
        peers = {name: site.start(Peer(name)) for name in PROXIES}
        most = capacity(site, peers, rounds)
        print("\ncapacity, requests/s: " + ", ".join(f"{name} {value:.0f}" for name, value in most.items()), flush=True)
        rates = {percent: min(most.values()) * percent / 100 for percent in PERCENTS}
        results = {"capacity": most, "rates": rates, "steady": steady(site, peers, rates, rounds, seconds)}
        results["changing"] = changing(site, rates[CHANGES_PERCENT], rounds, seconds)
    measure.save(args.json, "openloop", about, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
