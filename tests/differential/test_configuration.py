# SPDX-License-Identifier: Apache-2.0
"""The same configuration, read by fabio and by tagway: what /api/config shows is the same in both."""

import json
import os
import shutil
import sys
import tempfile
import urllib.request

import pytest

from harness.ports import free_port
from harness.process import Process, wait_until
from harness.tagway import ROOT, Tagway

sys.path.insert(0, os.path.join(ROOT, "tests/fabio"))
import test_08_every_key as every_key  # noqa: E402

FABIO = shutil.which("fabio")
pytestmark = pytest.mark.skipif(not FABIO, reason="there is no fabio on PATH")

# What tagway shows otherwise, and why.
DIFFERS = {
    # Secrets are masked.
    "metrics.circonus.apikey", "metrics.circonus.submissionurl", "registry.consul.token",
    "registry.custom.queryparams", "bgp.peers",
}
DEFAULTS_DIFFER = {
    "ProfilePath": "fabio's is the folder for temporary files",
    "Proxy.ShutdownWait": "0 cuts running requests",
    "Registry.Consul.RequireConsistent": "any server may answer",
    "Registry.Consul.AllowStale": "any server may answer",
    "Registry.Timeout": "it goes on trying",
    "UI.Access": "writes only from this machine",
}


def fabio_config(argv, env, port, path=""):
    with tempfile.TemporaryDirectory() as folder:
        fabio = Process([FABIO, *map(str, argv)], folder, "fabio", env=env, cwd=folder)

        def read():
            assert fabio.is_running(), fabio.stderr()[-2000:]
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}/api/config", timeout=5) as answer:
                    return json.load(answer)
            except OSError:
                return None

        try:
            return wait_until(read, 20, "fabio's /api/config")
        finally:
            fabio.kill()


def leaves(config, path=""):
    """{path: value} of everything that is no object."""
    if not isinstance(config, dict) or not config:
        return {path: config}
    found = {}
    for name, value in config.items():
        found.update(leaves(value, f"{path}.{name}" if path else name))
    return found


def test_every_key(tmp_path):
    """fabio takes the file that the tests of section 8.2 give to tagway, and shows what they expect of it."""
    env = every_key.environment(tmp_path)
    shown = fabio_config(["-cfg", every_key.FILE], env, env["UI_PORT"], "/admin")
    compared = 0
    for key, place in every_key.SHOWN.items():
        if place is None or key in DIFFERS:
            continue
        path, value = place
        try:
            found = every_key.at(shown, path)
        except KeyError:
            continue  # a key of tagway's own
        assert found == every_key.fill(value, env), key
        compared += 1
    assert compared > 95


def test_defaults():
    """Every member that fabio shows is there, with the same type and but for a few the same default."""
    addresses = {"proxy.addr": f"127.0.0.1:{free_port()}", "ui.addr": f"127.0.0.1:{free_port()}",
                 "registry.backend": "static", "insecure": "true", "proxy.localip": "192.0.2.1"}
    argv = [f"-{key}={value}" for key, value in addresses.items()]
    theirs = leaves(fabio_config(argv, {}, addresses["ui.addr"].rpartition(":")[2]))
    with Tagway(options=addresses, is_ready=False) as tagway:
        tagway.admin_port = int(addresses["ui.addr"].rpartition(":")[2])
        tagway.wait_ready()
        ours = leaves(tagway.json("/api/config"))
    assert set(theirs) <= set(ours), set(theirs) - set(ours)
    differing = {path for path, value in theirs.items() if ours[path] != value}
    assert differing <= set(DEFAULTS_DIFFER), {path: (theirs[path], ours[path]) for path in differing}
    for path in differing:
        assert type(ours[path]) is type(theirs[path]), path


@pytest.mark.parametrize("text", [
    "127.0.0.1:P", " addr =127.0.0.1:P", ",;addr=127.0.0.1:P;,", '"127.0.0.1:P";rt="1s"',
    "127.0.0.1:P;rt=1s;it=2s,127.0.0.1:Q;wt=3s;it=4s",
    "127.0.0.1:P;strictmatch=true;tlsmin=tls10;tlsmax=0x0304;pxytimeout=1s;refresh=2s",
    '127.0.0.1:P;tlsciphers="TLS_RSA_WITH_RC4_128_SHA,TLS_RSA_WITH_3DES_EDE_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA,'
    'TLS_RSA_WITH_AES_256_CBC_SHA,TLS_RSA_WITH_AES_128_CBC_SHA256,TLS_RSA_WITH_AES_128_GCM_SHA256,'
    'TLS_RSA_WITH_AES_256_GCM_SHA384,TLS_AES_128_GCM_SHA256,TLS_AES_256_GCM_SHA384,TLS_CHACHA20_POLY1305_SHA256,'
    'TLS_ECDHE_ECDSA_WITH_RC4_128_SHA,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,'
    'TLS_ECDHE_RSA_WITH_RC4_128_SHA,TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA,TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,'
    'TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,'
    'TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,'
    'TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,'
    'TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,'
    'TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,0x1234, 07 ,tls_aes_128_gcm_sha256"',
    '{{ GetAllInterfaces | include "flags" "loopback" | '
    'include "type" "ipv4" | attr "address" }}:P',
])
def test_listeners(text):
    for name in "PQ":
        text = text.replace(f":{name}", f":{free_port()}")
    ui = free_port()
    argv = [f"-proxy.addr={text}", f"-ui.addr=127.0.0.1:{ui}", "-registry.backend=static", "-insecure=true"]
    theirs = fabio_config(argv, {}, ui)["Listen"]
    with Tagway(options={"proxy.addr": text, "registry.backend": "static"}) as tagway:
        assert tagway.json("/api/config")["Listen"] == theirs
