# SPDX-License-Identifier: Apache-2.0
"""registry.backend=custom (fabio 3.8, Q-14): what is asked, what an element may be, what goes wrong and what
stays then."""

import subprocess

import pytest

from harness import custom_backend as custom
from harness.custom_backend import CustomBackend
from harness.origin import Origin
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway


def add(src, dst, service="svc", **more):
    return {"cmd": "route add", "service": service, "src": src, "dst": dst, "weight": 0, **more}


@pytest.fixture(scope="module")
def origin():
    with Origin(name="a") as origin:
        yield origin


@pytest.fixture(scope="module")
def site(origin):
    """A tagway and the backend it polls; each test begins with one good route."""
    with CustomBackend([add("/", origin.url)]) as backend, Tagway(options=backend.options()) as tagway:
        yield backend, tagway


@pytest.fixture
def polled(site, origin):
    backend, tagway = site
    backend.fault = backend.body = None
    backend.routes = [add("/", origin.url)]
    wait_until(lambda: [route["src"] for route in tagway.routes()] == ["/"] and not tagway.problems(),
               what="the table of the start")
    return backend, tagway


def raw(tagway):
    return tagway.admin("/api/routes?raw").body.decode().splitlines()


def wait_raw(tagway, *lines):
    wait_until(lambda: raw(tagway) == list(lines), what=f"{lines}, have {raw(tagway)}")


# What is asked

def test_the_request_is_get_path_and_query_with_connection_close(origin):
    with CustomBackend([add("/", origin.url)]) as backend:
        options = backend.options(registry_custom_path="some/where", registry_custom_queryparams="a=b&c=d%20e")
        with Tagway(options=options) as tagway:
            _, line, fields = backend.requests[0]
            assert line == "GET /some/where?a=b&c=d%20e HTTP/1.1"
            assert fields["host"] == f"127.0.0.1:{backend.port}"
            assert fields["connection"].lower() == "close"
            assert b"a=b&c" not in tagway.admin("/api/config").body, "query parameters are a secret"
            assert "c=d" not in tagway.stderr()


def test_credentials_in_the_host_are_sent_and_never_shown(origin):
    with CustomBackend([add("/", origin.url)]) as backend:
        host = f"me:s3cr3t@127.0.0.1:{backend.port}"
        with Tagway(options=backend.options(registry_custom_host=host)) as tagway:
            assert backend.requests[0][2]["authorization"] == "Basic bWU6czNjcjN0"
            assert tagway.json("/api/config")["Registry"]["Custom"]["Host"] == f"***@127.0.0.1:{backend.port}"
            backend.fault = custom.status(500)
            wait_until(tagway.problems, what="the problem")
            assert "s3cr3t" not in tagway.stderr() + str(tagway.problems())


def test_it_is_asked_at_the_interval(origin):
    with CustomBackend([add("/", origin.url)]) as backend:
        with Tagway(options=backend.options(registry_custom_pollinterval="300ms")):
            backend.wait_polls(3)
            times = [time for time, _, _ in backend.requests[-3:]]
            assert all(later - earlier > 0.28 for earlier, later in zip(times, times[1:]))


def test_a_redirect_is_followed(polled, origin):
    backend, tagway = polled
    target = [add("/moved", origin.url)]

    def fault(handler):
        if handler.path == "/routes":
            custom.status(302, Location="/elsewhere")(handler)
        else:
            backend.fault = None
            backend.routes = target
            handler.do_GET()

    backend.fault = fault
    wait_raw(tagway, f"route add svc /moved {origin.url}")


def test_the_no_route_page_is_the_configured_text(origin):
    with CustomBackend([add("/a", origin.url)]) as backend:
        with Tagway(options=backend.options(registry_custom_noroutehtml="<b>no</b>")) as tagway:
            response = tagway.get("/nothing")
            assert (response.status, response.body) == (404, b"<b>no</b>")
            assert "Set noroute HTML (9 bytes)" in tagway.stderr()


# What an element may be

D = "http://127.0.0.1:9/"

