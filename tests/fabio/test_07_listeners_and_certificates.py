# SPDX-License-Identifier: Apache-2.0
"""7 Listeners and certificates: how lists are written (7.1), every option of a listener (7.2) and of a
certificate source (7.4), as /api/config shows them; mistakes end the start. What TLS itself does (7.3)
comes with TLS listeners."""

import socket

import pytest

from harness.command import run
from harness.ports import free_port
from harness.tagway import Tagway

SECOND = 1000 ** 3
MS = 1000 ** 2
NO_LISTENER = {"Addr": "", "Proto": "http", "TLSCiphers": None, "ReadTimeout": 0, "WriteTimeout": 0,
               "IdleTimeout": 0, "ProxyHeaderTimeout": 0, "Refresh": 0, "TLSMinVersion": 0, "TLSMaxVersion": 0,
               "StrictMatch": False, "ProxyProto": False}


def config(options, env=None):
    with Tagway(options={"registry.backend": "static", **options}, env=env) as tagway:
        return tagway.json("/api/config"), tagway.stderr()


def listeners(text, **options):
    """Listen of /api/config without the empty certificate sources; ports are written as P, Q and R."""
    ports = {name: str(free_port()) for name in "PQR"}
    for name, port in ports.items():
        text = text.replace(f":{name}", f":{port}")
    shown, _ = config({"proxy.addr": text, **{key.replace("_", "."): value for key, value in options.items()}})
    result = []
    for listener in shown["Listen"] or []:
        assert listener.pop("CertSource")["Name"] == ""
        for name, port in ports.items():
            listener["Addr"] = listener["Addr"].replace(f":{port}", f":{name}")
        result.append({key: value for key, value in listener.items() if value != NO_LISTENER[key]})
        assert set(listener) == set(NO_LISTENER)
    return result


# 7.1: text and the pairs of each entry.
@pytest.mark.parametrize("text, want", [
    ("", []),
    (",;,", []),
    (" addr =127.0.0.1:P", [{"Addr": "127.0.0.1:P"}]),
    ("127.0.0.1:P", [{"Addr": "127.0.0.1:P"}]),
    (",addr=127.0.0.1:P", [{"Addr": "127.0.0.1:P"}]),
    ("addr=127.0.0.1:P,", [{"Addr": "127.0.0.1:P"}]),
    (";addr=127.0.0.1:P", [{"Addr": "127.0.0.1:P"}]),
    ("addr=127.0.0.1:P;", [{"Addr": "127.0.0.1:P"}]),
    ('"127.0.0.1:P";rt="1s"', [{"Addr": "127.0.0.1:P", "ReadTimeout": SECOND}]),
    ('addr="127.0.0\\x2e1:P"', [{"Addr": "127.0.0.1:P"}]),
    ("127.0.0.1:P;rt=1s,127.0.0.1:Q;rt=2s;it=4s,127.0.0.1:R;wt=3s",
     [{"Addr": "127.0.0.1:P", "ReadTimeout": SECOND},
      {"Addr": "127.0.0.1:Q", "ReadTimeout": 2 * SECOND, "IdleTimeout": 4 * SECOND},
      {"Addr": "127.0.0.1:R", "WriteTimeout": 3 * SECOND}]),
])
def test_lists(text, want):
    assert listeners(text) == want


@pytest.mark.parametrize("text, reason", [
    (':1;tlsciphers="a', "unbalanced quotes"),
    (":1;tlsciphers='a", "unbalanced quotes"),
    (':1;tlsciphers="a\\', "unterminated escape sequence"),
    (':1;tlsciphers="\\z"', "invalid escape sequence"),
    (":1;rt", "rt"),
    ('"a"b', "quote"),
])
def test_broken_lists(text, reason):
    code, _, stderr = run(f"-proxy.addr={text}")
    assert code == 1
    assert "proxy.addr" in stderr and reason in stderr


# 7.2, row by row: what a listener's option does to it.
@pytest.mark.parametrize("options, want", [
    ("proto=http", {}),
    ("rt=1s", {"ReadTimeout": SECOND}),
    ("wt=1m", {"WriteTimeout": 60 * SECOND}),
    ("it=1500ms", {"IdleTimeout": 1500 * MS}),
    ("strictmatch=true", {"StrictMatch": True}),
    ("strictmatch=false", {}),
    ("strictmatch=yes", {}),
    ("tlsmin=tls10", {"TLSMinVersion": 0x301}),
    ("tlsmin=TLS11", {"TLSMinVersion": 0x302}),
    ("tlsmax=tls12", {"TLSMaxVersion": 0x303}),
    ("tlsmax=tls13", {"TLSMaxVersion": 0x304}),
    ("tlsmin=0x0303", {"TLSMinVersion": 0x303}),
    ("tlsmax=771", {"TLSMaxVersion": 771}),
    ('tlsciphers="TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls_rsa_with_aes_128_cbc_sha,0xc030"',
     {"TLSCiphers": [0xc02f, 0x2f, 0xc030]}),
    ("pxyproto=false", {}),
    ("pxyproto=yes", {}),
    ("pxytimeout=1s", {"ProxyHeaderTimeout": SECOND}),
    ("refresh=5s", {"Refresh": 5 * SECOND}),
    ("colour=red", {}),
])
def test_listener_options(options, want):
    assert listeners(f"127.0.0.1:P;{options}") == [{"Addr": "127.0.0.1:P", **want}]


