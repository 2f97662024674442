# SPDX-License-Identifier: Apache-2.0
"""The live page in a real browser: what people see, that it moves, and that text stays text."""

import signal
import threading

import pytest

from harness.browser import Page
from harness.fake_consul import FakeConsul
from harness.origin import Origin, refused_port
from harness.process import wait_until
from harness.tagway import Tagway, route

HOSTILE = "<img/src=x/onerror=document.title=document.domain>"


@pytest.fixture(scope="module")
def origin():
    with Origin(lambda request: (b"no", "500 Internal Server Error")
                if request.target == "/fail" else None) as origin:
        yield origin


@pytest.fixture
def proxy(origin):
    table = (route(origin, "front.example/app", "front", "strip=/app") + route(origin, "/", "web")
             + route(origin, "/hostile", HOSTILE))
    with Tagway(table, options={"ui.title": "<b>blue</b>"}) as tagway:
        yield tagway


def test_rows_appear(browser, proxy, origin):
    page = Page(browser, proxy)
    page.wait_targets(3)
    assert page.text("#live-text") == "live"
    assert page.all(".row.route .host") == ["any host", "any host", "front.example"]
    assert page.all(".row.route .path") == ["/hostile", "/", "/app"]
    front = page.targets()["front"]
    assert front["main"].startswith(origin.url if hasattr(origin, "url") else "http://127.0.0.1:")
    assert "strip=/app" in front["main"]
    assert front["health"] == "up"
    assert front["weight"] == "100 %"
    assert page.text("#count-routes") == "3"
    page.assert_clean()


