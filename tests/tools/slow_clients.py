#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How plain requests fare beside thousands of slow clients, and what such a client costs.

One tagway with one worker, nginx behind it, a constant rate of plain requests before it (bench/pace.c); then in turn
clients that drip heads, are idle, drip bodies, do not read a large answer, send what their origin does not read
(tools/slow/slow.c). In each round the plain requests are measured without the slow clients and with them, and at
the same time others that go to nginx itself: what the machine, the generator and the slow clients' own work do to a
request shows there. Where clients do not read, the kernel asks by ten thousand probes within a second whether they
do now, after pauses that it doubles; it is measured in such a pause. tagway has a CPU of its own; all else shares
another. All run at real-time priority where that is allowed (as root), so that the milliseconds for which the
scheduler lets other programs of the machine go first are not counted. For each kind the medians over the rounds of
p99 without and with and of their ratio, with its least and greatest; the requests that failed, and the growth of RSS
per client. `./dev slow` runs it, in some fifteen minutes.

Times are stretched where the default would end the clients before they are counted; the memory of a client does
not depend on that."""

import argparse
import concurrent.futures
import contextlib
import functools
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from harness.ports import free_port  # noqa: E402
from harness.process import SLOWNESS, Process, wait_until  # noqa: E402
from harness.tagway import BINARY, Tagway, route  # noqa: E402
from measure import constant_rate, cpu_ns, cpus, machine, save  # noqa: E402

OPTIONS = {
    "proxy.client.headtimeout": "10m", "proxy.client.idletimeout": "10m", "proxy.client.bodytimeout": "10m",
    "proxy.client.writetimeout": "10m", "proxy.client.maxage": "0", "proxy.client.minrate": "0", "proxy.upstream.writetimeout": "10m",
    "proxy.client.maxrequests": "0", "proxy.workers": "1",
}
KINDS = ("head", "idle", "body", "answer", "upload")
# What the project promises, bytes of RSS for each client.
LIMITS = {"head": 6 << 10, "idle": 1 << 10, "body": 8 << 10, "answer": 16 << 10, "upload": 64 << 10}
# What the kernel holds of TCP for one of them at most, both ends and the proxy together. It grants all sockets a
# limited amount (tcp_mem), beyond which nothing moves, whoever is measured.
KERNEL_KIB = {"answer": 360, "upload": 1100}
# No slower than this is slow enough to complain of: wire.md has the same floor.
FLOOR_MS = 2.0
CALM = 0.15  # of a CPU: more than dripping costs
QUIET_PROBES_PER_S = 200
CONNECTIONS = 8
PERIOD_S = 10  # in which each dripping client sends a byte, as slowhttptest does


_built = tempfile.TemporaryDirectory()


@functools.cache
def program(source):
    """The program that a source of this repository gives."""
    path = os.path.join(_built.name, os.path.basename(source).removesuffix(".c"))
    subprocess.run(["cc", "-O2", "-D_GNU_SOURCE", "-o", path, os.path.join(ROOT, source)], check=True)
    return path


class _Helper:
    """A program of tools/slow, from its "ready" on. `lost`, when it has ended, is the connections that the peer has
    ended."""

    def __init__(self, *arguments):
        self.child = subprocess.Popen([program("tests/tools/slow/slow.c"), *map(str, arguments)], text=True,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.lost = None
        assert self.child.stdout.readline() == "ready\n", f"slow {arguments}"

    def stop(self):
        if self.lost is None:
            said, _ = self.child.communicate(timeout=60)
            self.lost = int(said.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


class SlowOrigin(_Helper):
    """Accepts everything and never answers uploads, of which it `how`: "reads" all, "sips" 64 KiB a second or
    "holds" all back. To a GET it gives a 200 MB answer as fast as it is taken."""

    def __init__(self, how="reads", port=None):
        self.port = port or free_port()
        super().__init__("origin", self.port, how)


class SlowClients(_Helper):
    """So many connections of a kind; they read nothing."""

    def __init__(self, port, count, kind, period_s=PERIOD_S):
        super().__init__("clients", port, count, kind, period_s * 1000)


class PlainOrigin:
    """nginx, with a small answer for everything."""

    def __init__(self):
        self.port = free_port()
        self._folder = tempfile.TemporaryDirectory()
        folder = self._folder.name
        with open(f"{folder}/conf", "w", encoding="ascii") as conf:
            conf.write(f"""
                daemon off; master_process off; worker_processes 1; error_log stderr crit; pid {folder}/pid;
                events {{ worker_connections 1024; }}
                http {{
                    access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
                    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
                    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
                    server {{ listen 127.0.0.1:{self.port}; location / {{ return 200 "{'x' * 100}"; }} }}
                }}""")
        self._process = Process(["nginx", "-e", "stderr", "-c", f"{folder}/conf"], folder, "nginx")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stop()
        self._folder.cleanup()


class Times:
    """Of plain requests, a round at a time: what pace.c says of those through the proxy, and of others to the origin
    itself at the same time."""

    def __init__(self):
        self.proxied, self.direct = [], []

    def add(self, port, origin_port, rate, seconds):
        pace = program("bench/pace.c")

        def run(to):
            return constant_rate(pace, to, rate, seconds, CONNECTIONS, path="/")

        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            proxied, direct = pool.map(run, (port, origin_port))
        self.proxied.append(proxied)
        self.direct.append(direct)

    @property
    def failed(self):
        return sum(each["due"] - each["answered"] for each in self.proxied)

    @property
    def answered(self):
        return sum(each["answered"] for each in self.proxied)

    def ms(self, key="p99_us", of="proxied"):
        """The median of the rounds."""
        return statistics.median(each[key] for each in getattr(self, of)) / 1000


@contextlib.contextmanager
def on_cpu(cpu):
    """What is started meanwhile stays on that CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def settled_rss_kib(process, tolerance=64):
    """RSS once it has stopped moving."""
    last = [-1]

    def is_still():
        now = process.rss_kib()
        still = abs(now - last[0]) <= tolerance
        last[0] = now
        time.sleep(0.3)
        return still

    wait_until(is_still, timeout=60, what="memory to settle")
    return last[0]


