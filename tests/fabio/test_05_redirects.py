# SPDX-License-Identifier: Apache-2.0
"""fabio 5.9, redirects, and 4.4, loop protection, row by row."""

import threading

import pytest

from harness.client import Client
from harness.tagway import Tagway

# host, destination, options, target, Location
ROWS = [
    ("r1", "http://bar.com/", "", "/a?x=1", "http://bar.com/"),
    ("r2", "http://bar.com/a?foo=bar", "", "/x?y", "http://bar.com/a?foo=bar"),
    ("r3", "https://$host$path", "", "/abc/?a=1", "https://r3/abc/?a=1"),
    ("r3", "https://$host$path", "", "/a//b/../c?x", "https://r3/a/c?x"),
    ("r4", "http://bar.com/bbb/$path", "", "/a/b", "http://bar.com/bbb/a/b"),
    ("r5", "http://bar.com/$path", "", "/a%2fbc", "http://bar.com/a%2fbc"),
    ("r5", "http://bar.com/$path", "", "/", "http://bar.com/"),
    ("r5", "http://bar.com/$path", "", "/?x=1", "http://bar.com/?x=1"),
    ("r6", "https://bar.com/bbb$path", "strip=/s", "/s", "https://bar.com/bbb"),
    ("r6", "https://bar.com/bbb$path", "strip=/s", "/s/x", "https://bar.com/bbb/x"),
    ("r6", "https://bar.com/bbb$path", "strip=/s", "/sx", "https://bar.com/bbb/x"),  # fabio: bbbx
    ("r7", "http://bar.com/$path", "strip=/s prepend=/p", "/s/x", "http://bar.com/p/x"),
    ("r8", "/other", "", "/a?b", "/other"),
    ("r9", "http://bar.com/x?q$path", "", "/a", "http://bar.com/x?q$path"),
    ("r10", "http://bar.com", "", "/a", "http://bar.com/"),
    ("r11", "http://$host/a$path/b", "", "/x", "http://r11/a/x/b"),
    ("r12", "http://bar.com/$path?z=1", "", "/x?y", "http://bar.com/x?z=1"),
    ("r13", "http://bar.com/a%20b/$path", "", "/x", "http://bar.com/a%20b/x"),
    ("r14", "http://bar.com$path", "", "/x", "http://bar.com/x"),
    ("r15", "http://$host/x", "", "/a", "http://r15/x"),
    ("r16", "http://$host:8443/$path", "", "/a", "http://r16:8443/a"),
]


@pytest.fixture(scope="module")
def proxy(origin):
    routes = {(host, dst, options) for host, dst, options, _, _ in ROWS}
    table = "".join(f'route add x {host}/ {dst} opts "redirect=301 {options}"\n' for host, dst, options in routes)
    for code in (300, 301, 302, 303, 307, 308, 399):
        table += f'route add x c{code}/ http://bar.com/ opts "redirect={code}"\n'
    for code in ("200", "299", "400", "x", ""):
        table += f'route add x n{code}/ {origin.url} opts "redirect={code}"\n'
    # 4.4: the first names its own address, the second is the next host.
    table += 'route add x loop.example/ http://loop.example$path opts "redirect=301"\n'
    table += 'route add x *.loop2.example/ https://$host$path opts "redirect=301"\n'
    table += f"route add y *.example/ {origin.url}\n"
    table += 'route add x alone.test/ http://alone.test$path opts "redirect=301"\n'
    with Tagway(table) as tagway:
        yield tagway


@pytest.mark.parametrize("host, dst, options, target, location", ROWS,
                         ids=[f"{dst} {options} {target}" for _, dst, options, target, _ in ROWS])
def test_location(proxy, host, dst, options, target, location):
    got = proxy.get(target, host)
    assert (got.status, got.get("location")) == (301, location)


def test_host_keeps_its_port(origin):
    with Tagway('route add x front:81/ https://$host$path opts "redirect=301"\n') as tagway:
        assert tagway.get("/a", "front:81").get("location") == "https://front:81/a"


