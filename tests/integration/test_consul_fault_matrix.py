# SPDX-License-Identifier: Apache-2.0
"""Every way in which Consul can be broken, as a table. All rows run side by side, each with a Consul and a
tagway of its own, and are judged one by one: no route is lost meanwhile, memory stays bounded, a broken Consul
is asked less than once a second after a first burst, and what is new is routed soon after the fault's end."""

import json
import threading
import time

import pytest

from harness.fake_consul import (FakeConsul, answer, hung_up, reset, silent, stalled, streaming, truncated)
from harness.process import SLOWNESS, wait_until
from harness.tagway import Tagway
from harness.tls import Authority, server_context

pytestmark = pytest.mark.measured

MB = 1 << 20
SOON = 3 * SLOWNESS


def deep(depth):
    return answer(200, b"[" * depth + b"]" * depth)


def not_http(handler):
    """The alert of a server that speaks TLS."""
    handler.wfile.write(b"\x15\x03\x01\x00\x02\x02\x28")
    handler.close_connection = True


ANSWERS = {
    "500": answer(500, b"rpc error making call: EOF"),
    "no leader": answer(500, b"No cluster leader"),
    "503": answer(503, b"try again"),
    "429": answer(429, b"Your IP is issuing too many concurrent connections"),
    "403": answer(403, b"Permission denied"),
    "404 of a proxy": answer(404, b"", None),
    "400": answer(400, b"Invalid index"),
    "302": answer(302, b""),
    "204": answer(204, b""),
    "206": answer(206, b"[]"),
    "garbage": answer(200, b"\x00\xff<html>"),
    "text": answer(200, b'"text"'),
    "number": answer(200, b"17"),
    "empty body": answer(200, b""),
    "cut JSON": answer(200, b'[{"Node": {"Node": "no'),
    "1,000 deep": deep(1000),
    "100,000 deep": deep(100000),
    "wrong types": answer(200, b'[{"Node": 5, "Service": [], "Checks": "x"}]'),
    "missing fields": answer(200, b'[{}]'),
    "cut short": truncated,
    "hung up": hung_up,
    "reset": reset,
    "stalled": stalled,
    "a byte a second": streaming(b"[", 1.0),
    "not HTTP": not_http,
    "100 MB": streaming(b" " * MB, 0.01, length=100 * MB),
    "endless JSON": streaming(b'["a",' * 100000, 0.01),
}


class Row:
    """One fault, from a sound Consul to a sound Consul. What is wrong is noted, not raised."""

    BURST_S = 4
    WINDOW_S = 8

    def __init__(self, name, port):
        self.name = name
        self.port = port
        self.lost = []
        self.error = None
        self.asked = self.kib_before = self.kib_most = self.recovered_s = None
        self.thread = threading.Thread(target=self._run)

    def _run(self):
        try:
            self._play()
        except BaseException as error:  # judged by the test of this row
            self.error = error

    def begin(self, consul):
        fault = ANSWERS[self.name]
        consul.fault = lambda path: fault if path.startswith("/v1/") else None
        consul.touch()

    def end(self, consul):
        consul.fault = None

    def count(self, consul, tagway):
        return len(consul.requests)

    def _play(self):
        with FakeConsul() as consul:
            for name in ("a", "b", "c"):
                consul.set_service(name, [(f"{name}-1", self.port, [f"urlprefix-/{name}"])])
            consul.set_kv("fabio/config", f"route add m /manual http://127.0.0.1:{self.port}/")
            with Tagway(options=consul.options(registry_consul_wait="2s", runtime_gomaxprocs="1")) as tagway:
                self._play_with(consul, tagway)

    def _play_with(self, consul, tagway):
        paths = ("/a", "/b", "/c", "/manual")
        for path in paths:
            tagway.wait_route(path, timeout=40)
        self.kib_before = self.kib_most = tagway.process.rss_kib()
        self.begin(consul)
        began = time.monotonic()
        counted = None
        while time.monotonic() - began < self.BURST_S + self.WINDOW_S:
            for path in paths:
                if tagway.get(path).status != 200:
                    self.lost.append((time.monotonic() - began, path))
            self.kib_most = max(self.kib_most, tagway.process.rss_kib())
            if counted is None and time.monotonic() - began >= self.BURST_S:
                counted = self.count(consul, tagway)
            time.sleep(0.1)
        self.asked = self.count(consul, tagway) - counted
        with_late = [("late-1", self.port, ["urlprefix-/late"])]
        consul.services["a"].append(("a-2", self.port, ["urlprefix-/more"]))
        consul.services["late"] = with_late
        self.end(consul)
        ended = time.monotonic()
        consul.touch()
        for path in ("/late", "/more"):
            tagway.wait_route(path, timeout=60)
        self.recovered_s = time.monotonic() - ended
        for path in paths:
            if tagway.get(path).status != 200:
                self.lost.append(("after", path))


