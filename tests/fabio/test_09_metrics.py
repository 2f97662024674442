# SPDX-License-Identifier: Apache-2.0
"""fabio section 9: which metrics there are, where they go in which form, and their names in both sets.
The names of the real fabio, where there is one, are compared with those of metrics.names.compat=fabio."""

import os
import re
import socket
import statistics
import subprocess
import threading
import time

import pytest

from harness import fabio
from harness.client import Client, get
from harness.metrics import Series, Tcp, Udp, graphite
from harness.origin import Origin, ScriptedOrigin, refused_port
from harness.ports import free_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway, route

UPGRADE = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
           ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")]


def run(*argv):
    result = subprocess.run([BINARY, "-registry.backend=static", "-proxy.addr=127.0.0.1:1", "-ui.addr=127.0.0.1:2",
                             *argv], capture_output=True, text=True, timeout=20 * SLOWNESS, check=False)
    return result.returncode, result.stderr


def respond(request):
    if request.target.startswith("/status/"):
        return b"x", request.target[8:] + " Reason"
    return None


@pytest.fixture(scope="module")
def origin():
    with Origin(respond) as origin:
        yield origin


def options(**more):
    """Options of a tagway that names and pushes as fabio. Underscores stand for dots."""
    return {"metrics.names.compat": "fabio", "metrics.prefix": "my-host.fabio", "metrics.interval": "50ms",
            **{key.replace("_", "."): value for key, value in more.items()}}


def pushing(target, sink, names="fabio", **more):
    key = {"statsd_raw": "statsd"}.get(target, target)
    return options(metrics_target=target, metrics_names_compat=names, **{f"metrics.{key}.addr": sink.address}, **more)


def wait_count(tagway, name, count, **labels):
    """The answer is with the client a moment before the books are written."""
    wait_until(lambda: tagway.metric(name, **labels) >= count, what=f"{name} to be {count}")
    assert tagway.metric(name, **labels) == count


# --- 9.1 Inventory ---


def websocket(connection):
    """Answers the upgrade, then echoes until the client ends."""
    connection.read_request(has_body=False)
    connection.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
    connection.take_rest()
    connection.close()


def test_9_1_requests_http_status_and_route_count_each_proxied_request(origin):
    with Tagway(route(origin, "/", "svc"), options()) as tagway:
        for target in ("/", "/", "/status/404", "/status/503", "/status/404"):
            tagway.get(target)
        wait_count(tagway, "my_host_fabio_requests_count", 5, service="svc")
        for code, count in (("200", 2), ("404", 2), ("503", 1)):
            assert tagway.metric("my_host_fabio_http_status_count", service="svc", code=code) == count
        assert tagway.metric("my_host_fabio_http_status_count") == 5
        assert tagway.metric("my_host_fabio_route_count", service="svc", host="", path="/",
                             target=f"http://127.0.0.1:{origin.port}/") == 5
        total = tagway.metric("my_host_fabio_requests_sum")
        assert 0 < total < 5 * SLOWNESS
        assert tagway.metric("my_host_fabio_route_sum") == pytest.approx(total)
        assert tagway.metric("my_host_fabio_http_status_sum") == pytest.approx(total)


def test_9_1_what_the_proxy_answers_for_a_target_counts_with_its_status():
    with Tagway(route(refused_port(), "/", "svc"), options(proxy_retry_attempts="0")) as tagway:
        assert tagway.get("/").status == 502
        wait_count(tagway, "my_host_fabio_http_status_count", 1, service="svc", code="502")
        assert tagway.metric("my_host_fabio_requests_count", service="svc") == 1


def test_9_1_a_request_given_up_by_the_client_counts_as_499():
    arrived = threading.Event()

    def silent(connection):
        connection.read_request()
        arrived.set()
        connection.take_rest()

    with ScriptedOrigin(silent) as origin, Tagway(route(origin, "/", "svc"), options()) as tagway:
        with Client(tagway.port) as client:
            client.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert arrived.wait(10 * SLOWNESS)
            client.reset()  # one that only half closes would still want its answer
        wait_count(tagway, "my_host_fabio_http_status_count", 1, code="499", service="svc")
        assert tagway.metric("my_host_fabio_requests_count", service="svc") == 1