@pytest.mark.parametrize("code", [300, 301, 302, 303, 307, 308, 399])
def test_code(proxy, code):
    assert proxy.get(host=f"c{code}").status == code


@pytest.mark.parametrize("code", ["200", "299", "400", "x", ""])
def test_an_unusable_code_proxies(proxy, code):
    got = proxy.get(host=f"n{code}")
    assert (got.status, got.body) == (200, b"origin")


def test_body(proxy):
    got = proxy.get("/a?x=1&y=2", "r3")
    assert got.get("content-type") == "text/html; charset=utf-8"
    assert got.body == b'<a href="https://r3/a?x=1&amp;y=2">Moved Permanently</a>.\n\n'
    got = proxy.get("/a", "r3", method="HEAD")
    assert (got.status, got.get("content-type"), got.body) == (301, "text/html; charset=utf-8", b"")
    got = proxy.get("/a", "r3", method="POST", body=b"abc")
    assert (got.status, got.get("content-type"), got.get("content-length"), got.body) == (301, None, "0", b"")


def test_the_last_candidate_is_used_anyway():
    with Tagway('route add x / http://$host$path opts "redirect=301"\n') as tagway:
        got = tagway.get("/x", "any.test", [("X-Forwarded-Proto", "http")])
        assert (got.status, got.get("location")) == (301, "http://any.test/x")


@pytest.mark.parametrize("host, proto, target, status, location", [
    ("loop.example", "http", "/x", 200, None),
    ("loop.example", "http", "/a?x", 200, None),
    ("loop.example", "http", "/a//x", 200, None),
    ("loop.example", "http", "/a%2fx", 200, None),
    ("loop.example", "https", "/x", 301, "http://loop.example/x"),
    ("loop.example", None, "/x", 301, "http://loop.example/x"),
    ("loop.example:80", "http", "/x", 301, "http://loop.example/x"),  # Host is compared with its port
    ("a.loop2.example", "https", "/x", 200, None),
    ("a.loop2.example", "http", "/x", 301, "https://a.loop2.example/x"),
    ("alone.test", "http", "/x", 404, None),  # the last candidate are the routes without a host
])
def test_loop_protection(proxy, host, proto, target, status, location):
    got = proxy.get(target, host, [("X-Forwarded-Proto", proto)] if proto else [])
    assert (got.status, got.get("location")) == (status, location)


def test_a_stranger_is_led_past_no_redirect(origin):
    """Nobody but a trusted peer says which scheme was asked for."""
    table = 'route add x a.example/ https://$host$path opts "redirect=301"\n' + f"route add y *.example/ {origin.url}\n"
    with Tagway(table, {"proxy.trusted": "192.0.2.0/24"}) as tagway:
        got = tagway.get("/x", "a.example", [("X-Forwarded-Proto", "https")])
        assert (got.status, got.get("location")) == (301, "https://a.example/x")


@pytest.mark.parametrize("dst", ["//evil.example/$path", "https://u@a.example/$path", "https://$path", "https://$host$host:x/$path",
                                 "javascript:alert(1)"])
def test_nobody_is_redirected_to_what_is_no_address(dst):
    """The authority is exactly the configured one, or there is no Location."""
    with Tagway(f'route add x / {dst} opts "redirect=302"\n') as tagway:
        got = tagway.get("/evil.example/x", "a.example")
        assert (got.status, got.get("location")) in ((400, None), (404, None))


def test_each_request_has_its_own_location(proxy):
    """Q-23: in fabio requests at the same time may get each other's."""
    wrong = []

    def ask(name):
        with Client(proxy.port) as client:
            for i in range(200):
                got = client.request(target=f"/{name}/{i}", host="r5").get("location")
                if got != f"http://bar.com/{name}/{i}":
                    wrong.append(got)

    threads = [threading.Thread(target=ask, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
