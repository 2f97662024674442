#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev fuzz`: every fuzz target (or those named) for a while, from its corpus, as many at a time as there are
CPUs: fuzz_all.py DIR SECONDS [NAME...]. New inputs stay in build/fuzz/corpus; a finding is printed with the file
that reproduces it."""

import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def fuzz(program, seconds):
    name = os.path.basename(program)[len("fuzz_"):]
    source = os.path.join(ROOT, "tests/fuzz")
    found = os.path.join(ROOT, "build/fuzz/corpus", name)
    os.makedirs(found, exist_ok=True)
    argv = [program, found, os.path.join(source, "corpus", name), f"-max_total_time={seconds}",
            "-timeout=25", "-rss_limit_mb=2048", f"-artifact_prefix={found}-finding-",
            "-print_final_stats=1"]
    dictionary = os.path.join(source, f"{name}.dict")
    if os.path.exists(dictionary):
        argv.append(f"-dict={dictionary}")
    env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=1", "UBSAN_OPTIONS": "halt_on_error=1"}
    result = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, check=False)
    text = result.stdout.decode(errors="replace")
    executions = re.search(r"number_of_executed_units: (\d+)", text)
    return name, result.returncode, int(executions.group(1)) if executions else 0, text


def main():
    directory, seconds, names = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
    programs = sorted(os.path.join(directory, name) for name in os.listdir(directory)
                      if re.fullmatch(r"fuzz_[a-z0-9_]+", name))
    known = {os.path.basename(program)[len("fuzz_"):]: program for program in programs}
    unknown = [name for name in names if name not in known]
    if unknown or not programs:
        print(f"no fuzz target {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 1
    programs = [known[name] for name in names or known]
    print(f"{len(programs)} targets, {seconds} s each", flush=True)
    failed = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, code, executions, text in pool.map(lambda program: fuzz(program, seconds), programs):
            print(f"{name:<24}{executions:>12} runs  {'ok' if code == 0 else 'FINDING'}", flush=True)
            if code != 0:
                failed.append(name)
                print(text[-6000:], flush=True)
    print(f"{len(programs) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