def test_9_1_a_websocket_counts_while_it_is_open_and_as_a_request_at_its_end():
    with ScriptedOrigin(websocket) as origin, Tagway(route(origin, "/", "ws"), options()) as tagway:
        assert tagway.metrics()["my_host_fabio_ws_conn"] == 0
        with Client(tagway.port) as client:
            assert client.request("GET", "/", UPGRADE).status == 101
            wait_until(lambda: tagway.metrics()["my_host_fabio_ws_conn"] == 1, what="the gauge to rise")
            assert tagway.metric("my_host_fabio_requests_count", service="ws") == 0
        wait_until(lambda: tagway.metrics()["my_host_fabio_ws_conn"] == 0, what="the gauge to fall")
        wait_count(tagway, "my_host_fabio_requests_count", 1, service="ws")
        assert tagway.metric("my_host_fabio_http_status_count", service="ws", code="101") == 1


def test_9_1_redirects_count_by_code(origin):
    routes = ("route add a /a http://x.example/ opts \"redirect=301\"\n"
              "route add b /b http://x.example/ opts \"redirect=307\"\n")
    with Tagway(routes, options()) as tagway:
        for target in ("/a", "/b", "/a"):
            tagway.get(target)
        wait_count(tagway, "my_host_fabio_http_redirect_count", 2, code="301")
        assert tagway.metrics()['my_host_fabio_http_redirect_count{code="307"}'] == 1
        # As with fabio they are no requests of a service; by status they are counted beside fabio's names.
        assert tagway.metric("my_host_fabio_requests_count") == 0
        wait_count(tagway, "tagway_answers_total", 2, code="301")


def test_9_1_notfound_counts_requests_without_a_route(origin):
    with Tagway(route(origin, "/a", "svc"), options(proxy_noroutestatus="999")) as tagway:
        assert tagway.metrics()["my_host_fabio_notfound"] == 0
        tagway.get("/")
        tagway.get("/b")
        wait_count(tagway, "tagway_answers_total", 2, code="999")
        assert tagway.metrics()["my_host_fabio_notfound"] == 2
        assert tagway.metric("my_host_fabio_http_status_count") == 0


@pytest.mark.parametrize("name", ["route_rx", "route_tx", "tcp_conn", "tcp_sni_conn", "grpc_conn", "grpc_requests",
                                  "grep_status"])
def test_9_1_groups_of_listeners_that_are_not_there_are_not_either(origin, name):
    with Tagway(route(origin), options()) as tagway:
        tagway.get("/")
        assert f"my_host_fabio_{name}" not in tagway.admin("/metrics").body.decode()


HOSTNAME = re.sub(r"[.:]", "_", socket.gethostname()).lower()


@pytest.mark.parametrize("prefix, expected", [
    (None, f"{HOSTNAME}_fabio"),  # the program's name in fabio's names is fabio
    ("default", f"{HOSTNAME}_fabio"),
    ("{{clean .Hostname}}", HOSTNAME),
    ("{{ .Exec }}.x", "fabio_x"),
    ("Literal.Text:1", "literal_text_1"),
    ("", "_"),
])
def test_9_1_prefix(origin, prefix, expected):
    with Tagway(route(origin), options(metrics_prefix=prefix)) as tagway:
        name = re.sub("[^a-zA-Z0-9_]", "_", expected)
        assert f"{name}_notfound" in tagway.metrics()


@pytest.mark.parametrize("prefix", ["{{.Nothing}}", "{{.Hostname", "{{if .Exec}}x{{end}}", "{{.Exec | clean}}", "a b"])
def test_9_1_a_prefix_that_is_no_such_template_is_fatal(prefix):
    code, stderr = run(f"-metrics.prefix={prefix}")
    assert code == 1 and f'metrics.prefix: bad value "{prefix}" from flag -metrics.prefix' in stderr


# --- 9.2 Targets ---


NAMES = {
    "fabio": {
        "ws": "my-host.fabiows.conn", "notfound": "my-host.fabionotfound",
        "redirect": "my-host.fabiohttp.redirect.count.code.301",
        "requests": "my-host.fabiorequests.service.svc",
        "status": "my-host.fabiohttp.status.code.404.service.svc",
        "route": "my-host.fabiosvc._./.127_0_0_1_{port}",
    },
    "tagway": {
        "ws": "my-host.fabio.ws.conn", "notfound": "my-host.fabio.notfound",
        "redirect": "my-host.fabio.http.redirect.count.code.301",
        "requests": "my-host.fabio.requests.service.svc",
        "status": "my-host.fabio.http.status.code.404.service.svc",
        "route": "my-host.fabio.route.svc._._.127_0_0_1_{port}",
    },
}


