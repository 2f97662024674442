# SPDX-License-Identifier: Apache-2.0
"""The admin listener: API in fabio's shape, problems, health, metrics."""

import json
import subprocess

import pytest

from harness.client import Client, format_request
from harness.origin import Origin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route


@pytest.fixture(scope="module")
def origin():
    with Origin(lambda request: (b"no", "500 Internal Server Error") if request.target == "/fail" else None) as origin:
        yield origin


@pytest.fixture(scope="module")
def proxy(origin):
    table = (route(origin, "front.example/app", "web", "strip=/app") + route(origin, "/", "web")
             + f'route add api /api {origin.url} weight 0.25 tags "a,b"\n' + route(refused_port(), "/gone", "gone"))
    with Tagway(table) as tagway:
        yield tagway


def test_routes_have_fabios_shape(proxy, origin):
    routes = proxy.routes()
    # Hosts ascending, then paths descending.
    assert [(route["host"], route["path"]) for route in routes] == [
        ("", "/gone"), ("", "/api"), ("", "/"), ("front.example", "/app")]
    api = routes[1]
    assert api["service"] == "api"
    assert api["src"] == "/api"
    assert api["dst"] == origin.url
    assert api["cmd"] == "route add"
    assert api["tags"] == ["a", "b"]
    assert 0 < api["weight"] <= 1
    assert {"rate1", "pct99", "opts"} <= set(api)
    assert routes[3]["opts"] == "strip=/app"
    assert routes[3]["src"] == "front.example/app"


def test_routes_as_text_can_be_read_back(proxy):
    raw = proxy.admin("/api/routes?raw")
    assert raw.get("content-type").startswith("text/plain")
    text = raw.body.decode()
    assert text.count("route add ") == 4
    with Tagway(text) as copy:
        assert copy.admin("/api/routes?raw").body.decode() == text


def test_pretty_and_plain_json(proxy):
    plain = proxy.admin("/api/routes")
    pretty = proxy.admin("/api/routes?pretty")
    assert plain.get("content-type") == "application/json; charset=utf-8"
    assert b"\n    " in pretty.body
    assert not plain.body.endswith(b"\n")

    def shape(body):  # rates move
        return [(route["src"], route["dst"]) for route in json.loads(body)]

    assert shape(plain.body) == shape(pretty.body)


def test_no_routes_is_null():
    with Tagway("") as tagway:
        assert tagway.admin("/api/routes").body == b"null"


def test_rates_move_with_traffic(proxy):
    def rate():
        for _ in range(20):
            proxy.get("/api/x")
        return [route["rate1"] for route in proxy.routes() if route["path"] == "/api"][0] > 0

    wait_until(rate, 10, "the rate of /api")


def test_problems_name_the_line():
    bad = 'route add broken / http://127.0.0.1:1/ weight abc\n'
    with Tagway(options={"registry.backend": "static",
                         "registry.static.routes": route(1) + bad}, is_ready=False) as tagway:
        try:
            tagway.wait_ready()
        except AssertionError:
            # Refusing to start with a bad line in the configuration itself is as good.
            assert tagway.process.wait() == 1
            assert "weight" in tagway.stderr()
            tagway.finish = lambda **_: None
            return
        problem = tagway.problems()[0]
        assert bad.strip() in problem["text"]
        assert problem["reason"] and problem["since"] and problem["source"]
        assert len(tagway.routes()) == 1


def test_version(proxy):
    response = proxy.admin("/api/version")
    assert response.status == 200
    assert response.body.decode().startswith("0.")


def test_health_and_ready(proxy):
    response = proxy.admin("/health")
    assert (response.status, response.body) == (200, b"OK\n")
    assert proxy.admin("/ready").status == 200


def test_ready_needs_a_table():
    options = {"registry.backend": "consul", "registry.consul.addr": f"127.0.0.1:{refused_port()}",
               "registry.consul.register.enabled": "false"}
    with Tagway(options=options, is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/health", may_fail=True).status == 200, 20, "the admin listener")
        assert tagway.admin("/ready").status == 503


def test_metrics_are_what_promtool_likes(proxy):
    proxy.get("/")
    proxy.get("/fail")
    proxy.get("/gone")
    proxy.get("/", host="évil\"\\".encode().decode("latin-1"))
    text = proxy.admin("/metrics").body
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert result.returncode == 0 and result.stdout + result.stderr == b"", (result.stdout + result.stderr).decode()


def test_metrics_count_requests(origin):
    with Tagway(route(origin, "/", "counted")) as tagway:
        for _ in range(7):
            tagway.get("/")
        for _ in range(3):
            tagway.get("/fail")
        before = tagway.metrics()
        counted = {name: value for name, value in before.items() if 'service="counted"' in name}
        assert counted, "no series of the service"
        assert tagway.metric("tagway_requests_total", service="counted") == 10 or 10 in counted.values(), counted
        assert 3 in counted.values(), f"the failures are not counted: {counted}"


def test_the_series_of_a_removed_target_goes(origin):
    with Origin() as other, Tagway(route(origin, "/", "first") + route(other, "/b", "second")) as tagway:
        tagway.get("/")
        tagway.get("/b")
        wait_until(lambda: 'service="second"' in str(tagway.metrics()), what="the series")
        tagway.set_routes(route(origin, "/", "first"))
        wait_until(lambda: 'service="second"' not in str(tagway.metrics()), 90, "the series to go", 0.2)
        assert 'service="first"' in str(tagway.metrics())


@pytest.mark.parametrize("target, status, location", [
    ("/", 303, "/routes"),
    ("/anything/else", 303, "/routes"),
    ("/favicon.ico", 404, None),
])
def test_fabios_other_addresses(proxy, target, status, location):
    response = proxy.admin(target)
    assert response.status == status
    assert response.get("location") == location


def test_security_headers(proxy):
    for target in ("/routes", "/api/routes", "/health", "/metrics", "/api/config"):
        response = proxy.admin(target)
        assert response.status == 200, target
        assert "default-src 'none'" in response.get("content-security-policy", ""), target
        assert response.get("x-content-type-options") == "nosniff"
        assert response.get("referrer-policy") == "no-referrer"
        assert "no-store" in response.get("cache-control")


def test_admin_refuses_what_the_proxy_refuses(proxy):
    for raw in (b"GET /health HTTP/1.1\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
                b"\x16\x03\x01\r\n\r\n", b"GET /health HTTP/1.1\r\nHost: a\r\nX-A: " + b"a" * 200000 + b"\r\n\r\n"):
        with Client(proxy.admin_port) as client:
            client.send(raw)
            assert 400 <= client.read_response().status < 500


def test_admin_keeps_connections(proxy):
    with Client(proxy.admin_port) as client:
        client.send(format_request(target="/health") * 3)
        for _ in range(3):
            assert client.read_response().body == b"OK\n"


def test_config_lists_the_options(proxy):
    config = proxy.json("/api/config")
    assert config["Proxy"]["Strategy"] == "rnd"
    assert config["Registry"]["Backend"] == "file"
