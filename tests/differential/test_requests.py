# SPDX-License-Identifier: Apache-2.0
"""Requests through the real fabio and through tagway, to the same origin by the same routes: status, response
and what the origin sees are equal, or differ exactly as DIFFERENCES says, with the reason."""

import base64

import pytest

from harness.fabio import Fabio
from harness.origin import Origin, refused_port
from harness.tagway import Tagway

from observe import differences, observe

TEXT = b"some text that is long enough to be worth compressing, " * 20


HTPASSWD = "user:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n"  # password


def respond(request):
    path = request.target.partition("?")[0]
    if path.endswith("/hop"):
        return b"ok", "200 OK", [("Connection", "X-Private"), ("X-Private", "1"), ("X-Public", "2"),
                                 ("Keep-Alive", "timeout=5"), ("Server", "origin")]
    if path.endswith("/text"):
        return TEXT, "200 OK", [("Content-Type", "text/plain")]
    if path.endswith("/image"):
        return TEXT, "200 OK", [("Content-Type", "image/png")]
    if path.endswith("/missing"):
        return b"not here", "404 Not Found", [("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2")]
    if path.endswith("/unchanged"):
        return b"", "304 Not Modified", [("ETag", '"1"')]
    return b"hello", "200 OK", [("Content-Type", "text/plain")]


def routes(origin):
    rows = [
        ("/", ""), ("/strip", "strip=/strip"), ("/prepend", "prepend=/pre"),
        ("/both", "strip=/both prepend=/pre"), ("/dst", "host=dst"), ("/name", "host=name.com"),
        ("gzip.com/", ""), ("/allow", "allow=ip:127.0.0.1"), ("/allow10", "allow=ip:10.0.0.0/8"),
        ("/deny", "deny=ip:127.0.0.0/8"), ("/deny10", "deny=ip:10.0.0.0/8"),
        ("/auth", "auth=site"), ("/nobody", "auth=nobody"),
        ("/badrule", "allow=ip:x"), ("/both-rules", "allow=ip:127.0.0.1 deny=ip:10.0.0.1"),
    ]
    lines = [f'route add s {src} {origin.url} opts "{opts}"' for src, opts in rows]
    lines += [
        f"route add q /query {origin.url}?dst=1",
        f"route add p /dstpath {origin.url}ignored/path",
        f"route add refused /refused http://127.0.0.1:{refused_port()}/",
        'route add r /r301 http://b.com/ opts "redirect=301"',
        'route add r /r302 https://$host$path opts "redirect=302"',
        'route add r /rq http://b.com/x?a=b opts "redirect=307"',
        'route add r /rpath http://b.com/bbb/$path opts "redirect=308"',
        'route add r /rstrip https://b.com/bbb$path opts "redirect=301 strip=/rstrip"',
        'route add r /rprepend http://b.com/$path opts "redirect=301 strip=/rprepend prepend=/p"',
        'route add r /rrel /other opts "redirect=303"',
        f'route add r /rbad {origin.url} opts "redirect=299"',
    ]
    return "\n".join(lines)


def basic(text):
    return ("Authorization", "Basic " + base64.b64encode(text.encode()).decode())


def request(target="/", fields=(), host="front.com", **more):
    """Says what it accepts, so that nobody negotiates in its place; one case leaves that out."""
    return {"target": target, "host": host, "fields": [("Accept-Encoding", "identity"), ("User-Agent", "t"), *fields],
            **more}