def one_of_each(origin):
    return (route(origin, "/", "svc") + "route add re /r http://x.example/ opts \"redirect=301\"\n"
            f"route add other known.example/only http://127.0.0.1:{origin.port}/\n")


def drive_all(proxy):
    for target in ("/", "/", "/status/404"):
        proxy.get(target)
    proxy.get("/r")


@pytest.mark.parametrize("names", NAMES)
def test_9_2_statsd_raw(origin, names):
    name = {key: text.format(port=origin.port) for key, text in NAMES[names].items()}
    with Udp() as sink, Tagway(one_of_each(origin), pushing("statsd_raw", sink, names)) as tagway:
        drive_all(tagway)
        wait_until(lambda: Series(sink.lines()).count(name["requests"]) == 3, what="three requests")
        wait_until(lambda: Series(sink.lines()).count(name["redirect"]) == 1, what="the redirect")
        series = Series(sink.lines())
        assert series.count(name["status"]) == 1
        assert series.count(name["route"]) == 3
        assert f"{name['ws']}:0.000000|g" in sink.lines()
        timing = next(line for line in sink.lines() if line.startswith(name["status"]))
        assert re.fullmatch(re.escape(name["status"]) + r":\d+\.\d{6}\|ms", timing)
        assert f"{name['redirect']}:1.000000|c" in sink.lines()
        # Nothing new, nothing sent.
        before = len(sink.datagrams)
        time.sleep(0.2)
        assert len(sink.datagrams) == before
        tagway.get("/")
        wait_until(lambda: Series(sink.lines()).count(name["requests"]) == 4, what="the next request")


@pytest.mark.parametrize("names, prefix, tag", [("fabio", "my-host.fabio", "fabio-"),
                                                ("tagway", "my-host.fabio.", "tagway-")])
def test_9_2_dogstatsd(origin, names, prefix, tag):
    with Udp() as sink, Tagway(one_of_each(origin), pushing("dogstatsd", sink, names)) as tagway:
        drive_all(tagway)
        count = lambda name, tags: Series(sink.lines()).count(prefix + name, tags)
        wait_until(lambda: count("requests", f"{tag}service:svc") == 3, what="three requests")
        wait_until(lambda: count("http.redirect.count", "code:301") == 1, what="the redirect")
        assert count("http.status", f"code:404,{tag}service:svc") == 1
        route_tags = f"{tag}service:svc,{tag}host:,path:/,target:http://127.0.0.1:{origin.port}/"
        assert count("route", route_tags) == 3
        # Seconds, with and without labels.
        assert all(value < 5 * SLOWNESS for value in Series(sink.lines())[prefix + "route", route_tags][2])
        assert re.search(r":0\.\d{6}\|h\|#", "\n".join(sink.lines()))


def test_9_2_the_timings_of_many_requests_are_sampled_and_add_up(origin):
    with Udp() as sink, Tagway(route(origin, "/", "svc"),
                               pushing("statsd_raw", sink, metrics_interval="700ms")) as tagway:
        with Client(tagway.port) as client:
            for _ in range(700):
                client.request("GET", "/")
        name = "my-host.fabiorequests.service.svc"
        wait_until(lambda: Series(sink.lines()).count(name) == 700, what="all requests")
        count, total, values = Series(sink.lines())[name, None]
        assert len(values) <= 700 and round(count) == 700
        exact = tagway.metric("my_host_fabio_requests_sum") * 1000
        assert total == pytest.approx(exact, rel=0.001)
        median = statistics.median(values)
        assert 0 < median <= max(values)
        # Several lines share a datagram, none is cut.
        assert all(len(datagram) <= 1400 and datagram.endswith("\n") for datagram in sink.datagrams)
        assert any(datagram.count("\n") > 1 for datagram in sink.datagrams)


