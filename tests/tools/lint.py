#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev lint`: format, the rules of layers, and three readers of the source that find different things: clang-tidy
with the checks of .clang-tidy, cppcheck, and gcc's analyzer, which follows paths. All findings are shown; one that
is wrong is explained where it is, beside its suppression."""

import concurrent.futures
import json
import os
import shlex
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build/lint"
GCC_BUILD = "build/lint-gcc"
GENERATED = "src/admin/assets.c"

CPPCHECK = ("cppcheck --quiet --std=c11 --enable=warning,performance,portability --inline-suppr --error-exitcode=1 "
            "--suppress=missingIncludeSystem --file-filter=*src/*")


def files(*patterns):
    output = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
                             *patterns], capture_output=True, text=True, check=True).stdout
    return [path for path in output.splitlines() if os.path.exists(path)]


def configure(build, compiler):
    if not os.path.exists(f"{build}/compile_commands.json"):
        subprocess.run(["meson", "setup", build, "-Dunit_tests=false"], env={**os.environ, "CC": compiler},
                       check=True, stdout=subprocess.DEVNULL)
    # It must exist before anything can be read.
    subprocess.run(["ninja", "-C", build, "--quiet", GENERATED], check=True)


def compilations(build):
    """The command of each of our sources, without what it would write."""
    with open(f"{build}/compile_commands.json", encoding="utf-8") as file:
        for entry in json.load(file):
            path = os.path.relpath(os.path.join(entry["directory"], entry["file"]), ROOT)
            if not path.startswith("src/"):
                continue
            argv = shlex.split(entry["command"])
            for option in ("-MQ", "-MF", "-o"):
                at = argv.index(option)
                del argv[at:at + 2]
            argv.remove("-MD")
            yield path, [*argv, "-o", "/dev/null"], entry["directory"]


def tidy(path):
    result = subprocess.run(["clang-tidy", "--quiet", "-p", BUILD, path], capture_output=True, text=True,
                            check=False)
    return result.returncode == 0 and "warning:" not in result.stdout, result.stdout


def analyze(compilation):
    _, argv, directory = compilation
    result = subprocess.run([*argv, "-fanalyzer", "-Werror"], cwd=directory, capture_output=True, text=True,
                            check=False)
    return result.returncode == 0, result.stderr


def read_all(name, read, what, failed):
    print(f"-- {name}", flush=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for is_clean, text in pool.map(read, what):
            if not is_clean:
                failed.append(name)
                print(text, flush=True)


def main():
    os.chdir(ROOT)
    failed = []
    print("-- clang-format", flush=True)
    if subprocess.run(["clang-format", "--dry-run", "-Werror", *files("*.c", "*.h")],
                      check=False).returncode:
        failed.append("clang-format")

    print("-- layers", flush=True)
    if subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/arch"],
                      check=False).returncode:
        failed.append("layers")

    configure(BUILD, "clang")
    configure(GCC_BUILD, "gcc")
    print("-- cppcheck", flush=True)
    if subprocess.run([*CPPCHECK.split(), f"-j{os.cpu_count()}", f"--project={GCC_BUILD}/compile_commands.json"],
                      check=False).returncode:
        failed.append("cppcheck")
    read_all("gcc -fanalyzer", analyze, compilations(GCC_BUILD), failed)
    read_all("clang-tidy", tidy, files("src/*.c"), failed)
    print("lint: " + ("failed: " + ", ".join(sorted(set(failed))) if failed else "ok"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
