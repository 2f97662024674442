# SPDX-License-Identifier: Apache-2.0
"""fabio 10, the admin listener: every row of its endpoints (10.1), of /api/routes (10.2), of the overrides (10.4),
with real Consul behind it. What is tagway's own (checks, names of any kind, protection) stands in
tests/integration/test_admin_overrides.py and test_admin_safety.py; the pages in tests/ui."""

import json

import pytest

from harness.client import Client, format_request
from harness.consul import Consul
from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway, route

MAIN = 'route add shop shop.example.com/a http://10.0.0.7:8080/ weight 0.25 tags "b,a" opts "strip=/a host=dst"'


@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary) as consul:
        consul.kv_put("fabio/config", f"\n {MAIN}\n\n")
        consul.kv_put("fabio/config/b", "# <b>&</b>")
        consul.kv_put("fabio/config/sub/x", "# x")
        consul.kv_put("fabio/configxyz", "# beside")
        consul.kv_put("fabio/config/plain%2520name", "# plain%20name, percent and all")
        yield consul


@pytest.fixture(scope="module")
def rw(consul):
    with Tagway(options=consul.options(ui_access="rw")) as tagway:
        wait_until(tagway.routes, what="the manual routes")
        yield tagway


@pytest.fixture(scope="module")
def ro(consul):
    with Tagway(options=consul.options(ui_access="ro")) as tagway:
        yield tagway


@pytest.fixture(scope="module")
def based(consul):
    with Tagway(options=consul.options(ui_access="rw", ui_path="/lb/")) as tagway:
        yield tagway


@pytest.fixture(scope="module")
def static():
    with Tagway(options={"registry.backend": "static", "ui.access": "rw",
                         "registry.static.routes": "route add s / http://127.0.0.1:1/"}) as tagway:
        yield tagway


JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
ANY = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH")


def each(methods, path, *want):
    return [(method, path, *want) for method in methods]


# 10.1: status, type, body (None: whatever), location

ROWS_RW = [
    *each(ANY, "/health", 200, TEXT, b"OK\n"),
    *each(ANY, "/api/config", 200, JSON, None),
    *each(ANY, "/api/routes", 200, JSON, None),
    *each(ANY, "/api/routes?raw", 200, TEXT, None),
    *each(ANY, "/api/version", 200, TEXT, None),
    ("GET", "/api/paths", 200, JSON, None),
    *each([m for m in ANY if m != "GET"], "/api/paths", 405, TEXT, b"not allowed\n"),
    ("GET", "/api/manual", 200, JSON, None),
    ("GET", "/api/manual/b", 200, JSON, None),
    *each([m for m in ANY if m not in ("GET", "PUT")], "/api/manual", 405, TEXT, b"not allowed\n"),
    *each([m for m in ANY if m not in ("GET", "PUT")], "/api/manual/b", 405, TEXT, b"not allowed\n"),
    *each(ANY, "/manual", 200, HTML, None),
    *each(ANY, "/manual/sub/x?y", 200, HTML, None),
    *each(ANY, "/routes", 200, HTML, None),
    ("GET", "/assets/app.js", 200, "text/javascript; charset=utf-8", None),
    ("HEAD", "/assets/app.js", 200, "text/javascript; charset=utf-8", None),
    ("GET", "/assets/icon.svg", 200, "image/svg+xml", None),
    ("GET", "/assets/nothing", 404, TEXT, b"404 page not found\n"),
    ("GET", "/assets/", 404, TEXT, None),  # fabio lists its files there; of no use to anybody
    *each(ANY, "/favicon.ico", 404, TEXT, b"404 page not found\n"),
    *each(ANY, "/", 303, None, None, "/routes"),
    *each(ANY, "/anything/else", 303, None, None, "/routes"),
    ("GET", "/api/config/", 303, None, None, "/routes"),
    ("GET", "/routes/", 303, None, None, "/routes"),
    ("GET", "/health/", 303, None, None, "/routes"),
    ("GET", "/api/manualxyz", 303, None, None, "/routes"),
    *each(ANY, "//x", 307, None, None, "/x"),
    ("GET", "/a/../b", 307, None, None, "/b"),
    ("GET", "/a/./b?q=1", 307, None, None, "/a/b?q=1"),
    ("GET", "/../../x", 307, None, None, "/x"),
    ("GET", "/api/manual//b", 307, None, None, "/api/manual/b"),
    ("GET", "//evil.example/%2e%2e", 307, None, None, "/evil.example/%2e%2e"),
]

