#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Mixed load with faults for some minutes: soak.py [MINUTES] (2). Origins are killed and come back, routes
come and go, clients drip, leave or do not read. Afterwards nothing may be left: no descriptor, no memory
beyond a few percent, no request that failed without a reason, no counter that does not add up.

`./dev soak 1440` is the soak of a day. What lasts hours is warmed up for one, and may then grow by 1 %."""

import argparse
import os
import random
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.client import Client, format_request  # noqa: E402
from harness.load import Load, Origins  # noqa: E402
from harness.origin import Origin  # noqa: E402
from harness.process import SLOWNESS, wait_until  # noqa: E402
from harness.tagway import Tagway, route  # noqa: E402

ORIGINS = 3
KILL_EVERY = 2.0  # seconds
KILL_SHADOW = 1.5  # seconds around a kill in which a POST may fail
CHURN_EVERY = 0.1
DRIPPING = 40
WARM_UP = 0.25  # of the time
WARM_UP_MOST = 3600  # seconds
RSS_DRIFT = 0.05  # of the resident memory after the warm-up
RSS_DRIFT_LONG = 0.01  # of that after a warm-up of an hour
RSS_FREE = 2048  # KiB that a drift may have in any case


class Faults:
    """The threads that make life hard, until stop()."""

    def __init__(self, tagway, routes, origins):
        self.tagway = tagway
        self.routes = routes
        self.origins = origins  # of one port each
        self.kills = []
        self.churns = self.dripped = self.unread = self.left = 0
        self.errors = []
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._guard, args=(work,), daemon=True)
                         for work in (self._kill, self._churn, self._drip, self._do_not_read, self._leave)]
        for thread in self._threads:
            thread.start()

    def _guard(self, work):
        try:
            work()
        except Exception as error:  # shown by the soak
            self.errors.append(f"{work.__name__}: {error!r}")

    def _pause(self, seconds):
        return self._is_over.wait(seconds)

    def _kill(self):
        turn = 0
        while not self._pause(KILL_EVERY):
            at = turn % ORIGINS
            port = self.origins[at].ports[0]
            self.kills.append(time.monotonic())
            self.origins[at].kill()
            self._pause(KILL_EVERY / 4)
            self.origins[at] = Origins(1, ports=[port])
            self.kills.append(time.monotonic())
            turn += 1

    def _churn(self):
        rng = random.Random(1)
        while not self._pause(CHURN_EVERY):
            self.churns += 1
            more = "".join(f"route add churn{n} churn{n}.example/ http://127.0.0.1:1/\n"
                           for n in rng.sample(range(200), 50))
            self.tagway.set_routes(self.routes + more)

    def _drip(self):
        """Heads of one byte a second, given up by the proxy and begun anew."""
        clients = []
        while not self._pause(0.5):
            while len(clients) < DRIPPING:
                clients.append(socket.create_connection(("127.0.0.1", self.tagway.port), 10))
                self.dripped += 1
            for client in list(clients):
                try:
                    client.send(b"G")
                except OSError:
                    client.close()
                    clients.remove(client)
        for client in clients:
            client.close()

    def _do_not_read(self):
        while not self._pause(0.2):
            with Client(self.tagway.port, receive_buffer=4096) as client:
                client.send(format_request(target="/big"))
                self.unread += 1
                self._pause(0.3)

    def _leave(self):
        """With half a request out, or before the answer is there."""
        while not self._pause(0.1):
            client = Client(self.tagway.port)
            client.send(format_request("POST", "/one", fields=[("Content-Length", "100")]) + b"x" * 50)
            client.reset()
            client = Client(self.tagway.port)
            client.send(format_request(target="/slow"))
            self._pause(0.02)
            client.close()
            self.left += 2

    def stop(self):
        self._is_over.set()
        for thread in self._threads:
            thread.join(20 * SLOWNESS)


def slow_or_big(request):
    if request.target == "/slow":
        time.sleep(0.1)  # an origin that thinks
        return b"slow"
    return b"x" * 1_000_000


def settled(tagway):
    """(RSS in KiB, descriptors) with no client and no pooled connection left."""
    wait_until(lambda: tagway.metric("tagway_open_connections") == 0, 30, "all clients gone")
    counts = []

    def is_steady():
        counts.append(tagway.process.open_files())
        return len(counts) > 20 and len(set(counts[-20:])) == 1

    wait_until(is_steady, 30, "a steady number of descriptors", interval=0.15)
    return tagway.process.rss_kib(), counts[-1]


def unexplained(failures, kills):
    """Failures (time and text) that no kill explains."""
    return [text for text in failures
            if not any(abs(float(text.split()[0]) - kill) < KILL_SHADOW * SLOWNESS for kill in kills)]


def run_load(tagway, routes, origins, seconds):
    gets = Load(tagway.port, [format_request(target="/one"), format_request(target="/two?x=1")], 16, pause=0.0005)
    posts = Load(tagway.port, [format_request("POST", "/one", body=b"x" * 500)], 4, pause=0.001)
    faults = Faults(tagway, routes, origins)
    with gets, posts:
        time.sleep(seconds)  # how long it lasts is what was asked for
        faults.stop()
        gets.stop()
        posts.stop()
    return gets, posts, faults


def balance(tagway):
    """(requests read, requests accounted for): answered, given up by the client, or refused."""
    metrics = tagway.metrics()

    def total(name, code=None):
        return sum(value for key, value in metrics.items()
                   if key.partition("{")[0] == name and (code is None or f'code="{code}"' in key))

    answered = sum(total("tagway_requests_total", f"{digit}xx") for digit in "2345")
    ended = (answered + total("tagway_service_responses_total", "499") + total("tagway_answers_total"))
    return total("tagway_proxy_requests_total"), ended


def soak(seconds):
    """Rows (what, figure, bar, whether it holds)."""
    big = Origin(slow_or_big)
    origins = [Origins(1) for _ in range(ORIGINS)]
    routes = "".join(f"route add web / http://127.0.0.1:{origin.ports[0]}/\n" for origin in origins)
    routes += route(big, "/big", "big") + route(big, "/slow", "big")
    options = {"proxy.idleconntimeout": "1s", "proxy.client.headtimeout": "3s",
               "proxy.client.idletimeout": "2s", "proxy.client.writetimeout": "2s"}
    try:
        with Tagway(routes, options) as tagway:
            warm_up = min(seconds * WARM_UP, WARM_UP_MOST)
            allowed, free = (RSS_DRIFT_LONG, 0) if warm_up == WARM_UP_MOST else (RSS_DRIFT, RSS_FREE)
            run_load(tagway, routes, origins, warm_up)
            rss_before, files_before = settled(tagway)
            gets, posts, faults = run_load(tagway, routes, origins, seconds)
            rss, files = settled(tagway)
            accepted, closed, shed = (tagway.metric(f"tagway_proxy_{name}_total")
                                      for name in ("accepted", "closed", "shed"))
            requests, ended = balance(tagway)
            drift = (rss - rss_before) / rss_before
            late = unexplained(posts.failures, faults.kills)
            print("\n".join((gets.failures + late + faults.errors)[:20]))
            return [
                ("GETs", gets.count, "> 0", gets.count > 0),
                ("GETs failed", len(gets.failures), "0", not gets.failures),
                ("POSTs", posts.count, "> 0", posts.count > 0),
                ("POSTs failed beside a kill", len(posts.failures) - len(late), "-", True),
                ("POSTs failed without one", len(late), "0", not late),
                ("requests/s", round((gets.count + posts.count) / seconds), "-", True),
                ("p99 of GETs, ms", round(gets.percentile_ms(99), 2), "-", True),
                ("kills and returns of origins", len(faults.kills), "> 0", len(faults.kills) > 0),
                ("tables published", faults.churns, "> 0", faults.churns > 0),
                ("dripping, not reading, leaving", f"{faults.dripped}, {faults.unread}, {faults.left}", "-", True),
                ("faults that went wrong", len(faults.errors), "0", not faults.errors),
                ("RSS, KiB", rss, f"{rss_before} + {allowed * 100:g} %",
                 rss - rss_before < max(free, allowed * rss_before)),
                ("RSS drift, %", round(100 * drift, 2), "-", True),
                ("descriptors", files, files_before, files <= files_before),
                ("accepted - closed", accepted - closed, "0", accepted == closed),
                ("shed", shed, "0", shed == 0),
                ("requests read - accounted for", requests - ended, f"0 of {requests:.0f}", requests == ended),
            ]
    finally:
        big.stop()
        for origin in origins:
            origin.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("minutes", nargs="?", type=float, default=2)
    args = parser.parse_args()
    began = time.monotonic()
    rows = soak(args.minutes * 60)
    print(f"\n{'soak of ' + format(args.minutes, 'g') + ' min':<34}{'figure':>18}{'bar':>24}")
    for what, figure, bar, holds in rows:
        print(f"{what:<34}{figure!s:>18}{bar!s:>24}{'' if holds else '  FAILED'}")
    print(f"{time.monotonic() - began:.0f} s in all")
    return 0 if all(row[3] for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
