#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Size: what 10,000 services and 100,000 targets cost, and what a lookup costs among that many.

Consul's answers go through the real decoder, feed, table and registry in bench/scale_driver.c, one thread
with clocks (CPU time) around each step; the program itself is measured with 100,000 routes from a file.
Instructions of lookups are counted by callgrind, so that a busy machine does not change them; their ratio
is that of a whole request (its instructions from bench/budget.json), as lookups are what grows."""

import argparse
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import measure

sys.path.insert(0, os.path.join(measure.ROOT, "tests"))

from harness.tagway import BINARY, Tagway  # noqa: E402

SERVICES, INSTANCES, CHANGES = 10_000, 10, 400
LOOKUPS = 2000
# (what, routes, targets of each, whether all are of one host, limit)
TABLES = (("1 route", 1, 1, False, None), ("5,000 paths of one host", 5000, 1, True, 1.03),
          ("10,000 hosts", 10_000, 1, False, 1.03), ("10,000 paths of one host", 10_000, 1, True, 1.03),
          ("100,000 hosts", 100_000, 1, False, 1.05), ("100 targets of one route", 1, 100, False, 1.03),
          ("1,000 targets of one route", 1, 1000, False, 1.03))


def row(measured, unit, limit=None):
    """One line of the result; the ratio is against the figure to reach."""
    return {"measured": round(measured, 3), "unit": unit, "to reach": limit,
            "ratio": round(measured / limit, 2) if limit else None}


def driver(path, *args, under=()):
    result = subprocess.run([*under, path, *map(str, args)], capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def median_of(path, rounds, *args):
    found = [driver(path, *args) for _ in range(rounds)]
    return {key: sorted(each[key] for each in found)[rounds // 2] for key in found[0]}


def modules(path, rounds):
    found = median_of(path, rounds, "build", SERVICES, INSTANCES, CHANGES)
    targets = found["targets"]
    return {
        "modules: resident": row(found["built_kib"] / 1024, "MiB", 64),
        "modules: definitions, each": row((found["filled_kib"] - found["empty_kib"]) * 1024 / targets, "bytes", 400),
        "modules: table, targets and endpoints, each":
            row((found["built_kib"] - found["filled_kib"]) * 1024 / targets, "bytes"),
        "modules: decoding of all answers": row(found["decode_us"] / 1e6, "s"),
        "modules: definitions from them": row(found["defs_us"] / 1000, "ms"),
        "full build": row(found["full_build_us"] / 1000, "ms", 50),
        "full build: the kernel alone, for as much new memory": row(found["memory_us"] / 1000, "ms"),
        "one change: build": row(found["change_build_us"] / 1000, "ms", 1),
        "one change: build, p99": row(found["change_build_p99_us"] / 1000, "ms"),
        "one change: answer decoded to table": row(found["change_us"] / 1000, "ms", 1),
        "modules: resident after 400 changes": row(found["changed_kib"] / 1024, "MiB"),
    }


def lookup_instructions(path, scratch, routes, targets, is_path):
    out = f"{scratch}/lookups.out"
    mode = ["paths"] if is_path else []
    driver(path, "lookup", routes, targets, LOOKUPS, *mode, under=(
        "valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", "--toggle-collect=bench_lookups"))
    with open(out, encoding="utf-8", errors="replace") as file:
        return int(re.search(r"(?m)^(?:totals|summary): (\d+)", file.read()).group(1)) / LOOKUPS


def lookups(path, scratch):
    with open(os.path.join(measure.FOLDER, "budget.json"), encoding="ascii") as file:
        request = json.load(file)["instructions, as it comes, 32 connections"]
    rows, alone = {}, None
    for what, routes, targets, is_path, limit in TABLES:
        mode = ["paths"] if is_path else []
        ns = median_of(path, 3, "lookup", routes, targets, 200_000, *mode)["lookup_ns"]
        rows[f"lookup, {what}"] = row(ns, "ns, asked for in no order")
        if not shutil.which("valgrind"):
            continue
        count = lookup_instructions(path, scratch, routes, targets, is_path)
        rows[f"lookup, {what}: instructions"] = row(count, "")
        alone = count if alone is None else alone
        if limit:
            rows[f"request, {what} / 1 route: instructions"] = row((request + count - alone) / request, "x", limit)
    return rows


def memory_mib(pid, name):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return int(re.search(rf"(?m)^{name}:\s+(\d+)", file.read()).group(1)) / 1024


def timed(tagway, target):
    """Milliseconds to the first and the last byte, and MB, by curl: the tests' own client is slow with so much."""
    text = subprocess.run(["curl", "-sf", "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total} %{size_download}",
                           f"{tagway.admin_url}{target}"], capture_output=True, text=True, check=True).stdout
    first, last, size = map(float, text.split())
    return first * 1000, last * 1000, size / 1e6


def program():
    """100,000 routes, each with a target of its own, from a file."""
    lines = [f"route add service-{i // 10:05d} service-{i // 10:05d}.example.com/{i % 10} "
             f"http://10.{i >> 16}.{i >> 8 & 255}.{i & 255}:8080/\n" for i in range(SERVICES * INSTANCES)]
    with Tagway("".join(lines), {"log.level": "WARN"}) as tagway:
        pid = tagway.process.pid
        rows = {"tagway, 100,000 routes from a file: resident": row(memory_mib(pid, "VmRSS"), "MiB"),
                "the same, without what is mapped from files": row(memory_mib(pid, "RssAnon"), "MiB"),
                "tagway, 100,000 routes from a file: build":
                    row(tagway.metric("tagway_table_build_max_seconds") * 1000, "ms")}
        for target in ("/metrics", "/api/routes", "/api/routes?raw"):
            first, last, megabytes = timed(tagway, target)
            rows[f"GET {target}"] = row(last, f"ms for {megabytes:.1f} MB, the first byte after {first:.0f}")
        rows["tagway: resident after these"] = row(memory_mib(pid, "VmRSS"), "MiB")
        rows["tagway: peak"] = row(memory_mib(pid, "VmHWM"), "MiB")
    return rows


def show(rows):
    print(f"\n{'':<56}{'measured':>12}{'to reach':>10}{'ratio':>8}  unit")
    for what, one in rows.items():
        limit = "" if one["to reach"] is None else f"{one['to reach']:g}"
        ratio = "" if one["ratio"] is None else f"{one['ratio']:.2f}"
        print(f"{what:<56}{one['measured']:>12.3f}{limit:>10}{ratio:>8}  {one['unit']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    build = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(BINARY))))
    path = (glob.glob(os.path.join(build, "bench/scale_driver")) or sys.exit(f"no bench/scale_driver in {build}"))[0]
    about = measure.machine(tagway=[BINARY, "-v"])
    rows = modules(path, args.rounds)
    with tempfile.TemporaryDirectory(prefix="tagway-scale-") as scratch:
        rows.update(lookups(path, scratch))
    rows.update(program())
    show(rows)
    measure.save(args.json, "scale", about, rows)
    above = [what for what, one in rows.items() if one["ratio"] is not None and one["ratio"] > 1]
    if above:
        print(f"\nabove what is to be reached: {'; '.join(above)}")
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
