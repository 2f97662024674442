#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev volumes`: what `./dev test` does a little of, in the amounts that the project promises; a line for each item
with its figures. Hours: --only NAME (may be repeated) takes some, --list names them. Output is kept in
build/results/volumes."""

import argparse
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(ROOT, "build/results/volumes")
PLAIN = os.path.join(ROOT, "build/plain")
DEV = os.path.join(ROOT, "dev")


def said(pattern):
    """What the output says in lines with that; the last of many."""
    return lambda text: (re.findall(rf"(?m)^.*?({pattern}.*)$", text) or ["says nothing"])[-1]


def total(pattern, what):
    """Sum of the numbers that the group of the pattern finds."""
    return lambda text: f"{sum(map(int, re.findall(pattern, text)))} {what}"


def each(pattern):
    return lambda text: "; ".join(re.findall(pattern, text))


def rows_of_table(text):
    lines = [line for line in text.splitlines() if re.match(r" *\d+ (head|idle|body|answer|upload)", line)]
    return "p99 without and with, ratio: " + "; ".join(
        "{} {} {} {} {}".format(*(line.split()[at] for at in (0, 1, 4, 5, 6))) for line in lines)


def black_box(*arguments):
    return ["/usr/bin/python3", "-m", "pytest", "-p", "no:cacheprovider", "-s", *arguments]


# name: (command, environment, what its output says)
ITEMS = {
    "upgrades": (black_box("tests/integration/test_upgrade.py", "-k", "under_load"), {"TAGWAY_TEST_UPGRADES": "50"},
                 said(r"\d+ upgrades:")),
    "reloads": (black_box("tests/integration/test_reload.py", "-k", "under_load"), {}, said(r"\d+ reloads:")),
    "deploys": (black_box("tests/integration/test_rolling_deploy.py"), {"TAGWAY_TEST_DEPLOYS": "10"},
                each(r"run \d+: (\d+ requests, \d+ failed)")),
    "GETs and faults": (black_box("tests/integration/test_faulty_origins.py", "-k", "no_get_is_lost"),
                        {"TAGWAY_TEST_FAULTS": "15000"}, total(r"(\d+) faults", "faults, no GET lost")),
    "POSTs and faults": (black_box("tests/integration/test_faulty_origins.py", "-k", "no_post_is_delivered_twice"),
                         {"TAGWAY_TEST_FAULTS": "15000"}, total(r"(\d+) faults", "faults, no POST delivered twice")),
    "swaps": (black_box("tests/integration/test_route_changes_under_load.py", "-k", "full_load"),
              {"TAGWAY_TEST_SWAPS": "1000000"}, said(r"\d+ swaps in")),
    "restarts": (black_box("tests/integration/test_restarts.py"), {"TAGWAY_TEST_RESTARTS": "100"},
                 each(r"(\d+ (?:restarts|kills): \d+ requests, \d+ failed)")),
    "slow readers and uploads": (black_box("tests/integration/test_slow_clients.py", "-k", "readers or sips"),
                                 {"TAGWAY_SLOW_READERS": "1000", "TAGWAY_SLOW_UPLOADS": "1000"}, each(r"([\d.-]+ KiB each)")),
    "slow clients": ([DEV, "slow"], {}, rows_of_table),
    "consul, scripted": (["meson", "test", "-C", PLAIN, "--no-rebuild", "--timeout-multiplier", "100",
                          "discover_consul_trouble"], {"TAGWAY_CONSUL_ROUNDS": "20"}, said(r"Ok: ")),
    "consul, full": (black_box("tests/integration/test_consul_faults.py", "-k", "crowd"),
                     {"TAGWAY_CONSUL_SERVICES": "1000"}, said(r"\d+ refusals")),
    "system calls": (black_box("tests/integration/test_syscall_faults.py"), {"TAGWAY_FAULTS": "all"},
                     total(r": (\d+) of \d+ calls", "calls failed in turn")),
    "mutations": (black_box("tests/wire/test_mutations.py"), {"TAGWAY_WIRE_MUTATIONS": "1000"},
                  each(r"(\d+ mutated .*), seed")),
    "treasure": (black_box("tests/wire/test_treasure.py"), {"TAGWAY_TREASURE_SECONDS": "600"}, said(r"\d+ targets,")),
    "soak": ([DEV, "soak", "10"], {}, each(r"((?:GETs|POSTs) failed(?: without one)? +\d+|RSS drift, % +\S+|requests/s +\d+)")),
    "soak of names": ([DEV, "bench", "soak"], {}, each(r"(names that came and went +\S+|resident, after / before +\S+|failed +\S+)")),
    "fuzz": ([DEV, "fuzz", "600"], {}, total(r" (\d+) runs ", "runs without a finding")),
}


def run(name):
    """Whether it passed; prints its line."""
    argv, env, figures = ITEMS[name]
    path = os.path.join(RESULTS, name.replace(" ", "-").replace(",", "") + ".log")
    xml_path = path.removesuffix(".log") + ".xml"
    is_pytest = "pytest" in argv
    began = time.monotonic()
    with open(path, "w", encoding="utf-8") as log:
        code = subprocess.run([*argv, *([f"--junitxml={xml_path}"] if is_pytest else [])], cwd=ROOT, stdout=log,
                              stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, check=False,
                              env={**os.environ, "TAGWAY_BIN": f"{PLAIN}/src/app/tagway", **env}).returncode
    has_run = not is_pytest or any(case.find("skipped") is None
                                   for case in xml.etree.ElementTree.parse(xml_path).iter("testcase"))
    with open(path, encoding="utf-8", errors="replace") as log:
        says = re.sub(r" +", " ", figures(log.read()))
    passed = code == 0 and has_run
    print(f"{name:<26}{'ok' if passed else 'FAILED':<8}{time.monotonic() - began:>6.0f} s  {says}", flush=True)
    return passed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split(";", maxsplit=1)[0])
    parser.add_argument("--only", action="append", choices=ITEMS, metavar="NAME", help="may be repeated")
    parser.add_argument("--list", action="store_true")
    args = parser.parse_args()
    if args.list:
        print("\n".join(ITEMS))
        return 0
    os.makedirs(RESULTS, exist_ok=True)
    failed = [name for name in args.only or ITEMS if not run(name)]
    print(f"failed: {', '.join(failed)}; see {os.path.relpath(RESULTS, ROOT)}" if failed else "all passed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
