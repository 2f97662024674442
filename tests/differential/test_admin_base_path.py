# SPDX-License-Identifier: Apache-2.0
"""The admin listener below ui.path beside the real fabio's, what each of many bodies of a write does, and documents
to the byte."""

import json

import pytest

from harness.consul import Consul
from harness.fabio import Fabio
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul

MANUAL = ('route add a b.example/x http://10.0.0.1:80/ weight 0.3 tags "t,u" opts "strip=/x"\n'
          "route add b b.example/x http://10.0.0.2/\nroute add c /c http://10.0.0.3/\nroute add d *.example/ http://10.0.0.4/")
METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE")
PATHS = ("/health", "/api/version", "/api/routes", "/api/routes?raw", "/api/paths", "/api/manual", "/api/manual/b",
         "/api/manual/none", "/api/manual/a%20b", "/api/manualx", "/manual", "/manual/x", "/routes", "/favicon.ico",
         "/", "/x/y", "//x", "/a/../b?c=d", "/routes/", "/health/", "/assets/nothing")
PUTS = (b'{"value":"# y","version":"0"}', b'{"value":"# y","version":0}', b'{"value":"# y"}', b'{"value":1,"version":"0"}',
        b'{"value":"# y","version":"x"}', b'{"value":"# y","version":""}', b'{"VALUE":"# y","VERSION":"0"}', b"[]", b"x", b"",
        b'{"value":"# y","version":null} x')


@pytest.fixture(scope="module", params=["", "/lb"], ids=["top", "below"])
def pair(request, consul_binary):
    with Consul(consul_binary) as consul:
        consul.kv_put("fabio/config", MANUAL)
        consul.kv_put("fabio/config/b", "# <&>")
        consul.kv_put("fabio/configx", "# x")
        base = request.param
        options = consul.options(ui_access="rw", ui_path=base)
        with Fabio(options=options) as fabio, Tagway(options=options) as tagway:
            both = [fabio, tagway]
            for one in both:
                wait_until(lambda one=one: len(json.loads(one.admin(f"{base}/api/routes").body) or []) == 4, 20, "the table")
            yield both, base, consul


def told(answer, path):
    """What users of the interface rely on."""
    result = {"status": answer.status, "location": answer.get("location")}
    if answer.status in (403, 404, 405, 409):
        result["body"] = answer.body
    if answer.status == 200 and "/api/" in path and "?raw" not in path:
        result["type"] = answer.get("content-type")
    return result


@pytest.mark.parametrize("path", PATHS)
def test_statuses_and_texts(pair, path):
    both, base, _ = pair
    for prefix in {base, ""}:
        for method in METHODS:
            if method == "PUT" and "/api/manual" in path:
                continue  # below
            theirs, ours = (told(one.admin(prefix + path, method=method, body=b"" if method == "POST" else None), path)
                            for one in both)
            assert ours == theirs, (method, prefix + path)


@pytest.mark.parametrize("path", ["/api/paths", "/api/paths?pretty", "/api/manual", "/api/manual/b", "/api/manual/a%20b"])
def test_documents(pair, path):
    both, base, _ = pair
    theirs, ours = (one.admin(base + path).body for one in both)
    assert ours == theirs


@pytest.mark.parametrize("body", PUTS)
def test_writes(pair, body):
    both, base, consul = pair
    results = []
    for one in both:
        consul.kv_delete("fabio/config/w")
        answers = [one.admin(f"{base}/api/manual/w", method="PUT", body=body).status for _ in range(2)]
        results.append((answers, consul.get("/v1/kv/fabio/config/w") is not None))
    assert results[1] == results[0]
    consul.kv_delete("fabio/config/w")