ELEMENTS = [
    ("weight and tags", {"weight": 0.25, "tags": ["a", "b"]}, ' weight 0.2500 tags "a,b"'),
    ("opts as an object", {"opts": {"strip": "/x", "host": "dst"}}, ' opts "host=dst strip=/x"'),
    ("opts as a text", {"opts": "strip=/x  host=dst"}, ' opts "host=dst strip=/x"'),
    ("tags as a text", {"tags": "a, b"}, ' tags "a,b"'),
    ("null is absent", {"weight": None, "tags": None, "opts": None}, ""),
    ("a weight of 0 is none", {"weight": 0}, ""),
    ("a negative weight is none", {"weight": -1}, ""),
    ("unknown fields are ignored", {"comment": [1, {}]}, ""),
    ("a tag with a comma is one tag", {"tags": ["a,b"]}, ' tags "a,b"'),
    ("true as the value of an option", {"opts": {"tlsskipverify": True}}, ' opts "tlsskipverify=true"'),
    ("a number as the value of an option", {"opts": {"redirect": 301}}, ' opts "redirect=301"'),
    ("space in a list of addresses", {"opts": {"allow": "ip:10.0.0.1, ip:10.0.0.2"}},
     ' opts "allow=ip:10.0.0.1,ip:10.0.0.2"'),
]


@pytest.mark.parametrize("more, text", [case[1:] for case in ELEMENTS], ids=[case[0] for case in ELEMENTS])
def test_an_element(polled, more, text):
    backend, tagway = polled
    backend.routes = [add("Host.com/x", D, **more)]
    wait_raw(tagway, f"route add svc host.com/x {D}{text}")


def test_names_of_fields_in_any_case_and_the_last_of_equal_ones(polled):
    backend, tagway = polled
    backend.body = b'[{"Cmd":"route add","SERVICE":"one","service":"two","Src":"/x","DST":"%s"}]' % D.encode()
    wait_raw(tagway, f"route add two /x {D}")


def test_fields_missing_in_the_next_answer_do_not_keep_old_values(polled):
    """Q-14."""
    backend, tagway = polled
    backend.routes = [add("/x", D, weight=0.5, tags=["t"], opts={"strip": "/x"})]
    wait_raw(tagway, f'route add svc /x {D} weight 0.5000 tags "t" opts "strip=/x"')
    backend.routes = [{"cmd": "route add", "service": "svc", "src": "/y", "dst": D}]
    wait_raw(tagway, f"route add svc /y {D}")


@pytest.mark.parametrize("command, left", [
    ({"cmd": "route del", "service": "b"}, ["a", "a"]),
    ({"cmd": "route del", "service": "a", "src": "/x"}, ["a", "b"]),
    ({"cmd": "route del", "service": "a", "src": "/x", "dst": "http://127.0.0.1:1/"}, ["a", "b"]),
    ({"cmd": "route del", "tags": ["t"]}, ["a", "a"]),
    ({"cmd": "route del", "service": "a", "tags": ["t"]}, ["a", "a", "b"]),
    ({"cmd": "route del", "service": "a", "src": "/nothing"}, ["a", "a", "b"]),
], ids=["service", "source", "destination", "tags", "tags of a service", "nothing there"])
def test_route_del(polled, command, left):
    backend, tagway = polled
    backend.routes = [add("/x", "http://127.0.0.1:1/", "a"), add("/y", "http://127.0.0.1:2/", "a"),
                      add("/x", "http://127.0.0.1:3/", "b", tags=["t"])]
    wait_until(lambda: len(tagway.routes()) == 3, what="the three routes")
    backend.routes.append(command)
    if len(left) == 3:
        backend.wait_polls()
    wait_until(lambda: sorted(route["service"] for route in tagway.routes()) == left, what="what is left")