ROWS_RO = [
    *each(ANY, "/health", 200, TEXT, b"OK\n"),
    *each(ANY, "/api/config", 200, JSON, None),
    *each(ANY, "/api/routes", 200, JSON, None),
    *each(ANY, "/api/version", 200, TEXT, None),
    *each(ANY, "/routes", 200, HTML, None),
    ("GET", "/assets/app.js", 200, "text/javascript; charset=utf-8", None),
    *each(ANY, "/", 303, None, None, "/routes"),
    *[row for path in ("/api/paths", "/api/manual", "/api/manual/b", "/manual", "/manual/b")
      for row in each(ANY, path, 403, TEXT, b"Forbidden\n")],
]
ROWS_BASED = [
    ("GET", "/health", 200, TEXT, b"OK\n"),
    ("GET", "/lb/health", 303, None, None, "/lb/routes"),
    ("GET", "/lb/api/version", 200, TEXT, None),
    ("GET", "/lb/api/paths", 200, JSON, None),
    ("GET", "/lb/api/manual/b", 200, JSON, None),
    ("GET", "/lb/manual/b", 200, HTML, None),
    ("GET", "/lb/routes", 200, HTML, None),
    ("GET", "/lb/assets/app.js", 200, "text/javascript; charset=utf-8", None),
    ("GET", "/lb/favicon.ico", 404, TEXT, None),
    ("GET", "/lb/", 303, None, None, "/lb/routes"),
    ("GET", "/lb/zzz", 303, None, None, "/lb/routes"),
    ("GET", "/lb", 307, None, None, "/lb/"),
    ("GET", "/x/../lb/routes", 307, None, None, "/lb/routes"),
    *[("GET", path, 404, TEXT, b"404 page not found\n")
      for path in ("/", "/routes", "/lbx", "/api/routes", "/manual", "/assets/app.js", "/LB/routes")],
]
ROWS_STATIC = [
    ("GET", "/api/paths", 200, JSON, b"null"),
    ("GET", "/api/manual", 200, JSON, b'{"value":"","version":"0"}'),
    ("GET", "/api/manual/x", 200, JSON, b'{"value":"","version":"0"}'),
    ("GET", "/manual", 200, HTML, None),
]


def check(tagway, method, path, status, media, body, location=None):
    with Client(tagway.admin_port) as client:
        client.send(format_request(method, path, [("Connection", "close")], host="127.0.0.1"))
        answer = client.read_response(method)
    assert answer.status == status, answer.body[:200]
    assert answer.get("location") == location
    assert int(answer.get("content-length")) == (len(answer.body) if method != "HEAD" else int(
        answer.get("content-length")))
    if media:
        assert answer.get("content-type") == media
    if method == "HEAD":
        assert answer.body == b""
    elif body is not None:
        assert answer.body == body
    assert (answer.get("allow") is not None) == (status == 405)


def name_of(row):
    return f"{row[0]} {row[1]}"


@pytest.mark.consul
@pytest.mark.parametrize("row", ROWS_RW, ids=name_of)
def test_10_1_rw(rw, row):
    check(rw, *row)


@pytest.mark.consul
@pytest.mark.parametrize("row", ROWS_RO, ids=name_of)
def test_10_1_ro(ro, row):
    check(ro, *row)


@pytest.mark.consul
@pytest.mark.parametrize("row", ROWS_BASED, ids=name_of)
def test_10_1_below_a_base_path(based, row):
    check(based, *row)


@pytest.mark.parametrize("row", ROWS_STATIC, ids=name_of)
def test_10_1_a_registry_without_overrides(static, row):
    check(static, *row)


def test_10_1_put_to_a_registry_without_overrides(static):
    answer = static.admin("/api/manual", method="PUT", body=b'{"value":"x","version":"0"}')
    assert (answer.status, answer.body.startswith(b"version mismatch")) == (409, True)


def test_10_1_version_has_no_newline(static):
    body = static.admin("/api/version").body
    assert body and body == body.strip()


def test_10_1_json_is_escaped_and_ends_without_newline(static):
    with Tagway("route add <svc>&co /x http://127.0.0.1:1/\n") as tagway:
        body = tagway.admin("/api/routes").body
        assert b'"\\u003csvc\\u003e\\u0026co"' in body and body.endswith(b"]")


