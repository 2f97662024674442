#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tagway beside nginx, haproxy, caddy, fabio (where there is one) and a relay that parses nothing, in interleaved
rounds: CPU time per request, requests/s, latency, ratios.

Each proxy has one worker, pinned to one CPU; the load generator (wrk) and the origin (nginx) share another.
Keep-alive on both sides, the same forwarding headers, counters and histograms as users run them. Absolute figures
drift with the machine, ratios hold: a ratio is the median of the ratios of rounds that stand next to each other.
After each round it is checked that every request was answered with a whole body and has reached the origin."""

import argparse
import sys

import measure
from peers import VERSIONS, Peer, Site, is_here

# Slower by far, and measured in fewer rounds.
COMPANIONS = ("caddy", "fabio")
ALL = ("tagway", "relay", "nginx", "haproxy", *COMPANIONS)
FIRST_ROUNDS = 2
LEAST_LOG_BYTES = 80  # of a line


class Entry:
    """One row of a table: a proxy, set up in one way, and what it is compared with."""

    def __init__(self, program, label=None, base="tagway", hosts=0, **setup):
        """base: label of the row that is divided by this one's. hosts: see Peer."""
        self.program = program
        self.label = label or program
        self.base = base
        self.hosts = hosts
        self.setup = {"hosts": hosts, **setup}


class Scenario:
    """A load and the proxies it is put on."""

    def __init__(self, title, connections=64, body_bytes=128, upload_bytes=0, is_closing=False, entries=None,
                 targets=1, is_main=False, asks_hosts=False, least_seconds=1):
        """is_main: of the figures that decide, measured in twice as many rounds. asks_hosts: each request names
        another of the hosts that the proxy has. least_seconds: of a round, where connecting takes part of it."""
        self.title = title
        self.connections = connections
        self.body_bytes = body_bytes
        self.upload_bytes = upload_bytes
        self.is_closing = is_closing
        self.entries = entries or [Entry(program) for program in ALL]
        self.targets = targets
        self.is_main = is_main
        self.asks_hosts = asks_hosts
        self.least_seconds = least_seconds

    def load(self, site, entry, peer, seconds):
        """One round: CPU us/request, requests/s, p50 and p99 in ms."""
        path = "/sink" if self.upload_bytes else f"/{self.body_bytes}"
        seen = site.requests_at_origin()
        logged = peer.logged_bytes() if peer.has_access_log else 0
        used = measure.cpu_ns(peer.pid)
        found = measure.closed_loop(
            peer.port, path, self.connections, seconds, self.upload_bytes,
            max(entry.hosts, 1) if self.asks_hosts else 0, site.load_cpu,
            {"Connection": "close"} if self.is_closing else None)
        used = measure.cpu_ns(peer.pid) - used
        seen = site.requests_at_origin() - seen
        measure.check_bytes(found, 5 if self.upload_bytes else self.body_bytes, self.connections)
        if seen < found["requests"]:
            raise AssertionError(f"{entry.label}: {found['requests']} answers, of which the origin gave {seen}")
        if peer.has_access_log:
            logged = peer.logged_bytes() - logged
            if logged < LEAST_LOG_BYTES * found["requests"] / 2:  # the rest may come a second later
                raise AssertionError(f"{entry.label}: {logged} bytes of log for {found['requests']} requests")
        return {"cpu_us": round(used / 1000 / found["requests"], 2),
                "rps": round(found["requests"] / found["duration_us"] * 1e6),
                "p50_ms": found["p50_us"] / 1000, "p99_ms": found["p99_us"] / 1000}


def bulk_entries():
    return [Entry(program) for program in ("tagway", "relay", "relay-copy", "nginx", "haproxy", *COMPANIONS)]


def routes_entries():
    """Each proxy with few and with many routes: the ratio is to itself with one."""
    rows = []
    for program, sizes in (("tagway", (10000, 100000)), ("nginx", (10000, 100000)), ("haproxy", (10000, 100000)),
                           ("fabio", (10000,))):
        one = f"{program}, 1 host"
        rows.append(Entry(program, one, base=one, hosts=1))
        if program == "tagway":
            rows.append(Entry(program, "tagway, 5,000 paths", base=one, hosts=1, paths=5000))
        rows += [Entry(program, f"{program}, {size:,} hosts", base=one, hosts=size) for size in sizes]
    return rows


def targets_entries():
    rows = []
    for program in ("tagway", "nginx", "haproxy"):
        rows += [Entry(program, f"{program}, 1 target", base=f"{program}, 1 target"),
                 Entry(program, f"{program}, 100 targets", base=f"{program}, 1 target", targets=100)]
    return rows


def log_entries():
    rows = [Entry("tagway", "tagway, no log", base="tagway")]
    return rows + [Entry(program, has_access_log=True) for program in ALL if program != "relay"]


