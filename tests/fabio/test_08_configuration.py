# SPDX-License-Identifier: Apache-2.0
"""8 Configuration: where values come from and which one rules (8.1), how they are written, and that a bad one
is an error that names key, value and source, whatever the source. The keys of 8.2 are in test_08_every_key.py."""

import http.server
import threading

import pytest

from harness.command import run
from harness.ports import free_port
from harness.tagway import Tagway

SECOND = 1000 ** 3
STATIC = {"registry.backend": "static"}


class Server:
    """Answers GET with what `answer` says: (status, headers, body)."""

    def __init__(self):
        self.answer = (200, {}, b"")
        self.paths = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                outer.paths.append(self.path)
                status, headers, body = outer.answer(self.path) if callable(outer.answer) else outer.answer
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", free_port()), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def server():
    started = Server()
    yield started
    started.server.shutdown()
    started.server.server_close()


@pytest.fixture(autouse=True)
def _fresh(server):
    server.answer, server.paths = (200, {}, b""), []


def variable(key):
    return key.replace(".", "_").upper()


def config(options=None, env=None):
    """/api/config and the log of a tagway started so."""
    with Tagway(options={**STATIC, **(options or {})}, env=env) as tagway:
        return tagway.json("/api/config"), tagway.stderr()


def titles(shown):
    """The four texts that the tests of precedence set."""
    return (shown["UI"]["Title"], shown["UI"]["Color"], shown["Proxy"]["TLSHeader"], shown["Proxy"]["ClientIPHeader"])


# --- 8.1 precedence ---

KEYS = ("ui.title", "ui.color", "proxy.header.tls", "proxy.header.clientip")


@pytest.mark.parametrize("form", ["file", "url"])
def test_flag_beats_prefix_beats_bare_beats_file(tmp_path, server, form):
    """Each source also sets what the better ones set, and one key more."""
    text = "".join(f"{key} = file\n" for key in KEYS)
    (tmp_path / "f.properties").write_text(text)
    server.answer = (200, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())
    env = {variable(key): "bare" for key in KEYS[:3]}
    env.update({f"FABIO_{variable(key)}": "prefix" for key in KEYS[:2]})
    cfg = tmp_path / "f.properties" if form == "file" else f"http://{server.address}/f.properties"
    shown, _ = config({"cfg": cfg, "ui.title": "flag"}, env)
    assert titles(shown) == ("flag", "prefix", "bare", "file")


@pytest.mark.parametrize("env, title", [
    ({"FABIO_UI_TITLE": "a"}, "a"),
    ({"FABIO_ui_title": "a"}, "a"),
    ({"fabio_ui_title": "a"}, "a"),
    ({"UI_TITLE": "a"}, "a"),
    ({"ui_title": "a"}, "a"),
    ({"Ui_TiTle": "a"}, "a"),
    ({"FABIO_UI_TITLE": ""}, ""),
    ({"ui.title": "a"}, ""),
    ({"FABIO_UI_TITLE": "a=b;c,d"}, "a=b;c,d"),
])
def test_names_in_the_environment(env, title):
    assert config(env=env)[0]["UI"]["Title"] == title


@pytest.mark.parametrize("argv", [
    ["-proxy.strategy=x"], ["--proxy.strategy=x"], ["-proxy.strategy", "x"], ["--proxy.strategy", "x"],
    ["-proxy.strategy=rr", "-proxy.strategy=x"], ["-insecure", "-proxy.strategy=x"],
    ["-insecure=false", "-proxy.strategy", "x"],
])
def test_forms_of_flags(argv):
    """Told by the error that the value is."""
    code, _, stderr = run(*argv)
    assert code == 1
    assert 'proxy.strategy: bad value "x" from flag -proxy.strategy' in stderr


def test_an_unknown_variable_with_the_prefix_is_warned_of():
    _, log = config(env={"FABIO_NO_SUCH_KEY": "1", "NO_SUCH_KEY": "1"})
    assert "environment FABIO_NO_SUCH_KEY: there is no such option" in log
    assert log.count("NO_SUCH_KEY") == 1


# --- 8.1 the file ---

