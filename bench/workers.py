#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Two workers against one: what a request costs, how evenly they share, and what that means for requests/s.

A worker shares nothing with the others, so with a processor of its own each serves as many requests per second
as the processor's time allows: 1 s / (CPU time per request). On a small machine the load generator and the origin
stand on the same processors, and requests/s as the clock tells it then measure them. So the time on the
processors is what is counted: requests per second of the proxy's CPU time. Twice the workers with a
processor each have twice that time, as far as both are busy: the slower half waits for nobody, but a worker with
less to do leaves its processor idle. Hence

    speed-up = (requests per CPU second with 2 workers) / (the same with 1) x 1 / (share of the busiest worker)

which is 2 when a request costs the same and both have half of the CPU time, and falls by all that several workers
cost each other (caches, the kernel's locks, messages, the control thread, whose time is counted too) and by
imbalance. It is fair to the loss and blind to one thing: memory bandwidth and caches that processors share, which
more load than this machine can make would show. Requests/s by the clock are printed beside it.

Rounds of 1 and 2 workers alternate; ratios are medians over the rounds."""

import argparse
import os
import statistics
import sys

from measure import closed_loop, machine, medians, save
from peers import VERSIONS, Peer, Site


def threads_ns(pid):
    """{thread: CPU time}."""
    found = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            found[task] = int(file.read().split()[0])
    return found


def measure_round(peer, load_cpu, connections, seconds):
    before = threads_ns(peer.pid)
    found = closed_loop(peer.port, connections=connections, seconds=seconds, cpu=load_cpu)
    used = {task: ns - before.get(task, 0) for task, ns in threads_ns(peer.pid).items()}
    workers = sorted(used.values(), reverse=True)[:peer.workers]
    total_ns = sum(used.values())
    return {"cpu_us": total_ns / 1000 / found["requests"], "busiest": max(workers) / sum(workers),
            "rps": found["requests"] / (found["duration_us"] / 1e6)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--connections", type=int, nargs="*", default=[16, 64, 256])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    about = machine(**VERSIONS)
    all_cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
    if about["cpus"] < args.workers:
        print(f"{about['cpus']} CPU only: {args.workers} workers share it, the figures say little", file=sys.stderr)
    results = {}
    print(f"{'connections':>11} {'workers':>8} {'CPU us/request':>15} {'busiest':>8} {'requests/s':>11}   speed-up")
    with Site(proxy_cpu=all_cpus, load_cpu=all_cpus) as site:
        peers = []
        for count in (1, args.workers):
            peer = Peer("tagway", options=[f"-proxy.workers={count}"])
            peer.workers = count
            peers.append(site.start(peer))
        for connections in args.connections:
            samples = {peer.workers: [] for peer in peers}
            for number in range(args.rounds + 1):
                for peer in peers:
                    sample = measure_round(peer, all_cpus, connections, args.seconds if number else 1)
                    if number:  # the first fills pools and caches
                        samples[peer.workers].append(sample)
            speed_ups = [one["cpu_us"] / many["cpu_us"] / many["busiest"]
                         for one, many in zip(samples[1], samples[args.workers])]
            row = {"speed-up": statistics.median(speed_ups)}
            spread = [min(speed_ups), max(speed_ups)]
            for count, of_count in samples.items():
                middle = medians(of_count)
                name = "1 worker" if count == 1 else f"{count} workers"
                row[f"CPU us per request, {name}"] = middle["cpu_us"]
                row[f"requests/s, {name}"] = middle["rps"]
                if count > 1:
                    row["share of the busiest"] = middle["busiest"]
                ratio = "" if count == 1 else f"{row['speed-up']:.2f} x   ({spread[0]:.2f} to {spread[1]:.2f})"
                print(f"{connections:>11} {count:>8} {middle['cpu_us']:>15.1f} {middle['busiest'] * 100:>6.0f} % "
                      f"{middle['rps']:>11.0f}   {ratio}", flush=True)
            results[f"{connections} connections"] = {**row, "spread": spread, "rounds": samples}
    save(args.json, "workers", about, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
