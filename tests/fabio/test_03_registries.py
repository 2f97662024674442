# SPDX-License-Identifier: Apache-2.0
"""fabio section 3: what is asked of Consul, which instances count, order, manual routes, the no-route page, and
the static and file backends; with the log of route changes (2.7, 2.8).

One real Consul serves the file; a scripted one is there where the requests themselves are looked at. Faults of
Consul are in tests/integration/test_consul_faults.py, tokens and TLS in test_consul_access.py, the custom
backend in test_03_custom_backend.py."""

import base64
import re
import subprocess
import urllib.parse

import pytest

from harness.consul import Consul
from harness.fake_consul import FakeConsul
from harness.origin import Origin
from harness.ports import free_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway, route


def run(*argv):
    addrs = f"-proxy.addr=127.0.0.1:{free_port()}", f"-ui.addr=127.0.0.1:{free_port()}"
    result = subprocess.run([BINARY, *addrs, *argv],
                            capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    return result.returncode, result.stderr


def hang_up(handler):
    handler.close_connection = True


@pytest.fixture
def fake():
    with FakeConsul() as consul:
        yield consul


@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary) as consul:
        yield consul


@pytest.fixture(scope="module")
def origin():
    with Origin(name="a") as origin:
        yield origin


def test_3_an_unknown_backend_ends_the_program():
    code, stderr = run("-registry.backend=etcd")
    assert code == 1 and "registry.backend" in stderr and "etcd" in stderr


# 3.1 Start-up retry

def test_3_1_registry_timeout():
    code, stderr = run("-registry.backend=consul", f"-registry.consul.addr=127.0.0.1:{free_port()}",
                       "-registry.timeout=300ms")
    assert code == 1
    assert re.search(r"\[FATAL\] \S+\. Timeout registering backend\.", stderr)


def test_3_1_without_it_the_start_goes_on_until_consul_is_there(fake, origin):
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    fake.fault = lambda path: hang_up
    with Tagway(options=fake.options(), is_ready=False) as tagway:
        wait_until(lambda: len(fake.requests) >= 3, what="further tries")
        assert tagway.admin("/ready").status == 503
        fake.fault = None
        tagway.wait_ready()
        assert tagway.get().status == 200


# 3.2 Requests

def queries(fake):
    """endpoint -> list of parsed queries."""
    found = {}
    for _, path in fake.requests:
        url = urllib.parse.urlsplit(path)
        query = dict(urllib.parse.parse_qsl(url.query, keep_blank_values=True))
        found.setdefault(urllib.parse.unquote(url.path), []).append(query)
    return found


def test_3_2_endpoints(fake, origin):
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    options = fake.options(registry_consul_kvpath="/some/config", registry_consul_noroutehtmlpath="/some/page")
    with Tagway(options=options):
        found = queries(fake)
    assert set(found) >= {"/v1/catalog/services", "/v1/health/service/web", "/v1/kv/some/config", "/v1/kv/some/page"}
    assert all("recurse" in query for query in found["/v1/kv/some/config"] + found["/v1/kv/some/page"])


@pytest.mark.parametrize("options, param", [
    ({}, "stale"),
    ({"requireConsistent": "true"}, "consistent"),
    ({"requireConsistent": "true", "allowStale": "false"}, "consistent"),
    ({"requireConsistent": "false", "allowStale": "true"}, "stale"),
    ({"requireConsistent": "false", "allowStale": "false"}, None),
], ids=["default", "consistent", "consistent and not stale", "stale", "neither"])
def test_3_2_consistency(fake, origin, options, param):
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    more = {f"registry.consul.{key}": value for key, value in options.items()}
    with Tagway(options={**fake.options(), **more}):
        for endpoint, found in queries(fake).items():
            for query in found:
                assert {"stale", "consistent"} & set(query) == ({param} if param else set()), endpoint


def test_3_2_consistent_and_stale_exclude_each_other():
    code, stderr = run("-registry.consul.requireConsistent=true", "-registry.consul.allowStale=true")
    assert code == 1
    assert "registry.consul.requireConsistent" in stderr and "registry.consul.allowStale" in stderr


