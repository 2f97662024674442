# SPDX-License-Identifier: Apache-2.0
"""fabio 5.1, 5.2 and 5.4: what a path is matched as and what is sent on, row by row. fabio decodes
paths twice, reads them as a URL and encodes what it sends anew (its quirk Q-3); here a path is
decoded once, for matching, and goes on as it came. Rows where that shows have fabio's answer beside
them. The rules themselves are proved by the unit test of http/target."""

import pytest

from harness.client import format_request
from harness.tagway import Tagway


@pytest.fixture(scope="module")
def proxy(origin):
    """Every prefix is a service of its own, whose name the origin is not told: the Host says it."""
    def add(path, dst="/", options=""):
        return f'route add svc {path} http://127.0.0.1:{origin.port}{dst} opts "{options}"\n'

    table = (add("/") + add("/a/b", options="host=matched-ab") + add("/foo", options="host=matched-foo")
             + add("/dst", "/ignored/path") + add("/q", "/?foo=bar")
             + add("/strip", options="strip=/strip") + add("/stripall", options="strip=/stripall")
             + add("/prep", options="prepend=/pre") + add("/prepn", options="prepend=pre")
             + add("/both", options="strip=/both prepend=/pre") + add("/sq", "/?q=1", "strip=/sq"))
    with Tagway(table) as tagway:
        yield tagway


def sent(proxy, origin, target, host="front.example"):
    """Status, and target and Host of the request the origin got."""
    count = len(origin.requests)
    with proxy.connect() as client:
        client.send(format_request(target=target, host=host))
        status = client.read_response().status
    if len(origin.requests) == count:
        return status, None, None
    return status, origin.requests[-1].target, origin.requests[-1].get("host")


# 5.2


@pytest.mark.parametrize("target, want, matched", [
    ("/a//b/../c/", "/a/c/", None),
    ("/..", "/", None),
    ("/%2e%2e/x", "/x", None),
    ("/a/b/..", "/a/", None),  # fabio: /a
    ("/a/b/.", "/a/b/", "matched-ab"),  # fabio: /a/b
    ("/a/./b", "/a/b", "matched-ab"),
    ("/a%2Fb", "/a%2Fb", "matched-ab"),
    ("/foo%2Fbar", "/foo%2Fbar", "matched-foo"),
    ("/%66oo", "/%66oo", "matched-foo"),
    ("/fools", "/fools", "matched-foo"),  # a prefix ends anywhere
    ("/a%252Fb", "/a%252Fb", None),  # fabio: /a/b
    ("/a%2520b", "/a%2520b", None),  # fabio: /a%20b
    ("/a%3Fb?q=1", "/a%3Fb?q=1", None),  # fabio: /a?q=1
    ("/a%23b", "/a%23b", None),  # fabio: /a
    ("//evil.com/foo", "//evil.com/foo", None),  # fabio: /foo, and matched as that
    ("//foo", "//foo", "matched-foo"),
    ("/a//", "/a//", None),  # fabio: /a/
    ("/%FC", "/%FC", None),
    ("/a[b]{c}", "/a[b]{c}", None),  # fabio: /a%5Bb%5D%7Bc%7D
    ("/a'()*!", "/a'()*!", None),
    ("/a;x/b", "/a;x/b", None),
    ("/a?", "/a?", None),
    ("/a?x=%zz&y", "/a?x=%zz&y", None),
])
def test_path(proxy, origin, target, want, matched):
    status, got, host = sent(proxy, origin, target)
    assert (status, got) == (200, want)
    assert host == (matched or "front.example")


def test_absolute_form(proxy, origin):
    assert sent(proxy, origin, "http://abs.com/abs?x") == (200, "/abs?x", "abs.com")


@pytest.mark.parametrize("target", [
    "/a b", "/a%zz", "/%", "?x", "a/b",
    "/a%00b",  # fabio forwards it
    "/\xfc",  # fabio: /%FC
    "*",  # of another method than OPTIONS; fabio: no route
    "/a\\b", "/%c0%ae%c0%ae/x", "/..;/x", "/%2e%2e%2fx",  # what origins read in different ways
])
def test_refused_path(proxy, origin, target):
    assert sent(proxy, origin, target) == (400, None, None)


# 5.1


def test_options_asterisk_is_answered_here(proxy, origin):
    count = len(origin.requests)
    with proxy.connect() as client:
        got = client.request("OPTIONS", "*")
        assert (got.status, got.get("content-length"), got.body) == (200, "0", b"")
    assert len(origin.requests) == count


def test_missing_host_is_400(proxy):
    with proxy.connect() as client:
        client.send(b"GET / HTTP/1.1\r\n\r\n")
        assert client.read_response().status == 400


def test_connect_is_refused(proxy):
    """fabio: no route."""
    with proxy.connect() as client:
        client.send(b"CONNECT a.com:443 HTTP/1.1\r\nHost: a.com:443\r\n\r\n")
        assert client.read_response().status == 405


def test_a_head_of_31_kib_passes(proxy, origin):
    """fabio takes 1 MiB; here the limit is proxy.request.maxhead."""
    fields = [(f"X-{i}", "v" * 1000) for i in range(30)]
    assert proxy.get(fields=fields).status == 200
    assert proxy.get(fields=fields + fields).status == 431


# 5.4


@pytest.mark.parametrize("target, want", [
    ("/dst/x", "/dst/x"),
    ("/q", "/q?foo=bar"),
    ("/q?", "/q?foo=bar"),
    ("/q?a=b", "/q?foo=bar&a=b"),
    ("/q?foo=x", "/q?foo=bar&foo=x"),
    ("/sq/x?a", "/x?q=1&a"),
    ("/strip", "/"),
    ("/strip/", "/"),
    ("/strip/x?y", "/x?y"),
    ("/strip?x", "/?x"),
    ("/stripfoo", "/foo"),
    ("/stripall", "/"),
    ("/stripallfoo", "/foo"),
    ("/strip/a%2Fb", "/a%2Fb"),  # fabio: /a/b
    ("/%73trip/x", "/x"),
    ("/prep/a", "/pre/prep/a"),
    ("/prepn/x", "/pre/prepn/x"),
    ("/both", "/pre/"),
    ("/both/x?y=1", "/pre/x?y=1"),
])
def test_rewritten_target(proxy, origin, target, want):
    assert sent(proxy, origin, target)[:2] == (200, want)