CASES = {
    # paths
    **{f"path {path}": request(path) for path in (
        "/", "/a", "/a/", "/a//b/../c/", "/..", "/%2e%2e/x", "/a%2Fb", "/a%20b", "/a+b", "/a;b=c", "/a,b", "/a:b",
        "/a'b()*!", "/a~b", "/%E2%82%AC", "/a%252Fb", "/a%3Fb", "/a%23b", "//evil.com/foo", "/a[b]", "/a%5Bb%5D",
        "/a%00b", "/a%zz")},
    # queries
    **{f"query {query}": request(f"/a?{query}") for query in (
        "", "x=1", "x=1&y=2", "x=%20&y=a+b", "x=[1]", "a?b", "/../..", "x=%zz", "a;b")},
    "query of the destination": request("/query"),
    "query of both": request("/query?x=1"),
    "path of the destination is ignored": request("/dstpath/x"),
    # hosts
    "host with port": request(host="front.com:8080"),
    "host in upper case": request(host="FRONT.Com"),
    "host ipv6": request(host="[::1]:8080"),
    "absolute target": request("http://abs.com/abs?x"),
    # options
    **{f"option {path}": request(path) for path in (
        "/strip", "/strip/x", "/stripfoo", "/strip/a%2Fb", "/strip//x", "/prepend/x", "/both/x", "/dst", "/name")},
    # redirects
    **{f"redirect {path}": request(path) for path in (
        "/r301/a?x=1", "/r302/abc/?a=1", "/rq?y", "/rpath/a/b", "/rpath/a%2fbc", "/rstrip", "/rstrip/x?y=1",
        "/rprepend/x", "/rrel/x", "/rbad")},
    "redirect POST": request("/r301", method="POST", body=b"x"),
    "redirect HEAD": request("/r301", method="HEAD"),
    "redirect is escaped in HTML": request("/r302/<a>&'?\"x"),
    # methods and bodies
    **{f"method {method}": request(method=method) for method in ("HEAD", "OPTIONS", "DELETE", "PATCH", "PROPFIND")},
    "method POST with body": request(method="POST", body=b"hello"),
    "method PUT with empty body": request(method="PUT", body=b""),
    "options asterisk": request("*", method="OPTIONS"),
    "HTTP/1.0": request(version="HTTP/1.0"),
    # headers about the client
    "forwarded for": request(fields=[("X-Forwarded-For", "1.2.3.4, 5.6.7.8")]),
    "forwarded for twice": request(fields=[("X-Forwarded-For", "1.2.3.4"), ("X-Forwarded-For", "5.6.7.8")]),
    "real ip": request(fields=[("X-Real-Ip", "1.2.3.4")]),
    "forwarded proto": request(fields=[("X-Forwarded-Proto", "https")]),
    "forwarded port": request(fields=[("X-Forwarded-Port", "1234")]),
    "forwarded host": request(fields=[("X-Forwarded-Host", "other.com")]),
    "forwarded prefix": request(fields=[("X-Forwarded-Prefix", "/x")]),
    "forwarded prefix and strip": request("/strip/x", fields=[("X-Forwarded-Prefix", "/x")]),
    "forwarded": request(fields=[("Forwarded", "for=1.2.3.4; proto=https")]),
    "forwarded twice": request(fields=[("Forwarded", "for=1.2.3.4"), ("Forwarded", "for=5.6.7.8")]),
    "client ip header of a client": request(fields=[("X-Client-Ip", "6.6.6.6")]),
    "tls header of a client": request(fields=[("X-Tls", "yes")]),
    "forwarded host with host=dst": request("/dst", fields=[("X-Forwarded-Host", "other.com")]),
    # Connection
    "connection names a header": request(fields=[("Connection", "X-A, keep-alive"), ("X-A", "1"), ("X-B", "2")]),
    "connection names a protected header": request(fields=[("Connection", "X-Forwarded-For, X-Real-Ip"),
                                                           ("X-Forwarded-For", "1.2.3.4")]),
    "hop by hop": request(fields=[("Proxy-Connection", "x"), ("Keep-Alive", "x"), ("Proxy-Authorization", "x"),
                                  ("Te", "trailers"), ("Proxy-Authenticate", "x")]),
    "response hop by hop": request("/hop"),
    "repeated fields": request(fields=[("X-A", "1"), ("X-A", "2"), ("Cookie", "a=1"), ("Cookie", "b=2")]),
    "no user agent": {"target": "/", "host": "front.com", "fields": [("Accept-Encoding", "identity")]},
    "no accept encoding": {"target": "/", "host": "front.com", "fields": [("User-Agent", "t")]},
    # responses
    "response 404": request("/missing"),
    "response 304": request("/unchanged"),
    "response to HEAD": request("/text", method="HEAD"),
    # gzip
    "gzip": request("/text", host="gzip.com"),
    "gzip accepted": {"target": "/text", "host": "gzip.com", "fields": [("Accept-Encoding", "gzip"), ("User-Agent", "t")]},
    "gzip accepted for an image": {"target": "/image", "host": "gzip.com",
                                   "fields": [("Accept-Encoding", "gzip"), ("User-Agent", "t")]},
    "gzip q=0": {"target": "/text", "host": "gzip.com", "fields": [("Accept-Encoding", "gzip;q=0"), ("User-Agent", "t")]},
    # access rules
    **{f"access {path}": request(path) for path in ("/allow", "/allow10", "/deny", "/deny10", "/badrule", "/both-rules")},
    "access by forwarded address": request("/deny10", fields=[("X-Forwarded-For", "10.1.1.1")]),
    "access by forwarded address not in the list": request("/allow", fields=[("X-Forwarded-For", "11.1.1.1")]),
    # authentication
    "auth without credentials": request("/auth"),
    "auth with good credentials": request("/auth", fields=[basic("user:password")]),
    "auth with bad credentials": request("/auth", fields=[basic("user:wrong")]),
    "auth with an unknown user": request("/auth", fields=[basic("nobody:password")]),
    "auth with another scheme": request("/auth", fields=[("Authorization", "Bearer x")]),
    "auth with an unknown name": request("/nobody"),
    # errors
    "refused": request("/refused"),
    "no host": b"GET / HTTP/1.1\r\n\r\n",
}

