#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The unit tests' line coverage of the pure layers, with a floor for each: coverage_gate.py BUILD."""

import json
import subprocess
import sys
from xml.sax.saxutils import quoteattr

LAYERS = {"base": 95.0, "http": 97.0, "route": 97.0, "stats": 95.0, "auth": 95.0}


def measure(build):
    """{file: (covered, lines, [uncovered line numbers])} for the layers' sources."""
    output = subprocess.run(
        ["gcovr", "--root", ".", "--object-directory", build, "--json", "-",
         *[part for layer in LAYERS for part in ("--filter", f"src/{layer}/|include/{layer}/")]],
        capture_output=True, text=True, check=True).stdout
    files = {}
    for file in json.loads(output)["files"]:
        lines = [line for line in file["lines"] if not line.get("gcovr/noncode")]
        missed = [line["line_number"] for line in lines if line["count"] == 0]
        files[file["file"]] = (len(lines) - len(missed), len(lines), missed)
    return files


def run(build, junit_path=None):
    """Prints the table; True when every layer reaches the floor. Each layer is one test case."""
    try:
        files = measure(build)
    except (subprocess.CalledProcessError, ValueError, OSError) as error:
        print(f"coverage: {getattr(error, 'stderr', None) or error}")
        return False
    cases = []
    print(f"\n{'line coverage by the unit tests':<44}{'lines':>7}{'%':>8}")
    for layer, floor in LAYERS.items():
        mine = {path: value for path, value in files.items() if f"/{layer}/" in f"/{path}"}
        covered = sum(value[0] for value in mine.values())
        lines = sum(value[1] for value in mine.values())
        percent = 100.0 * covered / lines if lines else 0.0
        is_enough = percent >= floor
        cases.append((layer, percent, is_enough))
        print(f"{'src/' + layer:<44}{lines:>7}{percent:>8.1f}{'' if is_enough else f'  below {floor:g}'}")
        for path, (file_covered, file_lines, missed) in sorted(mine.items()):
            if missed:
                text = ",".join(map(str, missed[:20])) + ("..." if len(missed) > 20 else "")
                print(f"  {path:<42}{file_lines:>7}{100.0 * file_covered / file_lines:>8.1f}  {text}")
    if junit_path:
        with open(junit_path, "w", encoding="utf-8") as file:
            file.write("<testsuite>")
            for layer, percent, is_enough in cases:
                failure = "" if is_enough else f"<failure message={quoteattr(f'{percent:.1f} %')}/>"
                file.write(f"<testcase name={quoteattr('coverage ' + layer)}>{failure}</testcase>")
            file.write("</testsuite>")
    return all(is_enough for _, _, is_enough in cases)


if __name__ == "__main__":
    sys.exit(0 if run(sys.argv[1]) else 1)
