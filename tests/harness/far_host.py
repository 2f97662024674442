# SPDX-License-Identifier: Apache-2.0
"""A host of its own behind a cable that can lose every packet: a network namespace and a pair of interfaces. What is
lost is lost without a word, as behind a firewall that has forgotten a connection; no process can do that to another's
sockets. Needs root and `ip`."""

import ctypes
import itertools
import os
import subprocess
import threading

_CLONE_NEWNET = 0x40000000
_NOBODY = "02:00:00:00:00:01"
_libc = ctypes.CDLL(None, use_errno=True)
_numbers = itertools.count()


def _ip(*words, may_fail=False):
    result = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if result.returncode != 0 and not may_fail:
        raise OSError(f"ip {' '.join(words)}: {result.stderr.strip()}")
    return result.stdout


def is_possible():
    """Whether this machine lets the tests make a namespace and a cable."""
    try:
        with FarHost():
            return True
    except OSError:
        return False


def _enter(fd):
    if _libc.setns(fd, _CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")


class FarHost:
    def __init__(self):
        number = (os.getpid() * 16 + next(_numbers)) % 16384
        self._name = f"tagway-{os.getpid()}-{number}"
        self._near, self._far = f"tw{number}n", f"tw{number}f"
        subnet = f"198.18.{number // 64}.{number % 64 * 4}"
        base = subnet.rpartition(".")
        near_address, self.address = (f"{base[0]}.{int(base[2]) + host}" for host in (1, 2))
        _ip("netns", "add", self._name)
        try:
            _ip("link", "add", self._near, "type", "veth", "peer", "name", self._far, "netns", self._name)
            self._ends = ((self._near, (), self.address), (self._far, ("-n", self._name), near_address))
            for (device, where, _), own in zip(self._ends, (near_address, self.address)):
                _ip(*where, "addr", "add", f"{own}/30", "dev", device)
                _ip(*where, "link", "set", device, "up")
            self._addresses = [self._mac(device, where) for device, where, _ in self._ends]
            self.mend()
        except BaseException:
            self.close()
            raise

    def _mac(self, device, where):
        words = _ip(*where, "-o", "link", "show", device).split()
        return words[words.index("link/ether") + 1]

    def run(self, call):
        """The result of call() in a thread that lives there; sockets made by it stay there."""
        results = []

        def inside():
            with open(f"/run/netns/{self._name}", encoding="ascii") as namespace:
                _enter(namespace.fileno())
            results.append(call())

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        assert results, f"the call in {self._name} failed"
        return results[0]

    def cut(self):
        """From now on every packet, both ways, goes to nobody."""
        for device, where, peer in self._ends:
            _ip(*where, "neigh", "replace", peer, "lladdr", _NOBODY, "nud", "permanent", "dev", device)

    def mend(self):
        for (device, where, peer), mac in zip(self._ends, reversed(self._addresses)):
            _ip(*where, "neigh", "replace", peer, "lladdr", mac, "nud", "permanent", "dev", device)

    def close(self):
        _ip("link", "del", self._near, may_fail=True)
        _ip("netns", "del", self._name, may_fail=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