NOSNIFF = {"response x-content-type-options": (None, "nosniff")}


def error(code, reason, of_fabio="", length=None):
    """fabio's words for an error, or none; ours are the status in a line of text."""
    line = f"{code} {reason}\n"
    return {"body": (of_fabio, line), "response content-length": (length, str(len(line))), **NOSNIFF}


AS_SENT = "Q-3: matched decoded once; sent on as received"
OWN_ANSWERS = "answers of the proxy's own forbid sniffing"
WORDS = "errors say what they are, in one line of text"
CLIENTS_HOST = "Q-5: the client's host, not what host= makes of it"
CLOSED = "Q-4: wrong rules close a route"

# name -> (reason, {fact: (fabio's, tagway's)}). A difference that is gone fails as well as a new one.
DIFFERENCES = {
    "path /a%252Fb": (AS_SENT, {"seen": ("GET /a/b", "GET /a%252Fb")}),
    "path /a%3Fb": (AS_SENT, {"seen": ("GET /a", "GET /a%3Fb")}),
    "path /a%23b": (AS_SENT, {"seen": ("GET /a", "GET /a%23b")}),
    "path //evil.com/foo": (AS_SENT, {"seen": ("GET /foo", "GET //evil.com/foo")}),
    "option /strip/a%2Fb": (AS_SENT, {"seen": ("GET /a/b", "GET /a%2Fb")}),
    "path /a%00b": ("a NUL is refused", {"status": ("200", "400"), "seen count": ("1", "0")}),
    "path /a%zz": (WORDS, error(400, "Bad Request", "400 Bad Request")),
    "no host": (WORDS, error(400, "Bad Request", "400 Bad Request: missing required Host header")),
    "refused": (WORDS, {**error(502, "Bad Gateway", length="0"),
                        "response content-type": (None, "text/plain; charset=utf-8"),
                        "response vary": ("Accept-Encoding", None)}),
    "host ipv6": ("Q-6: the port behind the brackets", {"seen x-forwarded-port": (":1]:8080", "8080")}),
    "option /dst": (CLIENTS_HOST, {"seen x-forwarded-host": ("127.0.0.1:ORIGIN", "front.com"),
                                   "seen x-forwarded-port": ("ORIGIN", "80")}),
    "option /name": (CLIENTS_HOST, {"seen x-forwarded-host": ("name.com", "front.com")}),
    "forwarded host with host=dst": (CLIENTS_HOST, {"seen x-forwarded-port": ("ORIGIN", "80")}),
    **{name: (OWN_ANSWERS, NOSNIFF) for name in CASES
       if name.startswith("redirect /") and name != "redirect /rbad"},
    "redirect HEAD": (OWN_ANSWERS + "; HEAD says how long GET's would be",
                      {**NOSNIFF, "response content-length": (None, "48")}),
    "redirect is escaped in HTML": (
        "the path goes into Location as received; it is escaped where it stands in HTML",
        {**NOSNIFF, "response content-length": ("68", "72"),
         "response location": ("https://front.com/r302/%3Ca%3E&%27?\"x", "https://front.com/r302/<a>&'?\"x"),
         "body": ('<a href="https://front.com/r302/%3Ca%3E&amp;%27?&#34;x">Found</a>.\n\n',
                  '<a href="https://front.com/r302/&lt;a&gt;&amp;&#39;?&#34;x">Found</a>.\n\n')}),
    "method PATCH": ("no length is made up", {"seen content-length": ("0", None)}),
    "HTTP/1.0": ("it says that it closes", {"response connection": (None, "close")}),
    "forwarded twice": ("all lines are kept, not the first alone",
                        {"seen forwarded": ("for=1.2.3.4; by=192.0.2.2; httpproto=http/1.1",
                                            "for=1.2.3.4, for=5.6.7.8; by=192.0.2.2; httpproto=http/1.1")}),
    "response hop by hop": ("no media type is guessed",
                            {"response content-type": ("text/plain; charset=utf-8", None)}),
    "response 304": ("the origin's fields stay", {"response content-length": (None, "0")}),
    "gzip accepted": ("compressed as it comes, so the length is not known",
                      {"response content-length": ("86", None), "response transfer-encoding": (None, "chunked")}),
    "gzip q=0": ("Q-18: who says q=0 gets no gzip",
                 {"response content-encoding": ("gzip", None), "response content-length": ("86", "1100")}),
    "access /badrule": (CLOSED, {"status": ("200", "403"), "seen count": ("1", "0")}),
    **{f"auth with {case}": ("Q-17: every 401 says how to authenticate",
                             {"response www-authenticate": (None, f'Basic realm="{realm}"')})
       for case, realm in (("bad credentials", "the site"), ("an unknown user", "the site"),
                           ("an unknown name", "restricted"))},
    "access /both-rules": (CLOSED, {"status": ("200", "403"), "seen count": ("1", "0")}),
}


