#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev test`: builds every kind, runs every suite, adds up. Phases that do not disturb one another run
side by side; each writes its output to build/results/<phase>.log, shown when it fails."""

import concurrent.futures
import os
import shutil
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import coverage_gate  # noqa: E402
import fuzz_coverage  # noqa: E402
import report  # noqa: E402

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RESULTS = os.path.join(ROOT, "build/results")

BUILDS = {
    "plain": ["-Dwerror=true"],
    "asan": ["-Db_sanitize=address,undefined", "-Doptimization=1"],
    "tsan": ["-Db_sanitize=thread", "-Doptimization=1"],
    "coverage": ["-Db_coverage=true", "-Doptimization=0"],
    "bench": ["--buildtype=release", "-Db_lto=true", "-Dunit_tests=false"],  # as users run it
}

# What runs against the binary, whatever its build.
BLACK_BOX = ("tests/integration", "tests/fabio", "tests/wire")

# Reads faster in the log of a sanitizer's first finding than a hundred follow-ups.
SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=1:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:allocator_may_return_null=1",
}

NOTHING_TO_DO = 5  # pytest's exit code where no test was selected

_began = time.monotonic()
_failed = []  # of pytest(): name, argv, env of a run of those alone that failed


def say(text):
    print(f"[{time.monotonic() - _began:6.1f} s] {text}", flush=True)


def phase(name, argv, env=None, good=(0,)):
    """Runs a command; returns whether it succeeded, as these exit codes say."""
    log_path = os.path.join(RESULTS, f"{name}.log")
    say(f"{name}: starts")
    began = time.monotonic()
    with open(log_path, "wb") as log:
        code = subprocess.run(argv, cwd=ROOT, stdout=log, stderr=subprocess.STDOUT, check=False,
                              stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})}).returncode
    took = time.monotonic() - began
    say(f"{name}: {'ok' if code in good else 'FAILED'} in {took:.0f} s")
    if code not in good:
        with open(log_path, encoding="utf-8", errors="replace") as log:
            print("\n".join("    " + line for line in log.read().splitlines()[-200:]), flush=True)
    return code in good


def build(kind):
    directory = f"build/{kind}"
    if not os.path.exists(os.path.join(ROOT, directory, "build.ninja")):
        if not phase(f"configure-{kind}", ["meson", "setup", directory, *BUILDS[kind]]):
            return False
    # Old results must not be taken for this run's.
    for log in ("testlog.json", "testlog.junit.xml"):
        path = os.path.join(ROOT, directory, "meson-logs", log)
        if os.path.exists(path):
            os.remove(path)
    return phase(f"build-{kind}", ["ninja", "-C", directory])


def meson_test(kind, *suites):
    argv = ["meson", "test", "-C", f"build/{kind}", "--no-rebuild", "--print-errorlogs",
            "--timeout-multiplier", "4"]
    for suite in suites:
        argv += ["--suite", suite]
    phase(f"meson-{kind}", argv, SANITIZER_ENV)


def pytest(name, kind, *args, slowness=1):
    env = {
        "TAGWAY_BIN": os.path.join(ROOT, f"build/{kind}/src/app/tagway"),
        "TAGWAY_TEST_SLOWNESS": str(slowness),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    argv = ["/usr/bin/python3", "-m", "pytest", "-o", f"cache_dir={RESULTS}/{name}.cache", "-rA"]
    if not phase(name, [*argv, f"--junitxml={RESULTS}/{name}.xml", *args], env):
        _failed.append((f"{name}-alone", [*argv, f"--junitxml={RESULTS}/{name}.alone.xml", *args, "-m", "measured",
                                          "--last-failed", "--last-failed-no-failures=none"], env))


def repeat_alone():
    """What judges time or memory is judged again with nothing beside it; report.py says which it were."""
    for name, argv, env in _failed:
        phase(name, argv, env, good=(0, NOTHING_TO_DO))


def wire_scores():
    """The same messages for tagway, nginx and haproxy. Printed for comparison; what tagway must do is
    asserted by tests/wire itself."""
    phase("wire-scores", ["/usr/bin/python3", "tests/wire/score.py"],
          {"TAGWAY_BIN": os.path.join(ROOT, "build/plain/src/app/tagway"), "PYTHONDONTWRITEBYTECODE": "1"})
    with open(os.path.join(RESULTS, "wire-scores.log"), encoding="utf-8") as log:
        print(log.read(), flush=True)


def exact():
    """System calls and instructions per request against their budget."""
    path = f"{RESULTS}/exact.xml"
    phase("exact", ["/usr/bin/python3", "bench/exact.py", "--junit", path], {"PYTHONDONTWRITEBYTECODE": "1"})
    if os.path.exists(path):
        with open(os.path.join(RESULTS, "exact.log"), encoding="utf-8") as log:
            print(log.read(), flush=True)


def beside_fabio():
    if shutil.which("fabio"):
        pytest("differential", "plain", "tests/differential")
    else:
        say("differential: skipped, there is no fabio on PATH to compare with")


def side_by_side(*jobs):
    """Each job is a list of calls to make one after the other."""
    def run(calls):
        for call in calls:
            call()

    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        for job in [pool.submit(run, calls) for calls in jobs]:
            job.result()


def main():
    os.chdir(ROOT)
    shutil.rmtree(RESULTS, ignore_errors=True)
    os.makedirs(RESULTS)
    built = {kind: build(kind) for kind in BUILDS}

    # Tests with Consul mostly wait; they leave room for others. What measures time comes first, with
    # the plain build; what only must be correct shares the machine afterwards.
    if built["plain"]:
        side_by_side(
            [lambda: pytest("consul-plain", "plain", *BLACK_BOX, "tests/ui", "-m", "consul")],
            [lambda: pytest("plain-fabio", "plain", "tests/fabio", "tests/wire", "tests/readers", "tests/ui",
                            "-m", "not consul")],
            [lambda: meson_test("plain"),
             lambda: pytest("plain", "plain", "tests/integration", "tests/arch", "-m", "not consul")])
    shared = []
    by_fabio = []
    if built["asan"]:
        shared.append([lambda: pytest("consul-asan", "asan", *BLACK_BOX, "-m", "consul and not no_sanitizer",
                                      slowness=4)])
        shared.append([lambda: meson_test("asan"),
                       lambda: pytest("asan", "asan", "tests/integration", "tests/wire", "tests/readers", "-m",
                                      "not consul and not no_sanitizer", slowness=4)])
        by_fabio.append(lambda: pytest("asan-fabio", "asan", "tests/fabio", "-m", "not consul and not no_sanitizer",
                                       slowness=4))
    if built["tsan"]:
        shared.append([lambda: meson_test("tsan", "unit"),
                       lambda: pytest("tsan", "tsan", *BLACK_BOX, "-m", "multi_worker", slowness=6), *by_fabio])
    if built["coverage"]:
        shared.append([lambda: meson_test("coverage", "unit")])
    if built["plain"]:
        shared.append([beside_fabio, wire_scores])
    if built["bench"]:
        shared.append([exact])
    if shared:
        side_by_side(*shared)
    repeat_alone()
    coverage_gate.run("build/coverage", f"{RESULTS}/coverage.xml")
    fuzz_coverage.run("build/coverage", f"{RESULTS}/fuzz-coverage.xml")

    parts = [
        ("unit and corpus", "build/plain/meson-logs/testlog.json"),
        ("integration, arch", f"{RESULTS}/plain.xml"),
        ("fabio, wire, readers, UI", f"{RESULTS}/plain-fabio.xml"),
        ("Consul", f"{RESULTS}/consul-plain.xml"),
        ("unit and corpus, ASan+UBSan", "build/asan/meson-logs/testlog.json"),
        ("integration, ASan+UBSan", f"{RESULTS}/asan.xml"),
        ("fabio, ASan+UBSan", f"{RESULTS}/asan-fabio.xml"),
        ("Consul, ASan+UBSan", f"{RESULTS}/consul-asan.xml"),
        ("unit, TSan", "build/tsan/meson-logs/testlog.json"),
        ("several workers, TSan", f"{RESULTS}/tsan.xml"),
        ("calls, instructions: budget", f"{RESULTS}/exact.xml"),
        ("coverage", f"{RESULTS}/coverage.xml"),
        ("coverage by the corpora", f"{RESULTS}/fuzz-coverage.xml"),
    ]
    if shutil.which("fabio"):
        parts.append(("beside fabio", f"{RESULTS}/differential.xml"))
    return report.report(parts)


if __name__ == "__main__":
    sys.exit(main())