@pytest.mark.parametrize("query", ["?pretty", "?pretty=", "?pretty=0", "?x=1&pretty=yes"])
@pytest.mark.parametrize("path", ["/api/routes", "/api/config"])
def test_10_1_pretty_with_any_value(static, path, query):
    plain, pretty = static.json(path), static.admin(path + query).body.decode()
    assert pretty == json.dumps(json.loads(pretty), indent=4, ensure_ascii=False).replace(
        "<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    assert set(map(str, plain)) == set(map(str, json.loads(pretty))) or path == "/api/routes"


@pytest.mark.consul
def test_10_1_pretty_paths(rw):
    assert rw.admin("/api/paths?pretty").body.startswith(b'[\n    "",\n    "/b",\n')


# 10.2


@pytest.fixture(scope="module")
def table():
    commands = (route(1, "b.example/", "first") + route(2, "b.example/x/y", "deep") + route(3, "b.example/x", "x")
                + route(4, "/", "any") + route(5, "*.a.example/", "glob") + route(6, "b.example/", "second")
                + 'route add none b.example/ http://127.0.0.1:7/ weight 0 tags "t2,t1" opts "strip=/q host=dst"\n'
                + 'route add part w.example/ http://127.0.0.1:8/ weight 0.25\n'
                + 'route add rest w.example/ https://127.0.0.1:9/p?q=1\n')
    with Tagway(commands) as tagway:
        yield {row["dst"].split(":")[2]: row for row in tagway.routes()}, tagway


def test_10_2_order(table):
    rows, tagway = table
    assert [(row["host"], row["path"], row["service"]) for row in tagway.routes()] == [
        ("", "/", "any"), ("*.a.example", "/", "glob"), ("b.example", "/x/y", "deep"), ("b.example", "/x", "x"),
        ("b.example", "/", "first"), ("b.example", "/", "second"), ("b.example", "/", "none"),
        ("w.example", "/", "part"), ("w.example", "/", "rest")]


FIELDS = [
    ("service", "7/", "none"),
    ("host", "7/", "b.example"),
    ("host", "4/", ""),
    ("path", "2/", "/x/y"),
    ("src", "2/", "b.example/x/y"),
    ("src", "4/", "/"),
    ("dst", "9/p?q=1", "https://127.0.0.1:9/p?q=1"),
    ("opts", "7/", "host=dst strip=/q"),  # sorted
    ("opts", "1/", ""),
    ("cmd", "1/", "route add"),
    ("tags", "7/", ["t2", "t1"]),
    ("tags", "1/", None),  # omitted
    ("weight", "8/", 0.25),
    ("weight", "9/p?q=1", 0.75),
    ("rate1", "1/", 0),
    ("pct99", "1/", 0),
]


@pytest.mark.parametrize("field, key, value", FIELDS, ids=[f"{f}-{k}" for f, k, _ in FIELDS])
def test_10_2_field(table, field, key, value):
    row = table[0][key]
    if value is None:
        assert field not in row
    else:
        assert row[field] == value and type(row[field]) in (type(value), float)


def test_10_2_fields_come_in_fabios_order(table):
    text = table[1].admin("/api/routes").body.decode()
    row = next(row for row in json.loads(text, object_pairs_hook=list) if dict(row)["service"] == "none")
    names = [name for name, _ in row]
    fabios = ["service", "host", "path", "src", "dst", "opts", "cmd", "tags", "weight", "rate1", "pct99"]
    assert [name for name in names if name in fabios] == fabios


def test_10_2_weight_zero_is_listed(table):
    assert table[0]["7/"]["service"] == "none"


def test_10_2_null_when_empty():
    with Tagway("# nothing\n") as tagway:
        assert tagway.admin("/api/routes").body == b"null"
        assert tagway.admin("/api/routes?pretty").body == b"null"
        assert tagway.admin("/api/routes?raw").body == b"\n"


def test_10_2_raw_is_the_table_and_a_newline(table):
    rows, tagway = table
    text = tagway.admin("/api/routes?raw").body.decode()
    assert text.count("route add ") == len(rows) and text.endswith("\n")
    assert 'route add none b.example/ http://127.0.0.1:7/ tags "t2,t1" opts "host=dst strip=/q"' in text


def test_10_2_rate1_and_pct99_say_what_their_names_do():
    with Origin() as origin, Tagway(route(origin)) as tagway:
        def moves():
            for _ in range(10):
                tagway.get()
            row = tagway.routes()[0]
            return row["rate1"] > 0 and row["pct99"] > 0

        wait_until(moves, what="rate and latency")


# 10.4


@pytest.mark.consul
def test_10_4_paths(rw):
    assert rw.json("/api/paths") == ["", "/b", "/plain%20name", "/sub/x", "xyz"]


@pytest.mark.consul
def test_10_4_no_paths_are_null(consul):
    with Tagway(options=consul.options(ui_access="rw", registry_consul_kvpath="/none/here")) as tagway:
        assert tagway.admin("/api/paths").body == b"null"


@pytest.mark.consul
@pytest.mark.parametrize("path, key, value", [
    ("", "fabio/config", MAIN),  # trimmed
    ("/b", "fabio/config/b", "# <b>&</b>"),
    ("/sub/x", "fabio/config/sub/x", "# x"),
    ("/plain%20name", "fabio/config/plain%2520name", "# plain%20name, percent and all"),  # as it is written
])
def test_10_4_get(rw, consul, path, key, value):
    index = consul.get(f"/v1/kv/{key}")[0]["ModifyIndex"]
    assert rw.json(f"/api/manual{path}") == {"value": value, "version": str(index)}


@pytest.mark.consul
@pytest.mark.parametrize("path", ["/none", "/b/", "/B", "?pretty"])  # a query is part of the key
def test_10_4_get_of_what_is_not_there(rw, path):
    answer = rw.json(f"/api/manual{path}")
    assert answer["value"] == "" and int(answer["version"]) > 0


def put(tagway, path, value, version, fields=()):
    body = json.dumps({"value": value, "version": version}).encode()
    return tagway.admin(f"/api/manual{path}", method="PUT", body=body, fields=fields)


@pytest.mark.consul
def test_10_4_put_creates_changes_and_conflicts(rw, consul):
    created = put(rw, "/new", "# one", "0")
    assert (created.status, created.body, created.get("content-type")) == (200, b"", None)
    first = rw.json("/api/manual/new")
    assert first["value"] == "# one"
    assert put(rw, "/new", "# two", first["version"]).status == 200
    stale = put(rw, "/new", "# three", first["version"])
    assert (stale.status, stale.body, stale.get("content-type")) == (409, b"version mismatch\n", TEXT)
    assert put(rw, "/new", "# three", "0").status == 409
    assert rw.json("/api/manual/new")["value"] == "# two"
    consul.kv_delete("fabio/config/new")
    assert put(rw, "/new", "# again", first["version"]).status == 200  # create-only comes first
    consul.kv_delete("fabio/config/new")


@pytest.mark.consul
def test_10_4_put_routes_at_once(rw, consul):
    with Origin() as origin:
        assert put(rw, "/routed", f"route add r /routed {origin.url}", "0").status == 200
        rw.wait_route("/routed")
        version = rw.json("/api/manual/routed")["version"]
        assert put(rw, "/routed", "this is no command", version).status == 200  # not checked
        rw.wait_route("/routed", status=404)
        consul.kv_delete("fabio/config/routed")


# As fabio reads it; where it would blank a document for want of a value, it is refused.
BODIES = [
    (b'{"value":"x","version":"0"}', 200),
    (b'{"value":"x"}', 200),
    (b'{"value":"x","version":null}', 200),
    (b'{"VALUE":"x","Version":"0"}', 200),
    (b' {"value":"x","version":"0","more":[1]} trailing', 200),
    (b'{"value":"\\u00e9\\u2028\\ud83d\\ude00","version":"0"}', 200),
    (b'{"value":"x","version":0}', 400),
    (b'{"value":1,"version":"0"}', 400),
    (b'{"value":"x","version":"abc"}', 400),
    (b'{"value":"x","version":""}', 400),
    (b'{"value":"x","version":"-1"}', 400),
    (b'{"value":"x","version":" 1"}', 400),
    (b'{"value":"x","version":"99999999999999999999999"}', 400),
    (b"[]", 400),
    (b"x", 400),
    (b"", 400),
    (b'{"value":"x"', 400),
    (b"{}", 400),
    (b"null", 400),
    (b'{"value":null,"version":"0"}', 400),
    (b'{"value":"a\\u0000b","version":"0"}', 400),
]


@pytest.mark.consul
@pytest.mark.parametrize("body, status", BODIES)
def test_10_4_put_bodies(rw, consul, body, status):
    consul.kv_delete("fabio/config/body")
    answer = rw.admin("/api/manual/body", method="PUT", body=body)
    assert answer.status == status, answer.body
    if status == 400:
        assert answer.get("content-type") == TEXT and answer.body.endswith(b"\n")
        assert rw.json("/api/manual/body")["value"] == ""
    else:
        assert rw.json("/api/manual/body")["value"] == json.loads(body.split(b" trailing")[0].lower())["value"]
    consul.kv_delete("fabio/config/body")


@pytest.mark.consul
def test_10_4_put_of_the_largest_value(rw, consul):
    value = ('# "quoted" \\ line\n' * 31000)[:512 * 1024 - 10].strip()
    assert put(rw, "/large", value, "0").status == 200
    assert rw.json("/api/manual/large")["value"] == value
    consul.kv_delete("fabio/config/large")
    assert put(rw, "/large", "x" * (512 * 1024 + 1), "0").status in (413, 500)


@pytest.mark.consul
def test_10_4_consul_errors_are_500_with_text(consul_binary):
    with Consul(consul_binary) as own:
        own.kv_put("fabio/config", "# text")
        with Tagway(options=own.options(ui_access="rw")) as tagway:
            own.kill()
            for answer in (tagway.admin("/api/manual"), tagway.admin("/api/paths"), put(tagway, "", "x", "1")):
                assert answer.status == 500 and answer.get("content-type") == TEXT
                assert len(answer.body.strip()) > 10
