# SPDX-License-Identifier: Apache-2.0
"""No input of 64 KiB costs more than 100 times the CPU of a normal request. Counted in the time the process
has spent on the CPU, over many of them, not by the clock."""

import os
import time

import pytest

from harness.client import chunked, format_request
from harness.origin import Origin
from harness.tagway import Tagway, route

NORMAL, HOSTILE = 1500, 15
HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n"

# Sent in one piece each; the last element of a list is what comes in pieces of its own.
INPUTS = {
    "dripping_lines": [HEAD] + [b"X-%03d: " % i + b"x" * 500 + b"\r\n" for i in range(60)] + [b"\r\n"],
    "many_fields": [HEAD + b"".join(b"A%d: b\r\n" % i for i in range(126)) + b"\r\n"],
    "one_long_field": [HEAD + b"X: " + b"x" * 32000 + b"\r\n\r\n"],
    "dot_segments": [b"GET /" + b"a/../" * 3000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    "encoded_dots": [b"GET /" + b"%2e%2e/" * 2200 + b" HTTP/1.1\r\nHost: x\r\n\r\n"],
    "glob_host": [b"GET / HTTP/1.1\r\nHost: " + b"a" * 250 + b"\r\n\r\n"],
    "list_of_connections": [HEAD + b"Connection: " + b"a," * 15000 + b"a\r\n\r\n"],
    "small_chunks": [b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(*[b"x"] * 2500)],
    "forwarded": [HEAD + b"X-Forwarded-For: " + b"1.1.1.1, " * 3000 + b"1.1.1.1\r\n\r\n"],
}


def cpu_ns(pid):
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total


@pytest.fixture(scope="module")
def world():
    with Origin() as origin:
        globs = "".join(f"route add g{i} *a*a*a*{i}.example.com/ http://127.0.0.1:{origin.port}/\n" for i in range(50))
        with Tagway(route(origin) + globs, {"proxy.workers": "1", "proxy.client.maxrequests": "0"}) as tagway:
            pid = tagway.process.pid
            with tagway.connect() as client:
                client.request()
                before = cpu_ns(pid)
                for _ in range(NORMAL):
                    client.request()
                yield tagway, (cpu_ns(pid) - before) / NORMAL


@pytest.mark.no_sanitizer
@pytest.mark.parametrize("name", INPUTS)
def test_costs_at_most_a_hundred_normal_requests(world, name):
    tagway, normal_ns = world
    before = cpu_ns(tagway.process.pid)
    for _ in range(HOSTILE):
        with tagway.connect() as client:
            for piece in INPUTS[name]:
                client.send(piece)
                if len(INPUTS[name]) > 1:
                    time.sleep(0.001)  # so that most arrive on their own
            assert client.read_response().status > 0
    each_ns = (cpu_ns(tagway.process.pid) - before) / HOSTILE
    assert each_ns <= 100 * normal_ns, f"{each_ns / normal_ns:.0f} normal requests"