@pytest.mark.parametrize("names", NAMES)
def test_9_2_graphite(origin, names):
    name = {key: text.format(port=origin.port) for key, text in NAMES[names].items()}
    with Tcp() as sink, Tagway(one_of_each(origin), pushing("graphite", sink, names)) as tagway:
        drive_all(tagway)
        wait_until(lambda: sum(v for v, _ in graphite(sink.lines()).get(name["redirect"], [])) == 1, what="the redirect")
        wait_until(lambda: sum(v for v, _ in graphite(sink.lines()).get(name["route"] + ".count", [])) == 3,
                   what="three requests")
        series = graphite(sink.lines())
        for timer in ("requests", "status", "route"):
            for suffix in (".p50", ".p90", ".p95", ".p99"):
                values = [value for value, _ in series[name[timer] + suffix]]
                assert any(0 < value < 5000 * SLOWNESS for value in values), (timer, suffix)
        # Counters start anew with each interval; an interval without a timing has -1.
        wait_until(lambda: graphite(sink.lines())[name["route"] + ".p99"][-1][0] == -1, what="an empty interval")
        wait_until(lambda: graphite(sink.lines())[name["redirect"]][-1][0] == 0, what="an empty interval")
        assert all(value == 0 for value, _ in series[name["notfound"]])
        assert all(value == 0 for value, _ in series[name["ws"]])
        assert abs(series[name["ws"]][-1][1] - time.time()) < 60
        assert sink.connections == 1


def test_9_2_graphite_is_connected_to_again_and_gets_what_it_missed(origin):
    name = "my-host.fabiorequests.service.svc.count"
    total = lambda sink: sum(value for value, _ in graphite(sink.lines()).get(name, []))
    with Tcp() as sink, Tagway(route(origin, "/", "svc"), pushing("graphite", sink)) as tagway:
        tagway.get("/")
        wait_until(lambda: total(sink) == 1, what="the first")
        sink.cut()
        wait_until(lambda: re.search(r"\[WARN\] metrics: graphite at 127\.0\.0\.1:\d+: ", tagway.stderr()),
                   what="the loss to be noticed")
        for _ in range(5):
            tagway.get("/")
        sink.listen()
        wait_until(lambda: sink.connections == 2, 15, "the second connection")
        wait_until(lambda: total(sink) == 6, what="what was missed")
        assert tagway.stderr().count("metrics: graphite at") == 1  # once, not with every attempt