def test_defaults_of_timeouts():
    assert listeners("127.0.0.1:P,127.0.0.1:Q;rt=1s;wt=0", proxy_readtimeout="8s", proxy_writetimeout="9s") == [
        {"Addr": "127.0.0.1:P", "ReadTimeout": 8 * SECOND, "WriteTimeout": 9 * SECOND},
        {"Addr": "127.0.0.1:Q", "ReadTimeout": SECOND}]


def test_an_unknown_option_is_warned_of():
    port = free_port()
    _, stderr = config({"proxy.addr": f"127.0.0.1:{port};colour=red"})
    assert 'proxy.addr: unknown key "colour" has no effect' in stderr


@pytest.mark.parametrize("template, address", [
    ('{{ GetInterfaceIP "lo" }}', "127.0.0.1"),
    ('{{ GetAllInterfaces | include "flags" "loopback" | include "type" "ipv4" | attr "address" }}', "127.0.0.1"),
    ('{{ GetAllInterfaces | include "network" "127.0.0.0/8" | limit 1 | join "address" "" }}', "127.0.0.1"),
])
def test_templates(template, address):
    port = free_port()
    shown, _ = config({"proxy.addr": f"{template}:{port}"})
    assert shown["Listen"][0]["Addr"] == f"{address}:{port}"


@pytest.mark.parametrize("template, reason", [
    ("{{ GetThatIP }}", 'unknown function "GetThatIP"'),
    ('{{ GetInterfaceIP "no-such-interface" }}', "this machine has no address"),
    ("{{ GetAllInterfaces }}", "a list needs attr"),
    ("{{ GetPrivateIP", "template without"),
])
@pytest.mark.parametrize("key", ["proxy.addr", "ui.addr", "registry.consul.register.addr"])
def test_bad_templates(key, template, reason):
    code, _, stderr = run(f"-{key}={template}:1")
    assert code == 1
    assert key in stderr and reason in stderr


def test_no_listener_at_all():
    with Tagway(options={"registry.backend": "static", "proxy.addr": ""}) as tagway:
        assert tagway.json("/api/config")["Listen"] is None


def test_a_listener_without_host_serves_both_families():
    port = free_port()
    with Tagway(options={"registry.backend": "static", "proxy.addr": f":{port}"}):
        for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
            with socket.socket(family) as client:
                try:
                    client.connect((host, port))
                except OSError as error:
                    if family == socket.AF_INET6 and error.errno in (99, 97):  # a machine without IPv6
                        continue
                    raise


CS = "-proxy.cs=cs=c;type=file;cert=/c.pem"


@pytest.mark.parametrize("key", ["proxy.addr", "ui.addr"])
@pytest.mark.parametrize("text, reason", [
    ("proto=http", "need listening host:port"),
    (":1;proto=ftp", 'unknown protocol "ftp"'),
    (":1;proto=HTTP", 'unknown protocol "HTTP"'),
    (":1;proto=", 'unknown protocol ""'),
    (":1;cs=x", 'unknown certificate source "x"'),
    (":1;cs=", 'unknown certificate source ""'),
    (":1;cs=c;proto=http", "cert source requires proto 'https'"),
    (":1;cs=c;proto=tcp+sni", "cert source requires proto 'https'"),
    (":1;cs=c;proto=grpc", "cert source requires proto 'https'"),
    (":1;proto=https", "proto 'https' requires cert source"),
    (":1;proto=grpcs", "proto 'grpcs' requires cert source"),
    (":1;proto=https+tcp+sni", "proto 'https+tcp+sni' requires cert source"),
    (":1;rt=5", 'rt: "5" is not a duration'),
    (":1;wt=soon", 'wt: "soon" is not a duration'),
    (":1;it=-1s", 'it: "-1s" is not a duration'),
    (":1;pxytimeout=1", 'pxytimeout: "1" is not a duration'),
    (":1;refresh=", 'refresh: "" is not a duration'),
    (":1;tlsmin=ssl30", 'unknown TLS version "ssl30"'),
    (":1;tlsmax=tls14", 'unknown TLS version "tls14"'),
    (":1;tlsmax=65536", 'unknown TLS version "65536"'),
    (":1;tlsciphers=", 'unknown cipher suite ""'),
    (':1;tlsciphers="TLS_AES_128_GCM_SHA256,RC4"', 'unknown cipher suite "RC4"'),
    ("1", "need host:port"),
    (":http", "port must be a number"),
    (":65536", "port must be a number"),
    ("::1:80", "an IPv6 address needs brackets"),
])
def test_bad_listeners(key, text, reason):
    code, _, stderr = run(CS, f"-{key}={text}")
    assert code == 1
    assert f'{key}: bad value "{text[:48]}" from flag -{key}' in stderr
    assert reason in stderr