class Refused(Row):
    """Nobody listens."""

    def begin(self, consul):
        consul.hang_up()

    def end(self, consul):
        consul.listen()

    def count(self, consul, tagway):
        return sum(tagway.metric("tagway_consul_requests_total", code=code) for code in ("none", "5xx", "bad"))


def all_rows(port):
    rows = {name: Row(name, port) for name in ANSWERS}
    rows["refused"] = Refused("refused", port)
    return rows


@pytest.fixture(scope="module")
def rows(origin):
    rows = all_rows(origin.port)
    for row in rows.values():
        row.thread.start()
    for row in rows.values():
        row.thread.join()
    return rows


@pytest.mark.parametrize("name", [*ANSWERS, "refused"])
def test_everything_answers_with(rows, name):
    row = rows[name]
    if row.error:
        raise row.error
    print(f"asked {row.asked} times in {row.WINDOW_S} s; RSS {row.kib_before} -> {row.kib_most} KiB; "
          f"right again after {row.recovered_s:.2f} s")
    assert not row.lost, row.lost[:5]
    assert row.asked <= row.WINDOW_S
    assert row.recovered_s < SOON
    # 64 MB is the longest answer that is read at all.
    assert row.kib_most < row.kib_before * 2 + 130 * 1024 * (1 if SLOWNESS == 1 else 3)


def test_one_service_each_answers_with(origin):
    """The same, each on one service of the same Consul: the others go on as if nothing was."""
    names = {f"s{number}": name for number, name in enumerate(ANSWERS)}
    with FakeConsul() as consul:
        for service in names:
            consul.set_service(service, [(f"{service}-1", origin.port, [f"urlprefix-/{service}"])])
        consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good"])])
        with Tagway(options=consul.options()) as tagway:
            for service in names:
                tagway.wait_route(f"/{service}")
            faulty = {f"/v1/health/service/{service}": ANSWERS[name] for service, name in names.items()}
            consul.fault = lambda path: faulty.get(path.partition("?")[0])
            for service in names:
                consul.services[service].append((f"{service}-2", origin.port, [f"urlprefix-/{service}-more"]))
            consul.touch()
            began = time.monotonic()
            number, counted = 0, None
            while time.monotonic() - began < 12:
                number += 1
                consul.set_service("good", [("good-1", origin.port, ["urlprefix-/good", f"urlprefix-/good{number}"])])
                changed = time.monotonic()
                tagway.wait_route(f"/good{number}")
                assert time.monotonic() - changed < SOON, "a sound service waits for the broken ones"
                for service in names:
                    assert tagway.get(f"/{service}").status == 200
                if counted is None and time.monotonic() - began > 6:
                    counted, counted_at = self_count(consul, faulty), time.monotonic()
                time.sleep(1)
            rate = (self_count(consul, faulty) - counted) / (time.monotonic() - counted_at)
            print(f"{rate:.1f} requests/s about {len(names)} broken services")
            assert rate < 2
            consul.fault = None
            ended = time.monotonic()
            for service in names:
                tagway.wait_route(f"/{service}-more", timeout=60)
            print(f"right again after {time.monotonic() - ended:.2f} s")
            assert time.monotonic() - ended < SOON


def self_count(consul, faulty):
    return sum(path.partition("?")[0] in faulty for _, path in consul.requests)


def test_a_half_open_connection_is_given_up_at_its_deadline(origin):
    """No FIN, no answer, never: not even when Consul is well again for whoever connects anew."""
    with FakeConsul() as consul:
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        with Tagway(options=consul.options(registry_consul_wait="1s")) as tagway:
            tagway.wait_route("/a")
            hanging = []

            def fault(path):
                hanging.append(path)
                return silent

            consul.fault = fault
            consul.touch()
            wait_until(lambda: len(hanging) >= 4, 20, "polls that hang")
            consul.fault = None
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            began = time.monotonic()
            while tagway.get("/late").status != 200:
                assert tagway.get("/a").status == 200
                assert time.monotonic() - began < 12 + 2 * SOON
                time.sleep(0.05)


