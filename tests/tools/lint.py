#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev lint`: format, clang-tidy with the checks of .clang-tidy, layer rules. All findings are shown."""

import concurrent.futures
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = "build/lint"


def files(*patterns):
    output = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "--",
                             *patterns], capture_output=True, text=True, check=True).stdout
    return [path for path in output.splitlines() if os.path.exists(path)]


def tidy(path):
    result = subprocess.run(["clang-tidy", "--quiet", "-p", BUILD, path], capture_output=True, text=True,
                            check=False)
    return result.returncode, result.stdout


def main():
    os.chdir(ROOT)
    failed = []
    print("-- clang-format", flush=True)
    if subprocess.run(["clang-format", "--dry-run", "-Werror", *files("*.c", "*.h")],
                      check=False).returncode:
        failed.append("clang-format")

    print("-- clang-tidy", flush=True)
    if not os.path.exists(f"{BUILD}/compile_commands.json"):
        subprocess.run(["meson", "setup", BUILD], env={**os.environ, "CC": "clang"}, check=True,
                       stdout=subprocess.DEVNULL)
    # Generated sources must exist before anything can be read.
    subprocess.run(["ninja", "-C", BUILD, "--quiet"], check=True)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for code, text in pool.map(tidy, files("src/*.c")):
            if code or "warning:" in text:
                failed.append("clang-tidy")
                print(text, flush=True)

    print("-- layers", flush=True)
    if subprocess.run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/arch"],
                      check=False).returncode:
        failed.append("layers")
    print("lint: " + ("failed: " + ", ".join(sorted(set(failed))) if failed else "ok"))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
