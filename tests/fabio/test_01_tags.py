# SPDX-License-Identifier: Apache-2.0
"""Section 1: service tags. Every row of tag_rows is one service of a real Consul; all are in one table."""

import collections

import pytest

from fabio.tag_rows import PORT, ROWS
from harness.consul import Consul
from harness.origin import Origin
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul


@pytest.fixture(scope="module")
def consul(consul_binary):
    # As many services as rows, read one by one by several proxies, come near its limit of 200.
    with Consul(consul_binary, config={"limits": {"http_max_conns_per_client": 1000}}) as consul:
        for row in ROWS:
            consul.register(row.service, PORT, row.tags, address=row.address)
        yield consul


@pytest.fixture(scope="module")
def site(consul):
    """(lines by service, problems by service)"""
    with Tagway(options=consul.options()) as tagway:
        count = sum(len(row.lines) for row in ROWS)
        wait_until(lambda: len(tagway.routes()) == count, what=f"{count} routes")
        lines = collections.defaultdict(list)
        for line in tagway.admin("/api/routes?raw").body.decode().splitlines():
            _, _, service, rest = line.split(" ", 3)
            lines[service].append(rest)
        problems = collections.defaultdict(list)
        for problem in tagway.problems():
            problems[problem["service"]].append(problem)
        yield lines, problems


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_tag(site, row):
    lines, problems = site
    assert lines[row.service] == row.lines
    reasons = [problem["reason"] for problem in problems[row.service]]
    if row.problem:
        assert any(row.problem in reason for reason in reasons), reasons
        # What does not even begin with the prefix is found in the list of services, which has no instances.
        assert all(problem["instance"] in ("", f"node1/{row.service}-{PORT}")
                   for problem in problems[row.service])
        assert any(problem["text"].strip() in [tag.strip() for tag in row.tags]
                   for problem in problems[row.service])
    else:
        assert not reasons, reasons


# 1.6: what the options do to requests

@pytest.fixture(scope="module")
def origin():
    def respond(request):
        return f"{request.get('host')} {request.target} {request.get('x-forwarded-prefix')}".encode()

    with Origin(respond) as origin:
        yield origin


# tag, request path, body of the answer ({} is the instance's host:port)
OPTIONS = [
    ("/plain", "/plain/x", "front {path} None"),
    ("/strip strip=/strip", "/strip/x", "front /x /strip"),
    ("/strip strip=/strip", "/stripx", "front /x /strip"),
    ("/strip strip=/strip", "/strip", "front / /strip"),
    ("/prepend prepend=/p", "/prepend/x", "front /p/prepend/x None"),
    ("/both strip=/both prepend=/p", "/both/x", "front /p/x /both"),
    ("/dst host=dst", "/dst", "{address} /dst None"),
    ("/name host=other.com", "/name", "other.com /name None"),
    ("/empty host= strip= prepend=", "/empty", "front /empty None"),
    ("/http proto=http", "/http", "front /http None"),
    ("/unknown colour=blue", "/unknown", "front /unknown None"),
    ("/allowed allow=ip:10.0.0.0/8,ip:127.0.0.1", "/allowed", "front /allowed None"),
    ("/semicolon allow=ip:10.0.0.0/8;ip:127.0.0.0/8", "/semicolon", "front /semicolon None"),
    ("/bar allow=ip:10.0.0.0/8|ip:127.0.0.1/32", "/bar", "front /bar None"),
    ("/undenied deny=ip:10.0.0.0/8;ip:11.0.0.0/8", "/undenied", "front /undenied None"),
    ("/notrue tlsskipverify=yes pxyproto=1", "/notrue", "front /notrue None"),
]
# tag, request path, status, Location
ANSWERS = [
    ("/denied deny=ip:10.0.0.0/8;ip:127.0.0.1", "/denied", 403, None),
    ("/unallowed allow=ip:10.0.0.0/8|ip:11.0.0.0/8", "/unallowed", 403, None),
    ("/moved redirect=301,http://b.com/", "/moved/x?y", 301, "http://b.com/"),
    ("/semi redirect=307;http://b.com$path", "/semi/x?y", 307, "http://b.com/semi/x?y"),
    ("/mid redirect=308|http://b.com/$path", "/mid", 308, "http://b.com/mid"),
]


@pytest.fixture(scope="module")
def proxy(consul, origin):
    tags = sorted({f"urlprefix-{tag}" for tag, *_ in OPTIONS + ANSWERS})
    consul.register("options", origin.port, tags)
    with Tagway(options=consul.options()) as tagway:
        tagway.wait_route("/plain/x")
        yield tagway
    consul.deregister(f"options-{origin.port}")


@pytest.mark.parametrize("tag, path, expected", OPTIONS, ids=[f"{tag} {path}" for tag, path, _ in OPTIONS])
def test_option(proxy, origin, tag, path, expected):
    response = proxy.get(path, "front")
    assert (response.status, response.body.decode()) == (
        200, expected.format(path=path, address=f"127.0.0.1:{origin.port}"))


@pytest.mark.parametrize("tag, path, status, location", ANSWERS, ids=[tag for tag, *_ in ANSWERS])
def test_option_that_answers(proxy, tag, path, status, location):
    response = proxy.get(path, "front")
    assert (response.status, response.get("location")) == (status, location)


def test_redirect_code_out_of_range_proxies(consul, origin):
    consul.register("code", origin.port, [f"urlprefix-/code redirect=200,{origin.url}"])
    with Tagway(options=consul.options()) as tagway:
        assert tagway.wait_route("/code", "front").body == b"front /code None"
    consul.deregister(f"code-{origin.port}")


def test_list_cut_at_a_comma_is_explained(consul):
    """What registrator makes of SERVICE_TAGS=urlprefix-/cut allow=ip:10.0.0.1,ip:10.0.0.2"""
    consul.register("cut", PORT, ["urlprefix-/cut allow=ip:10.0.0.1", "ip:10.0.0.2"])
    with Tagway(options=consul.options()) as tagway:
        problems = wait_until(lambda: [problem for problem in tagway.problems() if problem["service"] == "cut"],
                              what="the problem")
        assert "allow=ip:a;ip:b" in problems[0]["reason"] and problems[0]["text"] == "ip:10.0.0.2"
    consul.deregister(f"cut-{PORT}")


def test_register_makes_an_alias(consul, origin):
    consul.register("aliased", origin.port, ["urlprefix-/aliased register=alias-of-proxy"])

    def names():
        return {service["Service"] for service in consul.services().values()}

    with Tagway(options=consul.options()):
        wait_until(lambda: "alias-of-proxy" in names(), 15, "the alias")
        consul.deregister(f"aliased-{origin.port}")
        wait_until(lambda: "alias-of-proxy" not in names(), 15, "the alias to go")