def test_a_catalog_that_is_empty_for_a_while_loses_nothing(origin):
    with FakeConsul() as consul:
        names = [f"s{number}" for number in range(12)]
        for name in names:
            consul.set_service(name, [(f"{name}-1", origin.port, [f"urlprefix-/{name}"])])
        with Tagway(options=consul.options()) as tagway:
            for name in names:
                tagway.wait_route(f"/{name}")
            lies = []

            def fault(path):
                if not path.startswith("/v1/catalog/services"):
                    return None
                lies.append(path)
                return answer(200, b"{}", consul.index)

            consul.fault = fault
            consul.touch()
            wait_until(lambda: len(lies) >= 2, 20, "the lie")
            deadline = time.monotonic() + 5
            while time.monotonic() < deadline:
                assert len(tagway.routes()) == 12
                time.sleep(0.05)
            consul.fault = None
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            began = time.monotonic()
            tagway.wait_route("/late")
            assert time.monotonic() - began < SOON
            assert len(tagway.routes()) == 13


def test_a_server_behind_that_knows_no_instances_is_not_believed(origin):
    """A follower that lags, for five seconds: an empty list counts only when the leader says so."""
    with FakeConsul() as consul:
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/a")
            lies = []

            def fault(path):
                if "/health/service/a" not in path or "stale" not in path:
                    return None
                lies.append(time.monotonic())
                return answer(200, b"[]", consul.index)

            consul.fault = fault
            consul.touch()
            wait_until(lambda: lies, 20, "the lie")
            while time.monotonic() < lies[0] + 5:
                assert tagway.get("/a").status == 200
                time.sleep(0.02)
            assert len(lies) <= 3 + 6, "burst of three, then one a second"


def test_what_the_token_may_not_see_is_no_disappearance(origin):
    """C28: a policy that was narrowed makes lists empty. The routes stay, and the reason is listed."""
    with FakeConsul() as consul:
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        with Tagway(options=consul.options(registry_consul_token="s3cr3t-t0k3n")) as tagway:
            tagway.wait_route("/a")

            def filtered(body):
                return answer(200, body, consul.index, fields=[("X-Consul-Results-Filtered-By-ACLs", "true")])

            def fault(path):
                if "/health/service/" in path:
                    return filtered(b"[]")
                return filtered(b"{}") if "/catalog/services" in path else None

            consul.fault = fault
            consul.touch()
            wait_until(lambda: "may not read" in json.dumps(tagway.problems()), 20, "the problem")
            deadline = time.monotonic() + 4
            while time.monotonic() < deadline:
                assert tagway.get("/a").status == 200
                time.sleep(0.05)
            consul.fault = None
            consul.touch()
            wait_until(lambda: "may not" not in json.dumps(tagway.problems()), 20, "the problem to go")

            # C27: the token is in the header of every request, and nowhere else.
            assert all(fields.get("x-consul-token") == "s3cr3t-t0k3n" for fields in consul.fields)
            assert not any("s3cr3t" in path for _, path in consul.requests)
            for page in ("/api/config", "/api/consul", "/api/problems", "/api/routes", "/metrics", "/"):
                assert b"s3cr3t" not in tagway.admin(page).body, page
            log = tagway.stderr()
        assert "may not read" in log and "s3cr3t" not in log


def test_keys_that_the_token_may_not_see_any_more_stay(origin):
    """Consul says of them that they do not exist, and that it has left something out."""
    with FakeConsul() as consul:
        consul.set_kv("fabio/config", f"route add m /manual http://127.0.0.1:{origin.port}/")
        consul.set_kv("fabio/noroute.html", "<p>nothing here")
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/manual")
            wait_until(lambda: b"nothing here" in tagway.get("/none").body, what="the page")
            hidden = answer(404, b"", consul.index, fields=[("X-Consul-Results-Filtered-By-ACLs", "true")])
            seen = []

            def fault(path):
                if not path.startswith("/v1/kv/"):
                    return None
                seen.append(path)
                return hidden

            consul.fault = fault
            consul.touch()
            wait_until(lambda: json.dumps(tagway.problems()).count("may not read") == 2, 20, "the problems")
            assert tagway.get("/manual").status == 200
            assert b"nothing here" in tagway.get("/none").body
            # What is really gone goes.
            consul.fault = None
            consul.kv.clear()
            consul.touch()
            wait_until(lambda: tagway.get("/manual").status == 404, 20, "the route to go")
            wait_until(lambda: tagway.get("/none").body == b"", 20, "the page to go")
            wait_until(lambda: "may not" not in json.dumps(tagway.problems()), 20, "the problems to go")


