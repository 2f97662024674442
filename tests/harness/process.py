# SPDX-License-Identifier: Apache-2.0
"""Processes with captured output that cannot outlive the test, and waiting for conditions."""

import ctypes
import os
import signal
import subprocess
import time

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

# Sanitizer builds run several times slower; limits on time are stretched by this.
SLOWNESS = float(os.environ.get("TAGWAY_TEST_SLOWNESS", "1"))


def wait_until(condition, timeout=10, what="the condition", interval=0.005):
    """Polls until condition() is true and returns its value; AssertionError after `timeout` s."""
    deadline = time.monotonic() + timeout * SLOWNESS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {timeout * SLOWNESS:g} s")
        time.sleep(interval)


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


class Process:
    """A started program. stdout and stderr go to files whose text can be read at any time."""

    def __init__(self, argv, log_dir, name, env=None, cwd=None):
        self.name = name
        self.stdout_path = os.path.join(log_dir, f"{name}.stdout")
        self.stderr_path = os.path.join(log_dir, f"{name}.stderr")
        with open(self.stdout_path, "ab") as out, open(self.stderr_path, "ab") as err:
            self._child = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=out, stderr=err, cwd=cwd,
                env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent,
                # Ctrl-C is for whoever started us; the end comes from stop().
                process_group=0)
        self.pid = self._child.pid

    def stdout(self):
        return _read(self.stdout_path)

    def stderr(self):
        return _read(self.stderr_path)

    def is_running(self):
        return self._child.poll() is None

    def wait(self, timeout=10):
        """Exit code; AssertionError (and SIGKILL) when it does not end in time."""
        try:
            return self._child.wait(timeout * SLOWNESS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.name} did not exit in {timeout * SLOWNESS:g} s:\n"
                                 f"{self.stderr()[-4000:]}") from None

    def signal(self, number):
        self._child.send_signal(number)

    def stop(self, timeout=10):
        if self.is_running():
            self.signal(signal.SIGTERM)
        return self.wait(timeout)

    def kill(self):
        if self.is_running():
            self._child.kill()
        self._child.wait()

    def rss_kib(self):
        return _status_kib(self.pid, "VmRSS")

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as stat:
            fields = stat.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def _read(path):
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _status_kib(pid, key):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    raise KeyError(key)
