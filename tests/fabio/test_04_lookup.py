# SPDX-License-Identifier: Apache-2.0
"""Section 4: which route a request takes. tests/differential asks the real fabio the same questions."""

import collections

import pytest

from harness.client import Client
from harness.fake_consul import FakeConsul
from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway

NO_ROUTE = None

# name, table (sources of routes), options, [(host, path, source that is to answer)]
# Lookups where fabio answers differently are in DIFFERENT.
LOOKUPS = [
    # 4.1 host candidates
    ("41-host-then-no-host", "foo.com/ /", {}, [
        ("foo.com", "/x", "foo.com/"), ("bar.com", "/x", "/")]),
    ("41-case-of-host", "foo.com/", {}, [("FOO.com", "/", "foo.com/"), ("foo.com", "/", "foo.com/")]),
    ("41-port-80-is-dropped", "foo.com/", {}, [("foo.com:80", "/", "foo.com/")]),
    ("41-other-ports-are-not", "foo.com/ / foo.com:9999/", {}, [
        ("foo.com:9998", "/", "/"), ("foo.com:9999", "/", "foo.com:9999/"), ("foo.com:443", "/", "/")]),
    ("41-port-by-glob", "foo.com:*/ /", {}, [("foo.com:9998", "/", "foo.com:*/"), ("foo.com", "/", "/")]),
    ("41-key-with-port-80-first", "foo.com:80/ foo.com/", {}, [
        ("foo.com", "/", "foo.com:80/"), ("foo.com:80", "/", "foo.com:80/")]),
    ("41-key-with-port-443-is-another", "foo.com:443/ /", {}, [
        ("foo.com", "/", "/"), ("foo.com:443", "/", "foo.com:443/")]),
    ("41-exact-before-pattern", "*.com/ a.com/ a.*/", {}, [("a.com", "/", "a.com/"), ("b.com", "/", "*.com/")]),
    ("41-longer-suffix-first", "*.com/ *.foo.com/ *.a.foo.com/ *oo.com/", {}, [
        ("x.com", "/", "*.com/"), ("x.foo.com", "/", "*.foo.com/"), ("x.a.foo.com", "/", "*.a.foo.com/"),
        ("boo.com", "/", "*oo.com/")]),
    ("41-descending-by-the-name-read-backwards", "a*/ *m/ ab*/ *cm/", {}, [
        ("abcm", "/", "*cm/"), ("abm", "/", "*m/"), ("ab", "/", "ab*/"), ("ac", "/", "a*/")]),
    ("41-port-key-matches-only-itself", ":1234 /", {}, [("foo.com:1234", "/", "/")]),
    ("41-glob-star-spans-dots", "*.com/ /", {}, [("a.b.c.com", "/", "*.com/"), (".com", "/", "*.com/"),
                                                ("com", "/", "/")]),
    ("41-glob-double-star", "**.com/ /", {}, [("a.b.com", "/", "**.com/")]),
    ("41-glob-question-mark", "?.com/ /", {}, [("a.com", "/", "?.com/"), ("ab.com", "/", "/"), (".com", "/", "/")]),
    ("41-glob-class", "[ab].com/ [!ab].com/ [c-e]x.com/ /", {}, [
        ("a.com", "/", "[ab].com/"), ("c.com", "/", "[!ab].com/"), ("dx.com", "/", "[c-e]x.com/"),
        ("fx.com", "/", "/")]),
    ("41-glob-alternatives", "{a,b{c,d}}.com/ /", {}, [
        ("a.com", "/", "{a,b{c,d}}.com/"), ("bd.com", "/", "{a,b{c,d}}.com/"), ("b.com", "/", "/")]),
    ("41-ipv6-is-a-class", "[::1]/ /", {}, [("[::1]", "/", "/"), ("1", "/", "[::1]/")]),
    ("41-globs-disabled", "*.com/ a.com/ /", {"glob.matching.disabled": "true"}, [
        ("a.com", "/", "a.com/"), ("b.com", "/", "/"), ("*.com", "/", "*.com/"), ("a.com:80", "/", "a.com/")]),
    ("41-glob-cache-size-has-no-effect", "*.com/ a.com/", {"glob.cache.size": "1"}, [
        ("a.com", "/", "a.com/"), ("b.com", "/", "*.com/"), ("a.com", "/", "a.com/")]),
    # 4.2 path
    ("42-longest-prefix", "/ /foo /foo/bar", {}, [
        ("h", "/", "/"), ("h", "/fo", "/"), ("h", "/foo", "/foo"), ("h", "/fools", "/foo"),
        ("h", "/foo/bar", "/foo/bar"), ("h", "/foo/barista", "/foo/bar"), ("h", "/Foo", "/")]),
    ("42-host-without-path-falls-through", "foo.com/a *.com/b /", {}, [
        ("foo.com", "/a", "foo.com/a"), ("foo.com", "/b", "*.com/b"), ("foo.com", "/c", "/")]),
    ("42-no-route", "foo.com/a", {}, [("foo.com", "/b", NO_ROUTE), ("x.com", "/a", NO_ROUTE)]),
    ("42-normal-form-is-matched", "/a/b /", {}, [
        ("h", "/a%2Fb", "/a/b"), ("h", "/x/../a/b", "/a/b"), ("h", "/a//b", "/a/b"), ("h", "/%61/b", "/a/b"),
        ("h", "/a/b%3Fc", "/a/b")]),
    ("42-iprefix", "/ /foo /FOO/Bar", {"proxy.matcher": "iprefix"}, [
        ("h", "/FOO", "/foo"), ("h", "/foo/bar", "/foo"), ("h", "/x", "/")]),
    ("42-iprefix-any-case", "/ /Foo", {"proxy.matcher": "iprefix"}, [
        ("h", "/foo", "/Foo"), ("h", "/fOOls", "/Foo")]),
    ("42-glob-matches-all-of-the-path", "/foo /foo/* /f?o/x", {"proxy.matcher": "glob"}, [
        ("h", "/foo", "/foo"), ("h", "/foo/a/b", "/foo/*"), ("h", "/foos", NO_ROUTE), ("h", "/fxo/x", "/f?o/x"),
        ("h", "/foo/x", "/foo/*")]),
    ("42-glob-in-descending-order", "/* /a* /{a,b}c", {"proxy.matcher": "glob"}, [
        ("h", "/ac", "/{a,b}c"), ("h", "/ab", "/a*"), ("h", "/x", "/*")]),
]

