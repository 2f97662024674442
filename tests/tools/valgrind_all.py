#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev valgrind`: unit tests, corpora and a choice of black-box tests under Valgrind's memcheck, which sees what
the sanitizers do not: bytes that are read before they were written, here and in the libraries. One report fails the
test it is from. Before a release."""

import os
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import report  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(ROOT, "build/results")
BUILD = os.path.join(ROOT, "build/valgrind")
REPORTED = 99  # exit code of a program that got a report

OPTIONS = ("--error-exitcode=%d --leak-check=full --show-leak-kinds=definite,indirect "
           "--errors-for-leak-kinds=definite,indirect --track-fds=no --num-callers=30 "
           "--suppressions=%s" % (REPORTED, os.path.join(ROOT, "tests/harness/valgrind.supp")))

# Each way of a request, a change and an end once; nothing that starts another program of itself or counts on
# the speed of the machine.
BLACK_BOX = (
    "tests/integration/test_http_forwarding.py",
    "tests/integration/test_http_streams.py",
    "tests/integration/test_http_errors.py",
    "tests/integration/test_admin_api.py",
    "tests/integration/test_consul_routes.py",
    "tests/integration/test_reload.py",
    "tests/fabio/test_05_auth.py",
    "tests/fabio/test_05_gzip.py",
    "tests/fabio/test_05_redirects.py",
    "tests/fabio/test_05_websockets.py",
    "tests/fabio/test_09_metrics.py",
)


def wrapper():
    """A program to be run in tagway's place."""
    path = os.path.join(BUILD, "tagway-under-valgrind")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f'#!/bin/sh\nexec valgrind {OPTIONS} --log-file={RESULTS}/valgrind-%p.log '
                   f'{BUILD}/src/app/tagway "$@"\n')
    os.chmod(path, 0o755)
    return path


def show_reports():
    """What memcheck has written of black-box runs that were not clean."""
    for name in sorted(os.listdir(RESULTS)):
        if not name.startswith("valgrind-") or not name.endswith(".log"):
            continue
        with open(os.path.join(RESULTS, name), encoding="utf-8", errors="replace") as file:
            text = file.read()
        if "ERROR SUMMARY: 0 errors" not in text:
            print(text, flush=True)


def main():
    os.chdir(ROOT)
    shutil.rmtree(RESULTS, ignore_errors=True)
    os.makedirs(RESULTS)
    chosen = sys.argv[1:] or BLACK_BOX
    if not sys.argv[1:]:
        subprocess.run(["meson", "test", "-C", BUILD, "--no-rebuild", "--print-errorlogs",
                        "--timeout-multiplier", "60", "--wrapper", f"valgrind --quiet {OPTIONS}"], check=False)
    subprocess.run(["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not no_sanitizer",
                    f"--junitxml={RESULTS}/valgrind.xml", *chosen],
                   env={**os.environ, "TAGWAY_BIN": wrapper(), "TAGWAY_TEST_SLOWNESS": "10"}, check=False)
    show_reports()
    parts = [("black box, memcheck", f"{RESULTS}/valgrind.xml")]
    if not sys.argv[1:]:
        parts.insert(0, ("unit and corpus, memcheck", f"{BUILD}/meson-logs/testlog.json"))
    return report.report(parts)


if __name__ == "__main__":
    sys.exit(main())