@pytest.mark.parametrize("form", ["-cfg {}", "-cfg={}", "--cfg {}", "--cfg={}", "-cfg='{}'", '-cfg="{}"'])
def test_forms_of_cfg(tmp_path, form):
    path = tmp_path / "f.properties"
    path.write_text("proxy.strategy = nonsense\n")
    code, _, stderr = run(*form.format(path).split(" "))
    assert code == 1
    assert f"{str(path)[-60:]} line 1: must be rnd or rr" in stderr


@pytest.mark.parametrize("argv", [["-cfg"], ["-cfg", ""], ["-cfg="], ["-cfg=''"], ['-cfg=""']])
def test_cfg_without_a_path(argv):
    code, _, stderr = run(*argv)
    assert code == 1
    assert "invalid or missing path to config file" in stderr


# Text of a file and what ui.title is then.
@pytest.mark.parametrize("text, title", [
    ("ui.title = a", "a"),
    ("ui.title=a", "a"),
    ("ui.title: a", "a"),
    ("ui.title a", "a"),
    ("ui.title\ta", "a"),
    ("  ui.title = a", "a"),
    ("ui.title = = a", "= a"),
    ("# c\n! c\n\nui.title = a # no comment", "a # no comment"),
    ("ui.title = a   \t", "a"),                                   # trailing blanks, unlike fabio
    ("ui.title = a\\ ", "a "),
    ("ui.title = a\\\n   b", "ab"),
    ("ui.title = a\\nb\\tc", "a\nb\tc"),
    ("ui.title = \\u00e4\\u20ac", "ä€"),
    ("ui.title = \\a\\:\\=", "a:="),
    ("ui\\.title = a", "a"),
    ("ui.title = a\nui.title = b", "b"),
    ("UI.TITLE = a", ""),                                         # keys have a case
    ("ui.title = a\r\nui.color = red\r\n", "a"),
    ("name = x\nui.title = <${name}>", "<x>"),
    ("a = ${b}\nb = y\nui.title = ${a}${a}", "yy"),
    ("ui.title = ${WHERE}", "from the environment"),
    ("WHERE = file\nui.title = ${WHERE}", "file"),
    ("ui.title = ${NOWHERE}.", "."),
    ("ui.title = ä€", "ä€"),
    ("\ufeffui.title = a", "a"),
])
def test_properties(tmp_path, text, title):
    path = tmp_path / "f.properties"
    path.write_bytes(text.encode())
    shown, _ = config({"cfg": path}, {"WHERE": "from the environment"})
    assert shown["UI"]["Title"] == title


@pytest.mark.parametrize("text, reason", [
    ("ui.title = ${a", "line 1: malformed expression"),
    ("\nui.title = ${ui.title}", "line 2: circular reference"),
    ("a = ${b}\nb = ${a}\n", "circular reference"),
    ("ui.title = \\u12", "line 1: invalid unicode literal"),
    ("= x", "line 1: no key"),
])
def test_broken_properties(tmp_path, text, reason):
    path = tmp_path / "f.properties"
    path.write_text(text)
    code, _, stderr = run("-cfg", path)
    assert code == 1
    assert str(path)[-60:] in stderr and reason in stderr


@pytest.mark.parametrize("key, hint", [
    ("tracing.TracingEnabled", ""), ("bgp.grpctls", ""), ("bgp.certfile", ""), ("bgp.keyfile", ""),
    ("registry.static.noroutehtmlpath", ""),
    ("registry.consul.pollInterval", '; did you mean "registry.consul.pollinterval"?'),
    ("Proxy.Addr", '; did you mean "proxy.addr"?'),
])
def test_unknown_keys_in_a_file_are_warned_of(tmp_path, key, hint):
    """fabio ignores them, and its documentation has some."""
    path = tmp_path / "f.properties"
    path.write_text(f"\n{key} = x\n")
    code, stdout, _ = run("check", "-registry.backend=static", "-cfg", path)
    assert code == 0
    assert f'{str(path)[-60:]} line 2: unknown key "{key}" has no effect{hint}\n' in stdout


# --- 8.1 the URL ---

TITLE = "ui.title = ä\n".encode("utf-8")