@pytest.mark.parametrize("env, name, value", [
    ({"CONSUL_HTTP_TOKEN": "from-env"}, "token", "from-env"),
    ({"CONSUL_HTTP_TOKEN_FILE": "FILE"}, "token", "from-file"),
    ({"CONSUL_NAMESPACE": "team"}, "ns", "team"),
    ({"CONSUL_PARTITION": "part"}, "partition", "part"),
], ids=["token", "token file", "namespace", "partition"])
@pytest.mark.parametrize("is_configured", [False, True], ids=["gap", "configured"])
def test_3_2_consul_environment_fills_gaps(fake, tmp_path, env, name, value, is_configured):
    (tmp_path / "token").write_text("from-file\n")
    env = {key: str(tmp_path / "token") if text == "FILE" else text for key, text in env.items()}
    options = fake.options()
    if is_configured:
        key = {"token": "token", "ns": "namespace", "partition": "partition"}[name]
        options[f"registry.consul.{key}"] = value = "own"
    with Tagway(options=options, env=env):
        assert fake.fields
        for fields, (_, path) in zip(fake.fields, fake.requests):
            if name == "token":
                assert fields.get("x-consul-token") == value
                assert value not in path
            else:
                assert f"{name}={value}&" in path + "&"


def test_3_2_a_proxy_from_the_environment(fake, origin):
    """An HTTP proxy is asked for whole URLs, which the scripted Consul answers as well."""
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    options = {**fake.options(), "registry.consul.addr": "consul.invalid:8500"}
    with Tagway(options=options, env={"HTTP_PROXY": f"http://127.0.0.1:{fake.port}"}) as tagway:
        assert tagway.get().status == 200
        assert all(path.startswith("http://consul.invalid:8500/v1/") for _, path in fake.requests)
        assert "through the proxy that HTTP_PROXY names" in tagway.stderr()


@pytest.mark.parametrize("addr, no_proxy", [("consul.invalid:8500", "other,.invalid"), ("127.0.0.1:1", "")],
                         ids=["NO_PROXY", "this machine"])
def test_3_2_not_through_the_proxy(fake, addr, no_proxy):
    options = {**fake.options(), "registry.consul.addr": addr}
    env = {"HTTP_PROXY": f"http://127.0.0.1:{fake.port}", "NO_PROXY": no_proxy}
    with Tagway(options=options, env=env, is_ready=False) as tagway:
        wait_until(lambda: tagway.admin("/api/problems", may_fail=True).status == 200 and tagway.problems(),
                   what="the problem")
        assert fake.requests == []


def test_3_2_poll_mode(fake, origin):
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    options = fake.options(registry_consul_pollinterval="100ms")
    with Tagway(options=options) as tagway:
        fake.set_service("new", [("new-1", origin.port, ["urlprefix-/new"])])
        tagway.wait_route("/new")
        wait_until(lambda: len(queries(fake)["/v1/catalog/services"]) >= 3, what="further polls")
        assert not any("index" in query for found in queries(fake).values() for query in found)


def test_3_2_an_unreadable_answer_of_kv_is_an_error_and_404_is_no_keys(fake, origin):
    from harness.fake_consul import answer
    fake.set_service("web", [("web-1", origin.port, ["urlprefix-/"])])
    with Tagway(options=fake.options()) as tagway:
        assert tagway.get().status == 200
        assert tagway.problems() == []
        fake.fault = lambda path: answer(500, b"broken") if path.startswith("/v1/kv/") else None
        fake.touch()
        wait_until(tagway.problems, what="the problem")
        assert tagway.get().status == 200


# 3.3 Which instances count. All of them in Consul at once; three tagways read them.

def check(status, kind="service"):
    return {"Status": status, "kind": kind}


# name: (checks of the instance and its node, counts by default, with passing and warning, with all required)
INSTANCES = {
    "passing": ([check("passing")], True, True, True),
    "warning": ([check("warning")], False, True, False),
    "critical": ([check("critical")], False, False, False),
    "one-of-two": ([check("passing"), check("critical")], True, True, False),
    "passing-and-warning": ([check("passing"), check("warning")], True, True, False),
    "none-of-two": ([check("critical"), check("critical")], False, False, False),
    "no-check": ([], False, False, False),
    "node-check-passing": ([check("passing", "node")], False, False, False),
    "node-check-critical": ([check("passing"), check("critical", "node")], True, True, True),
    "serf-critical": ([check("passing"), check("critical", "serfHealth")], False, False, False),
    "serf-warning": ([check("passing"), check("warning", "serfHealth")], True, True, True),
    "node-maintenance": ([check("passing"), check("passing", "_node_maintenance")], False, False, False),
    "service-maintenance": ([check("passing"), check("critical", "_service_maintenance")], False, False, False),
    "others-maintenance": ([check("passing"), check("critical", "_service_maintenance:other")], True, True, True),
}


