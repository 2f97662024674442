# SPDX-License-Identifier: Apache-2.0
"""tagway as a command that ends by itself, and what it knows about its own keys."""

import re
import subprocess

from .process import SLOWNESS
from .tagway import BINARY


def run(*argv, env=None, cwd=None):
    """Runs to the end with nothing of our environment but PATH; (exit code, stdout, stderr)."""
    result = subprocess.run([BINARY, *map(str, argv)], capture_output=True, text=True, check=False,
                            timeout=20 * SLOWNESS, cwd=cwd, stdin=subprocess.DEVNULL,
                            env={"PATH": "/usr/bin:/bin", **(env or {})})
    return result.returncode, result.stdout, result.stderr


def keys():
    """{key: (default, help)} of every key, as the help lists them."""
    _, _, text = run("-h")
    found = {}
    for key, meaning in re.findall(r"^  -([a-zA-Z0-9.]+)(?: .*)?\n    \t(.*)$", text, re.MULTILINE):
        default = re.search(r" \(default (.*)\)$", meaning)
        found[key] = (default.group(1) if default else "", meaning)
    return {key: value for key, value in found.items() if key not in ("cfg", "h", "v")}
