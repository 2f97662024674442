# SPDX-License-Identifier: Apache-2.0
"""8.2 and 10.3: one file with every key at a value of its own starts, and /api/config shows them all.
A new key fails here until it has a line in every_key.properties and one below."""

import base64
import json
import os
import re
import subprocess

import pytest

from harness.command import keys
from harness.ports import free_port
from harness.tagway import Tagway

FILE = os.path.join(os.path.dirname(__file__), "every_key.properties")
PASSWORD = ("Authorization", "Basic " + base64.b64encode(b"someone:password").decode())
MS = 1000 * 1000
SECOND = 1000 * MS
NO_CERTIFICATES = {"Header": None, "Name": "", "Type": "", "CertPath": "", "KeyPath": "", "ClientCAPath": "",
                   "CAUpgradeCN": "", "VaultFetchToken": "", "Refresh": 0}

# Where /api/config shows the key, and how. {NAME} is a variable of the environment. None: nowhere, as with
# fabio.
SHOWN = {
    "proxy.addr": ("Listen", [{
        "CertSource": NO_CERTIFICATES, "Addr": "127.0.0.1:{PROXY_PORT}", "Proto": "http",
        "TLSCiphers": [0x1301, 0xc02f], "ReadTimeout": 1 * SECOND, "WriteTimeout": 2 * SECOND,
        "IdleTimeout": 3 * SECOND, "ProxyHeaderTimeout": 4 * SECOND, "Refresh": 5 * SECOND,
        "TLSMinVersion": 0x303, "TLSMaxVersion": 0x304, "StrictMatch": True, "ProxyProto": False}]),
    "proxy.cs": ("CertSources", [
        {**NO_CERTIFICATES, "Name": "web", "Type": "path", "CertPath": "/etc/certs", "ClientCAPath": "/etc/ca",
         "CAUpgradeCN": "ApiGateway", "Refresh": 7 * SECOND},
        {**NO_CERTIFICATES, "Name": "pki", "Type": "vault-pki", "CertPath": "pki/issue/web",
         "VaultFetchToken": "***", "Refresh": 3 * SECOND},
        {**NO_CERTIFICATES, "Name": "kv", "Type": "consul", "CertPath": "http://127.0.0.1:8500/v1/kv/certs?***",
         "Header": {"X-Vault-Token": ["***"]}}]),
    "proxy.strategy": ("Proxy.Strategy", "rr"),
    "proxy.matcher": ("Proxy.Matcher", "iprefix"),
    "proxy.noroutestatus": ("Proxy.NoRouteStatus", 999),
    "proxy.maxconn": ("Proxy.MaxConn", 0x123),
    "proxy.localip": ("Proxy.LocalIP", "192.0.2.1"),
    "proxy.dialtimeout": ("Proxy.DialTimeout", 90 * SECOND),
    "proxy.responseheadertimeout": ("Proxy.ResponseHeaderTimeout", 11 * SECOND),
    "proxy.keepalivetimeout": ("Proxy.KeepAliveTimeout", 12 * SECOND),
    "proxy.idleconntimeout": ("Proxy.IdleConnTimeout", 1500 * MS),
    "proxy.readtimeout": ("Proxy.ReadTimeout", 13 * SECOND),
    "proxy.writetimeout": ("Proxy.WriteTimeout", 14 * SECOND),
    "proxy.flushinterval": ("Proxy.FlushInterval", 15 * MS),
    "proxy.globalflushinterval": ("Proxy.GlobalFlushInterval", 16 * MS),
    "proxy.shutdownwait": ("Proxy.ShutdownWait", 17 * MS),
    "proxy.upgradetimeout": ("Proxy.UpgradeTimeout", 7 * SECOND),
    "proxy.deregistergraceperiod": ("Proxy.DeregisterGracePeriod", 18 * MS),
    "proxy.header.clientip": ("Proxy.ClientIPHeader", "X-Client-IP"),
    "proxy.header.tls": ("Proxy.TLSHeader", "X-Secure"),
    "proxy.header.tls.value": ("Proxy.TLSHeaderValue", "yes; really"),
    "proxy.header.requestid": ("Proxy.RequestID", "X-Request-ID"),
    "proxy.header.sts.maxage": ("Proxy.STSHeader.MaxAge", 31536000),
    "proxy.header.sts.subdomains": ("Proxy.STSHeader.Subdomains", True),
    "proxy.header.sts.preload": ("Proxy.STSHeader.Preload", True),
    "proxy.auth": ("Proxy.AuthSchemes", {"staff": {"Name": "staff", "Type": "basic", "Basic": {
        "ModTime": "0001-01-01T00:00:00Z", "Realm": "Staff only", "File": "{HTPASSWD}", "Refresh": 30 * SECOND}}}),
    "proxy.gzip.contenttype": ("Proxy.GZIPContentTypes", "^(text/.*|application/json)(;.*)?$"),
    "proxy.gzip.maxstreams": ("Proxy.GZIPMaxStreams", 16),
    "proxy.gzip.upstream": ("Proxy.GZIPUpstream", False),
    "proxy.grpcmaxrxmsgsize": ("Proxy.GRPCMaxRxMsgSize", 1048576),
    "proxy.grpcmaxtxmsgsize": ("Proxy.GRPCMaxTxMsgSize", 2097152),
    "proxy.grpcshutdowntimeout": ("Proxy.GRPCGShutdownTimeout", 19 * SECOND),
    "proxy.weightzero": ("Proxy.WeightZero", "none"),
    "proxy.workers": ("Proxy.Workers", 2),
    "proxy.trusted": ("Proxy.Trusted", ["192.0.2.0/24", "2001:db8::/32"]),
    "proxy.maxclients": ("Proxy.MaxClients", 1000),
    "proxy.maxclientsperip": ("Proxy.MaxClientsPerIP", 50),
    "proxy.maxglitches": ("Proxy.MaxGlitches", 101),
    "proxy.maxmemory": ("Proxy.MaxMemory", 1000000000),
    "proxy.client.minrate": ("Proxy.Client.MinRate", 100),
    "proxy.client.minratewindow": ("Proxy.Client.MinRateWindow", 41 * SECOND),
    "proxy.client.maxage": ("Proxy.Client.MaxAge", 42 * 60 * SECOND),
    "proxy.request.maxbody": ("Proxy.Request.MaxBody", 5000000000),
    "proxy.response.maxhead": ("Proxy.Response.MaxHead", 32768),
    "proxy.upstream.writetimeout": ("Proxy.Upstream.WriteTimeout", 43 * SECOND),
    "proxy.client.headtimeout": ("Proxy.Client.HeadTimeout", 20 * SECOND),
    "proxy.client.idletimeout": ("Proxy.Client.IdleTimeout", 21 * SECOND),
    "proxy.client.bodytimeout": ("Proxy.Client.BodyTimeout", 22 * SECOND),
    "proxy.client.writetimeout": ("Proxy.Client.WriteTimeout", 23 * SECOND),
    "proxy.client.maxrequests": ("Proxy.Client.MaxRequests", 24),
    "proxy.request.maxhead": ("Proxy.Request.MaxHead", 16384),
    "proxy.request.maxtarget": ("Proxy.Request.MaxTarget", 8192),
    "proxy.request.maxfields": ("Proxy.Request.MaxFields", 64),
    "proxy.upstream.bodytimeout": ("Proxy.Upstream.BodyTimeout", 25 * SECOND),
    "proxy.upstream.handshaketimeout": ("Proxy.Upstream.HandshakeTimeout", 40 * SECOND),
    "proxy.upstream.cafile": ("Proxy.Upstream.CAFile", "{CAFILE}"),
    "proxy.upstream.capath": ("Proxy.Upstream.CAPath", "{SCRATCH}"),
    "proxy.tunnel.idletimeout": ("Proxy.Tunnel.IdleTimeout", 26 * 60 * SECOND),
    "proxy.retry.attempts": ("Proxy.Retry.Attempts", 3),
    "proxy.retry.budget": ("Proxy.Retry.Budget", 30),
    "proxy.eject.failures": ("Proxy.Eject.Failures", 4),
    "proxy.eject.time": ("Proxy.Eject.Time", 6 * SECOND),
    "proxy.eject.maxtime": ("Proxy.Eject.MaxTime", 70 * SECOND),
    "proxy.eject.gateway": ("Proxy.Eject.Gateway", False),
    "log.access.format": ("Log.AccessFormat", "combined"),
    "log.access.target": ("Log.AccessTarget", "stdout"),
    "log.routes.format": ("Log.RoutesFormat", "detail"),  # the old name rules
    "proxy.log.routes": ("Log.RoutesFormat", "detail"),
    "log.level": ("Log.Level", "debug"),
    "metrics.prefix": ("Metrics.Prefix", "edge"),
    "metrics.names": ("Metrics.Names", "{{.Service}}"),
    "metrics.names.compat": ("Metrics.NamesCompat", "fabio"),
    "metrics.interval": ("Metrics.Interval", 27 * SECOND),
    "metrics.timeout": ("Metrics.Timeout", 28 * SECOND),
    "metrics.retry": ("Metrics.Retry", 29 * MS),
    "metrics.graphite.addr": ("Metrics.GraphiteAddr", "127.0.0.1:2003"),
    "metrics.statsd.addr": ("Metrics.StatsDAddr", "127.0.0.1:8125"),
    "metrics.dogstatsd.addr": ("Metrics.DogstatsdAddr", "127.0.0.1:8126"),
    "metrics.prometheus.subsystem": ("Metrics.Prometheus.Subsystem", "edge"),
    "metrics.prometheus.path": ("Metrics.Prometheus.Path", "/prometheus"),
    "metrics.prometheus.buckets": ("Metrics.Prometheus.Buckets", [0.5, 1, 2.5]),
    "metrics.circonus.apikey": ("Metrics.Circonus.APIKey", "***"),
    "metrics.circonus.apiapp": ("Metrics.Circonus.APIApp", "edge"),
    "metrics.circonus.apiurl": ("Metrics.Circonus.APIURL", "http://127.0.0.1/api"),
    "metrics.circonus.brokerid": ("Metrics.Circonus.BrokerID", "1"),
    "metrics.circonus.checkid": ("Metrics.Circonus.CheckID", "2"),
    "metrics.circonus.submissionurl": ("Metrics.Circonus.SubmissionURL", "***"),
    "registry.backend": ("Registry.Backend", "file"),
    "registry.timeout": ("Registry.Timeout", 31 * SECOND),
    "registry.snapshot.path": ("Registry.Snapshot.Path", "/var/lib/tagway/routes"),
    "registry.snapshot.wait": ("Registry.Snapshot.Wait", 33 * SECOND),
    "registry.retry": ("Registry.Retry", 32 * MS),
    "registry.file.path": ("Registry.File.RoutesPath", "{ROUTES}"),
    "registry.file.noroutehtmlpath": ("Registry.File.NoRouteHTMLPath", "{PAGE}"),
    "registry.static.routes": ("Registry.Static.Routes", "route add a /a http://127.0.0.1:1/\n"
                                                         "route add b /b http://127.0.0.1:2/"),
    "registry.static.noroutehtml": ("Registry.Static.NoRouteHTML", "<p>static</p>"),
    "registry.consul.addr": ("Registry.Consul.Addr", "consul.example:8501"),
    "registry.consul.token": ("Registry.Consul.Token", "***"),
    "registry.consul.token.file": ("Registry.Consul.TokenFile", "/etc/token"),
    "registry.consul.namespace": ("Registry.Consul.Namespace", "team"),
    "registry.consul.partition": ("Registry.Consul.Partition", "west"),
    "registry.consul.datacenter": ("Registry.Consul.Datacenter", "dc2"),
    "registry.consul.kvpath": ("Registry.Consul.KVPath", "/edge/config"),
    "registry.consul.noroutehtmlpath": ("Registry.Consul.NoRouteHTMLPath", "/edge/noroute.html"),
    "registry.consul.tagprefix": ("Registry.Consul.TagPrefix", "edge-"),
    "registry.consul.tls.keyfile": ("Registry.Consul.TLS.KeyFile", "/etc/key.pem"),
    "registry.consul.tls.certfile": ("Registry.Consul.TLS.CertFile", "/etc/cert.pem"),
    "registry.consul.tls.cafile": ("Registry.Consul.TLS.CAFile", "/etc/ca.pem"),
    "registry.consul.tls.capath": ("Registry.Consul.TLS.CAPath", "/etc/ca"),
    "registry.consul.tls.servername": ("Registry.Consul.TLS.ServerName", "consul.internal"),
    "registry.consul.tls.insecureskipverify": ("Registry.Consul.TLS.InsecureSkipVerify", True),
    "registry.consul.register.enabled": ("Registry.Consul.Register", False),
    "registry.consul.register.addr": ("Registry.Consul.ServiceAddr", "192.0.2.9:9998"),
    "registry.consul.register.name": ("Registry.Consul.ServiceName", "edge"),
    "registry.consul.register.tags": ("Registry.Consul.ServiceTags", ["a", "b"]),
    "registry.consul.register.checkInterval": ("Registry.Consul.CheckInterval", 33 * SECOND),
    "registry.consul.register.checkTimeout": ("Registry.Consul.CheckTimeout", 34 * SECOND),
    "registry.consul.register.checkTLSSkipVerify": ("Registry.Consul.CheckTLSSkipVerify", True),
    "registry.consul.register.checkDeregisterCriticalServiceAfter":
        ("Registry.Consul.CheckDeregisterCriticalServiceAfter", "90m"),
    "registry.consul.service.status": ("Registry.Consul.ServiceStatus", ["passing", "warning"]),
    "registry.consul.checksRequired": ("Registry.Consul.ChecksRequired", "all"),
    "registry.consul.serviceMonitors": ("Registry.Consul.ServiceMonitors", 5),
    "registry.consul.pollinterval": ("Registry.Consul.PollInterval", 35 * SECOND),
    "registry.consul.requireConsistent": ("Registry.Consul.RequireConsistent", True),
    "registry.consul.allowStale": ("Registry.Consul.AllowStale", False),
    "registry.consul.unhealthyroute": ("Registry.Consul.UnhealthyRoute", "drop"),
    "registry.consul.maxwatches": ("Registry.Consul.MaxWatches", 100),
    "registry.consul.wait": ("Registry.Consul.Wait", 36 * SECOND),
    "registry.consul.massdrop": ("Registry.Consul.MassDrop", 75),
    "registry.custom.host": ("Registry.Custom.Host", "routes.example:8443"),
    "registry.custom.path": ("Registry.Custom.Path", "v1/routes"),
    "registry.custom.queryparams": ("Registry.Custom.QueryParams", "***"),
    "registry.custom.noroutehtml": ("Registry.Custom.NoRouteHTML", "<p>custom</p>"),
    "registry.custom.scheme": ("Registry.Custom.Scheme", "http"),
    "registry.custom.checkTLSSkipVerify": ("Registry.Custom.CheckTLSSkipVerify", True),
    "registry.custom.timeout": ("Registry.Custom.Timeout", 37 * SECOND),
    "registry.custom.pollinterval": ("Registry.Custom.PollInterval", 38 * SECOND),
    "ui.addr": ("UI.Listen", {
        "CertSource": NO_CERTIFICATES, "Addr": "127.0.0.1:{UI_PORT}", "Proto": "http", "TLSCiphers": None,
        "ReadTimeout": 0, "WriteTimeout": 0, "IdleTimeout": 0, "ProxyHeaderTimeout": 0, "Refresh": 0,
        "TLSMinVersion": 0, "TLSMaxVersion": 0, "StrictMatch": False, "ProxyProto": False}),
    "ui.access": ("UI.Access", "ro"),
    "ui.color": ("UI.Color", "red"),
    "ui.title": ("UI.Title", "edge & more"),
    "ui.path": ("UI.Path", "/admin/"),
    "ui.hosts": ("UI.Hosts", "edge.example"),
    "ui.auth": ("UI.Auth", {"ops": {"Name": "ops", "Type": "basic", "Basic": {
        "ModTime": "0001-01-01T00:00:00Z", "Realm": "ops", "File": "{HTPASSWD}", "Refresh": 0}}}),
    "ui.ready.maxage": ("UI.ReadyMaxAge", 39 * SECOND),
    "ui.routingtable.source.linkenabled": ("UI.RoutingTable.Source.LinkEnabled", True),
    "ui.routingtable.source.newtab": ("UI.RoutingTable.Source.NewTab", False),
    "ui.routingtable.source.scheme": ("UI.RoutingTable.Source.Scheme", "https"),
    "ui.routingtable.source.host": ("UI.RoutingTable.Source.Host", "edge.example"),
    "ui.routingtable.source.port": ("UI.RoutingTable.Source.Port", "8443"),
    "insecure": ("Insecure", True),
    "runtime.gogc": ("Runtime.GOGC", 200),
    "runtime.gomaxprocs": ("Runtime.GOMAXPROCS", 3),
    "profile.mode": ("ProfileMode", "trace"),
    "profile.path": ("ProfilePath", "{SCRATCH}"),
    "glob.matching.disabled": ("GlobMatchingDisabled", True),
    "glob.cache.size": ("GlobCacheSize", 2000),
    "aws.apigw.cert.cn": None,
    "bgp.enabled": ("BGP.BGPEnabled", True),
    "bgp.asn": ("BGP.Asn", 65001),
    "bgp.anycastaddresses": ("BGP.AnycastAddresses", ["198.51.100.1/32"]),
    "bgp.routerid": ("BGP.RouterID", "192.0.2.1"),
    "bgp.listenport": ("BGP.ListenPort", -1),
    "bgp.listenaddresses": ("BGP.ListenAddresses", ["127.0.0.1"]),
    "bgp.peers": ("BGP.Peers", [{"NeighborAddress": "192.0.2.2", "NeighborPort": 1179, "Asn": 65002,
                                 "MultiHop": True, "MultiHopLength": 3, "Password": "***"}]),
    "bgp.enablegrpc": ("BGP.EnableGRPC", True),
    "bgp.grpclistenaddress": ("BGP.GRPCListenAddress", "127.0.0.1:{GRPC_PORT}"),
    "bgp.gobgpdcfgfile": ("BGP.GOBGPDCfgFile", "{GOBGP}"),
    "bgp.nexthop": ("BGP.NextHop", "192.0.2.3"),
    "metrics.target": ("Metrics.Target", "prometheus"),
}