def test_route_weight(polled):
    backend, tagway = polled
    backend.routes = [add("/x", "http://127.0.0.1:1/", "a"), add("/x", "http://127.0.0.1:2/", "b"),
                      {"cmd": "route weight", "service": "b", "src": "/x", "weight": 0.1}]
    wait_until(lambda: {route["service"]: route["weight"] for route in tagway.routes()} == {"a": 0.9, "b": 0.1},
               what="the weights")


def test_an_empty_list_is_no_routes(polled):
    backend, tagway = polled
    backend.routes = []
    wait_until(lambda: tagway.routes() == [] and tagway.get().status == 404, what="the routes to go")


# What goes wrong

BAD_ELEMENTS = [
    ("no object", 7, "not an object"),
    ("no command", {"service": "s", "src": "/", "dst": D}, "cmd must be"),
    ("unknown command", {"cmd": "route mod", "service": "s", "src": "/", "dst": D}, "cmd must be"),
    ("no source", {"cmd": "route add", "service": "s", "dst": D}, "prefix must not be empty"),
    ("no destination", {"cmd": "route add", "service": "s", "src": "/bad"}, "target must not be empty"),
    ("no service", {"cmd": "route add", "src": "/bad", "dst": D}, "service must not be empty"),
    ("bad destination", add("/bad", "http://x/%zz"), "invalid target"),
    ("bad pattern", add("/bad[a", D), "path"),
    ("service is a number", add("/bad", D, service=7), "service is not a text"),
    ("weight is a text", add("/bad", D, weight="heavy"), "weight is not a number"),
    ("tags are numbers", add("/bad", D, tags=[1]), "a tag is not a text"),
    ("tags are an object", add("/bad", D, tags={}), "tags is neither"),
    ("opts are a list", add("/bad", D, opts=["strip=/x"]), "opts is neither"),
    ("an option is an object", add("/bad", D, opts={"strip": {}}), "strip is not a text"),
    ("an option with space", add("/bad", D, opts={"strip": "/a b"}), "white space"),
    ("line feed in the source", add("/bad\nroute del svc", D), "control character"),
    ("line feed in a tag", add("/bad", D, tags=["a\nb"]), "control character"),
    ("too long", add("/bad" + "x" * 70000, D), "longer than 64 KB"),
    ("del of everything", {"cmd": "route del"}, "neither a service nor tags"),
    ("weight without source", {"cmd": "route weight", "service": "svc", "weight": 1}, "prefix must not be empty"),
]


@pytest.mark.parametrize("element, reason", [case[1:] for case in BAD_ELEMENTS],
                         ids=[case[0] for case in BAD_ELEMENTS])
def test_a_bad_element_loses_only_itself(polled, origin, element, reason):
    backend, tagway = polled
    backend.routes = [add("/", origin.url), element, add("/good", D)]
    wait_until(lambda: [route["src"] for route in tagway.routes()] == ["/good", "/"], what="the good elements")
    problem, = tagway.problems()
    assert reason in problem["reason"], problem
    assert problem["source"] == "custom"
    assert problem["instance"].endswith("/routes element 1")
    assert tagway.metric("tagway_custom_elements") == 3
    assert tagway.metric("tagway_custom_elements_bad") == 1


BAD_ANSWERS = [
    ("500", custom.status(500), "HTTP status 500"),
    ("204", custom.status(204), "HTTP status 204"),
    ("hang up", custom.hang_up, ""),
    ("truncated", custom.truncated, ""),
    ("huge", custom.huge, "too large"),
    ("silent", custom.silent, "no complete answer within 700 ms"),
    ("endless", custom.endless, "no complete answer within 700 ms"),
    ("not JSON", b"route add svc / http://x/", "not a JSON array"),
    ("an object", b'{"cmd":"route add","service":"s","src":"/","dst":"http://x/"}', "not a JSON array"),
    ("null", b"null", "not a JSON array"),
    ("nothing", b"", "not a JSON array"),
    ("a text behind the list", b"[] []", "not a JSON array"),
    ("broken within", b'[{"cmd":"route add",}]', "not a JSON array"),
    ("deep", b"[" * 100000 + b"]" * 100000, "nested too deeply"),
    ("only bad elements", b'[{"command":"route add"},{}]', "none of the 2 elements"),
]


