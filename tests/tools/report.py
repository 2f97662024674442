#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Adds up test results: report.py NAME=FILE ...

FILE is pytest's junit XML or meson's testlog.json. Prints a table; the last line is
"N passed, N failed". Exit code 1 when anything failed or a part ran nothing: a suite that did not run
has not passed. Beside NAME.xml there may be NAME.alone.xml, where measured tests were repeated with nothing beside
them: that is what counts then, and their names are printed."""

import json
import os
import sys
import xml.etree.ElementTree


def outcomes(path):
    """(file, test) and "passed", "failed" or "skipped" for each."""
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        yield (case.get("classname"), case.get("name")), outcome


def passed_alone(path):
    """The tests that failed in this file and passed in its repetition."""
    again = path.removesuffix(".xml") + ".alone.xml"
    if not os.path.exists(again):
        return set()
    repeated = dict(outcomes(again))
    return {test for test, outcome in outcomes(path) if outcome == "failed" and repeated.get(test) == "passed"}


def count_junit(path):
    counts = dict.fromkeys(("passed", "failed", "skipped"), 0)
    alone = passed_alone(path)
    for test, outcome in outcomes(path):
        counts["passed" if test in alone else outcome] += 1
    return counts["passed"], counts["failed"], counts["skipped"]


def count_meson(path):
    passed = failed = skipped = 0
    with open(path, encoding="utf-8") as log:
        for line in log:
            result = json.loads(line)["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                passed += 1
            elif result == "SKIP":
                skipped += 1
            else:
                failed += 1
    return passed, failed, skipped


def count(path):
    """passed, failed, skipped; a part without a result counts as one failure."""
    try:
        passed, failed, skipped = (count_junit if path.endswith(".xml") else count_meson)(path)
    except (OSError, ValueError, xml.etree.ElementTree.ParseError):
        return 0, 1, 0
    if passed + failed == 0:
        return 0, 1, skipped
    return passed, failed, skipped


def report(parts):
    """parts: (name, path). Prints; returns the exit code."""
    total_passed = total_failed = 0
    print(f"\n{'part':<28}{'passed':>8}{'failed':>8}{'skipped':>9}")
    for name, path in parts:
        passed, failed, skipped = count(path)
        note = "" if os.path.exists(path) else "   did not run"
        print(f"{name:<28}{passed:>8}{failed:>8}{skipped:>9}{note}")
        if path.endswith(".xml") and os.path.exists(path):
            for file, test in sorted(passed_alone(path)):
                print(f"    passed only when alone: {file}::{test}")
        total_passed += passed
        total_failed += failed
    print(f"{total_passed} passed, {total_failed} failed", flush=True)
    return 1 if total_failed or not total_passed else 0


if __name__ == "__main__":
    sys.exit(report([argument.split("=", 1) for argument in sys.argv[1:]]))