def test_9_2_a_server_that_takes_nothing_costs_lines_not_the_proxy(origin):
    """The queue is bounded; what does not fit is counted."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        many = "".join(f"route add s{i} /{i} http://127.0.0.1:{origin.port}/{'x' * 2000}{i}\n" for i in range(40))
        with Tagway(many, options(metrics_target="graphite", metrics_interval="1ms",
                                  **{"metrics.graphite.addr": f"127.0.0.1:{port}"})) as tagway:
            for i in range(40):
                tagway.get(f"/{i}")
            dropped = 'tagway_push_dropped_total{target="graphite"}'
            wait_until(lambda: tagway.metrics()[dropped] > 0, 60, "dropped lines", 0.05)
            begun = time.monotonic()
            assert tagway.get("/1").status == 200
            assert tagway.admin("/health").status == 200
            assert time.monotonic() - begun < 2 * SLOWNESS


@pytest.mark.parametrize("target", ["stdout", "flat"])
def test_9_2_stdout(origin, target):
    with Tagway(one_of_each(origin), options(metrics_target=target)) as tagway:
        drive_all(tagway)
        drive_all(tagway)
        out = lambda: tagway.process.stdout().splitlines()
        wait_until(lambda: "my-host.fabio.http.redirect.count.code:2|c" in out(), what="the total")
        timing = re.compile(r":my-host\.fabio\.http\.status\.code\.service:\d+\|ms")
        wait_until(lambda: sum(bool(timing.fullmatch(line)) for line in out()) == 6, what="six timings")
        assert "my-host.fabio.ws.conn:0|g" in out()
        assert sum(line.startswith(":my-host.fabio.route.service.host.path.target:") for line in out()) == 6


def test_9_2_label(origin):
    with Tagway(one_of_each(origin), options(metrics_target="label")) as tagway:
        drive_all(tagway)
        out = lambda: tagway.process.stdout().splitlines()
        wait_until(lambda: "my-host.fabio.http.redirect.count:1|c|#code:301" in out(), what="the redirect")
        wait_until(lambda: sum(bool(re.fullmatch(r"my-host\.fabio\.requests:\d+\|ms\|#service:svc", line))
                               for line in out()) == 3, what="three timings")
        target = re.escape(f"http://127.0.0.1:{origin.port}/")
        assert sum(bool(re.fullmatch(rf"my-host\.fabio\.route:\d+\|ms\|#service:svc,host:,path:/,target:{target}", line))
                   for line in out()) == 3


def test_9_2_targets_can_be_combined(origin):
    with Udp() as statsd, Udp() as dog, Tcp() as carbon:
        more = {"metrics.statsd.addr": statsd.address, "metrics.dogstatsd.addr": dog.address,
                "metrics.graphite.addr": carbon.address,
                "metrics.target": "stdout, label,statsd_raw,dogstatsd,graphite,prometheus"}
        with Tagway(one_of_each(origin), {**options(), **more}) as tagway:
            drive_all(tagway)
            wait_until(lambda: Series(statsd.lines()).count("my-host.fabiorequests.service.svc") == 3, what="statsd")
            wait_until(lambda: Series(dog.lines()).count("my-host.fabiorequests", "fabio-service:svc") == 3, what="dog")
            wait_until(lambda: "my-host.fabiorequests.service.svc.p50 " in carbon.data.decode(), what="graphite")
            wait_until(lambda: ":my-host.fabio.requests.service:" in tagway.process.stdout(), what="stdout")
            wait_until(lambda: "my-host.fabio.requests:" in tagway.process.stdout(), what="label")
            wait_count(tagway, "my_host_fabio_requests_count", 3, service="svc")


def test_9_2_what_was_gained_since_the_last_push_is_pushed_at_the_end(origin):
    with Udp() as sink:
        with Tagway(route(origin, "/", "svc"), pushing("statsd_raw", sink, metrics_interval="1h")) as tagway:
            tagway.get("/")
            tagway.get("/", host="x")
        wait_until(lambda: Series(sink.lines()).count("my-host.fabiorequests.service.svc") == 2, what="the last push")


def test_9_2_a_target_that_goes_takes_nothing_along(origin):
    """Its last timings are pushed when it is freed, once."""
    with Udp() as sink, Origin() as other:
        both = route(origin, "/", "first") + route(other, "/b", "second")
        with Tagway(both, pushing("statsd_raw", sink, metrics_interval="1h")) as tagway:
            for _ in range(3):
                tagway.get("/b")
            tagway.set_routes(route(origin, "/", "first"), until=lambda found: len(found) == 1)
            tagway.get("/")
        name = f"my-host.fabiosecond._./b.127_0_0_1_{other.port}"
        wait_until(lambda: Series(sink.lines()).count(name) == 3, what="the last timings")
        assert Series(sink.lines()).count("my-host.fabiorequests.service.second") == 3


def test_9_2_hostile_names_break_no_line():
    hostile = ["a|c", "a\\nb:1|c", "a,b", "a#b", "a@0.1", "é\x7f", "%0a", "a:b"]
    with Origin() as origin, Udp() as statsd, Udp() as dog, Tcp() as carbon:
        text = "".join(f"route add {name.replace(' ', '_')} /{i} http://127.0.0.1:{origin.port}/\n"
                       for i, name in enumerate(hostile))
        more = {"metrics.statsd.addr": statsd.address, "metrics.dogstatsd.addr": dog.address,
                "metrics.graphite.addr": carbon.address, "metrics.target": "statsd_raw,dogstatsd,graphite"}
        with Tagway(text, {**options(), **more}) as tagway:
            served = sum(tagway.get(f"/{i}").status == 200 for i in range(len(hostile)))
            assert served >= 5
            wait_until(lambda: sum(e[0] for (name, _), e in Series(statsd.lines()).items()
                                   if ".fabiorequests." in "." + name.replace("my-host", "")) == served,
                       what="statsd")
            wait_until(lambda: len(Series(dog.lines())) > served, what="dogstatsd")
            wait_until(lambda: carbon.data.endswith(b"\n") and len(graphite(carbon.lines())) > 5 * served, what="graphite")


@pytest.mark.parametrize("argv, message", [
    (["-metrics.target=influx"],
     'metrics.target: bad value "influx" from flag -metrics.target: invalid metrics backend "influx"'),
    (["-metrics.target=statsd", "-metrics.statsd.addr=127.0.0.1:8125"],
     "statsd support has been removed in favor of statsd_raw"),
    (["-metrics.target=stdout,circonus"], "circonus is not supported: use prometheus, statsd_raw, dogstatsd or graphite"),
    (["-metrics.target=stdout", "-metrics.interval=0"], 'metrics.interval: bad value "0" from flag -metrics.interval'),
    (["-metrics.target=statsd_raw"], 'metrics.statsd.addr: bad value "" from the defaults: must be host:port'),
    (["-metrics.target=graphite"], "metrics.graphite.addr: bad value"),
    (["-metrics.target=dogstatsd"], "metrics.dogstatsd.addr: bad value"),
    (["-metrics.target=graphite", "-metrics.graphite.addr=nothing.invalid:2003"],
     'metrics.graphite.addr: bad value "nothing.invalid:2003" from flag -metrics.graphite.addr'),
    (["-metrics.target=statsd_raw", "-metrics.statsd.addr=127.0.0.1"], "metrics.statsd.addr: bad value"),
    (["-metrics.names.compat=go"], "metrics.names.compat: bad value"),
])
def test_9_2_a_bad_target_is_fatal(argv, message):
    code, stderr = run(*argv)
    assert code == 1 and message in stderr, stderr


@pytest.mark.parametrize("more", [{}, {"metrics.interval": "0"},
                                  {"metrics.target": "prometheus", "metrics.interval": "0"},
                                  {"metrics.graphite.addr": "nothing.invalid:1"}])
def test_9_2_without_a_push_target_its_keys_do_no_harm(origin, more):
    with Tagway(route(origin), more) as tagway:
        assert tagway.get("/").status == 200


@pytest.mark.parametrize("key, value", [("metrics.names", "{{.Service}}"), ("metrics.timeout", "1s"),
                                        ("metrics.retry", "1s"), ("metrics.circonus.apikey", "x")])
def test_9_2_keys_that_fabio_ignores_are_warned_of_once(origin, key, value):
    with Tagway(route(origin), {key: value}) as tagway:
        assert len(re.findall(rf"\[WARN\] {re.escape(key)} from flag .* has no effect", tagway.stderr())) == 1


# --- 9.3 Prometheus ---


@pytest.fixture
def scraped(origin):
    port = free_port()
    proxy_port = free_port()
    listeners = f"127.0.0.1:{proxy_port},127.0.0.1:{port};proto=prometheus"
    with Tagway(one_of_each(origin), options(proxy_addr=listeners, metrics_prometheus_path="/m/etrics",
                                             metrics_prometheus_subsystem="Sub.Sys",
                                             metrics_prometheus_buckets=".001, .1, 2.5, 1e6")) as tagway:
        tagway.port = proxy_port
        yield tagway, port


def test_9_3_the_listener_serves_the_path_and_sends_all_others_there(scraped):
    tagway, port = scraped
    drive_all(tagway)
    wait_count(tagway, "my_host_fabio_sub_sys_requests_count", 3)
    answer = get(port, "/m/etrics")
    assert answer.status == 200 and answer.get("content-type").startswith("text/plain; version=0.0.4")
    assert "my_host_fabio_sub_sys_requests_count" in answer.body.decode()
    assert get(port, "/m/etrics?x=1").status == 200
    for target in ("/", "/metrics", "/m/etrics/", "/health", "/api/routes"):
        answer = get(port, target)
        assert (answer.status, answer.get("location"), answer.body) == (308, "/m/etrics", b""), target
    assert tagway.admin("/metrics").status == 200


def test_9_3_names_labels_and_buckets(scraped, origin):
    tagway, port = scraped
    drive_all(tagway)
    prefix = "my_host_fabio_sub_sys_"
    wait_count(tagway, f"{prefix}http_redirect_count", 1)
    text = get(port, "/m/etrics").body.decode()
    for le in ("0.001", "0.1", "2.5", "1e+06", "+Inf"):
        assert f'{prefix}http_status_bucket{{code="200",service="svc",le="{le}"}} ' in text
    assert f'{prefix}http_status_bucket{{code="200",service="svc",le="+Inf"}} 2\n' in text
    assert f'{prefix}requests_count{{service="svc"}} 3\n' in text
    assert f'{prefix}http_redirect_count{{code="301"}} 1\n' in text
    labels = f'host="",path="/",service="svc",target="http://127.0.0.1:{origin.port}/"'
    assert f"{prefix}route_count{{{labels}}} 3\n" in text
    assert re.search(rf'{prefix}route_sum{{{re.escape(labels)}}} 0\.\d+\n', text)
    for kind, name in (("histogram", "requests"), ("histogram", "http_status"), ("counter", "http_redirect_count"),
                       ("counter", "notfound"), ("gauge", "ws_conn"), ("histogram", "route")):
        assert f"# TYPE {prefix}{name} {kind}\n" in text
    assert "process_cpu_seconds_total " in text and "process_start_time_seconds " in text
    assert "\ngo_" not in text


def test_9_3_buckets_count_what_lies_below_them():
    def slow(request):
        time.sleep(0.03)
        return None

    with Origin(slow) as origin, Tagway(route(origin, "/", "svc"),
                                        options(metrics_prometheus_buckets=".01,5,10")) as tagway:
        tagway.get("/")
        wait_count(tagway, "my_host_fabio_requests_count", 1)
        metrics = tagway.metrics()
        bucket = 'my_host_fabio_requests_bucket{service="svc",le="%s"}'
        assert metrics[bucket % "0.01"] == 0
        assert metrics[bucket % "10"] == metrics[bucket % "+Inf"] == 1


def test_9_3_fabios_default_buckets(origin):
    with Tagway(route(origin, "/", "svc"), options()) as tagway:
        tagway.get("/")
        wait_count(tagway, "my_host_fabio_requests_count", 1)
        found = re.findall(r'my_host_fabio_requests_bucket\{service="svc",le="([^"]+)"\}',
                           tagway.admin("/metrics").body.decode())
    assert found == ["0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf"]


@pytest.mark.parametrize("names", ["fabio", "tagway"])
def test_9_3_promtool_can_read_it(origin, names):
    hostile = 'route add "a\\b /q http://127.0.0.1:1/\n'
    with Tagway(one_of_each(origin) + hostile, options(metrics_names_compat=names)) as tagway:
        drive_all(tagway)
        tagway.get("/q")
        text = tagway.admin("/metrics").body
    result = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, check=False)
    complaints = [line for line in (result.stdout + result.stderr).decode().splitlines()
                  # fabio's counters do not end in _total, one even in _count; its names stay.
                  if names == "tagway" or not line.endswith(('counter metrics should have "_total" suffix',
                                                             'should not have "_count" suffix'))]
    assert not complaints
    assert result.returncode in (0, 3 if names == "fabio" else 0)


@pytest.mark.parametrize("argv, message", [
    (["-metrics.prometheus.buckets=1,1"], "must be in increasing order"),
    (["-metrics.prometheus.buckets=2,1"], "must be in increasing order"),
    (["-metrics.prometheus.buckets=a"], "must be numbers"),
    (["-metrics.prometheus.path=metrics"], "must begin with /"),
    (["-proxy.cs=cs=x;type=file;cert=a", "-proxy.addr=127.0.0.1:3;proto=prometheus;cs=x"], "not supported yet"),
])
def test_9_3_bad_values_are_fatal(argv, message):
    code, stderr = run(*argv)
    assert code == 1 and message in stderr, stderr


def test_9_3_an_address_in_use_is_fatal(origin):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, stderr = run("-registry.static.routes=", f"-proxy.addr=127.0.0.1:{taken.getsockname()[1]};proto=prometheus",
                           f"-ui.addr=127.0.0.1:{free_port()}")
    assert code == 1 and "proxy.addr: " in stderr and "address already in use" in stderr


@pytest.mark.parametrize("names, series", [("fabio", 'my_host_fabio_route_count{'), ("tagway", "tagway_target_requests_total{")])
def test_9_3_the_series_of_a_removed_target_goes(origin, names, series):
    with Origin() as other:
        both = route(origin, "/", "first") + route(other, "/b", "second")
        with Tagway(both, options(metrics_names_compat=names)) as tagway:
            tagway.get("/")
            tagway.get("/b")
            has = lambda service: any(key.startswith(series) and f'service="{service}"' in key for key in tagway.metrics())
            wait_until(lambda: has("first") and has("second"), what="both series")
            tagway.set_routes(route(origin, "/", "first"), until=lambda found: len(found) == 1)
            wait_until(lambda: not has("second"), what="the series to go")
            assert has("first")
            # The service's sums outlive it for a while, else each deployment would be a counter reset.
            assert 'service="second"' in tagway.admin("/metrics").body.decode()


def test_9_3_tagways_names_need_no_option_and_know_the_exact_status(origin):
    with Tagway(one_of_each(origin)) as tagway:
        drive_all(tagway)
        wait_count(tagway, "tagway_requests_total", 2, service="svc", code="2xx")
        wait_count(tagway, "tagway_service_responses_total", 3, service="svc")
        assert tagway.metric("tagway_request_duration_seconds_count", service="svc") == 3
        assert tagway.metric("tagway_request_duration_seconds_bucket", service="svc", le="0.0005") >= 0
        assert tagway.metric("tagway_service_responses_total", service="svc", code="404") == 1
        assert "fabio_requests" not in tagway.admin("/metrics").body.decode()


def test_9_3_a_subsystem_without_fabios_names_is_warned_of(origin):
    with Tagway(route(origin), {"metrics.prometheus.subsystem": "x"}) as tagway:
        assert "[WARN] metrics.prometheus.subsystem from flag" in tagway.stderr()


# --- beside fabio ---


def names_of(lines):
    return {(name.lstrip(), tags) for name, tags in Series(lines)}


def is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class FabioElsewhere(fabio.Fabio):
    """Its proxy.addr is the test's."""

    def _is_up(self):
        return is_open(self.admin_port)