@pytest.mark.parametrize("answer, reason", [case[1:] for case in BAD_ANSWERS], ids=[case[0] for case in BAD_ANSWERS])
def test_an_answer_that_cannot_be_used_changes_nothing(origin, answer, reason):
    with CustomBackend([add("/", origin.url)]) as backend:
        # Where the timeout is not the point it must not come first, however busy the machine.
        timeout = "700ms" if "700 ms" in reason else "20s"
        with Tagway(options=backend.options(registry_custom_timeout=timeout)) as tagway:
            failed = tagway.metric("tagway_custom_polls_total", result="failed")
            if callable(answer):
                backend.fault = answer
            else:
                backend.body = answer
            wait_until(lambda: tagway.metric("tagway_custom_polls_total", result="failed") >= failed + 3,
                       30, "three failures")
            assert tagway.get().body == b"a"
            problem = [problem for problem in tagway.problems() if "element" not in problem["instance"]][0]
            assert reason in problem["reason"]
            assert problem["instance"] == f"http://127.0.0.1:{backend.port}/routes"
            assert tagway.metric("tagway_custom_up") == 0
            # fabio's words; said once, not at every poll.
            assert tagway.stderr().count("[ERROR] error during update from custom back end - ") == 1
            backend.fault = backend.body = None
            wait_until(lambda: tagway.metric("tagway_custom_up") == 1, what="the recovery")
            wait_until(lambda: tagway.problems() == [], what="the problems to go")


def test_an_unchanged_answer_is_not_a_new_table(polled):
    backend, tagway = polled
    published = tagway.metric("tagway_tables_published_total")
    before = tagway.metric("tagway_custom_polls_total", result="unchanged")
    wait_until(lambda: tagway.metric("tagway_custom_polls_total", result="unchanged") >= before + 3, what="polls")
    assert tagway.metric("tagway_tables_published_total") == published


def test_no_listener_opens_before_the_first_usable_answer(origin):
    """Where fabio opens on any outcome and answers 404 (Q-12): nothing is served without routes."""
    with CustomBackend([add("/", origin.url)]) as backend:
        backend.fault = custom.status(500)
        with Tagway(options=backend.options(), is_ready=False) as tagway:
            wait_until(lambda: len(backend.requests) >= 3, what="further tries")
            assert tagway.admin("/ready").status == 503
            assert tagway.admin("/health").status == 200
            with pytest.raises(OSError):
                tagway.get()
            backend.fault = None
            tagway.wait_ready()
            assert tagway.get().body == b"a"


def test_registry_timeout_ends_a_start_without_an_answer():
    with CustomBackend() as backend:
        backend.fault = custom.status(500)
        with Tagway(options=backend.options(registry_timeout="600ms"), is_ready=False) as tagway:
            assert tagway.process.wait() == 1
            assert "Timeout registering backend." in tagway.stderr()
            tagway.finish = lambda has_failed=False: None


def test_manual_routes_are_empty_and_cannot_be_written(polled):
    _, tagway = polled
    assert tagway.admin("/api/paths").body == b"null"
    assert tagway.json("/api/manual") == {"value": "", "version": "0"}
    response = tagway.admin("/api/manual", method="PUT", body=b'{"value":"x","version":"0"}')
    assert response.status == 409


@pytest.mark.parametrize("key, value, text", [
    ("registry.custom.host", "", "registry.custom.host is needed"),
    ("registry.custom.host", "http://x/", "must be host or host:port"),
    ("registry.custom.scheme", "ftp", "http"),
    ("registry.custom.pollinterval", "0", "must be above 0"),
    ("registry.custom.timeout", "soon", "duration"),
])
def test_a_bad_option_ends_the_program(key, value, text):
    argv = [BINARY, "-registry.backend=custom", "-registry.custom.host=127.0.0.1:1", f"-{key}={value}"]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    assert result.returncode == 1
    assert key in result.stderr and text in result.stderr
