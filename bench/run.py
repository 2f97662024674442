#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""tagway, nginx and haproxy in interleaved rounds: CPU per request, requests/s, latency, ratios.

Each proxy has one worker, pinned to one CPU; the load generator (wrk) and the origin (nginx) share
another. Keep-alive on both sides, logs off, the same forwarding headers. Absolute figures drift with the
machine, ratios hold: a ratio is the median of the ratios of rounds that stand next to each other."""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests"))

from harness.client import get  # noqa: E402
from harness.ports import free_port  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402

PEERS = ("tagway", "nginx", "haproxy")

# name: (connections, body bytes, seconds per round)
SCENARIOS = {
    "small, 64 connections": (64, 128, 3.0),
    "small, 1000 connections": (1000, 128, 3.0),
    "64 KiB bodies": (64, 65536, 3.0),
    "1 MiB bodies": (16, 1 << 20, 3.0),
}

# A request head as browsers send it.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=light",
    "Upgrade-Insecure-Requests": "1",
}


def nginx_head(scratch, pid):
    return f"""
        daemon off; master_process off; worker_rlimit_nofile 20000; error_log stderr crit;
        pid {scratch}/{pid}.pid;
        events {{ worker_connections 8192; }}
        http {{
            access_log off; keepalive_requests 1000000000; keepalive_timeout 600s;
            client_body_temp_path {scratch}/body; proxy_temp_path {scratch}/proxy;
            fastcgi_temp_path {scratch}/f; uwsgi_temp_path {scratch}/u; scgi_temp_path {scratch}/s;
    """


def origin_config(scratch, port):
    return nginx_head(scratch, "origin") + f"""
            sendfile on; tcp_nopush on;
            server {{ listen 127.0.0.1:{port} backlog=4096; root {scratch}/files;
                      open_file_cache max=10; types {{ }} default_type text/plain; }}
        }}"""


def nginx_config(scratch, port, origin):
    return nginx_head(scratch, "nginx") + f"""
            upstream origin {{ server 127.0.0.1:{origin}; keepalive 1024; keepalive_requests 1000000000; }}
            server {{
                listen 127.0.0.1:{port} backlog=4096;
                location / {{
                    proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
                    proxy_set_header Host $http_host;
                    proxy_set_header X-Real-Ip $remote_addr;
                    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
                    proxy_set_header X-Forwarded-Proto $scheme;
                    proxy_set_header X-Forwarded-Port $server_port;
                    proxy_set_header X-Forwarded-Host $http_host;
                    proxy_set_header Forwarded "for=$remote_addr; proto=$scheme";
                }}
            }}
        }}"""


def haproxy_config(port, origin):
    return f"""
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout client 60s
    timeout server 60s
    timeout connect 5s
    timeout http-keep-alive 60s
    http-reuse always
    option splice-auto
frontend in
    bind 127.0.0.1:{port} backlog 4096
    default_backend out
backend out
    option forwardfor
    http-request set-header X-Real-Ip %[src]
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port %[dst_port]
    http-request set-header X-Forwarded-Host %[req.hdr(host)]
    http-request set-header Forwarded "for=%[src]; proto=http"
    server origin 127.0.0.1:{origin} pool-max-conn 4096
"""


def cpu_ns(pid):
    """CPU time of all threads, from the scheduler's own account."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


class Peers:
    """The origin and the three proxies, running."""

    def __init__(self, tagway, scratch, proxy_cpu, load_cpu):
        self.load_cpu = load_cpu
        os.makedirs(f"{scratch}/files")
        for size in {size for _, size, _ in SCENARIOS.values()}:
            write(f"{scratch}/files/{size}", "x" * size)
        if os.getuid() == 0:
            subprocess.run(["chmod", "-R", "a+rX", scratch], check=True)
        self.processes = {}
        self.ports = {name: free_port() for name in (*PEERS, "origin")}
        origin = self.ports["origin"]

        def start(name, cpu, *argv):
            self.processes[name] = Process(["taskset", "-c", str(cpu), *argv], scratch, name)

        start("origin", load_cpu, "nginx", "-c", write(f"{scratch}/origin.conf", origin_config(scratch, origin)))
        start("nginx", proxy_cpu, "nginx", "-c",
              write(f"{scratch}/nginx.conf", nginx_config(scratch, self.ports["nginx"], origin)))
        start("haproxy", proxy_cpu, "haproxy", "-db", "-q", "-f",
              write(f"{scratch}/haproxy.cfg", haproxy_config(self.ports["haproxy"], origin)))
        start("tagway", proxy_cpu, tagway, "-insecure=true", f"-proxy.addr=127.0.0.1:{self.ports['tagway']}",
              f"-ui.addr=127.0.0.1:{free_port()}", "-proxy.workers=1", "-proxy.client.maxrequests=0",
              "-registry.backend=static", f"-registry.static.routes=route add origin / http://127.0.0.1:{origin}/")
        for name, port in self.ports.items():
            wait_until(lambda name=name, port=port: self._answers(name, port), 15, name)

    def _answers(self, name, port):
        process = self.processes[name]
        if not process.is_running():
            raise AssertionError(f"{name} exited:\n{process.stderr()}")
        try:
            return get(port, "/128").status == 200
        except OSError:
            return False

    def measure(self, name, connections, size, seconds):
        """One round: CPU us/request, requests/s, p50 and p99 in ms."""
        pid = self.processes[name].pid
        argv = ["taskset", "-c", str(self.load_cpu), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency",
                *[part for key, value in HEADERS.items() for part in ("-H", f"{key}: {value}")],
                f"http://127.0.0.1:{self.ports[name]}/{size}"]
        before = cpu_ns(pid)
        text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        used = cpu_ns(pid) - before
        requests = int(re.search(r"(\d+) requests in", text).group(1))
        if re.search(r"Non-2xx|Socket errors", text):
            raise AssertionError(f"{name}: errors under load\n{text}")
        return {"cpu_us": used / 1000 / requests,
                "rps": float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1)),
                "p50_ms": to_ms(re.search(r"(?m)^\s+50%\s+(\S+)", text).group(1)),
                "p99_ms": to_ms(re.search(r"(?m)^\s+99%\s+(\S+)", text).group(1))}

    def stop(self):
        for process in self.processes.values():
            process.kill()


