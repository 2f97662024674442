# SPDX-License-Identifier: Apache-2.0
"""The admin listener beside the real fabio's: status, media type, Location and body of each endpoint, the
shape of /api/config and of the overrides in one Consul."""

import json

import pytest

from harness.client import Client
from harness.consul import Consul
from harness.fabio import Fabio
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul

MANUAL = 'route add shop shop.com/a http://10.0.0.7:8080/ weight 0.25 tags "b,a" opts "strip=/a host=dst"\n' \
         "route add shop / http://10.0.0.8/"
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")
PATHS = ("/health", "/api/routes", "/api/routes?raw", "/api/paths", "/manual", "/manual/b", "/routes", "/", "/x/y",
         "/favicon.ico", "/api/config/", "//x", "/a/../b", "/a/./b?q=1", "/api/manualxyz", "/health/")
KEY_PATHS = ("/api/manual", "/api/manual/b", "/api/manual/sub/x", "/api/manual/none")


def ours(method, path, of_fabio):
    """fabio's answer with all that is told otherwise on purpose."""
    answer = dict(of_fabio)
    if answer["status"] in (303, 307):
        answer["type"] = None  # redirects bring no page
    if answer["type"] == "text/plain":
        answer["type"] += "; charset=utf-8"  # route texts are UTF-8
    if answer["status"] == 405:
        answer["allow"] = "GET, PUT" if path.startswith("/api/manual") else "GET"  # RFC 9110 section 15.5.6
    return answer



@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary) as consul:
        consul.kv_put("fabio/config", f"\n {MANUAL}\n")
        consul.kv_put("fabio/config/b", "# <b>&</b>")
        consul.kv_put("fabio/config/sub/x", "# x")
        consul.kv_put("fabio/configxyz", "# beside")
        yield consul


@pytest.fixture(scope="module", params=["rw", "ro"])
def pair(consul, request):
    with Fabio(options=consul.options(log_level="WARN", ui_access=request.param)) as fabio, \
            Tagway(options=consul.options(ui_access=request.param)) as tagway:
        wait_until(lambda: len(fabio.routes()) == len(tagway.routes()) == 2, what="both tables")
        yield fabio, tagway


def answer(proxy, method, path, body=None):
    with Client(proxy.admin_port) as client:
        response = client.request(method, path, [("Connection", "close")], body, f"127.0.0.1:{proxy.admin_port}")
    media = response.get("content-type")
    says_all = response.status == 200 and not (media or "").startswith("text/html")
    return {"status": response.status, "type": media, "location": response.get("location"),
            "body": response.body if says_all and response.body[:1] not in b"[{" else None,
            "allow": response.get("allow")}


# Writes have a test of their own.
@pytest.mark.parametrize("method, path", [(method, path) for path in PATHS + KEY_PATHS for method in METHODS
                                          if method != "PUT" or path not in KEY_PATHS])
def test_endpoint(pair, method, path):
    of_fabio, of_tagway = (answer(proxy, method, path) for proxy in pair)
    assert of_tagway == ours(method, path, of_fabio)


def test_routes(pair):
    def facts(routes):
        return [{**route, "opts": sorted(route["opts"].split(" "))} for route in routes]

    of_fabio, of_tagway = (facts(proxy.routes()) for proxy in pair)
    assert [{key: route[key] for key in of_fabio[i]} for i, route in enumerate(of_tagway)] == of_fabio


def test_version_is_one_word(pair):
    for proxy in pair:
        assert len(proxy.admin("/api/version").body.split(b" ")) == 1


def kind(value):
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, (int, float)):
        return "number"
    return type(value).__name__


def missing(of_fabio, of_tagway, at=""):
    """Keys of fabio's that ours lacks or has with another type. null stands for any list, map or text."""
    if isinstance(of_fabio, dict) and isinstance(of_tagway, dict):
        for key, value in of_fabio.items():
            if key not in of_tagway:
                yield f"{at}.{key} is missing"
            else:
                yield from missing(value, of_tagway[key], f"{at}.{key}")
    elif isinstance(of_fabio, list) and isinstance(of_tagway, list):
        for i, (ours, theirs) in enumerate(zip(of_tagway, of_fabio)):
            yield from missing(theirs, ours, f"{at}[{i}]")
    elif of_fabio is not None and of_tagway is not None and kind(of_fabio) != kind(of_tagway):
        yield f"{at}: {kind(of_fabio)} is {kind(of_tagway)}"


def test_config_has_fabios_keys(pair):
    fabio, tagway = pair
    assert not list(missing(fabio.json("/api/config"), tagway.json("/api/config")))


def test_manual_is_written_by_either(consul, pair, request):
    if request.node.callspec.params["pair"] == "ro":
        for proxy in pair:
            assert proxy.admin("/api/manual", method="PUT", body=b"{}").status == 403
        return
    for writer in pair:
        before = [proxy.json("/api/manual/written") for proxy in pair]
        assert before[0]["value"] == before[1]["value"]
        body = json.dumps({"value": f"# by {type(writer).__name__}", "version": before[0]["version"]}).encode()
        assert writer.admin("/api/manual/written", method="PUT", body=body).status == 200
        assert [proxy.json("/api/manual/written") for proxy in pair][0] == \
            pair[1].json("/api/manual/written") != before[0]
        for other in pair:
            answer = other.admin("/api/manual/written", method="PUT", body=body)
            assert (answer.status, answer.body) == (409, b"version mismatch\n")
            assert other.admin("/api/manual/written", method="PUT", body=b"{").status == 400
            number = b'{"value":"","version":1}'
            assert other.admin("/api/manual/written", method="PUT", body=number).status == 400
