#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev readers`: whether nginx, haproxy, Go and Node read what the proxy sends on as the requests that it meant.

Requests of the wire suite are mutated, pass a real worker and go on, byte for byte, to all of them on kept
connections (readers.c). Each tells method, target, Host, field lines (nginx cannot) and body of what it has read. A
request read otherwise, or as more or fewer than one, is printed with its bytes; so is one that is refused for a
reason that READER_REASONS in reader.c does not name."""

import argparse
import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time

_HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(_HERE))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tests/wire")]

import families  # noqa: E402
import mutate  # noqa: E402
from case import Refused  # noqa: E402
from harness.ports import free_port, is_free  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402

SIZE_MAX, LINES_MAX = 4000, 60  # larger rows are about sizes


def _seeds():
    """What is refused as it stands has less to hide than what is not."""
    rows = [case for case in families.ALL if isinstance(case.client, bytes) and not case.script
            and len(case.client) < SIZE_MAX and case.client.count(b"\r\n") < LINES_MAX]
    rows += 2 * [case for case in rows if not isinstance(case.expect, Refused)]
    return [case.client for case in rows]


def _write_seeds(path):
    with open(path, "wb") as file:
        for kind, texts in ((b"s", _seeds()), (b"t", mutate.TOKENS), (b"l", mutate.LINES)):
            for text in texts:
                file.write(kind + struct.pack("<I", len(text)) + text)


def _filled(name, directory, port):
    with open(os.path.join(_HERE, name), encoding="utf-8") as template:
        text = template.read().replace("@dir@", directory).replace("@port@", str(port))
    path = os.path.join(directory, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def _go_program(directory):
    program = os.path.join(directory, "reader-go")
    subprocess.run(["go", "build", "-o", program, "."], cwd=os.path.join(_HERE, "go"), check=True,
                   env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "", "GOTOOLCHAIN": "local"})
    return program


_COMMANDS = {
    "nginx": lambda directory, port: ["/usr/sbin/nginx", "-c", _filled("nginx.conf", directory, port)],
    "haproxy": lambda directory, port: ["/usr/sbin/haproxy", "-q", "-f", _filled("haproxy.cfg", directory, port)],
    "go": lambda directory, port: [_go_program(directory), str(port)],
    "node": lambda directory, port: ["node", os.path.join(_HERE, "reader.js"), str(port)],
}
_NEEDS = {"nginx": "/usr/lib/nginx/modules/ngx_http_echo_module.so", "haproxy": "/usr/sbin/haproxy", "go": "go", "node": "node"}
NAMES = tuple(_COMMANDS)


def installed():
    return [name for name in NAMES if shutil.which(_NEEDS[name]) or os.path.exists(_NEEDS[name])]


def run(program, count, seed, called=None):
    """(what readers.c reports, what it has printed of differences, seconds). called: {name: server}, else all."""
    with contextlib.ExitStack() as stack:
        directory = stack.enter_context(tempfile.TemporaryDirectory(prefix="readers-"))
        seeds = os.path.join(directory, "seeds")
        _write_seeds(seeds)
        addresses = []
        for name, server in (called or {name: name for name in installed()}).items():
            port = free_port()
            process = Process(_COMMANDS[server](directory, port), directory, name)
            stack.callback(process.kill)
            wait_until(lambda port=port: not is_free(port), 20, name)
            addresses.append(f"{name}:{port}")
        began = time.monotonic()
        child = subprocess.run([program, seeds, str(seed), str(count), *addresses], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, check=False)
        took = time.monotonic() - began
        text = child.stderr.decode(errors="replace")
        if child.returncode not in (0, 1) or not child.stdout:
            raise AssertionError(f"{program} ended with {child.returncode}:\n{text}")
        return json.loads(child.stdout), text, took


def main():
    parser = argparse.ArgumentParser(prog="./dev readers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000000, help="streams (%(default)s)")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="tells the whole run (the clock)")
    arguments = parser.parse_args()
    names = installed()
    print(f"{arguments.count} streams for {', '.join(names)}, seed {arguments.seed}", flush=True)
    report, text, took = run(os.environ["READERS"], arguments.count, arguments.seed)
    print(text, end="")
    print(f"{report['streams']} streams, {report['forwarding']} with something to send on, {report['requests']} requests"
          f" in {took:.0f} s: {report['streams'] / took:.0f} streams/s, {report['requests'] / took:.0f} requests/s")
    for name, of_reader in report["readers"].items():
        print(f"{name:<9}{of_reader['same']:>11} the same{of_reader['different']:>6} otherwise")
        for reason, count in of_reader["refused"].items():
            print(f"{count:>20} refused: {reason}")
    missing = [name for name in NAMES if name not in names]
    if missing:
        print(f"not installed: {', '.join(missing)}")
    return 1 if missing or any(of_reader["different"] for of_reader in report["readers"].values()) else 0


if __name__ == "__main__":
    sys.exit(main())