def catalog_checks(name, checks):
    found = []
    for number, item in enumerate(checks):
        kind, identity, is_own = item["kind"], f"check-{number}", True
        if kind == "node":
            is_own = False
        elif kind == "_service_maintenance":
            identity = f"_service_maintenance:{name}"
        elif kind != "service":
            identity, is_own = kind, False
        found.append({"Node": f"n-{name}", "CheckID": identity, "Name": identity, "Status": item["Status"],
                      **({"ServiceID": name} if is_own else {})})
    return found


@pytest.fixture(scope="module")
def verdicts(consul):
    """Routed services under each of the three settings."""
    for name, (checks, *_) in INSTANCES.items():
        consul.put("/v1/catalog/register", {
            "Node": f"n-{name}", "Address": "10.9.9.9", "SkipNodeUpdate": False,
            "Service": {"ID": name, "Service": name, "Port": 80, "Tags": [f"urlprefix-/{name}"]},
            "Checks": catalog_checks(name, checks)})
    found = []
    for more in ({}, {"registry.consul.service.status": "passing, warning"}, {"registry.consul.checksRequired": "all"}):
        with Tagway(options={**consul.options(), "registry.consul.unhealthyroute": "drop", **more}) as tagway:
            wait_until(lambda tagway=tagway: "passing" in [route["service"] for route in tagway.routes()],
                       what="the routes")
            found.append({route["service"] for route in tagway.routes()})
    for name in INSTANCES:
        consul.put("/v1/catalog/deregister", {"Node": f"n-{name}"})
    return found


@pytest.mark.consul
@pytest.mark.parametrize("setting", [0, 1, 2], ids=["default", "passing and warning", "all required"])
@pytest.mark.parametrize("name", INSTANCES)
def test_3_3_which_instances_count(verdicts, name, setting):
    assert (name in verdicts[setting]) == INSTANCES[name][1 + setting]


@pytest.mark.parametrize("key, value", [("checksRequired", "some"), ("service.status", "")])
def test_3_3_settings_that_mean_nothing_are_refused(key, value):
    """fabio takes anything but `all` for `one`, and routes nothing with an empty list."""
    code, stderr = run(f"-registry.consul.{key}={value}")
    assert code == 1 and key in stderr


def test_3_4_service_monitors_are_read_and_not_needed(fake):
    with Tagway(options=fake.options(registry_consul_serviceMonitors="4")) as tagway:
        assert "registry.consul.serviceMonitors" in tagway.stderr()
        assert "[WARN]" in tagway.stderr()


def test_3_5_order_of_targets_is_descending_by_the_text_of_the_command(fake):
    fake.set_service("alpha", [("a-1", 9001, ["urlprefix-/x"]), ("a-2", 9002, ["urlprefix-/x"])])
    fake.set_service("beta", [("b-1", 9003, ["urlprefix-/x"])])
    with Tagway(options=fake.options()) as tagway:
        assert [route["dst"] for route in tagway.routes()] == [
            "http://127.0.0.1:9003/", "http://127.0.0.1:9002/", "http://127.0.0.1:9001/"]


# 3.6 and 3.7 KV, one tagway for all

@pytest.fixture(scope="module")
def kv(consul, origin):
    consul.register("web", origin.port, ["urlprefix-/web", "blue"])
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/web")
        yield tagway
    consul.deregister(f"web-{origin.port}")


@pytest.fixture
def keys(consul, kv):
    """Sets keys; all of them are gone after the test."""
    written = []

    def put(key, value):
        written.append(key)
        consul.kv_put(key, value)

    yield put
    for key in written:
        consul.kv_delete(key)
    wait_until(lambda: [route["service"] for route in kv.routes()] == ["web"], what="the manual routes to go")


def wait_services(tagway, *services):
    wait_until(lambda: {route["service"] for route in tagway.routes()} == set(services), what=f"{services}")