def read_file():
    with open(FILE, encoding="utf-8") as file:
        text = re.sub(r"\\\n\s*", "", file.read())
    return dict(re.findall(r"^([a-zA-Z0-9.]+) = (.*)$", text, re.MULTILINE))


def supported():
    return {key for key, (_, meaning) in keys().items() if not meaning.startswith("Not supported yet")
            and " Not supported yet." not in meaning}


def fill(value, env):
    if isinstance(value, str):
        return re.sub(r"\{([A-Z_]+)\}", lambda match: env[match.group(1)], value)
    if isinstance(value, list):
        return [fill(member, env) for member in value]
    if isinstance(value, dict):
        return {key: fill(member, env) for key, member in value.items()}
    return value


def at(config, path):
    for name in path.split("."):
        config = config[name]
    return config


def environment(folder):
    env = {"PROXY_PORT": str(free_port()), "UI_PORT": str(free_port()), "GRPC_PORT": str(free_port()),
           "ROUTES": str(folder / "routes"), "PAGE": str(folder / "page.html"), "SCRATCH": str(folder),
           "HTPASSWD": str(folder / "htpasswd"), "GOBGP": str(folder / "gobgp.toml"),
           "CAFILE": str(folder / "ca.pem")}
    (folder / "routes").write_text("route add web /web http://127.0.0.1:1/\n")
    (folder / "page.html").write_text("<p>nothing</p>")
    (folder / "htpasswd").write_text("someone:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=\n")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                    "-subj", "/CN=authority", "-keyout", folder / "ca.key", "-out", folder / "ca.pem"],
                   check=True, capture_output=True)
    (folder / "gobgp.toml").write_text("[global.config]\nas = 65001\nrouter-id = \"192.0.2.1\"\nport = -1\n")
    return env


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    folder = tmp_path_factory.mktemp("every-key")
    env = environment(folder)
    # Keys that are not supported yet would end the start.
    with open(FILE, encoding="utf-8") as file:
        lines = re.sub(r"\\\n\s*", "", file.read()).splitlines(keepends=True)
    path = folder / "every.properties"
    path.write_text("".join(line for line in lines
                            if " = " not in line or line.startswith("#") or line.split(" = ")[0] in supported()))
    options = {"cfg": path, "proxy.addr": None, "ui.addr": None, "insecure": None}
    with Tagway(options=options, env=env, is_ready=False) as tagway:
        tagway.port, tagway.admin_port = int(env["PROXY_PORT"]), int(env["UI_PORT"])
        tagway.wait_ready()
        answer = tagway.admin("/admin/api/config", fields=[PASSWORD])
        assert answer.status == 200
        yield tagway, json.loads(answer.body), env


