#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev run`: tagway with two sample services behind it, until Ctrl-C."""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness.ports import free_port, is_free  # noqa: E402
from harness.process import Process, wait_until  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
SERVICES = ("hello", "world")


def say(text):
    print(text, flush=True)


def choose_port(wanted, what):
    if is_free(wanted, "0.0.0.0"):
        return wanted
    port = free_port()
    say(f"port {wanted} ({what}) is taken; using {port}")
    return port


def curl(url):
    result = subprocess.run(["curl", "-sS", "--fail", "--max-time", "2", url], capture_output=True,
                            text=True, check=False)
    return result.stdout if result.returncode == 0 else None


def start_consul(binary, scratch, processes):
    ports = {"http": free_port(), "dns": -1, "grpc": -1, "grpc_tls": -1, "serf_lan": free_port(),
             "serf_wan": free_port(), "server": free_port()}
    argv = [binary, "agent", "-dev", "-bind=127.0.0.1", "-node=sample", "-log-level=warn"]
    argv += [f"-{name.replace('_', '-')}-port={port}" for name, port in ports.items()]
    processes.append(Process(argv, scratch, "consul"))
    address = f"127.0.0.1:{ports['http']}"
    wait_until(lambda: "127" in (curl(f"http://{address}/v1/status/leader") or ""), 30, "Consul")
    return address


def start_all(args, scratch, processes):
    proxy_port = choose_port(9999, "proxy.addr")
    admin_port = choose_port(9998, "ui.addr")

    consul = start_consul(args.consul, scratch, processes) if args.consul else None
    routes = ""
    for name in SERVICES:
        port = free_port()
        argv = [sys.executable, os.path.join(HERE, "sample_service.py"), "--name", name,
                "--port", str(port)]
        if consul:
            argv += ["--consul", consul, "--tag", f"urlprefix-/{name}", "--tag", "urlprefix-/"]
        processes.append(Process(argv, scratch, name))
        for path in (f"/{name}", "/"):
            routes += f"route add {name} {path} http://127.0.0.1:{port}/\n"
        wait_until(lambda port=port: curl(f"http://127.0.0.1:{port}/health"), 10, f"service {name}")
        say(f"service {name}: http://127.0.0.1:{port}/ with tags urlprefix-/{name} and urlprefix-/")

    argv = [args.tagway, f"-proxy.addr=:{proxy_port}", f"-ui.addr=:{admin_port}", "-insecure=true"]
    if consul:
        say(f"Consul: http://{consul}/ui/")
        argv += [f"-registry.consul.addr={consul}"]
    else:
        argv += ["-registry.backend=static", f"-registry.static.routes={routes}"]
    tagway = Process(argv, scratch, "tagway")
    processes.append(tagway)

    url = f"http://127.0.0.1:{proxy_port}/"

    def answer():
        if not tagway.is_running():
            raise AssertionError(f"tagway exited:\n{tagway.stderr()}")
        return curl(url + SERVICES[0]) and curl(url + SERVICES[1]) and curl(url)

    text = wait_until(answer, 20, "an answer through the proxy")
    say(f"\n$ curl {url}\n{text}")
    say(f"proxy    {url}")
    say(f"UI       http://127.0.0.1:{admin_port}/")
    say(f"metrics  http://127.0.0.1:{admin_port}/metrics")
    say("\nCtrl-C stops everything.")
    return tagway


def stop_all(processes):
    """In reverse: the proxy first, then the services, so that they find Consul to deregister from."""
    code = 0
    for process in reversed(processes):
        try:
            if process.stop(15) != 0 and process.name != "consul":
                raise AssertionError(f"{process.name} failed:\n{process.stderr()}")
        except AssertionError as error:
            print(error, file=sys.stderr)
            code = 1
    return code


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tagway", required=True)
    parser.add_argument("--consul", metavar="BINARY")
    args = parser.parse_args()

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    scratch = tempfile.mkdtemp(prefix="tagway-run-")
    processes = []
    code = 0
    try:
        tagway = start_all(args, scratch, processes)
        while tagway.is_running():
            time.sleep(0.2)
        print(f"tagway exited:\n{tagway.stderr()}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        say("\nstopping")
    except AssertionError as error:
        print(error, file=sys.stderr)
        code = 1
    # A second Ctrl-C must not leave anything behind.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    code = stop_all(processes) or code
    shutil.rmtree(scratch)
    if code == 0:
        say("stopped")
    return code


if __name__ == "__main__":
    sys.exit(main())