def instance(port, node=None, service=None, **more):
    return {"Node": {"Node": "n", "Address": "127.0.0.1", "Datacenter": "dc1", **(node or {})},
            "Service": {"ID": "i", "Service": "x", "Address": "127.0.0.1", "Port": port, "Tags": [], "Kind": "",
                        **(service or {})},
            "Checks": [{"Node": "n", "CheckID": "c", "Status": "passing", "ServiceID": "i"}], **more}


def tagged(name, *tags):
    return [f"urlprefix-/{name}", *tags]


# name -> (what the instance says of itself, whether it is routed, word of a problem or None)
ODD = {
    "port-0": ({"Port": 0}, False, "port is 0"),
    "port-65536": ({"Port": 65536}, False, "port is 0, missing or out of range"),
    "port-negative": ({"Port": -1}, False, "out of range"),
    "port-text": ({"Port": "80"}, False, None),
    "port-missing": ({"Port": None}, False, None),
    "address-of-the-node": ({"Address": ""}, True, None),
    "address-name": ({"Address": "localhost"}, True, None),
    "address-null": ({"Address": None}, True, None),
    "kind": ({"Kind": "connect-proxy"}, False, "connect-proxy"),
    "tags-null": ({"Tags": None}, False, None),
    "tag-100-kb": ({"Tags": ["urlprefix-/tag-100-kb", "urlprefix-/" + "x" * 100000]}, True, "longer than 2048"),
    "tag-crlf": ({"Tags": ["urlprefix-/tag-crlf", "urlprefix-/x\r\nSet-Cookie: a=b"]}, True, None),
    "tag-nul": ({"Tags": ["urlprefix-/tag-nul", "urlprefix-/y\0z"]}, True, None),
    "tag-html": ({"Tags": ["urlprefix-/tag-html", "urlprefix-/<script>alert(1)</script>"]}, True, None),
    "tag-number": ({"Tags": ["urlprefix-/tag-number", 5]}, None, None),
    "tags-10001": ({"Tags": ["urlprefix-/tags-10001"] + [f"t{n}" for n in range(10001)]}, True, "more than 10000"),
    "unknown-fields": ({"Future": {"a": [1, {"b": None}]}}, True, None),
}


def test_odd_instances_lose_only_themselves(origin):
    """Beside each odd instance stands a sound one of the same service, which is routed in any case."""
    with FakeConsul() as consul:
        for name, (service, _, _) in ODD.items():
            odd = instance(origin.port, service={"Tags": tagged(name), "ID": "odd", **service})
            odd["Checks"][0]["ServiceID"] = "odd"
            sound = instance(origin.port, service={"Tags": [f"urlprefix-/sound-{name}"]})
            consul.instances[name] = [odd, sound]
            consul.services[name] = [("i", origin.port, tagged(name))]
        consul.instances["twins"] = [instance(origin.port, service={"Tags": ["urlprefix-/twins"]})] * 2
        consul.services["twins"] = [("i", origin.port, ["urlprefix-/twins"])]
        consul.instances["v6"] = [instance(8080, service={"Tags": ["urlprefix-/v6"], "Address": "2001:db8::1"})]
        consul.services["v6"] = [("i", origin.port, ["urlprefix-/v6"])]
        with Tagway(options=consul.options()) as tagway:
            routes = {(route["service"], route["path"]) for route in tagway.routes()}
            problems = tagway.problems()
            for name, (_, is_routed, word) in ODD.items():
                if is_routed is None:  # a tag that is no text makes the answer one that is not to be trusted
                    continue
                assert (name, f"/sound-{name}") in routes, name
                assert ((name, f"/{name}") in routes) == is_routed, name
                mine = [problem for problem in problems if problem["service"] == name]
                if word:
                    assert word in json.dumps(mine), (name, mine)
            assert tagway.get("/tag-crlf").status == 200
            assert ("twins", "/twins") in routes
            assert "http://[2001:db8::1]:8080/" in {route["dst"] for route in tagway.routes()}
            assert b"\r\nSet-Cookie" not in tagway.admin("/api/problems").body
            # Put right, everything is routed.
            for name in ODD:
                consul.instances[name] = [instance(origin.port, service={"Tags": tagged(name)})]
            began = time.monotonic()
            consul.touch()
            for name in ODD:
                tagway.wait_route(f"/{name}")
            assert time.monotonic() - began < SOON


