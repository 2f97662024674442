#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""System calls and user instructions of a worker for one small request, against bench/budget.json.

Both are counted, not timed: a busy machine does not change them, so a figure above its budget is a
change of the program. Each is the difference between two loads, so that the start and the making of
connections are not in it. The origin is nginx, the load h2load, the head one as browsers send it;
counters, histograms and retries are on as they are for users. `--lower` writes fewer
instructions as the new budget; that of system calls is what cannot be done with less: four, and one
or two for the events."""

import argparse
import contextlib
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from xml.sax.saxutils import quoteattr

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, os.path.join(ROOT, "bench"))

from harness.client import get  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402
from measure import HEADERS, machine, save  # noqa: E402
from peers import VERSIONS, origin_config  # noqa: E402

BUDGET = os.path.join(ROOT, "bench/budget.json")
HOST = "shop.example.com"
# Of the budget: instructions vary a little with how many events come in one turn.
TOLERANCE = {"instructions": 0.01, "syscalls": 0}
REQUESTS = {"instructions": (300, 900), "syscalls": (1000, 5000)}


def one_route(origin):
    return f"route add shop / http://127.0.0.1:{origin}/\n"


def many_routes(origin):
    """5,000 hosts, and 5,000 paths of the host that is asked for."""
    target = f"http://127.0.0.1:{origin}/"
    lines = [f"route add s{i} h{i}.example.com/ {target}" for i in range(5000)]
    lines += [f"route add p{i} {HOST}/path/{i} {target}" for i in range(4999)]
    return "\n".join([*lines, f"route add shop {HOST}/ {target}", ""])


# name: (routes, what is asked for, further options)
VARIANTS = {
    "as it comes": (one_route, "/128", {}),
    "access log on": (one_route, "/128", {"log.access.target": "stdout"}),
    "gzip on, for other types": (one_route, "/128", {"proxy.gzip.contenttype": "^text/html$"}),
    "10,000 routes": (many_routes, "/path/2500", {}),
}
# (what is counted, variant, connections)
FIGURES = [("instructions", name, 32) for name in VARIANTS]
FIGURES += [("syscalls", "as it comes", 32), ("syscalls", "as it comes", 1), ("syscalls", "access log on", 32)]


class NotPermitted(Exception):
    """What counts is missing or may not be used here."""


class World:
    """An origin, and one tagway at a time in front of it."""

    def __init__(self, tagway, scratch):
        self.tagway, self.scratch = tagway, scratch
        self.port, self.path = free_port(), "/128"
        os.makedirs(f"{scratch}/files/path")
        for _, path, _ in VARIANTS.values():
            with open(f"{scratch}/files{path}", "w", encoding="ascii") as file:
                file.write("x" * 128)
        if os.getuid() == 0:
            subprocess.run(["chmod", "-R", "a+rX", scratch], check=True)
        self.origin_port = free_port()
        with open(f"{scratch}/origin.conf", "w", encoding="ascii") as file:
            file.write(origin_config(scratch, f"{scratch}/files", [self.origin_port]))
        self.origin = Process(["nginx", "-c", f"{scratch}/origin.conf"], scratch, "origin")
        wait_until(lambda: answers(self.origin, self.origin_port), 15, "the origin")

    @contextlib.contextmanager
    def serving(self, variant, under=()):
        routes, self.path, options = VARIANTS[variant]
        path = f"{self.scratch}/routes"
        with open(path, "w", encoding="ascii") as file:
            file.write(routes(self.origin_port))
        options = {"insecure": "true", "proxy.addr": f"127.0.0.1:{self.port}", "proxy.workers": "1",
                   "ui.addr": f"127.0.0.1:{free_port()}", "log.level": "ERROR", "registry.backend": "file",
                   "registry.file.path": path, "proxy.client.maxrequests": "0", **options}
        process = Process([*under, self.tagway, *[f"-{key}={value}" for key, value in options.items()]],
                          self.scratch, "tagway")
        try:
            wait_until(lambda: answers(process, self.port), 300, "tagway")
            yield process
        finally:
            process.kill()

    def load(self, connections, requests):
        fields = [part for key, value in HEADERS.items() for part in ("-H", f"{key}: {value}")]
        result = subprocess.run(["h2load", "--h1", "-t1", f"-c{connections}", f"-n{requests}", *fields,
                                 f"--connect-to=127.0.0.1:{self.port}", f"http://{HOST}{self.path}"], capture_output=True, text=True, check=False)
        if f"{requests} 2xx" not in result.stdout:
            raise AssertionError(f"not all requests were answered\n{result.stdout}{result.stderr}")


def answers(process, port):
    if not process.is_running():
        raise AssertionError(f"{process.name} exited:\n{process.stderr()}")
    try:
        return get(port, "/128", host=HOST).status == 200
    except OSError:
        return False


# --- instructions


def dump_instructions(process, pattern):
    """What each thread has executed since the last dump."""
    before = set(glob.glob(pattern))
    result = subprocess.run(["callgrind_control", "--dump", str(process.pid)], capture_output=True, text=True,
                            check=False)
    if result.returncode != 0 or "OK" not in result.stdout:
        raise NotPermitted(f"callgrind_control: {(result.stderr or result.stdout).strip()}")
    totals = {}
    for path in sorted(set(glob.glob(pattern)) - before):
        with open(path, encoding="utf-8", errors="replace") as file:
            total = re.search(r"(?m)^(?:totals|summary): (\d+)", file.read())
        totals[path.rpartition("-")[2]] = int(total.group(1)) if total else 0
    return totals


def count_instructions(world, variant, connections):
    if not shutil.which("valgrind"):
        raise NotPermitted("valgrind is not installed")
    out = f"{world.scratch}/callgrind.{len(os.listdir(world.scratch))}"
    under = ("valgrind", "--tool=callgrind", "--separate-threads=yes", f"--callgrind-out-file={out}")
    few, many = REQUESTS["instructions"]
    with world.serving(variant, under) as process:
        world.load(connections, few)  # fills pools and caches
        dump_instructions(process, f"{out}.*")
        samples = []
        for requests in (few, many):
            world.load(connections, requests)
            samples.append(dump_instructions(process, f"{out}.*"))
    # The worker is the one that did it.
    return max(samples[1].get(thread, 0) - executed for thread, executed in samples[0].items()) / (many - few)


# --- system calls


def busiest_thread(process):
    def cpu_ns(task):
        with open(f"/proc/{process.pid}/task/{task}/schedstat", encoding="ascii") as file:
            return int(file.read().split()[0])

    return max(os.listdir(f"/proc/{process.pid}/task"), key=cpu_ns)


def trace(world, process, task, connections, requests):
    """{system call: number} of the thread during that load."""
    out = f"{world.scratch}/strace"
    strace = Process(["strace", "-c", "-p", task, "-o", out], world.scratch, "strace")

    def is_attached():
        if not strace.is_running():
            raise NotPermitted(f"strace: {strace.stderr().strip()}")
        with open(f"/proc/{process.pid}/task/{task}/status", encoding="ascii") as file:
            return f"TracerPid:\t{strace.pid}\n" in file.read()

    try:
        wait_until(is_attached, 10, "strace attached")
        world.load(connections, requests)
    finally:
        if strace.is_running():
            strace.signal(2)
            strace.wait()
    calls = {}
    with open(out, encoding="ascii") as file:
        for line in file:
            found = re.fullmatch(r"\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)(?:\s+\d+)?\s+(\w+)\s*", line)
            if found and found.group(2) != "total":
                calls[found.group(2)] = int(found.group(1))
    return calls


def count_syscalls(world, variant, connections):
    if not shutil.which("strace"):
        raise NotPermitted("strace is not installed")
    few, many = REQUESTS["syscalls"]
    with world.serving(variant) as process:
        world.load(connections, few)
        task = busiest_thread(process)
        first, second = [trace(world, process, task, connections, requests) for requests in (few, many)]
    per_request = {name: (second[name] - first.get(name, 0)) / (many - few) for name in second}
    shown = ", ".join(f"{name} {value:.2f}" for name, value in sorted(per_request.items(), key=lambda item: -item[1])
                      if value >= 0.005)
    print(f"    {shown}", flush=True)
    return sum(per_request.values())


# --- the gate

COUNT = {"instructions": count_instructions, "syscalls": count_syscalls}


def name_of(what, variant, connections):
    return f"{what}, {variant}, {connections} connection{'s' if connections > 1 else ''}"


class Result:
    def __init__(self, name, what, budget):
        self.name, self.what, self.budget = name, what, budget
        self.limit = None if budget is None else budget * (1 + TOLERANCE[what])
        self.value = self.skipped = None

    def failure(self):
        if self.skipped:
            return None
        if self.budget is None:
            return "no budget in bench/budget.json"
        if self.value > self.limit:
            return f"{self.value:.2f} is above the budget of {self.budget:g}"
        return None


def measure(world, what, variant, connections, budget):
    result = Result(name_of(what, variant, connections), what, budget)
    try:
        result.value = COUNT[what](world, variant, connections)
        # What else the machine does can only add system calls.
        if what == "syscalls" and budget and result.failure():
            result.value = min(result.value, COUNT[what](world, variant, connections))
    except NotPermitted as error:
        result.skipped = str(error)
    shown = f"SKIPPED: {result.skipped}" if result.skipped else f"{result.value:>10.2f}  of {result.budget}"
    print(f"{result.name:<56} {shown}   {result.failure() or ''}", flush=True)
    return result


def write_junit(path, results, stale):
    cases = [(result.name, result.failure(), result.skipped) for result in results]
    cases.append(("budget.json speaks of what is measured", ", ".join(sorted(stale)), None))
    with open(path, "w", encoding="utf-8") as file:
        file.write("<testsuite>")
        for name, failure, skipped in cases:
            child = f"<failure message={quoteattr(failure)}/>" if failure else \
                    f"<skipped message={quoteattr(skipped)}/>" if skipped else ""
            file.write(f"<testcase name={quoteattr(name)}>{child}</testcase>")
        file.write("</testsuite>")


def lower(budget, results):
    for result in results:
        if not result.skipped and result.what == "instructions":
            budget[result.name] = min(round(result.value), budget.get(result.name, 1 << 30))
    with open(BUDGET, "w", encoding="utf-8") as file:
        json.dump(budget, file, indent=2)
        file.write("\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagway", default=os.path.join(ROOT, "build/bench/src/app/tagway"),
                        help="a release build")
    parser.add_argument("--only", metavar="TEXT", default="", help="figures whose name has this in it")
    parser.add_argument("--junit", metavar="FILE")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--lower", action="store_true", help="write lower figures into bench/budget.json")
    args = parser.parse_args()

    with open(BUDGET, encoding="utf-8") as file:
        budget = json.load(file)
    results = []
    with tempfile.TemporaryDirectory(prefix="tagway-exact-") as scratch:
        world = World(args.tagway, scratch)
        try:
            for figure in FIGURES:
                name = name_of(*figure)
                if args.only in name:
                    results.append(measure(world, *figure, budget.get(name)))
        finally:
            world.origin.kill()
    stale = set(budget) - {name_of(*figure) for figure in FIGURES}
    if stale:
        print(f"bench/budget.json: nobody measures {', '.join(sorted(stale))}")
    if args.junit:
        write_junit(args.junit, results, stale)
    save(args.json, "exact", machine(**VERSIONS),
         {result.name: {"value": result.value, "budget": result.budget, "skipped": result.skipped}
          for result in results})
    if args.lower:
        lower(budget, results)
        return 0
    return 1 if stale or any(result.failure() for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