# As above, then what fabio answers, and why that is not kept.
DIFFERENT = [
    ("41-exact-before-braces", "{b,c}.g.com/ b.g.com/", {}, "b.g.com", "/", "b.g.com/", "{b,c}.g.com/", "Q-38"),
    ("41-globs-disabled-ignores-case", "foo.com/ /", {"glob.matching.disabled": "true"},
     "FOO.com", "/", "foo.com/", "/", "Q-15"),
    ("42-path-is-decoded-once", "/a/b /", {}, "h", "/a%252Fb", "/", "/a/b", "Q-3"),
    ("42-two-slashes-are-no-authority", "/evil /", {}, "h", "//evil/x", "/evil", "/", "Q-3"),
    ("41-bad-host-pattern", "[x/ /", {}, "h", "/", "/", "nothing", "Q-2"),
]


def table(sources, origin):
    """One route for each source; the origin is told which by its Host."""
    return "\n".join(f'route add s{i} {src} {origin.url} opts "host=s{i}"'
                     for i, src in enumerate(sources.split()))


def source_of(response, sources):
    if response.status == 404:
        return NO_ROUTE
    assert response.status == 200, response.status
    return sources.split()[int(response.body.decode()[1:])]


@pytest.fixture(scope="module")
def origin():
    with Origin(lambda request: request.get("host").encode()) as origin:
        yield origin


@pytest.fixture(scope="module")
def named():
    """Origins that say their names, for picks."""
    origins = [Origin(name=str(number)) for number in range(1, 4)]
    yield origins
    for one in origins:
        one.stop()


@pytest.mark.parametrize("name, sources, options, requests", LOOKUPS, ids=[row[0] for row in LOOKUPS])
def test_lookup(origin, name, sources, options, requests):
    with Tagway(table(sources, origin), options) as tagway:
        found = {(host, path): source_of(tagway.get(path, host), sources) for host, path, _ in requests}
        assert found == {(host, path): src for host, path, src in requests}


@pytest.mark.parametrize("name, sources, options, host, path, src, of_fabio, reason", DIFFERENT,
                         ids=[f"{row[0]}-{row[-1]}" for row in DIFFERENT])
def test_lookup_other_than_fabio(origin, name, sources, options, host, path, src, of_fabio, reason):
    with Tagway(table(sources, origin), options) as tagway:
        assert source_of(tagway.get(path, host), sources) == src


def test_matcher_of_another_kind_is_refused():
    with Tagway("", {"proxy.matcher": "regex"}, is_ready=False) as tagway:
        assert tagway.process.wait() == 1
        assert "proxy.matcher" in tagway.stderr() and "regex" in tagway.stderr()
        tagway.finish = lambda **_: None


def test_strategy_of_another_kind_is_refused():
    with Tagway("", {"proxy.strategy": "best"}, is_ready=False) as tagway:
        assert tagway.process.wait() == 1
        assert "proxy.strategy" in tagway.stderr() and "best" in tagway.stderr()
        tagway.finish = lambda **_: None


# 4.3 target choice

def weighted(named, *weights):
    return "".join(f"route add s{i} / {origin.url}{f' weight {weight}' if weight else ''}\n"
                   for i, (origin, weight) in enumerate(zip(named, weights), 1))


def sequence(proxy, count):
    with Client(proxy.port) as client:
        return " ".join(client.request().body.decode() for _ in range(count))