@pytest.mark.consul
@pytest.mark.parametrize("key, is_read", [
    ("fabio/config", True),
    ("fabio/config/", True),
    ("fabio/config/deep/down", True),
    ("fabio/configxyz", True),
    ("fabio/conf", False),
    ("fabio/other", False),
])
def test_3_6_the_path_is_a_prefix(kv, keys, key, is_read):
    keys("fabio/config/0", "route add always /always http://127.0.0.1:9/")
    keys(key, "route add manual /manual http://127.0.0.1:9/")
    wait_services(kv, "web", "always", *(["manual"] if is_read else []))
    if not is_read:
        keys("fabio/config/1", "route add later /later http://127.0.0.1:9/")
        wait_services(kv, "web", "always", "later")


@pytest.mark.consul
def test_3_6_keys_act_in_their_order_on_what_the_services_gave(kv, keys):
    keys("fabio/config/b", "route del tags \"blue\"")
    wait_services(kv)
    keys("fabio/config/c", "route add after /web http://127.0.0.1:9/")
    wait_services(kv, "after")
    keys("fabio/config/a", "route add before /before http://127.0.0.1:9/ tags \"blue\"")
    keys("fabio/config/d", "route add last /last http://127.0.0.1:9/")
    wait_services(kv, "after", "last")


@pytest.mark.consul
def test_3_6_values_are_trimmed_and_headed_by_their_key(kv, keys):
    """As the log of changes shows them."""
    begin = len(kv.stderr())
    keys("fabio/config/x", "\n\n  route add one /one http://127.0.0.1:9/\n\n")
    wait_services(kv, "web", "one")
    wait_until(lambda: "route add one" in kv.stderr()[begin:], what="the log")
    log = kv.stderr()[begin:]
    assert re.search(r"\[INFO\] Config updates\n\+ # --- fabio/config/x\n\+ route add one /one http://127.0.0.1:9/\n",
                     log), log


@pytest.mark.consul
def test_3_6_comments_and_blank_lines_are_no_commands(kv, keys):
    keys("fabio/config/x", "# a comment\n\n// another\nroute add one /one http://127.0.0.1:9/\n"
                           "#route add two /two http://127.0.0.1:9/")
    wait_services(kv, "web", "one")
    assert kv.problems() == []


@pytest.mark.consul
def test_3_7_no_route_page_of_several_keys(kv, consul):
    begin, without = len(kv.stderr()), kv.get("/nothing").body
    consul.kv_put("fabio/noroute.html", "  <p>one</p>\n")
    consul.kv_put("fabio/noroute.html/b", "<p>two</p>")
    wait_until(lambda: kv.get("/nothing").body == b"<p>one</p>\n\n<p>two</p>", what="the page")
    assert kv.get("/nothing").status == 404
    assert "[INFO] Set noroute HTML (22 bytes)\n" in kv.stderr()[begin:]
    consul.kv_delete("fabio/noroute.html")
    consul.kv_delete("fabio/noroute.html/b")
    wait_until(lambda: kv.get("/nothing").body == without, what="the page to go")
    assert "[INFO] Unset noroute HTML\n" in kv.stderr()[begin:]


@pytest.mark.parametrize("key", ["kvpath", "noroutehtmlpath"])
def test_3_6_a_path_begins_with_a_slash(key):
    code, stderr = run(f"-registry.consul.{key}=fabio/x")
    assert code == 1 and key in stderr


# 2.7, 2.8 What is logged when routes change

SERVICES = {"beta": [("b-1", 9003, ["urlprefix-h.com/x weight=0.5", "tag"])],
            "alpha": [("a-1", 9001, ["urlprefix-/x strip=/x"])]}
MANUAL = "route add manual /m http://127.0.0.1:9/\n\n# nothing\nroute weight nobody /z weight 1"
FULL = """\
route add beta h.com/x http://127.0.0.1:9003/ weight 0.5000 tags "tag"
route add alpha /x http://127.0.0.1:9001/ opts "strip=/x"
# --- fabio/config
route add manual /m http://127.0.0.1:9/

# nothing
route weight nobody /z weight 1
"""
TREE = """\
+-- host=
|   |-- path=/x
|   |    +-- addr=127.0.0.1:9001 weight 1.00 slots 1/1
|   +-- path=/m
|       +-- addr=127.0.0.1:9 weight 1.00 slots 1/1
+-- host=h.com
    +-- path=/x
        +-- addr=127.0.0.1:9003 weight 1.00 slots 10000/10000
"""