@pytest.fixture(scope="module")
def origin():
    with Origin(respond) as origin:
        yield origin


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    path = tmp_path_factory.mktemp("auth") / "htpasswd"
    path.write_text(HTPASSWD)
    return {"proxy.auth": f"name=site;type=basic;file={path};realm=the site", "proxy.gzip.contenttype": "^text/.*",
            "proxy.header.clientip": "X-Client-Ip", "proxy.header.tls": "X-Tls", "proxy.header.tls.value": "yes",
            "proxy.localip": "192.0.2.2", "log.level": "WARN"}


@pytest.fixture(scope="module")
def fabio(origin, options):
    with Fabio(routes(origin), options) as fabio:
        yield fabio


@pytest.fixture(scope="module")
def tagway(origin, options):
    with Tagway(options={"registry.backend": "static", "registry.static.routes": routes(origin), **options}) as tagway:
        yield tagway


@pytest.mark.parametrize("name", CASES)
def test_request(fabio, tagway, origin, name):
    of_fabio, of_tagway = (observe(proxy, origin, CASES[name]) for proxy in (fabio, tagway))
    found = differences(of_fabio, of_tagway)
    _, expected = DIFFERENCES.get(name, (None, {}))
    assert found == expected


def test_differences_name_cases():
    assert DIFFERENCES.keys() <= CASES.keys()
