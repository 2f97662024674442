# SPDX-License-Identifier: Apache-2.0
"""What all tools of this folder measure with: CPU time from /proc, closed-loop load, medians, the machine."""

import glob
import json
import os
import platform
import re
import statistics
import subprocess
import time

FOLDER = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(FOLDER)

# A request head as browsers send it.
HEADERS = {
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64; rv:115.0) Gecko/20100101 Firefox/115.0",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Cookie": "session=0123456789abcdef0123456789abcdef; theme=light",
    "Upgrade-Insecure-Requests": "1",
}

# More than any head of a response here.
MOST_HEAD_BYTES = 1024


def cpus():
    """(that of the load and the origin, that of the proxies); the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def family(pid):
    """The process and all below it."""
    pids = [pid]
    for child_list in glob.glob(f"/proc/{pid}/task/*/children"):
        with open(child_list, encoding="ascii") as file:
            for child in file.read().split():
                pids += family(int(child))
    return pids


def cpu_ns(pid):
    """CPU time of all threads of a process and of those below it, from the scheduler's own account."""
    total = 0
    for path in (path for one in family(pid) for path in glob.glob(f"/proc/{one}/task/*/schedstat")):
        try:
            with open(path, encoding="ascii") as file:
                total += int(file.read().split()[0])
        except (FileNotFoundError, ProcessLookupError):  # a thread that has just ended
            pass
    return total


def closed_loop(port, path="/128", connections=64, seconds=1, upload_bytes=0, hosts=0, cpu=None, headers=None):
    """wrk: requests, bytes, duration_us, errors, p50_us, p99_us; AssertionError when a request failed."""
    argv = ["taskset", "-c", str(cpus()[0] if cpu is None else cpu),
            "wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s",
            "-s", os.path.join(FOLDER, "load.lua")]
    for key, value in {**HEADERS, **(headers or {})}.items():
        argv += ["-H", f"{key}: {value}"]
    argv += [f"http://127.0.0.1:{port}{path}", "--", str(upload_bytes), str(hosts)]
    text = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    found = json.loads(re.search(r"(?m)^JSON (.*)$", text).group(1))
    if found["errors"] or not found["requests"]:
        raise AssertionError(f"errors under load:\n{text}")
    return found


def constant_rate(pace, port, rate, seconds, connections=64, path="/128", cpu=None):
    """bench/pace.c: due, answered, failed, and latencies that count from when each request was due."""
    head = "".join(f"{key}: {value}\r\n" for key, value in {"Host": "localhost", **HEADERS}.items())
    argv = ["taskset", "-c", str(cpus()[0] if cpu is None else cpu), pace, str(port), str(rate), str(seconds),
            str(connections)]
    result = subprocess.run(argv, input=f"GET {path} HTTP/1.1\r\n{head}\r\n", capture_output=True, text=True,
                            check=False)
    if result.returncode:
        raise AssertionError(f"port {port}: {result.stderr}")
    return json.loads(result.stdout)


def check_bytes(found, body_bytes, connections):
    """That each answer was whole: so many bodies have come, and heads of a plausible size."""
    least = found["requests"] * body_bytes
    most = (found["requests"] + connections) * (body_bytes + MOST_HEAD_BYTES)
    if not least < found["bytes"] <= most:
        raise AssertionError(f"{found['bytes']} bytes for {found['requests']} bodies of {body_bytes}")


def medians(samples):
    """{key: median} of dicts with the same keys."""
    return {key: statistics.median(sample[key] for sample in samples) for key in samples[0]}


def ratios(ours, theirs, key="cpu_us"):
    """Median, least and greatest of ours / theirs in rounds that stood next to each other."""
    each = [mine[key] / other[key] for mine, other in zip(ours, theirs)]
    return {"median": statistics.median(each), "least": min(each), "most": max(each)}


def version_of(*argv):
    try:
        result = subprocess.run(argv, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not here"
    return ((result.stdout + result.stderr).splitlines() or ["nothing"])[0]


def _cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return re.search(r"(?m)^model name\s*:\s*(.*)$", file.read()).group(1)


def _commit():
    """The last change of the program, with a + where there are further ones that are not committed."""
    what = ["--", "src", "include", "meson.build"]
    text = version_of("git", "-C", ROOT, "log", "-1", "--format=%h", *what)
    return text + ("+" if version_of("git", "-C", ROOT, "status", "--porcelain", *what) != "nothing" else "")


def machine(**versions):
    """What stands beside each set of figures. versions: name = argv that prints one."""
    return {"cpu": _cpu_model(), "cpus": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "load": round(os.getloadavg()[0], 2),
            "commit": _commit(),
            **{name: version_of(*argv) for name, argv in versions.items()}}


def save(path, tool, about, results):
    """All figures of a tool as JSON, which bench/report.py reads; nothing without a path."""
    if not path:
        return
    os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"tool": tool, "at": time.time(), "machine": about, "results": results}, file, indent=1)
