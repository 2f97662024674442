# SPDX-License-Identifier: Apache-2.0
"""More services than polls: what each kind of change looks like when no service has a poll of its own."""

import time

import pytest

from harness.consul_site import ConsulSite
from harness.fake_consul import FakeConsul
from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul

OTHERS = 420
# The slow round over all services takes a minute: what is seen sooner was not found by it. Health takes
# milliseconds, what only the list of all checks or a round over the nodes shows some seconds.
SOON = 15


class Site(ConsulSite):
    def sees(self, path, status, body=None, timeout=SOON):
        def is_seen():
            response = self.tagway.get(path)
            return response.status == status and body in (None, response.body)

        wait_until(is_seen, timeout, f"{path} to answer {status} {body}")


@pytest.fixture(scope="module")
def site(consul_binary):
    site = Site(consul_binary, OTHERS, registry_consul_maxwatches="1")
    yield site
    site.close()


@pytest.fixture
def web(site):
    """A routed service on origin a, quiet; gone after the test."""
    service_id = site.register_web()
    site.sees("/web", 200)
    yield service_id
    site.remove_all_but_others()


def test_no_service_has_a_poll_of_its_own(site, web):
    state = site.tagway.json("/api/consul")
    assert (state["mode"], state["polled"], state["services"]) == ("digest", 0, OTHERS + 1)
    assert {watch["class"] for watch in state["watches"]} == {"catalog", "state", "kv"}
    assert not [watch for watch in state["watches"] if watch["is_failing"]]


@pytest.mark.parametrize("status", ["critical", "warning"])
def test_health(site, web, status):
    for _ in range(3):
        site.consul.set_health(web, status)
        site.sees("/web", 503)
        site.consul.set_health(web, "passing")
        site.sees("/web", 200)


def test_health_beside_what_is_critical_all_the_time(site, web):
    site.consul.register("sick", site.b.port, ["urlprefix-/sick"], status="critical")
    site.sees("/sick", 503)
    site.consul.set_health(web, "critical")
    site.sees("/web", 503)
    site.consul.set_health(web, "passing")
    site.sees("/web", 200)


def test_a_new_service_that_gets_well_later(site, web):
    new = site.consul.register("new", site.b.port, ["urlprefix-/new"], status="critical")
    site.sees("/new", 503)
    site.consul.set_health(new, "passing")
    site.sees("/new", 200)


def test_maintenance_of_a_service_and_of_the_node(site, web):
    site.consul.set_service_maintenance(web, True)
    site.sees("/web", 503)
    site.consul.set_service_maintenance(web, False)
    site.sees("/web", 200)
    # A check of the node, which is no service's.
    site.consul.set_node_maintenance(True)
    site.sees("/web", 503)
    site.consul.set_node_maintenance(False)
    site.sees("/web", 200)
    wait_until(lambda: site.tagway.get("/other0").status == 200, SOON, "the others to be back")


def test_a_second_instance_comes_and_goes(site, web):
    """The catalog's content stays the same."""
    for _ in range(2):
        second = site.consul.register("web", site.b.port, ["urlprefix-/web"], "web-2")
        wait_until(lambda: site.tagway.get("/web").body == b"b", SOON, "the second instance")
        site.consul.deregister(second)
        wait_until(lambda: len(site.tagway.routes()) == OTHERS + 1, SOON, "it to be gone")


def test_a_tag_of_one_instance_of_two(site, web):
    """web-2 takes over a tag that web-1 has, too: the union of tags stays the same."""
    site.consul.register("web", site.a.port, ["urlprefix-/web", "urlprefix-/both"], web)
    site.consul.register("web", site.b.port, ["urlprefix-/web"], "web-2")
    site.sees("/both", 200, b"a")
    site.consul.register("web", site.b.port, ["urlprefix-/web", "urlprefix-/both"], "web-2")
    site.sees("/both", 200, b"b")


def test_a_tag_of_the_only_instance(site, web):
    site.consul.register("web", site.a.port, ["urlprefix-/moved"], web)
    site.sees("/moved", 200)
    site.sees("/web", 404)


def test_a_check_comes_and_goes(site, web):
    """Without a check there is no route."""
    site.consul.register("bare", site.b.port, ["urlprefix-/bare"], "bare-1", has_check=False)
    site.consul.register("last", site.b.port, ["urlprefix-/last"])
    site.sees("/last", 200)
    assert site.tagway.get("/bare").status == 404
    site.consul.put("/v1/agent/check/register", {"Name": "late", "ID": "late", "ServiceID": "bare-1", "TTL": "1h",
                                                 "Status": "passing"})
    site.sees("/bare", 200)
    site.consul.put("/v1/agent/check/deregister/late")
    site.sees("/bare", 404)


def test_a_port_alone(site, web):
    site.consul.register("web", site.b.port, ["urlprefix-/web"], web)
    site.sees("/web", 200, b"b")


def test_ports_beside_an_instance_that_comes(site, web):
    """The instance explains why the catalog wakes up, but the ports have changed all the same."""
    moved = range(0, OTHERS, 42)
    site.consul.register("web", site.b.port, ["urlprefix-/web"], "web-2")
    for number in moved:
        site.consul.register(f"other{number}", site.b.port, [f"urlprefix-/other{number}"],
                             f"other{number}-{site.a.port}")
    began = time.monotonic()
    for number in moved:
        site.sees(f"/other{number}", 200, b"b", SOON + began - time.monotonic())


def test_a_service_that_comes_and_goes_takes_no_poll_from_a_quiet_one(consul_binary):
    site = ConsulSite(consul_binary, 30, registry_consul_maxwatches="16")

    def quiet():
        """Good answers for each quiet service that has a poll of its own."""
        return {watch["name"]: watch["wakeups"] for watch in site.tagway.json("/api/consul")["watches"]
                if watch["class"] == "service" and watch["name"].startswith("other") and watch["state"] == "polling"}

    try:
        wait_until(lambda: len(quiet()) == 9, what="the polls of quiet services")
        before = quiet()
        for _ in range(3):
            web = site.register_web()
            site.tagway.wait_route("/web")
            site.consul.deregister(web)
            site.wait_until_as_before()
        assert quiet() == before
    finally:
        site.close()


def test_a_long_list_of_all_checks_is_read_seldom():
    """It costs Consul a millisecond for every hundred services, and what changes most shows elsewhere."""
    with FakeConsul() as consul, Origin() as origin:
        many = [(f"many-{number}", origin.port, ["urlprefix-/many"]) for number in range(2000)]
        consul.set_service("many", many)
        consul.set_service("moving", [("moving-1", origin.port, ["urlprefix-/0"])])
        for name in ("a", "b", "c"):
            consul.set_service(name, [(f"{name}-1", origin.port, [f"urlprefix-/{name}"])])
        with Tagway(options=consul.options(registry_consul_maxwatches="1")) as tagway:
            tagway.wait_route("/0")
            answer = tagway.json("/api/consul")
            assert (answer["mode"], answer["polled"]) == ("digest", 0)
            before, began = len(consul.requests), time.monotonic()
            for number in range(1, 12):
                consul.set_service("moving", [("moving-1", origin.port, [f"urlprefix-/{number}"])])
                tagway.wait_route(f"/{number}")
            seconds = time.monotonic() - began
            reads = sum("/health/state/any" in path for _, path in consul.requests[before:])
            print(f"{reads} in {seconds:.1f} s")
            # 250 KB: four seconds apart, but for one that was out already.
            assert reads <= 1 + seconds / 3