def test_every_key_has_a_line():
    lines = set(read_file())
    assert supported() <= lines, f"no line in every_key.properties: {sorted(supported() - lines)}"
    assert lines <= set(keys()), f"no such key: {sorted(lines - set(keys()))}"
    assert supported() <= set(SHOWN), f"no line in SHOWN: {sorted(supported() - set(SHOWN))}"


def test_no_value_is_the_default():
    defaults = keys()
    same = [key for key, value in read_file().items() if value == defaults[key][0]]
    assert not same


@pytest.mark.parametrize("key", SHOWN)
def test_shown(running, key):
    _, config, env = running
    if key not in supported():
        pytest.skip("not supported yet")
    if SHOWN[key] is None:
        return
    path, value = SHOWN[key]
    assert at(config, path) == fill(value, env)


def test_no_secret_is_shown(running):
    tagway, _, _ = running
    for text in (tagway.admin("/admin/api/config", fields=[PASSWORD]).body.decode(), tagway.stderr()):
        assert "hush" not in text


def test_each_key_without_effect_is_warned_of_once(running):
    tagway, _, _ = running
    for key, (_, meaning) in keys().items():
        count = len(re.findall(rf"\[WARN\] {re.escape(key)} from .* has no effect: ", tagway.stderr()))
        assert count == (1 if meaning.startswith("Without effect") else 0) or key == "proxy.cs", key