SCENARIOS = {
    "small-64": Scenario("128-byte bodies, 64 connections", is_main=True),
    "small-1000": Scenario("128-byte bodies, 1,000 connections", connections=1000, is_main=True, least_seconds=2),
    "small-1": Scenario("128-byte bodies, 1 connection", connections=1),
    "down-16k": Scenario("16 KiB down", body_bytes=16 << 10),
    "down-64k": Scenario("64 KiB down", body_bytes=64 << 10, entries=bulk_entries()),
    "down-1m": Scenario("1 MiB down, 16 connections", connections=16, body_bytes=1 << 20, is_main=True,
                        entries=bulk_entries()),
    "up-16k": Scenario("16 KiB up", upload_bytes=16 << 10),
    "up-64k": Scenario("64 KiB up", upload_bytes=64 << 10, entries=bulk_entries()),
    "up-1m": Scenario("1 MiB up, 16 connections", connections=16, upload_bytes=1 << 20, entries=bulk_entries()),
    # The relay would connect to the origin each time, which the others do not.
    "close": Scenario("connection per request", is_closing=True,
                      entries=[Entry(program) for program in ALL if program != "relay"]),
    "routes": Scenario("many routes", entries=routes_entries(), asks_hosts=True),
    "targets": Scenario("many targets", entries=targets_entries(), targets=100),
    "log": Scenario("access log on", entries=log_entries()),
}


def run_scenario(scenario, rounds, seconds):
    entries = [entry for entry in scenario.entries if is_here(entry.program)]
    samples = {entry.label: [] for entry in entries}
    with Site(targets=scenario.targets) as site:
        peers = {entry.label: site.start(Peer(entry.program, **entry.setup)) for entry in entries}
        for number in range(-1, rounds * (2 if scenario.is_main else 1)):
            for entry in entries:
                if entry.program in COMPANIONS and number >= FIRST_ROUNDS:
                    continue
                sample = scenario.load(site, entry, peers[entry.label], max(seconds, scenario.least_seconds))
                if number >= 0:  # the first fills pools and caches
                    samples[entry.label].append(sample)
            print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    rows = {}
    for entry in entries:
        mine = samples[entry.label]
        rows[entry.label] = {**measure.medians(mine), "base": entry.base, "rounds": mine}
        if entry.base != entry.label and entry.base in samples:
            is_of_itself = entry.base.startswith(f"{entry.program},")
            pair = (mine, samples[entry.base]) if is_of_itself else (samples[entry.base], mine)
            rows[entry.label]["cpu_ratio"] = {**measure.ratios(*pair), "is_of_itself": is_of_itself}
    return {"title": scenario.title, "connections": scenario.connections, "rows": rows}


def show(name, result):
    print(f"\n{result['title']}  ({name})")
    print(f"  {'':<22}{'CPU us/request':>15}{'spread':>15}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}   CPU ratio")
    for label, row in result["rows"].items():
        each = [sample["cpu_us"] for sample in row["rounds"]]
        spread = f"{min(each):.1f}-{max(each):.1f}"
        print(f"  {label:<22}{row['cpu_us']:>15.1f}{spread:>15}{row['rps']:>12.0f}{row['p50_ms']:>9.2f}"
              f"{row['p99_ms']:>9.2f}   {ratio_text(label, row)}")


def ratio_text(label, row):
    ratio = row.get("cpu_ratio")
    if not ratio:
        return ""
    of, to = (label, row["base"]) if ratio["is_of_itself"] else (row["base"], label)
    return f"{ratio['median']:.2f} x ({ratio['least']:.2f}-{ratio['most']:.2f})  {of} / {to}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="only this one; may be repeated")
    parser.add_argument("--rounds", type=int, default=7, help="twice as many in those that decide")
    parser.add_argument("--seconds", type=int, default=1, help="of one round")
    parser.add_argument("--quick", action="store_true", help="small requests only, five rounds")
    parser.add_argument("--json", metavar="FILE", help="all figures, also of each round")
    parser.add_argument("--limit", type=float, metavar="RATIO",
                        help="exit 1 when tagway's CPU is above RATIO times nginx's in any scenario")
    args = parser.parse_args()

    names = args.scenario or (["small-64"] if args.quick else list(SCENARIOS))
    rounds = 3 if args.quick else args.rounds
    about = measure.machine(**VERSIONS)
    print("\n".join(f"{key:<8} {value}" for key, value in about.items()))
    if about["cpus"] < 2:
        print("one CPU only: proxy and load share it, the figures say little")

    results = {}
    for name in names:
        results[name] = run_scenario(SCENARIOS[name], rounds, args.seconds)
        show(name, results[name])
        measure.save(args.json, "run", about, results)
    worst = max((result["rows"]["nginx"]["cpu_ratio"]["median"] for result in results.values()
                 if "cpu_ratio" in result["rows"].get("nginx", {})), default=0)
    if args.limit and worst > args.limit:
        print(f"\nabove the limit: {worst:.2f} x nginx, allowed {args.limit:g}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