@pytest.mark.parametrize("form, heading, text", [
    ("delta", "Config updates", None),
    ("all", "Updated config to", FULL),
    ("detail", "Updated config to", TREE),
])
def test_2_8_log_of_routes(fake, form, heading, text):
    for name, instances in SERVICES.items():
        fake.set_service(name, instances)
    fake.kv["fabio/config"] = base64.b64encode(MANUAL.encode()).decode()
    with Tagway(options=fake.options(log_routes_format=form)) as tagway:
        log = tagway.stderr()
        message = re.search(rf"\[INFO\] {heading}\n((?:(?!\d{{4}}/).*\n)+)", log).group(1)
        if text:
            assert message == text
        else:
            assert sorted(message.splitlines()) == sorted("+ " + line for line in FULL.splitlines() if line)
        begin = len(log)
        fake.set_service("alpha", [("a-2", 9002, ["urlprefix-/x strip=/x"])])
        wait_until(lambda: f"[INFO] {heading}\n" in tagway.stderr()[begin:], what="the next message")
        if form == "delta":
            assert tagway.stderr()[begin:].split(heading + "\n")[1] == (
                '- route add alpha /x http://127.0.0.1:9001/ opts "strip=/x"\n'
                '+ route add alpha /x http://127.0.0.1:9002/ opts "strip=/x"\n')


def test_2_8_nothing_is_logged_when_nothing_changes(fake):
    fake.set_service("alpha", SERVICES["alpha"])
    with Tagway(options=fake.options(registry_consul_pollinterval="50ms")) as tagway:
        count = len(fake.requests)
        wait_until(lambda: len(fake.requests) > count + 10, what="further polls")
        assert tagway.stderr().count("Config updates") == 1


def test_2_8_an_unknown_format_is_refused():
    code, stderr = run("-log.routes.format=short", "-registry.backend=static")
    assert code == 1 and "log.routes.format" in stderr


# 3.8 Static and file

def test_3_8_static_from_a_properties_file(tmp_path, origin):
    path = tmp_path / "tagway.properties"
    path.write_text(f"registry.backend = static\n"
                    f"registry.static.routes = route add a /a {origin.url}\\n\\\n   route add b /b {origin.url}\n"
                    f"registry.static.noroutehtml = <b>none</b>\n")
    with Tagway(options={"cfg": path}) as tagway:
        assert tagway.get("/a").status == tagway.get("/b").status == 200
        assert tagway.get("/c").body == b"<b>none</b>"


def test_3_8_file_without_a_page(origin):
    with Tagway(route(origin)) as tagway:
        assert tagway.get().status == 200


def test_3_8_the_page_of_the_file_backend_is_watched_too(tmp_path):
    page = tmp_path / "page.html"
    page.write_text("<p>one</p>\n")
    with Tagway("", {"registry.file.noroutehtmlpath": page}) as tagway:
        assert tagway.get().body == b"<p>one</p>\n"
        page.write_text("<p>two</p>")
        wait_until(lambda: tagway.get().body == b"<p>two</p>", what="the new page")


@pytest.mark.parametrize("key", ["path", "noroutehtmlpath"])
def test_3_8_a_file_that_is_missing_at_the_start_ends_the_program(tmp_path, key):
    (tmp_path / "routes").write_text("")
    code, stderr = run("-registry.backend=file", f"-registry.file.path={tmp_path}/routes",
                       f"-registry.file.{key}={tmp_path}/nothing")
    assert code == 1 and f"{tmp_path}/nothing" in stderr


def test_3_8_a_long_line_loses_no_other_and_is_reported(origin):
    """Q-20: fabio ends the table there and says nothing."""
    long_line = f"route add long /long {origin.url} opts \"x={'y' * 70000}\"\n"
    with Tagway(route(origin, "/a") + long_line + route(origin, "/b")) as tagway:
        assert tagway.get("/a").status == tagway.get("/b").status == 200
        assert tagway.get("/long").status == 404
        problem, = tagway.problems()
        assert "longer than 64 KB" in problem["reason"] and problem["instance"].endswith("line 2")


@pytest.mark.parametrize("backend", ["static", "file"])
def test_3_8_manual_routes_are_empty_and_cannot_be_written(backend):
    with Tagway("" if backend == "file" else None, {"registry.backend": backend}) as tagway:
        assert tagway.admin("/api/paths").body == b"null"
        assert tagway.json("/api/manual") == {"value": "", "version": "0"}
        assert tagway.admin("/api/manual", method="PUT", body=b'{"value":"x","version":"0"}').status == 409