def test_endless_answers_at_once_are_paced(origin):
    """Long polls that return at once, without end and without a change: a busy loop on our side is one on
    Consul's. Each watch has its burst, then all together have less than one request a second."""
    with FakeConsul() as consul:
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/a")

            def fault(path):
                def at_once(handler):
                    status, body = handler._content(path.split("?")[0])
                    answer(status, json.dumps(body).encode(), consul.index)(handler)

                return at_once

            consul.fault = fault
            consul.touch()
            time.sleep(4)  # the burst
            first = len(consul.requests)
            began = time.monotonic()
            time.sleep(8)  # what is measured is a rate
            seconds = time.monotonic() - began
            counts = {}
            for _, path in consul.requests[first:]:
                path = path.partition("?")[0]
                counts[path] = counts.get(path, 0) + 1
            print(counts)
            assert len(counts) == 4 and sum(counts.values()) <= seconds
            assert tagway.metric("tagway_consul_watches_spinning") == 4
            assert "return at once" in json.dumps(tagway.problems())
            assert tagway.get("/a").status == 200
            consul.fault = None
            consul.services["a"].append(("a-2", origin.port, ["urlprefix-/more"]))
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            began = time.monotonic()
            tagway.wait_route("/late")
            tagway.wait_route("/more")
            assert time.monotonic() - began < SOON
            wait_until(lambda: tagway.metric("tagway_consul_watches_spinning") == 0, 10, "trust in all polls")
            assert not tagway.problems()


def test_a_service_that_takes_over_a_route_is_told(origin):
    """It may be meant (two versions of one service), so both are served, but never silently."""
    with FakeConsul() as consul:
        consul.set_service("owner", [("o-1", origin.port, ["urlprefix-example.com/pay"])])
        with Tagway(options=consul.options()) as tagway:
            tagway.wait_route("/pay", "example.com")
            assert not tagway.problems()
            consul.set_service("thief", [("t-1", origin.port, ["urlprefix-EXAMPLE.com/pay"])])
            problem = wait_until(lambda: (tagway.problems() or [None])[0], 10, "the problem")
            assert "also serves this host and path" in problem["reason"]
            assert {"owner", "thief"} <= set(json.dumps(problem).replace('"', " ").split())
            assert not problem["lost"]
            consul.set_service("thief", [])
            wait_until(lambda: not tagway.problems(), 10, "the problem to go")


def test_a_certificate_of_another_authority_is_not_believed(origin):
    """Whoever answers in Consul's place cannot change a route, and the right one is believed again."""
    ours, theirs = Authority(), Authority("Other CA")
    good, bad = (server_context(authority.issue("127.0.0.1")) for authority in (ours, theirs))
    with FakeConsul() as consul:
        consul.hang_up()
        consul.listen(good)
        consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
        options = consul.options(**{"registry.consul.addr": f"https://127.0.0.1:{consul.port}",
                                    "registry.consul.tls.cafile": ours.file})
        with Tagway(options=options) as tagway:
            tagway.wait_route("/a")
            consul.hang_up()
            consul.set_service("a", [])
            consul.listen(bad)
            wait_until(lambda: "certificate" in json.dumps(tagway.problems()), 20, "the problem")
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                assert tagway.get("/a").status == 200
                time.sleep(0.05)
            consul.hang_up()
            consul.set_service("a", [("a-1", origin.port, ["urlprefix-/a"])])
            consul.set_service("late", [("late-1", origin.port, ["urlprefix-/late"])])
            consul.listen(good)
            began = time.monotonic()
            tagway.wait_route("/late")
            assert time.monotonic() - began < SOON
            assert tagway.get("/a").status == 200
    ours.close()
    theirs.close()
