# SPDX-License-Identifier: Apache-2.0
"""Helpers of the raw-byte tests: both ends of the proxy, seen as bytes."""

import itertools
import re

from harness.client import send_and_collect

_numbers = itertools.count()


class Bench:
    """A proxy with a well-behaved origin behind it, shared by many cases. After each case a request of
    our own is sent on a fresh connection; what the origin saw between two of those belongs to the case."""

    def __init__(self, origin, proxy):
        self.origin = origin
        self.proxy = proxy
        self._seen = 0

    def run(self, raw, quiet=None):
        """Sends the bytes; returns (answer bytes, requests the origin saw)."""
        answer = send_and_collect(self.proxy.port, raw, quiet)
        marker = f"/marker-{next(_numbers)}"
        assert self.proxy.get(marker, host="marker.example").status == 200, "the proxy does not serve any more"
        seen = self.origin.requests[self._seen:]
        self._seen += len(seen)
        assert seen[-1].target == marker, f"the marker request was mixed up: {seen[-1].raw_head!r}"
        return answer, seen[:-1]


def statuses(answer):
    """Status codes of the responses in a byte stream, found by their status lines."""
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3}) ", answer)]
