# SPDX-License-Identifier: Apache-2.0
"""Failing system calls in a running tagway: builds tests/tools/faults/faults.c and tells it, through a
shared file, what is to fail and when."""

import contextlib
import errno
import mmap
import os
import struct
import subprocess

from .tagway import BINARY, ROOT, _SANITIZER_ENV

# In the order of enum call in faults.c.
CALLS = ("read", "readv", "recv", "write", "writev", "send", "sendmsg", "accept4", "connect", "socket", "open",
         "heap", "splice", "pipe2")
SHORT = 0  # instead of an errno: one byte only

_OFF, _EVERY, _ONCE, _CHANCE = range(4)
_THREADS = {"all": 0, "workers": 1, "control": 2}
# Positions in struct control of faults.c.
_MODE, _CALLS, _ERROR, _N, _SEED, _THREADS_AT, _COUNTED, _INJECTED = range(8)


def is_sanitized(binary=BINARY):
    with open(binary, "rb") as file:
        data = file.read()
    return b"libasan.so" in data or b"libtsan.so" in data


def build(directory):
    """The library for the binary under test."""
    path = os.path.join(directory, "faults.so")
    argv = ["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", "-o", path,
            os.path.join(ROOT, "tests/tools/faults/faults.c"), "-ldl"]
    if is_sanitized():
        argv.append("-DFAULTS_NO_HEAP")
    subprocess.run(argv, check=True)
    return path


class Faults:
    """The file of one process. env() goes to Tagway."""

    def __init__(self, library, directory):
        self._library = library
        self._path = os.path.join(directory, "faults")
        with open(self._path, "wb") as file:
            file.write(bytes(4096))
        with open(self._path, "r+b") as file:
            self._shared = mmap.mmap(file.fileno(), 4096)

    def env(self):
        asan = _SANITIZER_ENV["ASAN_OPTIONS"] + ":verify_asan_link_order=0"
        return {"LD_PRELOAD": self._library, "TAGWAY_FAULTS_FILE": self._path, "ASAN_OPTIONS": asan}

    def _set(self, at, value):
        struct.pack_into("Q", self._shared, 8 * at, value)

    def _get(self, at):
        return struct.unpack_from("Q", self._shared, 8 * at)[0]

    @contextlib.contextmanager
    def _armed(self, mode, calls, error, n, threads, seed=1):
        self._set(_MODE, _OFF)
        self._set(_CALLS, sum(1 << CALLS.index(call) for call in calls))
        self._set(_ERROR, error)
        self._set(_N, n)
        self._set(_SEED, seed)
        self._set(_THREADS_AT, _THREADS[threads])
        self._set(_COUNTED, 0)
        self._set(_INJECTED, 0)
        self._set(_MODE, mode)
        try:
            yield self
        finally:
            self._set(_MODE, _OFF)

    def every(self, n, calls, error, threads="workers"):
        return self._armed(_EVERY, calls, error, n, threads)

    def once(self, n, calls, error, threads="workers"):
        return self._armed(_ONCE, calls, error, n, threads)

    def chance(self, per_million, calls, error, threads="workers", seed=1):
        return self._armed(_CHANCE, calls, error, per_million, threads, seed)

    def counting(self, calls, threads="workers"):
        """Nothing fails; counted() tells how often something could have."""
        return self._armed(_ONCE, calls, errno.EIO, 0, threads)

    def counted(self):
        return self._get(_COUNTED)

    def injected(self):
        return self._get(_INJECTED)
