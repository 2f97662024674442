#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every measuring tool in turn, each into bench/results/TOOL.json, and docs/performance.md rewritten after each.
Wants a quiet machine for about 35 minutes. --short: the same with so few rounds that the figures say little, to
see that all of it runs; without another --results nothing of docs/ is changed by that."""

import argparse
import os
import subprocess
import sys
import time

import measure

# tool: (arguments, arguments of --short); each is TOOL.py of this folder unless PATHS says where
TOOLS = {
    "exact": ([], ["--only", "as it comes"]),
    "run": (["--rounds", "5"], ["--rounds", "1"]),
    "openloop": (["--rounds", "2"], ["--quick"]),
    "workers": (["--rounds", "3"], ["--rounds", "1", "--connections", "64"]),
    "slow": ([], ["--rounds", "1", "--clients", "500", "--seconds", "1"]),
    "scale": ([], ["--rounds", "1"]),
    "consul": (["--rounds", "3"], ["--quick", "--no-fabio"]),
    "soak": (["--minutes", "2"], ["--minutes", "0.5"]),
}
PATHS = {"slow": "tests/tools/slow_clients.py"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=TOOLS, help="may be repeated")
    parser.add_argument("--short", action="store_true")
    parser.add_argument("--results", metavar="FOLDER", help="instead of bench/results")
    args = parser.parse_args()
    usual = os.path.join(measure.FOLDER, "results")
    folder = args.results or (os.path.join(measure.ROOT, "build/bench/short") if args.short else usual)
    failed = []
    for tool in args.only or TOOLS:
        path = os.path.join(measure.ROOT, PATHS.get(tool, f"bench/{tool}.py"))
        if not os.path.exists(path):
            print(f"\n== {tool}: there is no {path}")
            continue
        began = time.monotonic()
        print(f"\n== {tool}", flush=True)
        argv = [sys.executable, path, *TOOLS[tool][args.short], "--json", os.path.join(folder, f"{tool}.json")]
        # A figure above its limit is an exit status of 1 too, and is shown by the report.
        if subprocess.run(argv, check=False).returncode:
            failed.append(tool)
        print(f"-- {tool}: {time.monotonic() - began:.0f} s", flush=True)
        if folder == usual:
            subprocess.run([sys.executable, os.path.join(measure.FOLDER, "report.py")], check=False)
    if failed:
        print(f"\nfailed, or above a limit: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