class Outcome:
    def __init__(self, kind, count):
        self.kind, self.count = kind, count
        self.growth_kib = 0
        self.cpu_share = 0.0  # of the proxy beside nothing but the slow clients
        self.lost = 0  # slow clients that were cut
        self.without, self.during = Times(), Times()

    @property
    def bytes_per_client(self):
        return self.growth_kib * 1024 / self.count

    def ratios(self, of="proxied"):
        """p99 with the slow clients to without, round by round."""
        return [beside["p99_us"] / alone["p99_us"]
                for beside, alone in zip(getattr(self.during, of), getattr(self.without, of))]


def cpu_share(seconds, *pids):
    """Of the busiest of these processes."""
    before, began = [cpu_ns(pid) for pid in pids], time.monotonic()
    time.sleep(seconds)  # over which it is measured
    took_ns = (time.monotonic() - began) * 1e9
    return max((cpu_ns(pid) - used) / took_ns for pid, used in zip(pids, before))


def calm_down(*pids):
    """Waits until what fills buffers at first has filled them: gigabytes, where clients do not read."""
    wait_until(lambda: cpu_share(0.3, *pids) < CALM, timeout=60, what="buffers to be full")


def window_probes():
    """How often this machine's kernel has asked a peer that takes nothing whether it does now."""
    with open("/proc/net/netstat", encoding="ascii") as file:
        names, counts = [line.split() for line in file if line.startswith("TcpExt:")]
    return int(counts[names.index("TCPWinProbe")])


def outlast_probes():
    """Waits until the kernel is through with asking thousands of peers at once. It doubles the pause each time, so
    there is as long a quiet then as it has been asking."""
    last = [window_probes()]

    def is_quiet():
        time.sleep(1)
        before, last[0] = last[0], window_probes()
        return last[0] - before < QUIET_PROBES_PER_S

    wait_until(is_quiet, timeout=120, what="the kernel to have asked")


def hold(tagway, count, kind):
    """Waits until all slow clients have arrived and are held."""
    wait_until(lambda: tagway.metric("tagway_open_connections") >= count, timeout=60, what="all clients")
    if kind not in ("head", "idle"):
        wait_until(lambda: tagway.metric("tagway_target_in_flight", service="slow") >= count, timeout=60,
                   what="all requests")


def measure(kind, count, seconds=3, rounds=1, rate=800, how=None, options=None, outlasts_probes=False):
    """Runs one kind; returns its Outcome. `how` the origin takes uploads: "holds" those of kind "upload"."""
    outcome = Outcome(kind, count)
    how = how or ("holds" if kind == "upload" else "reads")
    slow_port = free_port()
    load_cpu, proxy_cpu = cpus()
    with on_cpu(load_cpu), PlainOrigin() as plain:
        routes = route(plain.port, service="plain") + route(slow_port, "/slow", service="slow")
        with on_cpu(proxy_cpu):
            started = Tagway(routes, {**OPTIONS, **(options or {})})
        with started as tagway:
            tagway.wait_route("/")
            Times().add(tagway.port, plain.port, rate, 1)  # pools, first touches
            for number in range(rounds):
                outcome.without.add(tagway.port, plain.port, rate, seconds)
                is_weighed = number == 0
                before_kib = settled_rss_kib(tagway.process) if is_weighed else 0
                with SlowOrigin(how, slow_port) as origin, SlowClients(tagway.port, count, kind) as clients:
                    hold(tagway, count, kind)
                    if how != "sips":  # which never ends
                        calm_down(tagway.process.pid, origin.child.pid, clients.child.pid)
                    if is_weighed:
                        grown = settled_rss_kib(tagway.process) - before_kib
                        outcome.cpu_share = cpu_share(1, tagway.process.pid)
                    if outlasts_probes:
                        outlast_probes()
                    outcome.during.add(tagway.port, plain.port, rate, seconds)
                    if is_weighed:
                        outcome.growth_kib = max(grown, settled_rss_kib(tagway.process) - before_kib)
                    assert tagway.metric("tagway_open_connections") >= count, "some were cut"
                outcome.lost += clients.lost
                wait_until(lambda: tagway.metric("tagway_open_connections") == 0, timeout=60, what="none left")
    return outcome


