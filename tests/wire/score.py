#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Runs the tables against tagway, nginx and haproxy side by side and prints who passes how much, by family and
by level. Of tagway every byte is compared, of peers the meaning (judge.py), and what the RFC leaves open to them
counts as passed. `--failed NAME` lists the rows a peer fails, `--both` those both peers fail: a row that nobody
else passes needs a good reason."""

import argparse
import concurrent.futures
import os
import sys
import time

sys.path[:0] = [os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                os.path.dirname(os.path.abspath(__file__))]

import families  # noqa: E402
import judge  # noqa: E402
import peers  # noqa: E402
from arena_tagway import tagway_arena  # noqa: E402
from case import HARDENING, MUST, SHOULD  # noqa: E402


def run(name):
    """{case id: what is wrong with its outcome} of one proxy."""
    is_own = name == "tagway"
    found = {}
    with tagway_arena() if is_own else peers.peer_arena(name) as arena:
        for case in families.ALL:
            if not (is_own or case.is_shared):
                continue
            found[case.id] = judge.faults(case, arena.play(case), is_own)
    return found


def table(results, key, values, title):
    print(f"\n{title:<20}{'rows':>6}" + "".join(f"{name:>18}" for name in results))
    for value in values:
        rows = [case for case in families.ALL if value in (None, key(case))]
        cells = ""
        for found in results.values():
            played = [case for case in rows if case.id in found]
            passed = sum(not found[case.id] for case in played)
            share = f" {100 * passed / len(played):5.1f} %" if played else "      - "
            cells += f"{passed:>6}/{len(played):<4}{share}"
        print(f"{value or 'all':<20}{len(rows):>6}{cells}")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--failed", metavar="NAME")
    parser.add_argument("--both", action="store_true")
    args = parser.parse_args()
    began = time.monotonic()
    names = ["tagway", *filter(peers.is_installed, peers.NAMES)]
    with concurrent.futures.ProcessPoolExecutor(len(names)) as pool:
        results = dict(zip(names, pool.map(run, names)))
    table(results, lambda case: case.family, [*families.NAMES, None], "family")
    table(results, lambda case: case.level, [MUST, SHOULD, HARDENING, None], "level")
    print(f"\n{time.monotonic() - began:.0f} s")
    for case in families.ALL:
        others = [found[case.id] for name, found in results.items() if name != "tagway" and case.id in found]
        if args.failed and results[args.failed].get(case.id):
            print(f"{case.id} ({case.level}, {case.section}): {'; '.join(results[args.failed][case.id])}")
        elif args.both and others and all(others):
            print(f"{case.id} ({case.level}, {case.section}): {' | '.join('; '.join(each) for each in others)}")
    failed = [name for name, found in results["tagway"].items() if found]
    for name in failed:
        print(f"FAILED {name}: {results['tagway'][name]}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