@pytest.mark.skipif(not fabio.BINARY, reason="no fabio on PATH")
def test_9_fabio_gives_the_same_names(origin):
    found = {}
    for program in (FabioElsewhere, Tagway):
        with Udp() as statsd, Udp() as dog, Tcp() as carbon:
            prom = free_port()
            port = free_port()
            more = {"metrics.prefix": "my-host.fabio", "metrics.interval": "100ms",
                    "metrics.statsd.addr": statsd.address, "metrics.dogstatsd.addr": dog.address,
                    "metrics.graphite.addr": carbon.address,
                    "metrics.target": "stdout,label,statsd_raw,dogstatsd,graphite,prometheus",
                    "proxy.addr": f"127.0.0.1:{port},127.0.0.1:{prom};proto=prometheus"}
            if program is Tagway:
                more["metrics.names.compat"] = "fabio"
            with program(one_of_each(origin), more) as proxy:
                proxy.port = port
                wait_until(lambda: is_open(port) and is_open(prom), 20, "the listeners")
                drive_all(proxy)
                proxy.get("/nowhere", host="x")
                wait_until(lambda: Series(statsd.lines()).count("my-host.fabiorequests.service.svc") == 4, what="statsd")
                wait_until(lambda: Series(statsd.lines()).count("my-host.fabiohttp.redirect.count.code.301") == 1,
                           what="statsd")
                wait_until(lambda: Series(dog.lines()).count("my-host.fabiorequests", "fabio-service:svc") == 4, what="dog")
                wait_until(lambda: any("requests" in name for name in graphite(carbon.lines())), what="graphite")
                wait_until(lambda: "http.redirect.count:1|c" in proxy.process.stdout(), what="stdout")
                time.sleep(0.3)
                scrape = get(prom, "/metrics").body.decode()
                printed = [line for line in proxy.process.stdout().splitlines() if "my-host" in line]
            found[program] = {
                "statsd": names_of(statsd.lines()), "dogstatsd": names_of(dog.lines()),
                "graphite": {name for name in graphite(carbon.lines())
                             if not name.endswith((".rx", ".tx", ".count")) and "fabiore." not in name
                             and "fabioother." not in name},
                "stdout": names_of(line for line in printed if "#" not in line),
                "label": names_of(line for line in printed if "#" in line),
                "prometheus": set(re.findall(r"^(my_host_[^ ]+)", scrape, re.M)),
            }
    theirs, ours = found[FabioElsewhere], found[Tagway]
    for target in theirs:
        surplus = ours[target] - theirs[target]
        # Shown before their first use.
        surplus -= {"my_host_fabio_notfound"}
        assert theirs[target] - ours[target] == set(), target
        assert surplus == set(), target