def kernel_allows(kind):
    """So many clients of a kind, without coming near the pressure that the kernel puts on all when TCP has much."""
    with open("/proc/sys/net/ipv4/tcp_mem", encoding="ascii") as file:
        pressure_kib = int(file.read().split()[1]) * resource.getpagesize() // 1024
    return pressure_kib * 3 // 4 // KERNEL_KIB[kind] if kind in KERNEL_KIB else sys.maxsize


def take_priority():
    """Goes before all other programs of the machine, and what is started from here on too; what to say of it."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(10))
    except PermissionError:
        return "usual priority: other programs of this machine are measured with it"
    return "real-time priority"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--clients", type=int, default=9000)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--rate", type=int, default=1000, help="plain requests a second")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    about, results = machine(tagway=[BINARY, "-v"]), {}
    about["priority"] = take_priority()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # A slow client costs the proxy up to two, and it keeps a reserve.
    count = min(args.clients, (hard - 1024) // 2 - 100)
    if count < args.clients:
        print(f"the limit of open files ({hard}) allows {count} clients", file=sys.stderr)
    print(f"{args.rate} plain requests/s, {args.rounds} x {args.seconds} s without and with the slow clients; ms;"
          f" 'direct' are others to the origin itself; {about['priority']}")
    print(f"{'clients':<14} {'p50':>5} {'with':>5}   {'p99':>6} {'with':>6} {'ratio':>6} {'least, greatest':>16}"
          f"   {'direct':>6} {'with':>6} {'ratio':>6}   {'failed':>6} {'cut':>4} {'CPU':>6} {'RSS each':>9}  limit")
    has_failed = False
    for kind in args.kinds.split(","):
        allowed = min(count, kernel_allows(kind))
        if allowed < count:
            print(f"of {kind} the kernel's memory for TCP (net.ipv4.tcp_mem) allows {allowed}", file=sys.stderr)
        outcome = measure(kind, allowed, args.seconds, args.rounds, args.rate, outlasts_probes=True)
        without, during = outcome.without, outcome.during
        failed = without.failed + during.failed
        p99, p99_with = without.ms(), during.ms()
        ratios, direct = outcome.ratios(), statistics.median(outcome.ratios("direct"))
        ratio = statistics.median(ratios)
        is_good = (failed == 0 and outcome.lost == 0 and outcome.bytes_per_client <= LIMITS[kind]
                   and (p99_with <= FLOOR_MS or ratio <= 1.5 * max(1, direct)))
        has_failed |= not is_good
        print(f"{allowed:>6} {kind:<7} {without.ms('p50_us'):>5.2f} {during.ms('p50_us'):>5.2f}   {p99:>6.2f} {p99_with:>6.2f}"
              f" {ratio:>6.2f} {f'{min(ratios):.2f} to {max(ratios):.2f}':>16}   {without.ms(of='direct'):>6.2f}"
              f" {during.ms(of='direct'):>6.2f} {direct:>6.2f}   {failed:>6} {outcome.lost:>4} {outcome.cpu_share * 100:>5.1f}%"
              f" {outcome.bytes_per_client:>7.0f} B  {LIMITS[kind]:>5} {'' if is_good else 'MISSED'}", flush=True)
        results[kind] = {"clients": allowed, "bytes each": round(outcome.bytes_per_client),
                         "promised, bytes": LIMITS[kind], "p99 of plain requests, ms": round(p99, 2),
                         "beside them, ms": round(p99_with, 2), "ratio": round(ratio, 2),
                         "ratio, least": round(min(ratios), 2), "ratio, greatest": round(max(ratios), 2),
                         "ratio without the proxy": round(direct, 2),
                         "requests": without.answered + during.answered, "failed": failed, "ended": outcome.lost}
    save(args.json, "slow", about, results)
    return has_failed


if __name__ == "__main__":
    sys.exit(main())
