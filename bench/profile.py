#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Where the CPU time of a proxy goes in a scenario of run.py: samples of user and kernel stacks while the load runs.

Prints the functions that most samples were in, apart for user and kernel, and the system calls that led to the
kernel's part. build/bench/profile/NAME.folded has the stacks as flame graph viewers take them. --callgrind counts
instructions of user code instead, which a busy machine does not disturb; those of the start are among them. --calls counts system calls."""

import argparse
import collections
import contextlib
import os
import re
import subprocess
import sys
import time

import measure
from peers import Peer, Site
from run import SCENARIOS

FOLDER = os.path.join(measure.ROOT, "build/bench/profile")
SHOWN = 25


def load(scenario, site, peer, seconds):
    path = "/sink" if scenario.upload_bytes else f"/{scenario.body_bytes}"
    return measure.closed_loop(peer.port, path, scenario.connections, seconds, scenario.upload_bytes,
                               cpu=site.load_cpu, headers={"Connection": "close"} if scenario.is_closing else None)


def stacks_of(text):
    """Counter of stacks, outermost first, from perf script: a head line, frames, an empty line."""
    stacks = collections.Counter()
    for block in text.split("\n\n"):
        frames = []
        for line in block.splitlines()[1:]:
            found = re.match(r"\s+[0-9a-f]+ (.*) \((.*)\)$", line)
            if found:
                symbol = re.sub(r"\+0x[0-9a-f]+$", "", found.group(1))
                is_kernel = found.group(2) == "[unknown]" or found.group(2).startswith("[kernel") or \
                    found.group(2).endswith(".ko")
                frames.append(symbol + ("_[k]" if is_kernel else ""))
        if frames:
            stacks[tuple(reversed(frames))] += 1
    return stacks


def system_call_of(stack):
    """Name of the system call that the kernel's part of a stack is below."""
    for frame in stack:
        found = re.match(r"(?:__x64_sys_|ksys_|do_(?=readv|writev|splice))(\w+)_\[k\]$", frame)
        if found:
            return found.group(1)
    return "other (interrupts, scheduling)"


def show(title, counts, total, shown=SHOWN):
    print(f"\n{title}")
    for name, count in counts.most_common(shown):
        print(f"  {100 * count / total:>5.1f} %  {name}")


def sample(scenario, program, seconds, name):
    data = os.path.join(FOLDER, f"{name}.perf")
    with Site() as site:
        peer = site.start(Peer(program))
        load(scenario, site, peer, 1)
        # The clock of the CPU: virtual machines count no cycles.
        perf = subprocess.Popen(["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-g", "-o", data,
                                 "-p", str(peer.pid)])
        try:
            time.sleep(0.2)
            load(scenario, site, peer, seconds)
        finally:
            perf.send_signal(2)
            perf.wait()
        script = subprocess.run(["perf", "script", "-i", data, "-F", "comm,tid,ip,sym,dso"], capture_output=True,
                                text=True, check=True).stdout
    stacks = stacks_of(script)
    folded = os.path.join(FOLDER, f"{name}.folded")
    with open(folded, "w", encoding="utf-8") as file:
        file.writelines(f"{';'.join(stack)} {count}\n" for stack, count in stacks.items())
    total = sum(stacks.values())
    leaves, calls = collections.Counter(), collections.Counter()
    for stack, count in stacks.items():
        leaves[stack[-1]] += count
        if stack[-1].endswith("_[k]"):
            calls[system_call_of(stack)] += count
    user = collections.Counter({leaf: count for leaf, count in leaves.items() if not leaf.endswith("_[k]")})
    kernel = leaves - user
    print(f"{total} samples of {program}: user {100 * sum(user.values()) / total:.1f} %, "
          f"kernel {100 * sum(kernel.values()) / total:.1f} %")
    show("user, by function", user, total)
    show("kernel, by system call", calls, total)
    show("kernel, by function", kernel, total)
    print(f"\nfolded stacks: {os.path.relpath(folded)}")


def count_calls(scenario, program, seconds, name):
    """As bench/exact.py does it exactly for tagway; here the making of connections is among them."""
    out = os.path.join(FOLDER, f"{name}.strace")
    with Site() as site:
        peer = site.start(Peer(program))
        load(scenario, site, peer, 1)
        attached = [part for pid in measure.family(peer.pid) for part in ("-p", str(pid))]
        strace = subprocess.Popen(["strace", "-q", "-f", "-c", "-o", out, *attached])
        try:
            time.sleep(0.5)
            found = load(scenario, site, peer, seconds)
        finally:
            strace.send_signal(2)
            strace.wait()
    with open(out, encoding="ascii") as file:
        rows = re.findall(r"(?m)^ *[\d.]+ +[\d.]+ +\d+ +(\d+)(?: +\d+)? +(\w+)$", file.read())
    print(f"{found['requests']} requests of {program}\n\n{'calls per request':>20}")
    for count, call in rows:
        if int(count) / found["requests"] >= 0.005:
            print(f"  {int(count) / found['requests']:>18.2f}  {call}")


def count_instructions(scenario, program, seconds, name):
    out = os.path.join(FOLDER, f"{name}.callgrind")
    with contextlib.suppress(FileNotFoundError):
        os.remove(out)
    with Site() as site:
        peer = site.start(Peer(program), under=["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}"])
        found = load(scenario, site, peer, seconds)
        peer.process.stop(60)
    print(f"{found['requests']} requests", flush=True)
    text = subprocess.run(["callgrind_annotate", out], capture_output=True, text=True, check=True).stdout
    rows = re.findall(r"(?m)^ *([\d,]+) \( *[\d.]+%\)  (?:\S*:)?(\S+)", text)
    print(f"\n{'instructions per request':>26}  function (its own)")
    for count, function in rows[:SHOWN + 10]:
        print(f"  {int(count.replace(',', '')) / found['requests']:>24.0f}  {function}")
    print(f"\ncallgrind_annotate {os.path.relpath(out)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenario", choices=SCENARIOS, default="small-64")
    parser.add_argument("--program", default="tagway", help="tagway, relay, nginx, haproxy ...")
    parser.add_argument("--seconds", type=int, default=5)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--callgrind", action="store_true", help="count instructions instead")
    how.add_argument("--calls", action="store_true", help="count system calls instead")
    args = parser.parse_args()
    os.makedirs(FOLDER, exist_ok=True)
    name = f"{args.program}.{args.scenario}"
    way = count_instructions if args.callgrind else count_calls if args.calls else sample
    way(SCENARIOS[args.scenario], args.program, args.seconds, name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