SEQUENCES = [
    ((None, None, None), "1 2 3 1 2 3 1"),
    ((0.2, None, None), "1 2 3 2 3 1 2 3 2 3 1 2 3 2 3"),
    ((0.1, 0.9), "1 2 2 2 2 2 2 2 2 2 1 2 2 2 2 2 2 2 2 2 1 2 2"),
    ((0.3, 0.7), "1 2 2 1 2 2 1 2 2"),
    ((0.5, None, None), "2 3 1 1 2 3 1 1"),
    ((0.33, 0.33, None), "1 2 3 1 2 3"),
    ((0.5, 0.5), "1 2 1 2 1 2"),
    ((1, None, None), "1 1 1 1"),
]


@pytest.mark.parametrize("weights, expected", SEQUENCES, ids=lambda value: str(value)[:24])
def test_round_robin(named, weights, expected):
    with Tagway(weighted(named, *weights), {"proxy.strategy": "rr"}) as tagway:
        assert sequence(tagway, len(expected.split())) == expected


def test_round_robin_goes_on_over_table_updates(named):
    """Q-25: fabio begins with the first target again."""
    routes = weighted(named, None, None, None)
    with Tagway(routes, {"proxy.strategy": "rr"}) as tagway:
        assert sequence(tagway, 2) == "1 2"
        tagway.set_routes(routes + "route add new /new http://10.0.0.1/",
                          until=lambda table: len(table) == 4)
        assert sequence(tagway, 2) == "3 1"


def test_random_is_uniform_over_the_ring(named):
    with Tagway(weighted(named, 0.5, None, None)) as tagway:
        counts = collections.Counter((sequence(tagway, 600) + " " + sequence(tagway, 600)).split())
        # Five standard deviations of a binomial with 1200 tries: 87 and 75.
        assert 513 < counts["1"] < 687 and 225 < counts["2"] < 375 and 225 < counts["3"] < 375, counts


def test_sole_target_takes_all(named):
    with Tagway(f"route add s / {named[0].url} weight 0.1\n") as tagway:
        assert sequence(tagway, 10) == "1 " * 9 + "1"


# 4.4 redirect loops

HTTPS = [("X-Forwarded-Proto", "https")]


LOOPS = [
    # The redirect applies to what is not https, and is passed over for what is.
    ("route add r a.com/ https://a.com$path opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x", [],
     "301 https://a.com/x"),
    ("route add r a.com/ https://a.com$path opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x", HTTPS,
     "200"),
    # Next host, not next path.
    ("route add r a.com/a https://a.com$path opts \"redirect=301\"\nroute add s a.com/ http://10.0.0.1/\n"
     "route add s *.com/ {url}", "a.com", "/a", HTTPS, "200"),
    # Without another candidate there is no route; the last candidate, without a host, is used anyway.
    ("route add r a.com/ https://a.com$path opts \"redirect=301\"", "a.com", "/x", HTTPS, "404"),
    ("route add r / https://$host$path opts \"redirect=302\"", "a.com", "/x", HTTPS, "302 https://a.com/x"),
    # Host, path and scheme must all be equal.
    ("route add r a.com/ https://a.com:8443/$path opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x", HTTPS,
     "301 https://a.com:8443/x"),
    ("route add r a.com/ https://a.com/y opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x", HTTPS,
     "301 https://a.com/y"),
    ("route add r a.com/ http://a.com$path opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x", HTTPS,
     "301 http://a.com/x"),
    # The query does not count.
    ("route add r a.com/ https://a.com$path opts \"redirect=301\"\nroute add s / {url}", "a.com", "/x?y=1", HTTPS,
     "200"),
]


@pytest.mark.parametrize("routes, host, path, fields, expected", LOOPS)
def test_redirect_loop(origin, routes, host, path, fields, expected):
    with Tagway(routes.replace("{url}", origin.url)) as tagway:
        response = tagway.get(path, host, fields)
        assert f"{response.status} {response.get('location') or ''}".strip() == expected


# 4.5 no route

@pytest.mark.parametrize("status", [404, 503, 999])
def test_no_route(status):
    with Tagway("", {"proxy.noroutestatus": str(status)}) as tagway:
        response = tagway.get("/")
        assert (response.status, response.get("content-length"), response.body) == (status, "0", b"")
        assert tagway.metric("tagway_proxy_no_route_total") == 1


@pytest.mark.parametrize("status", ["99", "1000", "x"])
def test_no_route_status_out_of_range(status):
    with Tagway("", {"proxy.noroutestatus": status}, is_ready=False) as tagway:
        assert tagway.process.wait() == 1
        assert "proxy.noroutestatus" in tagway.stderr()
        tagway.finish = lambda **_: None


def test_no_route_html():
    with FakeConsul() as consul:
        consul.set_kv("fabio/noroute.html", "  <h1>none</h1>\n")
        with Tagway(options=consul.options()) as tagway:
            page = wait_until(lambda: tagway.get("/").body and tagway.get("/"), what="the page")
            assert (page.status, page.body) == (404, b"<h1>none</h1>")
            assert page.get("content-type") == "text/html; charset=utf-8"