@pytest.mark.parametrize("content_type, title", [
    (None, "ä"),
    ("text/plain; charset=utf-8", "ä"),
    ("text/plain;charset=UTF-8", "ä"),
    ("text/plain", "Ã¤"),                                         # latin1, as fabio reads it
    ("text/plain; charset=iso-8859-1", "Ã¤"),
    ("TEXT/PLAIN; charset=latin1", "Ã¤"),
])
def test_content_types(server, content_type, title):
    server.answer = (200, {"Content-Type": content_type} if content_type else {}, TITLE)
    shown, _ = config({"cfg": f"http://{server.address}/f"})
    assert shown["UI"]["Title"] == title
    assert server.paths == ["/f"]


@pytest.mark.parametrize("answer, reason", [
    ((404, {}, b"ui.title = a\n"), "the server answers 404"),
    ((204, {}, b""), "the server answers 204"),
    ((500, {"Content-Type": "text/plain"}, b""), "the server answers 500"),
    ((200, {"Content-Type": "text/html"}, b""), 'content type "text/html" is not text/plain'),
    ((200, {"Content-Type": "application/json"}, b""), 'content type "application/json" is not'),
    ((200, {"Content-Type": "text/plain; charset=utf-16"}, b""), "is not text/plain"),
    ((200, {}, b"#" * (1024 * 1024 + 1)), "too large"),
    ((302, {"Location": "ftp://127.0.0.1/f"}, b""), "ftp"),
    ((302, {"Location": "/f"}, b""), "redirects"),
])
def test_bad_answers(server, answer, reason):
    server.answer = answer
    code, _, stderr = run("-cfg", f"http://user:hush@{server.address}/f?token=hush")
    assert code == 1
    assert f'config file "http://{server.address}/f": ' in stderr and reason in stderr, stderr
    assert "hush" not in stderr


def test_a_redirect_is_followed(server):
    server.answer = lambda path: (302, {"Location": "/there"}, b"") if path == "/f" else (200, {}, TITLE)
    assert config({"cfg": f"http://{server.address}/f"})[0]["UI"]["Title"] == "ä"
    assert server.paths == ["/f", "/there"]


def test_no_server():
    code, _, stderr = run("-cfg", f"http://127.0.0.1:{free_port()}/f")
    assert code == 1
    assert "config file" in stderr and "onnect" in stderr


# --- how values are written ---

