# SPDX-License-Identifier: Apache-2.0
"""What is said of Consul: its answers' marks (C18), and the figures and rows that tell of the rest (C35)."""

import json
import time
import urllib.parse

import pytest

from harness.fake_consul import FakeConsul, answer
from harness.process import wait_until
from harness.tagway import Tagway


@pytest.fixture
def consul(origin):
    with FakeConsul() as consul:
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        yield consul


def marked(consul, *fields, index=None):
    """Answers about the service as always, but for these fields or the index."""
    def fault(path):
        url = urllib.parse.urlsplit(path)
        known = urllib.parse.parse_qs(url.query).get("index")
        if url.path != "/v1/health/service/a" or (known and int(known[0]) >= consul.index):
            return None  # a poll, and nothing has changed

        def say(handler):
            status, body = handler._content(url.path)
            answer(status, json.dumps(body).encode(), index or consul.index, fields=fields)(handler)

        return say

    return fault


def row(tagway):
    return [watch for watch in tagway.json("/api/consul")["watches"] if watch["name"] == "a"][0]


@pytest.mark.parametrize("field", [("X-Consul-KnownLeader", "false"), ("X-Consul-LastContact", "10001")])
def test_a_server_behind_is_used_and_marked_and_the_leader_is_asked_now_and_then(consul, origin, field):
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/a")
        assert not row(tagway)["is_stale"]
        began = time.monotonic()
        before = len(consul.requests)
        consul.fault = marked(consul, field)
        for number in range(3):
            consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a", f"urlprefix-/x{number}"])])
            tagway.wait_route(f"/x{number}")
            wait_until(lambda: row(tagway)["is_stale"], what="the mark")
        asked = [path for _, path in consul.requests[before:] if path.startswith("/v1/health/service/a?")]
        strict = [path for path in asked if "stale" not in path]
        assert 1 <= len(strict) <= 1 + (time.monotonic() - began) / 10
        consul.fault = None
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        wait_until(lambda: not row(tagway)["is_stale"], what="the mark to go")


def test_a_server_that_is_not_far_behind_is_as_good(consul):
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/a")
        before = row(tagway)["wakeups"]
        consul.fault = marked(consul, ("X-Consul-KnownLeader", "true"), ("X-Consul-LastContact", "10000"))
        consul.touch()
        wait_until(lambda: row(tagway)["wakeups"] > before, what="an answer")
        assert not row(tagway)["is_stale"]
        assert all("stale" in path for _, path in consul.requests)


def test_what_is_counted(consul, origin):
    def count(name, **labels):
        return tagway.metric(f"tagway_consul_{name}_total", **labels)

    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/a")
        assert count("requests", endpoint="service", code="2xx") > 0
        assert count("received_bytes") > 0
        assert count("index_resets") == 0 and count("limiter_delays") == 0
        consul.fault = marked(consul, index=5)
        consul.touch()
        wait_until(lambda: count("index_resets") > 0, what="an index that went back")
        consul.fault = None
        same = count("wakeups", endpoint="service", result="unchanged")
        changed = count("wakeups", endpoint="service", result="changed")
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a", "urlprefix-/b"])])
        tagway.wait_route("/b")
        assert count("wakeups", endpoint="service", result="changed") > changed
        for _ in range(10):
            consul.touch()
            before = row(tagway)["wakeups"]
            wait_until(lambda before=before: row(tagway)["wakeups"] > before or count("limiter_delays"),
                       what="a poll that wakes up")
        assert count("wakeups", endpoint="service", result="unchanged") > same
        wait_until(lambda: count("limiter_delays") > 0, what="a poll that waits for its turn")