def test_ui_addr_is_one_listener():
    for text in ("", ":1,:2"):
        code, _, stderr = run(f"-ui.addr={text}")
        assert code == 1
        assert "ui.addr must contain only one listener" in stderr


def test_ui_addr_shows_its_options():
    port = free_port()
    with Tagway(options={"registry.backend": "static", "ui.addr": f"127.0.0.1:{port};rt=1s",
                         "proxy.writetimeout": "5s"}, is_ready=False) as tagway:
        tagway.admin_port = port
        tagway.wait_ready()
        shown, stderr = tagway.json("/api/config"), tagway.stderr()
    assert shown["UI"]["Listen"]["ReadTimeout"] == SECOND
    assert shown["UI"]["Listen"]["WriteTimeout"] == 0
    assert "ui.addr" in stderr and "no effect" in stderr


# 7.4: what is written and what /api/config makes of it.
@pytest.mark.parametrize("text, want", [
    ("cs=c;type=file;cert=/c.pem;key=/k.pem;clientca=/ca.pem",
     {"Name": "c", "Type": "file", "CertPath": "/c.pem", "KeyPath": "/k.pem", "ClientCAPath": "/ca.pem"}),
    ("cs=c;type=file;cert=/c.pem;refresh=9s", {"Name": "c", "Type": "file", "CertPath": "/c.pem"}),
    ("cs=c;type=path;cert=/certs", {"Name": "c", "Type": "path", "CertPath": "/certs", "Refresh": 3 * SECOND}),
    ("cs=c;type=path;cert=/certs;refresh=0", {"Name": "c", "Type": "path", "CertPath": "/certs"}),
    ("cs=c;type=http;cert=http://h/list;caupgcn=ApiGateway",
     {"Name": "c", "Type": "http", "CertPath": "http://h/list", "CAUpgradeCN": "ApiGateway", "Refresh": 3 * SECOND}),
    ("cs=c;type=consul;cert=http://h:8500/v1/kv/certs?token=hush;refresh=9s",
     {"Name": "c", "Type": "consul", "CertPath": "http://h:8500/v1/kv/certs?***"}),
    ("cs=c;type=vault;cert=secret/certs;vaultfetchtoken=env:HUSH;refresh=1m",
     {"Name": "c", "Type": "vault", "CertPath": "secret/certs", "VaultFetchToken": "***", "Refresh": 60 * SECOND}),
    ("cs=c;type=vault-pki;cert=pki/issue/web;hdr=X-Key: hush: hush",
     {"Name": "c", "Type": "vault-pki", "CertPath": "pki/issue/web", "Refresh": 3 * SECOND,
      "Header": {"X-Key": ["***"]}}),
    ("cs=c;type=file;cert=/c.pem;path=/old", {"Name": "c", "Type": "file", "CertPath": "/c.pem"}),
])
def test_certificate_sources(text, want):
    shown, stderr = config({"proxy.cs": text})
    source, = shown["CertSources"]
    assert {key: value for key, value in source.items() if value} == want
    assert len([line for line in stderr.splitlines() if "proxy.cs from" in line]) == 1
    assert "hush" not in stderr + str(shown)


@pytest.mark.parametrize("text, reason", [
    ("type=file;cert=/c", "missing 'cs'"),
    ("cs=c;type=file", "missing 'cert' in certificate source \"c\""),
    ("cs=c;cert=/c", "missing 'type' in certificate source \"c\""),
    ("cs=c;type=;cert=/c", 'unknown type ""'),
    ("cs=c;type=acme;cert=/c", 'unknown type "acme"'),
    ("cs=c;type=path;cert=/c;refresh=3", 'refresh: "3" is not a duration'),
    ("cs=c;type=http;cert=http://c;hdr=X-Key", 'hdr must be "Name: value"'),
    ("cs=c;type=http;cert=http://c;hdr=X-Key:value", 'hdr must be "Name: value"'),
    ('cs=c;type=file;cert="/c', "malformed"),
    ("cs=c;type=file;cert=/c,cs=d;type=file", "missing 'cert' in certificate source \"d\""),
])
def test_bad_certificate_sources(text, reason):
    code, _, stderr = run(f"-proxy.cs={text}")
    assert code == 1
    assert "proxy.cs" in stderr and reason in stderr and "flag -proxy.cs" in stderr
