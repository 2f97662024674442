# SPDX-License-Identifier: Apache-2.0
"""docs/performance.md says what was measured: its tables are those that bench/results gives."""

import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def test_tables_are_those_of_the_results():
    code = subprocess.run([sys.executable, os.path.join(ROOT, "bench/report.py"), "--check"], check=False).returncode
    assert code == 0, "bench/report.py writes them anew"