def to_ms(text):
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1, "s": 1000, "m": 60000}[unit]


def run_scenario(peers, name, rounds, factor):
    connections, size, seconds = SCENARIOS[name]
    samples = {peer: [] for peer in PEERS}
    for peer in PEERS:
        peers.measure(peer, connections, size, 1)  # fills pools and caches
    for number in range(rounds):
        for peer in PEERS:
            samples[peer].append(peers.measure(peer, connections, size, seconds * factor))
        print(".", end="", flush=True, file=sys.stderr)
    print(file=sys.stderr)
    result = {"scenario": name, "connections": connections, "body_bytes": size, "rounds": samples, "peers": {}}
    for peer in PEERS:
        figures = {key: statistics.median(sample[key] for sample in samples[peer]) for key in samples[peer][0]}
        ratios = [mine["cpu_us"] / other["cpu_us"] for mine, other in zip(samples["tagway"], samples[peer])]
        figures["cpu_ratio"] = statistics.median(ratios)
        figures["cpu_ratio_spread"] = [min(ratios), max(ratios)]
        result["peers"][peer] = figures
    return result


def show(result):
    print(f"\n{result['scenario']}")
    print(f"  {'':<10}{'CPU us/request':>15}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}   tagway's CPU against it")
    for peer, figures in result["peers"].items():
        low, high = figures["cpu_ratio_spread"]
        ratio = "" if peer == "tagway" else f"{figures['cpu_ratio']:.2f} x   ({low:.2f} to {high:.2f})"
        print(f"  {peer:<10}{figures['cpu_us']:>15.1f}{figures['rps']:>12.0f}{figures['p50_ms']:>9.2f}"
              f"{figures['p99_ms']:>9.2f}   {ratio}")


def version_of(*argv):
    result = subprocess.run(argv, capture_output=True, text=True, check=False)
    return (result.stdout + result.stderr).splitlines()[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tagway", default=os.path.join(ROOT, "build/bench/src/app/tagway"))
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--quick", action="store_true", help="small requests only, five short rounds")
    parser.add_argument("--scenario", action="append", choices=SCENARIOS, help="only this one")
    parser.add_argument("--json", metavar="FILE", help="all figures, also of each round")
    parser.add_argument("--limit", type=float, metavar="RATIO",
                        help="exit 1 when tagway's CPU is above RATIO times nginx's in any scenario")
    args = parser.parse_args()

    cpus = sorted(os.sched_getaffinity(0))
    load_cpu, proxy_cpu = cpus[0], cpus[-1]
    names = args.scenario or list(SCENARIOS)[:1 if args.quick else None]
    rounds, factor = (5, 0.67) if args.quick else (args.rounds, 1.0)
    machine = {"cpus": len(cpus), "kernel": platform.release(), "load": os.getloadavg()[0],
               "tagway": version_of(args.tagway, "-v"), "nginx": version_of("nginx", "-v"),
               "haproxy": version_of("haproxy", "-v"), "wrk": version_of("wrk", "-v")}
    print("\n".join(f"{key:<8} {value}" for key, value in machine.items()))
    if len(cpus) < 2:
        print("one CPU only: proxy and load share it, the figures say little")

    results = []
    with tempfile.TemporaryDirectory(prefix="tagway-bench-") as scratch:
        peers = Peers(args.tagway, scratch, proxy_cpu, load_cpu)
        try:
            for name in names:
                results.append(run_scenario(peers, name, rounds, factor))
                show(results[-1])
        finally:
            peers.stop()
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump({"at": time.time(), "machine": machine, "results": results}, file, indent=2)
    worst = max(result["peers"]["nginx"]["cpu_ratio"] for result in results)
    if args.limit and worst > args.limit:
        print(f"\nabove the limit: {worst:.2f} x nginx, allowed {args.limit:g}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