def test_durations():
    want = {"0": 0, "0s": 0, "300ms": 300 * 10**6, "1.5h": 5400 * SECOND, "1h2m3s": 3723 * SECOND, "+5s": 5 * SECOND,
            "1us": 1000, "1µs": 1000, "7ns": 7, ".5s": SECOND // 2, "1m.5s": 60 * SECOND + SECOND // 2}
    names = ["DialTimeout", "ResponseHeaderTimeout", "KeepAliveTimeout", "IdleConnTimeout", "ReadTimeout",
             "WriteTimeout", "FlushInterval", "GlobalFlushInterval", "ShutdownWait", "DeregisterGracePeriod"]
    for texts in (list(want)[:10], list(want)[10:]):
        options = {f"proxy.{name.lower()}": text for name, text in zip(names, texts)}
        shown, _ = config(options)
        assert [shown["Proxy"][name] for name, _ in zip(names, texts)] == [want[text] for text in texts]


def test_ints():
    want = {"10": 10, "0x10": 16, "0X1f": 31, "0b101": 5, "0o17": 15, "017": 15, "+7": 7, "0x1_0": 16}
    places = {"proxy.maxconn": "MaxConn", "proxy.grpcmaxrxmsgsize": "GRPCMaxRxMsgSize",
              "proxy.grpcmaxtxmsgsize": "GRPCMaxTxMsgSize", "proxy.maxclients": "MaxClients"}
    for texts in (list(want)[:4], list(want)[4:]):
        shown, _ = config(dict(zip(places, texts)))
        assert [shown["Proxy"][name] for name in places.values()] == [want[text] for text in texts]


@pytest.mark.parametrize("texts, value", [
    (("1", "t", "T", "TRUE", "true", "True"), True), (("0", "f", "F", "FALSE", "false", "False"), False)])
def test_bools(texts, value):
    places = {"glob.matching.disabled": "GlobMatchingDisabled", "bgp.enabled": "BGP.BGPEnabled",
              "bgp.enablegrpc": "BGP.EnableGRPC", "proxy.header.sts.preload": "Proxy.STSHeader.Preload",
              "proxy.header.sts.subdomains": "Proxy.STSHeader.Subdomains",
              "registry.consul.register.enabled": "Registry.Consul.Register"}
    pairs = dict(zip(places, texts))
    for options, env in ((pairs, {}), ({}, {variable(key): text for key, text in pairs.items()})):
        shown, _ = config(options, env)
        for path in places.values():
            found = shown
            for name in path.split("."):
                found = found[name]
            assert found is value, path


@pytest.mark.parametrize("text, members", [
    ("", None), (" ,, ", None), ("a", ["a"]), (" a , b,,c ,", ["a", "b", "c"])])
def test_lists(text, members):
    assert config({"registry.consul.register.tags": text})[0]["Registry"]["Consul"]["ServiceTags"] == members


def test_gomaxprocs():
    for options, env, want in (({"runtime.gomaxprocs": 2}, {}, "Workers: 2, from flag -runtime.gomaxprocs"),
                               ({"runtime.gomaxprocs": 2}, {"GOMAXPROCS": "1"}, "Workers: 1, from environment GOMAXPROCS"),
                               ({"proxy.workers": 3}, {"GOMAXPROCS": "1"}, "Workers: 3, from flag -proxy.workers"),
                               ({"runtime.gomaxprocs": -1}, {}, "from the CPUs it may use")):
        assert want in config(options, env)[1]


# --- bad values, from every source ---

FLAG, PREFIX, BARE, IN_FILE, BY_URL = "flag", "FABIO_", "bare", "file", "url"
BAD = [
    (FLAG, "proxy.strategy", "fastest", "must be rnd or rr"),
    (PREFIX, "proxy.strategy", "RR", "must be rnd or rr"),
    (IN_FILE, "proxy.strategy", "rr,rnd", "must be rnd or rr"),
    (BY_URL, "proxy.strategy", "none", "must be rnd or rr"),
    (FLAG, "proxy.matcher", "regexp", "must be prefix, iprefix or glob"),
    (BARE, "proxy.matcher", "Prefix", "must be prefix, iprefix or glob"),
    (FLAG, "proxy.noroutestatus", "199", "must be from 200 to 999"),
    (PREFIX, "proxy.noroutestatus", "1000", "must be from 200 to 999"),
    (IN_FILE, "proxy.noroutestatus", "teapot", "must be a whole number"),
    (FLAG, "proxy.maxconn", "abc", "must be a whole number"),
    (PREFIX, "proxy.maxconn", "1e3", "must be a whole number"),
    (BARE, "proxy.maxconn", "10 000", "must be a whole number"),
    (IN_FILE, "proxy.maxconn", "-1", "must be from 0"),
    (BY_URL, "proxy.maxconn", "99999999999999999999", "must be a whole number"),
    (FLAG, "proxy.localip", "localhost", "must be an address"),
    (IN_FILE, "proxy.localip", "{{ GetThatIP }}", "unknown function"),
    (FLAG, "proxy.dialtimeout", "5", "must be a duration"),
    (IN_FILE, "proxy.dialtimeout", "5 s", "must be a duration"),
    (PREFIX, "proxy.responseheadertimeout", "soon", "must be a duration"),
    (BARE, "proxy.keepalivetimeout", "1d", "must be a duration"),
    (BY_URL, "proxy.idleconntimeout", "s", "must be a duration"),
    (IN_FILE, "proxy.readtimeout", "-1s", "must be a duration"),
    (PREFIX, "proxy.writetimeout", "1h30", "must be a duration"),
    (FLAG, "proxy.flushinterval", "1", "must be a duration"),
    (BARE, "proxy.globalflushinterval", "ms", "must be a duration"),
    (IN_FILE, "proxy.shutdownwait", "9999999h", "must be a duration"),
    (PREFIX, "proxy.deregistergraceperiod", "1.2.3s", "must be a duration"),
    (FLAG, "proxy.header.clientip", "X Client", "is not a header name"),
    (IN_FILE, "proxy.header.tls", "X:TLS", "is not a header name"),
    (PREFIX, "proxy.header.tls.value", "a\nb", "has a control character"),
    (BY_URL, "proxy.header.requestid", "X(ID)", "is not a header name"),
    (FLAG, "proxy.header.sts.maxage", "-1", "must be from 0"),
    (BARE, "proxy.header.sts.maxage", "1y", "must be a whole number"),
    (IN_FILE, "proxy.header.sts.subdomains", "yes", "must be true or false"),
    (PREFIX, "proxy.header.sts.preload", "on", "must be true or false"),
    (FLAG, "proxy.grpcmaxrxmsgsize", "4MB", "must be a whole number"),
    (BARE, "proxy.grpcmaxtxmsgsize", "", "must be a whole number"),
    (BY_URL, "proxy.grpcshutdowntimeout", "2", "must be a duration"),
    (FLAG, "proxy.trusted", "10.0.0.0/33", "is not an address block"),
    (IN_FILE, "proxy.trusted", "10.0.0.0/8, office", '"office" is not an address block'),
    (PREFIX, "proxy.workers", "65", "must be from 0 to 64"),
    (FLAG, "proxy.weightzero", "1", "must be dynamic or none"),
    (BARE, "proxy.request.maxhead", "100", "must be from 1024"),
    (FLAG, "proxy.addr", "9999", "need host:port"),
    (PREFIX, "proxy.addr", ":9999;proto=gopher", 'unknown protocol "gopher"'),
    (BARE, "proxy.addr", ":99999", "port must be a number"),
    (IN_FILE, "proxy.addr", ":1;rt=5", 'rt: "5" is not a duration'),
    (BY_URL, "proxy.addr", ":1;cs=none", 'unknown certificate source "none"'),
    (IN_FILE, "proxy.addr", ":1;proto=https", "requires cert source"),
    (PREFIX, "proxy.addr", ":1;tlsmin=ssl30", 'unknown TLS version "ssl30"'),
    (FLAG, "log.level", "LOUD", "must be TRACE, DEBUG"),
    (PREFIX, "log.level", "5", "must be TRACE, DEBUG"),
    (IN_FILE, "log.routes.format", "short", "must be delta, all or detail"),
    (BARE, "proxy.log.routes", "short", "must be delta, all or detail"),
    (BY_URL, "log.access.target", "/var/log/access", "must be stdout or empty"),
    (FLAG, "metrics.timeout", "10", "must be a duration"),
    (PREFIX, "metrics.retry", "x", "must be a duration"),
    (FLAG, "registry.backend", "etcd", "must be consul, static, file or custom"),
    (PREFIX, "registry.backend", "Consul", "must be consul, static, file or custom"),
    (IN_FILE, "registry.backend", "file", "registry.file.path is needed too"),
    (BARE, "registry.timeout", "forever", "must be a duration"),
    (BY_URL, "registry.retry", "500", "must be a duration"),
    (FLAG, "registry.consul.addr", "http:///v1", "must be host:port or a URL"),
    (IN_FILE, "registry.consul.kvpath", "fabio/config", "must begin with /"),
    (PREFIX, "registry.consul.noroutehtmlpath", "noroute.html", "must begin with /"),
    (BARE, "registry.consul.tls.insecureskipverify", "maybe", "must be true or false"),
    (FLAG, "registry.consul.register.enabled", "2", "must be true or false"),
    (IN_FILE, "registry.consul.register.addr", "edge", "need host:port"),
    (PREFIX, "registry.consul.register.checkInterval", "1", "must be a duration"),
    (BY_URL, "registry.consul.register.checkTimeout", "never", "must be a duration"),
    (BARE, "registry.consul.register.checkTLSSkipVerify", "nope", "must be true or false"),
    (FLAG, "registry.consul.register.checkDeregisterCriticalServiceAfter", "90", "must be a duration"),
    (IN_FILE, "registry.consul.checksRequired", "most", "must be one, all or none"),
    (PREFIX, "registry.consul.serviceMonitors", "many", "must be a whole number"),
    (BARE, "registry.consul.pollinterval", "10", "must be a duration"),
    (FLAG, "registry.consul.requireConsistent", "y", "must be true or false"),
    (BY_URL, "registry.consul.allowStale", "n", "must be true or false"),
    (FLAG, "registry.consul.unhealthyroute", "404", "must be 503, drop or failopen"),
    (IN_FILE, "registry.consul.maxwatches", "151", "must be from 1 to 150"),
    (PREFIX, "registry.consul.massdrop", "101", "must be from 0 to 100"),
    (IN_FILE, "registry.custom.timeout", "5", "must be a duration"),
    (PREFIX, "registry.custom.checkTLSSkipVerify", "x", "must be true or false"),
    (BARE, "runtime.gogc", "off", "must be a whole number"),
    (IN_FILE, "runtime.gomaxprocs", "all", "must be a whole number"),
    (FLAG, "ui.addr", ":9998,:9997", "must contain only one listener"),
    (PREFIX, "ui.addr", "", "must contain only one listener"),
    (BARE, "ui.access", "admin", "must be empty, ro or rw"),
    (IN_FILE, "ui.path", "admin", "must begin with /"),
    (BY_URL, "ui.ready.maxage", "1", "must be a duration"),
    (PREFIX, "ui.routingtable.source.newtab", "x", "must be true or false"),
    (BARE, "insecure", "yes", "must be true or false"),
    (FLAG, "profile.mode", "heap", "must be empty, cpu, mem"),
    (IN_FILE, "glob.matching.disabled", "off", "must be true or false"),
    (PREFIX, "glob.cache.size", "1k", "must be a whole number"),
    (FLAG, "bgp.enabled", "x", "must be true or false"),
    (BARE, "bgp.asn", "-1", "must be from 0"),
    (IN_FILE, "bgp.listenport", "65536", "must be from -1 to 65535"),
    (BY_URL, "bgp.enablegrpc", "x", "must be true or false"),
    (FLAG, "metrics.prometheus.buckets", "1,two", "must be numbers"),
]
SECRET_BAD = [
    (FLAG, "proxy.cs", "cs=a;type=file", "missing 'cert'"),
    (PREFIX, "proxy.cs", "cs=a;type=zip;cert=x", 'unknown type "zip"'),
    (IN_FILE, "bgp.peers", "address=1.2.3.4;asn=hush", "asn must be a whole number"),
    (BY_URL, "bgp.peers", 'address=1.2.3.4;password="hush', "malformed"),
]


def start_with(source, key, value, folder, server):
    """Runs with that value in that place; (exit code, stderr, name of the place in messages)."""
    text = f"# one line before\n{key} = {value}\n"
    if source == FLAG:
        code, _, stderr = run(f"-{key}={value}")
        return code, stderr, f"flag -{key}"
    if source in (PREFIX, BARE):
        name = variable(key) if source == BARE else PREFIX + variable(key)
        code, _, stderr = run(env={name: value})
        return code, stderr, f"environment {name}"
    if source == IN_FILE:
        path = folder / "f.properties"
        path.write_text(text)
        code, _, stderr = run(f"-cfg={path}")
        return code, stderr, f"{str(path)[-60:]} line 2"
    server.answer = (200, {}, text.encode())
    code, _, stderr = run(f"-cfg=http://{server.address}/f.properties")
    return code, stderr, f"http://{server.address}/f.properties line 2"


@pytest.mark.parametrize("source, key, value, reason", BAD)
def test_a_bad_value_is_named(tmp_path, server, source, key, value, reason):
    code, stderr, place = start_with(source, key, value, tmp_path, server)
    shown = value.replace("\n", "\\x0a")[:48]
    assert code == 1
    assert key in stderr and f'"{shown}"' in stderr and place in stderr and reason in stderr, stderr
    assert "listening" not in stderr


@pytest.mark.parametrize("source, key, value, reason", SECRET_BAD)
def test_a_bad_secret_is_named_without_its_value(tmp_path, server, source, key, value, reason):
    code, stderr, place = start_with(source, key, value, tmp_path, server)
    assert code == 1
    assert key in stderr and '"***"' in stderr and place in stderr and reason in stderr, stderr


def test_all_sources_have_bad_values():
    counts = {source: sum(1 for row in BAD if row[0] == source) for source in (FLAG, PREFIX, BARE, IN_FILE, BY_URL)}
    assert len(BAD) >= 90 and min(counts.values()) >= 10, counts


@pytest.mark.parametrize("argv, reason", [
    (["-registry.consul.requireConsistent", "-registry.consul.allowStale"],
     "registry.consul.requireConsistent: bad value \"true\" from flag -registry.consul.requireConsistent: "
     "cannot be combined with registry.consul.allowStale=true"),
    (["-proxy.addr=" + ",".join([":1"] * 17)], "more than 16 listeners"),
    (["-registry.backend=custom"], "registry.custom.host is needed too"),
])
def test_values_that_do_not_fit_together(argv, reason):
    code, _, stderr = run(*argv)
    assert code == 1
    assert reason in stderr
