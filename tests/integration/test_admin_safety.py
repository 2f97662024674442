# SPDX-License-Identifier: Apache-2.0
"""What keeps the admin listener from being used by those it is not for: writes of other sites' pages, names pointed
at it, passwords, and names that come from whoever can register a service."""

import json
import re
import subprocess
import urllib.parse

import pytest

from harness.client import Client, format_request
from harness.consul import Consul
from harness.fake_consul import FakeConsul
from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway, route


@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary) as consul:
        consul.kv_put("fabio/config", "# kept")
        yield consul


@pytest.fixture(scope="module")
def rw(consul):
    with Tagway(options=consul.options(ui_access="rw")) as tagway:
        yield tagway


WRITE = b'{"value":"# stolen","version":"0"}'
SAME = "http://127.0.0.1:{port}"


def version(consul):
    return consul.get("/v1/kv/fabio/config")[0]["ModifyIndex"]


# What a page of another site can make a browser send, and what somebody may try by hand. All carry what a
# browser says of itself; scripts that are no browser say nothing, and are let in (the last test).
FOREIGN = {
    "form post": ("POST", "/api/manual", [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site"),
                                          ("Content-Type", "application/x-www-form-urlencoded")]),
    "form post as text": ("POST", "/api/manual", [("Origin", "http://evil.example"), ("Content-Type", "text/plain")]),
    "form post multipart": ("POST", "/api/manual", [("Origin", "http://evil.example"),
                                                    ("Content-Type", "multipart/form-data; boundary=x")]),
    "form that says put": ("POST", "/api/manual?_method=PUT", [("Origin", "http://evil.example"),
                                                               ("X-HTTP-Method-Override", "PUT")]),
    "form of our own page's kind": ("POST", "/api/override?path=", [("Origin", SAME), ("Sec-Fetch-Site", "same-origin")]),
    "fetch put": ("PUT", "/api/manual", [("Origin", "http://evil.example"), ("Sec-Fetch-Site", "cross-site")]),
    "fetch put json": ("PUT", "/api/manual", [("Origin", "http://evil.example"), ("Content-Type", "application/json")]),
    "fetch put to our own": ("PUT", "/api/override?path=", [("Origin", "http://evil.example")]),
    "fetch without an origin": ("PUT", "/api/manual", [("Sec-Fetch-Site", "cross-site")]),
    "fetch of a sandboxed frame": ("PUT", "/api/manual", [("Origin", "null")]),
    "fetch of a file": ("PUT", "/api/manual", [("Origin", "file://")]),
    "fetch of another port": ("PUT", "/api/manual", [("Origin", "http://127.0.0.1:1"), ("Sec-Fetch-Site", "same-site")]),
    "fetch of a sister host": ("PUT", "/api/manual", [("Origin", "http://127.0.0.2:{port}")]),
    "fetch of a look-alike": ("PUT", "/api/manual", [("Origin", SAME + ".evil.example")]),
    "fetch with a user in front": ("PUT", "/api/manual", [("Origin", "http://evil.example@127.0.0.1:{port}")]),
    "typed in": ("PUT", "/api/manual", [("Sec-Fetch-Site", "none")]),
    "preflight": ("OPTIONS", "/api/manual", [("Origin", "http://evil.example"), ("Access-Control-Request-Method", "PUT"),
                                             ("Access-Control-Request-Headers", "content-type")]),
    "image": ("GET", "/api/manual?value=x&version=0", [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", "image")]),
    "rebound name": ("PUT", "/api/manual", [("Host", "evil.example"), ("Origin", "http://evil.example"),
                                            ("Sec-Fetch-Site", "same-origin")]),
    "rebound name with a port": ("PUT", "/api/override?path=", [
        ("Host", "127.0.0.1.evil.example:{port}"), ("Origin", "http://127.0.0.1.evil.example:{port}"),
        ("Sec-Fetch-Site", "same-origin")]),
}


def send(tagway, method, path, fields, body=WRITE):
    fields = [(name, value.format(port=tagway.admin_port)) for name, value in fields]
    host = dict(fields).get("Host", f"127.0.0.1:{tagway.admin_port}")
    fields = [pair for pair in fields if pair[0] != "Host"] + [("Connection", "close")]
    with Client(tagway.admin_port) as client:
        client.send(format_request(method, path, fields, body, host))
        return client.read_response(method)


def test_there_are_twenty_of_them():
    assert len(FOREIGN) == 20


@pytest.mark.consul
@pytest.mark.parametrize("name", FOREIGN)
def test_another_sites_page_writes_nothing(rw, consul, name):
    before = version(consul)
    method, path, fields = FOREIGN[name]
    answer = send(rw, method, path, fields)
    assert answer.status in (403, 405, 421) or name == "image", answer.status
    assert not [field for field in answer.names() if field.startswith("access-control-")]
    assert version(consul) == before


@pytest.mark.consul
def test_nor_in_a_real_browser(rw, consul):
    selenium = pytest.importorskip("selenium.webdriver")
    assert selenium
    from harness.browser import open_browser
    page = f"""<img src="http://127.0.0.1:{rw.admin_port}/api/manual?value=x">
        <form id=f method=post enctype=text/plain action="http://127.0.0.1:{rw.admin_port}/api/manual"
         target=i><input name='{{"value":"x","version":"0","a":"' value='"}}'></form><iframe name=i></iframe>"""
    before = version(consul)
    with Origin(lambda _: (page.encode(), "200 OK", [("Content-Type", "text/html")])) as evil, open_browser() as browser:
        browser.get(f"http://localhost:{evil.port}/")
        result = browser.execute_async_script("""
            const [url, body, done] = arguments;
            document.getElementById("f").submit();
            const tries = [["PUT", "cors"], ["POST", "no-cors"]].map(([method, mode]) =>
              fetch(url, { method, mode, body, credentials: "include" }).then((a) => a.type, (e) => "refused"));
            Promise.all(tries).then(done);""", f"http://127.0.0.1:{rw.admin_port}/api/manual", WRITE.decode())
        assert result[0] == "refused" and result[1] in ("opaque", "refused")
    assert version(consul) == before


@pytest.mark.consul
@pytest.mark.parametrize("fields", [[], [("Content-Type", "text/plain")], [("Origin", SAME)],
                                    [("Origin", SAME), ("Sec-Fetch-Site", "same-origin")]])
def test_scripts_and_our_own_page_may_write(rw, consul, fields):
    body = json.dumps({"value": "# kept", "version": str(version(consul))}).encode()
    assert send(rw, "PUT", "/api/manual", fields, body).status == 200


@pytest.mark.consul
@pytest.mark.parametrize("access, path, status", [("", "/api/manual", 200), ("ro", "/api/manual", 403),
                                                  ("ro", "/api/override?path=", 403)])
def test_access(consul, access, path, status):
    with Tagway(options=consul.options(ui_access=access)) as tagway:
        body = json.dumps({"value": "# kept", "version": str(version(consul))}).encode()
        assert send(tagway, "PUT", path, [], body).status == status


def test_a_route_to_the_admin_listener_lets_nobody_write():
    """Whoever registers such a service makes strangers' requests come from this machine."""
    with FakeConsul() as consul, Tagway(options=consul.options()) as tagway:
        consul.set_service("ui", [("ui-1", tagway.admin_port, ["urlprefix-/ host=dst"])])
        tagway.wait_route("/api/manual")
        answer = tagway.get("/api/manual", method="PUT", body=WRITE)
        assert answer.status == 403 and b"through no proxy" in answer.body
        assert not consul.writes
        assert tagway.admin("/api/manual", method="PUT", body=WRITE).status == 200
        assert consul.writes


# Headers (every answer, good or bad)

POLICY = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
          "base-uri 'none'; form-action 'self'; frame-ancestors 'none'")


@pytest.mark.consul
@pytest.mark.parametrize("method, path, status", [
    ("GET", "/routes", 200), ("GET", "/manual", 200), ("GET", "/api/routes", 200), ("GET", "/api/routes?raw", 200),
    ("GET", "/api/config", 200), ("GET", "/api/manual", 200), ("GET", "/api/paths", 200), ("GET", "/api/ui", 200),
    ("POST", "/api/override/check", 200), ("GET", "/assets/app.js", 200), ("GET", "/assets/icon.svg", 200),
    ("GET", "/health", 200), ("GET", "/ready", 200), ("GET", "/metrics", 200), ("GET", "/", 303), ("GET", "//x", 307),
    ("GET", "/favicon.ico", 404), ("DELETE", "/api/manual", 405), ("PUT", "/api/manual", 400),
    ("HEAD", "/api/version", 200), ("OPTIONS", "*", 404)])
def test_headers_of_every_answer(rw, method, path, status):
    answer = send(rw, method, path, [], b"" if method in ("PUT", "POST") else None)
    assert answer.status == status
    assert answer.all("content-security-policy") == [POLICY]
    assert answer.all("x-content-type-options") == ["nosniff"]
    assert answer.all("referrer-policy") == ["no-referrer"]
    assert answer.all("cache-control") == ["no-store"]


def test_the_page_has_nothing_inline():
    with Tagway("") as tagway:
        html = tagway.admin("/routes").body.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:|https?://", html)


# Passwords

USERS = """ann:secret
bob:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
slow:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a
"""


def basic(user, password):
    import base64
    return [("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())]


@pytest.fixture
def locked(tmp_path):
    users = tmp_path / "users"
    users.write_text(USERS, encoding="utf-8")
    with Origin() as origin, Tagway(route(origin), {
            "ui.auth": f"name=staff;type=basic;file={users};realm=The staff;refresh=1s"}) as tagway:
        yield tagway, users


CLOSED = ("/", "/routes", "/manual", "/api/routes", "/api/config", "/api/version", "/api/paths", "/api/manual", "/api/ui",
          "/api/events", "/api/stats", "/api/problems", "/api/consul", "/api/override?path=", "/api/override/check",
          "/assets/app.js", "/assets/style.css", "/favicon.ico", "/metrics", "//x", "/nothing")


def test_everything_but_health_and_readiness_is_closed(locked):
    tagway, _ = locked
    for path in CLOSED:
        for fields in ([], basic("ann", "wrong"), basic("nobody", "secret"), [("Authorization", "Bearer x")]):
            answer = tagway.admin(path, fields=fields)
            assert answer.status == 401, path
            assert answer.get("www-authenticate") == 'Basic realm="The staff", charset="UTF-8"'
            assert answer.body == b"authorization failed\n"
    assert tagway.admin("/health").status == 200
    assert tagway.admin("/ready").status == 200


@pytest.mark.parametrize("user, password", [("ann", "secret"), ("bob", "secret"), ("slow", "secret")])
def test_users_are_let_in(locked, user, password):
    tagway, _ = locked
    for path, status in (("/routes", 200), ("/api/routes", 200), ("/metrics", 200), ("/assets/app.js", 200), ("/", 303)):
        assert tagway.admin(path, fields=basic(user, password)).status == status
    with Client(tagway.admin_port) as client:
        client.send(format_request(target="/api/events", fields=basic(user, password), host="127.0.0.1"))
        assert client.read_head().status == 200
        client.take_until(b"event: table")


def test_the_file_is_read_again(locked):
    tagway, users = locked
    assert tagway.admin("/routes", fields=basic("ann", "new")).status == 401
    users.write_text("ann:new\n", encoding="utf-8")
    wait_until(lambda: tagway.admin("/routes", fields=basic("ann", "new")).status == 200, 10, "the new password")
    assert tagway.admin("/routes", fields=basic("ann", "secret")).status == 401
    assert tagway.admin("/routes", fields=basic("slow", "secret")).status == 401
    users.unlink()
    wait_until(lambda: tagway.admin("/routes", fields=basic("ann", "new")).status == 401, 10, "nobody to be let in")
    users.write_text(USERS, encoding="utf-8")
    wait_until(lambda: tagway.admin("/routes", fields=basic("ann", "secret")).status == 200, 10, "the old password")


def test_guessing_does_not_keep_health_waiting(locked):
    tagway, _ = locked
    clients = []
    for number in range(100):
        client = Client(tagway.admin_port)
        client.send(format_request(target="/routes", fields=basic("slow", f"guess{number}"), host="127.0.0.1"))
        clients.append(client)
    assert tagway.admin("/health").body == b"OK\n"
    assert {client.read_response().status for client in clients} <= {401, 503}
    for client in clients:
        client.close()


@pytest.mark.parametrize("value, words", [
    ("x", "missing 'type' in auth 'x'"),
    ("name=x", "missing 'type' in auth 'x'"),
    ("type=basic;file=/x", "missing 'name' in auth"),
    ("name=x;type=basic", "missing 'file' in auth 'x'"),
    ("name=x;type=digest;file=/x", "unknown auth type 'digest'"),
    ("name=x;type=basic;file=/x;more=1", 'unknown key "more"'),
    ("name=x;type=basic;file=/x;refresh=soon", "refresh must be a duration"),
    ('name=x;type=basic;file=/x;realm=a\\b', "the realm has"),
    ("name=x;type=basic;file=/x,name=y;type=basic;file=/y", "must be one scheme"),
    ("name=x;type=basic;file=/nonexistent/users", "/nonexistent/users"),
])
def test_a_bad_ui_auth_ends_the_start(value, words):
    with pytest.raises(AssertionError, match="tagway exited"):
        Tagway("", {"ui.auth": value})
    tagway = Tagway("", {"ui.auth": value}, is_ready=False)
    assert tagway.process.wait() == 1
    assert "ui.auth" in tagway.stderr() and words in tagway.stderr()


# Names from whoever can register a service

MARK = "document.title='hacked'"
HOSTILE = [
    f"<script>{MARK}</script>", f"<img src=x onerror={MARK}>", f"<svg/onload={MARK}>", f"\"><script>{MARK}</script>",
    f"'><img src=x onerror={MARK}>", f"</script><script>{MARK}</script>", "</textarea><b>", "</title><h1>", "<!--", "-->",
    "<![CDATA[", f"<iframe src=javascript:{MARK}>", f"<a href=javascript:{MARK}>x</a>", f"javascript:{MARK}",
    f"JaVaScRiPt:{MARK}", f"java\tscript:{MARK}", f"data:text/html,<script>{MARK}</script>", "vbscript:x", "file:///etc/passwd",
    "&lt;b&gt;", "&#60;b&#62;", "&quot;", "\"", "'", "`", "\\", "\\\"", "\\u003cb\\u003e", "{{7*7}}", "${7*7}", "%3Cb%3E", "%00",
    "a\rb", "a\nb", "a\r\nX-Injected: 1", "a\n# HELP x y", "a\"} 1\nevil_metric 1", "\x1b[31mred", "\x1b]0;title\x07",
    "\x7f\x80\x9f", "a\u2028b", "a\u2029b", "\ufeffbom", "\u202ereversed", "e\u0301\u0301\u0301", "\U0001f600", "\ud7ff",
    "x" * 3000, "__proto__", "constructor",
]
assert len(HOSTILE) == 50


def unseen(tagway):
    """Names that are neither routed nor said to be unusable (white space, or what Consul itself refuses)."""
    seen = {row["service"] for row in tagway.routes()} | {problem["service"] for problem in tagway.problems()}
    return [name for number, name in enumerate(HOSTILE) if f"n{number}-{name}" not in seen]


@pytest.fixture(scope="module")
def hostile(consul_binary):
    """All of them at once as service names, tags, options, check outputs and KV documents."""
    with Consul(consul_binary) as consul:
        for number, name in enumerate(HOSTILE):
            clean = name.replace(" ", "_")
            consul.put("/v1/agent/service/register", {
                "ID": f"id{number}-{name}", "Name": f"n{number}-{name}", "Address": "127.0.0.1", "Port": 1000 + number,
                "Tags": [f"urlprefix-h{number}.example/{number}", f"urlprefix-/{number}/{clean}", f"urlprefix-{clean}",
                         f"urlprefix-/o{number} strip={clean}", name],
                "Check": {"CheckID": f"c{number}", "TTL": "1h", "Status": "passing" if number % 2 else "critical",
                          "Notes": name}})
            consul.put(f"/v1/agent/check/update/c{number}", {"Status": "passing", "Output": name})
        consul.put("/v1/kv/fabio/config", b"route add raw\xff\xfe\x80 /raw http://127.0.0.1:1/\nroute add \xc0\xaf<b> x\n"
                   + "\n".join(f"route {name}" for name in HOSTILE).encode("utf-8", "replace"))
        consul.put("/v1/kv/fabio/config/" + urllib.parse.quote(HOSTILE[1]), b"# x")
        with Tagway(options=consul.options(ui_access="rw", log_access_target="stdout")) as tagway:
            wait_until(lambda: not unseen(tagway), 30, f"the services {unseen(tagway)}")
            yield tagway


JSON_PATHS = ("/api/routes", "/api/routes?all", "/api/routes?pretty", "/api/problems", "/api/consul", "/api/config",
              "/api/paths", "/api/manual", "/api/stats", "/api/ui")


@pytest.mark.consul
@pytest.mark.parametrize("path", JSON_PATHS)
def test_hostile_names_in_json(hostile, path):
    answer = hostile.admin(path)
    assert answer.status == 200
    text = answer.body.decode("utf-8")  # valid UTF-8
    json.loads(text)  # strict: no raw control characters
    assert not re.search("[<>&\u2028\u2029\x00-\x09\x0b-\x1f\x7f]", text)
    if "pretty" not in path:
        assert "\n" not in text
    assert "x-injected" not in answer.names()


@pytest.mark.consul
def test_hostile_names_reach_the_api_whole(hostile):
    assert unseen(hostile) == []
    routed = {row["service"] for row in hostile.routes()}
    assert len([name for number, name in enumerate(HOSTILE) if f"n{number}-{name}" in routed]) >= 25


@pytest.mark.consul
def test_hostile_names_in_checks(hostile):
    answer = hostile.admin("/api/override/check", method="POST", body=b"\xff\xfe<b>\nroute \x1b\x00\x7f\n\xe2\x80\xa8")
    found = json.loads(answer.body.decode("utf-8"))
    assert found["wrong"] >= 2 and not re.search(b"[<>&\x00-\x1f\x7f]", answer.body)


@pytest.mark.consul
def test_hostile_names_in_metrics(hostile):
    for number in range(len(HOSTILE)):
        hostile.get(f"/{number}", host=f"h{number}.example")
    text = hostile.admin("/metrics").body
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    assert result.returncode == 0 and result.stdout + result.stderr == b"", (result.stdout + result.stderr).decode()
    assert not re.search(rb"^(evil_metric|# HELP x y)", text, re.MULTILINE)
    for line in text.decode("utf-8").split("\n"):
        assert re.fullmatch(r'(# (HELP|TYPE) .*|[a-z_][a-z0-9_]*(\{([a-z_0-9]+="([^"\\\n]|\\[\\"n])*",?)*\})? \S+|)', line), line


@pytest.mark.consul
def test_hostile_names_in_logs(hostile):
    for text in (hostile.stderr(), hostile.process.stdout()):
        assert "\x1b" not in text and "\x7f" not in text and "\r" not in text and "\x80" not in text
    for line in hostile.stderr().split("\n"):
        assert not line.startswith(("X-Injected", "evil_metric", "# HELP"))


@pytest.mark.consul
def test_hostile_names_on_the_page(hostile):
    pytest.importorskip("selenium.webdriver")
    from harness.browser import Page, open_browser
    with open_browser() as browser:
        for query in ("", "?tab=problems", "?tab=registry", "?tab=overrides"):
            page = Page(browser, hostile, query)
            wait_until(lambda: page.text("#live-text") == "live" and (query or len(page.all(".row.target")) > 5)
                       and (query != "?tab=problems" or len(page.all(".problem")) > 10)
                       and (query != "?tab=overrides" or len(page.all("#documents a")) == 2), 30, f"the page {query}")
            seen = page.run("""return [document.title, document.querySelectorAll("main img, main iframe, main script, main b").length,
                [...document.querySelectorAll("main a[href]")].map((a) => new URL(a.href).protocol)]""")
            assert seen[0] == "tagway" and seen[1] == 0 and set(seen[2]) <= {"http:", "https:"}
            page.assert_clean()
