#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Soak: 10,000 service names come, are asked for, and go, under load; then memory is where it was.

A custom backend gives a window of live services that moves on all the time; each name gets a request of its
own while it lives, and wrk keeps one further service busy. A warm-up of the same shape comes first. Memory is read
when the last names that have gone are forgotten in the metrics too, a minute after: until then there are as many as
the machine was fast."""

import argparse
import os
import re
import sys
import tempfile
import threading
import time

import measure
from peers import origin_config

sys.path.insert(0, os.path.join(measure.ROOT, "tests"))

from harness.client import get  # noqa: E402
from harness.custom_backend import CustomBackend  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402
from harness.tagway import BINARY, Tagway  # noqa: E402

NAMES, LIVE, STEP = 10_000, 200, 10
WARM_UP_S = 75
FORGOTTEN_S = 180  # twice the grace of the series of vanished services, and more on a busy machine
LIMIT = 1.05


class World:
    def __init__(self, scratch):
        os.makedirs(f"{scratch}/files")
        with open(f"{scratch}/files/128", "w", encoding="ascii") as file:
            file.write("x" * 128)
        os.chmod(scratch, 0o755)
        self.origin_port = free_port()
        with open(f"{scratch}/origin.conf", "w", encoding="ascii") as file:
            file.write(origin_config(scratch, f"{scratch}/files", [self.origin_port]))
        self.origin = Process(["nginx", "-c", f"{scratch}/origin.conf"], scratch, "origin")
        self.backend = CustomBackend()
        self.next = 0
        self.failed = 0
        self.answered = 0
        self._show()

    def _show(self):
        """Each name has two targets; the one of its own refuses connections, so that the other is tried."""
        routes = [{"cmd": "route add", "service": "busy", "src": "busy/",
                   "dst": f"http://127.0.0.1:{self.origin_port}/"}]
        for number in range(max(0, self.next - LIVE), self.next):
            for host in (f"127.0.0.1:{self.origin_port}", f"127.{number >> 14 & 63}.{number >> 7 & 127}."
                                                          f"{number & 127 | 128}:{self.origin_port}"):
                routes.append({"cmd": "route add", "service": f"service-{number:06d}",
                               "src": f"service-{number:06d}.example.com/", "dst": f"http://{host}/",
                               "weight": 0})
        self.backend.routes = routes

    def _ask(self, port, number):
        try:
            self.failed += get(port, "/128", f"service-{number:06d}.example.com").status != 200
            self.answered += 1
        except OSError:
            self.failed += 1

    def _is_there(self, port, number):
        return get(port, "/128", f"service-{number:06d}.example.com").status != 404

    def churn(self, tagway, names, seconds):
        """So many names come and go, evenly over that time. A slow machine takes longer."""
        start, done = time.monotonic(), 0
        while done < names:
            self.next += STEP
            self._show()
            done += STEP
            newest = self.next - 1
            wait_until(lambda: self._is_there(tagway.port, newest), 30, f"service {newest}")
            for number in range(self.next - STEP, self.next):
                self._ask(tagway.port, number)
            time.sleep(max(0, start + seconds * done / names - time.monotonic()))

    def stop(self):
        self.backend.__exit__()
        self.origin.kill()


def settle(tagway):
    """(RSS in KiB, bytes of the heap) with no name but those that live."""
    def kept():
        return len(set(re.findall(r'service="(service-\d+)"', tagway.admin("/metrics").body.decode())))

    wait_until(lambda: kept() <= LIVE, FORGOTTEN_S, "vanished names to be forgotten", interval=2)
    return tagway.process.rss_kib(), tagway.metric("tagway_heap_bytes")


def soak(names, seconds, warm_up_s=WARM_UP_S):
    """{what: figure}: memory in KiB before and after, and what the load saw."""
    with tempfile.TemporaryDirectory(prefix="tagway-soak-") as scratch:
        world = World(scratch)
        try:
            with Tagway(options={"log.level": "WARN", "proxy.client.maxrequests": "0",
                                 **world.backend.options()}) as tagway:
                rate = names / seconds
                load = {"requests": 0}
                is_over = threading.Event()

                def press():
                    while not is_over.is_set():
                        try:
                            load["requests"] += measure.closed_loop(
                                tagway.port, connections=32, headers={"Host": "busy"})["requests"]
                        except AssertionError:
                            world.failed += 1

                wait_until(lambda: get(tagway.port, "/128", "busy").status == 200, 20, "the busy service")
                thread = threading.Thread(target=press)
                thread.start()
                try:
                    world.churn(tagway, max(LIVE, int(rate * warm_up_s)) // STEP * STEP, warm_up_s)
                    before, heap_before = settle(tagway)
                    world.churn(tagway, names, seconds)
                    after, heap_after = settle(tagway)
                finally:
                    is_over.set()
                    thread.join()
                return {"names that came and went": names, "seconds": seconds,
                        "resident before, KiB": before, "resident after, KiB": after,
                        "resident, after / before": round(after / before, 4),
                        "heap before, KiB": round(heap_before / 1024), "heap after, KiB": round(heap_after / 1024),
                        "heap, after / before": round(heap_after / heap_before, 4),
                        "requests of names": world.answered, "requests beside": load["requests"],
                        "failed": world.failed}
        finally:
            world.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=5)
    parser.add_argument("--names", type=int, help=f"{NAMES} in five minutes")
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    about = measure.machine(tagway=[BINARY, "-v"])
    names = args.names or max(LIVE, int(NAMES * args.minutes / 5) // STEP * STEP)
    found = soak(names, args.minutes * 60)
    for what, value in found.items():
        print(f"{what:<28}{value:>16,}")
    measure.save(args.json, "soak", about, found)
    is_good = found["resident, after / before"] <= LIMIT and found["failed"] == 0
    print(f"to reach: resident <= {LIMIT} x, nothing failed: {'yes' if is_good else 'NO'}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