def test_counters_move_without_reload(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    page.run("window.isSamePage = true")
    assert page.targets()["web"]["total"] == "0"
    stop = threading.Event()

    def load():
        while not stop.wait(0.01):
            proxy.get("/")
            proxy.get("/fail")

    thread = threading.Thread(target=load)
    thread.start()
    try:
        def has_figures():
            row = page.targets()["web"]
            return (int(row["total"].replace(",", "")) >= 20 and row["p99"].endswith("ms")
                    and row["rate"] not in ("–", "0") and row["errors"] == "50 %")

        wait_until(has_figures, 15, "figures of web", 0.05)
        first = int(page.targets()["web"]["total"].replace(",", ""))
        wait_until(lambda: int(page.targets()["web"]["total"].replace(",", "")) > first, 15,
                   "the total to move on", 0.05)
        wait_until(lambda: page.text(".card.requests .value") not in ("0", "–"), 15, "the total rate")
        assert page.run("return document.querySelectorAll('.row.target .spark .line[d^=M]').length") >= 1
    finally:
        stop.set()
        thread.join()
    wait_until(lambda: page.targets()["web"]["rate"].strip() == "0", 15, "the rate to fall", 0.05)
    assert page.run("return window.isSamePage") is True
    page.assert_clean()


def test_routes_come_and_go_live(browser, proxy, origin):
    page = Page(browser, proxy)
    page.wait_targets(3)
    proxy.set_routes(route(origin, "/", "web") + route(origin, "pr-17.example/", "pull-request"))
    wait_until(lambda: set(page.targets()) == {"web", "pull-request"}, 5, "the new rows", 0.02)
    page.assert_clean()


def test_filter_is_kept_in_the_address(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    page.type("FRONT app")
    page.wait_targets(1)
    assert list(page.targets()) == ["front"]
    assert "filter=FRONT+app" in browser.current_url
    assert page.text("#shown") == "1 route, 1 target of 3"
    again = Page(browser, proxy, "?filter=front+app")
    again.wait_targets(1)
    assert again.run("return document.getElementById('filter').value") == "front app"
    again.type("front nothing")
    again.wait_targets(0)
    assert again.text("#routes-empty-text") == "No route matches the filter."
    assert "registered with a tag like urlprefix-/path" in " ".join(again.text("#routes-empty-why").split())
    again.assert_clean()


def test_sort_by_column(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    for _ in range(20):
        proxy.get("/app/x", host="front.example")
    wait_until(lambda: page.targets()["front"]["total"] == "20", 10, "the requests")
    page.run("document.querySelector('#routes-head .total button').click()")
    assert "sort=requests" in browser.current_url
    first = page.run("""return [...document.querySelectorAll(".row.route")]
        .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)[0].innerText""")
    assert first.startswith("front.example")
    page.assert_clean()


def test_hostile_text_is_text(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    assert HOSTILE in page.targets()
    assert page.text("#title") == "<b>blue</b>"
    assert browser.title == "tagway – <b>blue</b>"
    assert page.run("return document.querySelectorAll('main img, .brand b').length") == 0
    page.assert_clean()


def test_only_web_destinations_become_links(browser):
    table = ("route add bad /a javascript:alert(1)\n" "route add mail /b mailto:x@example.com\n"
             "route add good /c http://127.0.0.1:1/\n")
    with Tagway(table) as tagway:
        page = Page(browser, tagway)
        wait_until(lambda: "good" in page.targets(), 15, "the rows")
        links = page.run("return [...document.querySelectorAll('.row a')].map((a) => a.href)")
        assert links == ["http://127.0.0.1:1/"]
        page.assert_clean()


LINK_TABLE = ("route add path /p http://127.0.0.1:1/\n" "route add host h.example/x http://127.0.0.1:2/\n"
              "route add glob *.g.example/ http://127.0.0.1:3/\n" "route add tcp :7000 tcp://127.0.0.1:4/\n"
              "route add wrong http://w.example/ http://127.0.0.1:5/\n")


@pytest.mark.parametrize("more, links, target", [
    ({"linkenabled": "false"}, {}, None),
    ({}, {"/p": "http://127.0.0.1/p", "h.example/x": "http://h.example/x"}, "_blank"),
    ({"newtab": "false", "scheme": "https", "host": "front.example", "port": "8443"},
     {"/p": "https://front.example:8443/p", "h.example/x": "https://h.example/x"}, ""),
    ({"scheme": "", "port": "80"}, {"/p": "http://127.0.0.1/p", "h.example/x": "http://h.example/x"}, "_blank"),
])
def test_sources_become_links(browser, more, links, target):
    options = {f"ui.routingtable.source.{key}": value for key, value in {"linkenabled": "true", **more}.items()}
    with Tagway(LINK_TABLE, options) as tagway:
        page = Page(browser, tagway)
        wait_until(lambda: len(page.all(".row.route")) >= 4, 15, f"the rows {page.all('.row.route')}")
        found = page.run("""return [...document.querySelectorAll(".row.route a")].map((a) =>
            [a.innerText.replace("any host", ""), a.href, a.target, a.rel])""")
        assert {text.replace("\n", ""): href for text, href, _, _ in found} == links
        assert {kind for _, _, kind, _ in found} <= {target}
        assert all("noopener" in rel for _, _, _, rel in found)
        page.assert_clean()


def test_a_source_with_a_scheme_is_red_and_says_why(browser):
    with Tagway("route add wrong http:/ http://127.0.0.1:5/\n" "route add good /x http://127.0.0.1:5/\n") as tagway:
        page = Page(browser, tagway)
        page.wait_targets(2)
        assert len(page.all(".row.route.suspicious")) == 1
        assert "matches no request: begins with a scheme" in page.text(".row.route.suspicious")


def test_problems_are_listed(browser, origin):
    bad = f"route add {HOSTILE} / not-a-url weight <script>\n"
    with Tagway(route(origin) + bad) as tagway:
        page = Page(browser, tagway, "?tab=problems")
        wait_until(lambda: page.all(".problem"), 15, "the problem")
        assert HOSTILE in page.text(".problem")
        assert page.text("#count-problems") == "1"
        tagway.set_routes(route(origin))
        wait_until(lambda: not page.all(".problem"), 10, "the problem to go")
        assert "No problems" in page.text("#problems")
        page.assert_clean()


def test_who_finds_no_route_is_led_to_its_problem(browser, origin):
    with Tagway(route(origin) + "route add lost [x/ http://127.0.0.1:1/\nroute ad other\n") as tagway:
        page = Page(browser, tagway)
        wait_until(lambda: page.text("#count-problems") == "2", 15, "the problems")
        page.type("lost")
        wait_until(lambda: page.text("#routes-empty-problems") == "1 problem with these words: look", 10, "the hint")
        assert page.text("#routes-empty-why") == ""
        page.run("document.getElementById('routes-empty-problems').click()")
        assert "tab=problems" in browser.current_url
        assert len(page.all(".problem")) == 1
        assert "bad pattern" in page.text(".problem")
        page.assert_clean()


def test_many_problems_are_cut(browser, origin):
    bad = "".join(f"route ad number-{i}-\n" for i in range(300))
    with Tagway(route(origin) + bad) as tagway:
        page = Page(browser, tagway, "?tab=problems")
        wait_until(lambda: len(page.all(".problem")) == 200, 15, "the first problems")
        assert page.text("#problems .empty") == "100 more: the filter finds them."
        page.type("number-299-")
        wait_until(lambda: len(page.all(".problem")) == 1, 10, "the one that was cut")
        page.assert_clean()


def test_the_colour_of_a_cluster(browser, origin):
    with Tagway(route(origin), options={"ui.color": "deep-orange darken-1"}) as tagway:
        page = Page(browser, tagway)
        page.wait_targets(1)
        assert page.run("return getComputedStyle(document.querySelector('.top')).borderTopColor") == "rgb(244, 81, 30)"
        page.assert_clean()


def test_registry_panel(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    page.run("document.getElementById('tab-registry').click()")
    wait_until(lambda: page.text("#registry"), 10, "the registry's state")
    assert "tab=registry" in browser.current_url
    page.assert_clean()


def test_an_ejected_target_is_told_with_its_cause(browser, origin):
    options = {"proxy.workers": "1", "proxy.strategy": "rr", "proxy.eject.time": "1h", "proxy.eject.maxtime": "1h"}
    with Tagway(route(origin, "/", "good") + route(refused_port(), "/", "bad"), options) as tagway:
        page = Page(browser, tagway)
        page.wait_targets(2)
        assert not page.all(".row.target.ejected")
        for _ in range(20):
            tagway.get()
        wait_until(lambda: page.targets()["bad"]["health"].startswith("ejected "), 15, "the word in the row")
        assert page.targets()["good"]["health"] == "up"
        title = page.run("return document.querySelector('.row.target.ejected .health').title")
        assert "it cannot be connected to" in title
        page.assert_clean()


def test_routes_from_disk_are_told_until_consul_answers(browser, origin, tmp_path):
    with FakeConsul() as consul:
        consul.set_service("web", [("web-1", origin.port, ["urlprefix-/web"])])
        options = consul.options(registry_snapshot_path=str(tmp_path / "routes"), registry_snapshot_wait="200ms")
        with Tagway(options=options) as tagway:
            page = Page(browser, tagway)
            page.wait_targets(1)
            assert page.text("#snapshot") == ""
            wait_until(lambda: (tmp_path / "routes").exists(), 20, "the routes on disk")
        consul.hang_up()
        with Tagway(options=options) as tagway:
            page = Page(browser, tagway)
            page.wait_targets(1)
            wait_until(lambda: "from disk" in page.text("#snapshot"), 15, "the banner")
            assert "the registry has not answered" in page.text("#snapshot")
            consul.listen()
            wait_until(lambda: page.text("#snapshot") == "", 20, "the banner to go")
            page.wait_targets(1)
            page.assert_clean()


def test_a_lost_connection_is_told_and_found_again(browser, proxy):
    page = Page(browser, proxy)
    page.wait_targets(3)
    proxy.process.signal(signal.SIGSTOP)
    try:
        wait_until(lambda: "Connection lost" in page.text("#banner"), 20, "the banner", 0.1)
    finally:
        proxy.process.signal(signal.SIGCONT)
    wait_until(lambda: page.text("#live-text") == "live", 20, "the connection", 0.1)
    assert page.text("#banner") == ""
    assert len(page.all(".row.target")) == 3


def test_ten_thousand_routes_stay_usable(browser, origin):
    table = "".join(route(origin, f"h{i}.example/", f"svc-{i}") for i in range(10000))
    with Tagway(table) as tagway:
        page = Page(browser, tagway)
        wait_until(lambda: "10,000 routes" in page.text("#shown"), 30, "the rows")
        assert len(page.all(".row")) < 100  # only those in the window are elements
        page.type("svc-4321")
        wait_until(lambda: list(page.targets()) == ["svc-4321"], 10, "the one row")
        page.type(" ")
        wait_until(lambda: "10,000 routes" in page.text("#shown"), 10, "all rows")
        tagway.set_routes(table + route(origin, "/", "one-more"))
        wait_until(lambda: "one-more" in page.targets(), 20, "the new row")
        page.run("scrollTo(0, document.body.scrollHeight)")
        wait_until(lambda: "svc-999" in page.targets(), 10, "the last row")  # hosts sort as text
        page.assert_clean()


@pytest.mark.parametrize("width, hidden", [(1400, []), (700, ["service", "p50"]), (420, ["p99"])])
def test_nothing_overflows_at_any_width(browser, proxy, width, hidden):
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False})
    try:
        page = Page(browser, proxy)
        page.wait_targets(3)
        assert page.run("return document.documentElement.scrollWidth <= innerWidth")
        for name in hidden:
            assert not page.all(f".row.target .{name}"), name
        named = ".row.target .own-service" if hidden else ".row.target .service"
        assert sorted(page.all(named)) == sorted([HOSTILE, "front", "web"])
    finally:
        browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def test_base_path(browser, origin):
    with Tagway(route(origin), options={"ui.path": "/lb"}) as tagway:
        page = Page(browser, tagway)
        browser.get(f"{tagway.admin_url}/lb/routes")
        page.wait_targets(1)
        assert page.text("#live-text") == "live"
