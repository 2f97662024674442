# SPDX-License-Identifier: Apache-2.0
"""How the agent is reached: tokens from every source, https with a private authority, a unix socket."""

import os
import subprocess

import pytest

from harness.consul import Consul
from harness.origin import Origin
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul

MANAGEMENT = "11111111-2222-3333-4444-555555555555"
READER = "99999999-8888-7777-6666-555555555555"
# docs/consul.md, least privilege
READER_RULES = """service_prefix "" { policy = "read" } node_prefix "" { policy = "read" }
key_prefix "fabio/" { policy = "read" }"""


class GuardedConsul(Consul):
    """ACLs on, everything denied by default; the harness itself uses the management token."""

    def __init__(self, binary):
        super().__init__(binary, config={"acl": {
            "enabled": True, "default_policy": "deny", "down_policy": "deny",
            "tokens": {"initial_management": MANAGEMENT, "agent": MANAGEMENT, "default": ""}}})
        wait_until(self._has_acls, 20, "ACLs")
        self.put("/v1/acl/policy", {"Name": "reader", "Rules": READER_RULES})
        self.put("/v1/acl/token", {"SecretID": READER, "Policies": [{"Name": "reader"}]})

    def _has_acls(self):
        try:
            return self.get("/v1/acl/tokens") is not None
        except RuntimeError:
            return False

    def call(self, method, path, body=None):
        mark = "&" if "?" in path else "?"
        return super().call(method, f"{path}{mark}token={MANAGEMENT}", body)


@pytest.fixture(scope="module")
def guarded(consul_binary):
    with GuardedConsul(consul_binary) as consul, Origin() as origin:
        consul.register("web", origin.port, ["urlprefix-/web"])
        yield consul


@pytest.mark.parametrize("source", ["option", "file", "environment"])
def test_token(guarded, tmp_path, source):
    options, env = guarded.options(), {}
    if source == "option":
        options["registry.consul.token"] = READER
    elif source == "file":
        (tmp_path / "token").write_text(READER + "\n")
        options["registry.consul.token.file"] = tmp_path / "token"
    else:
        env["CONSUL_HTTP_TOKEN"] = READER
    with Tagway(options=options, env=env) as tagway:
        tagway.wait_route("/web")
        assert READER not in tagway.stderr()
        assert READER.encode() not in tagway.admin("/api/config").body


def test_the_token_file_is_read_again(guarded, tmp_path):
    path = tmp_path / "token"
    path.write_text(READER)
    temporary = "33333333-4444-5555-6666-777777777777"
    guarded.put("/v1/acl/token", {"SecretID": temporary, "Policies": [{"Name": "reader"}]})
    accessor = [token["AccessorID"] for token in guarded.get("/v1/acl/tokens")
                if token.get("SecretID") == temporary][0]
    path.write_text(temporary)
    options = guarded.options(**{"registry.consul.token.file": path, "registry.consul.wait": "1s"})
    with Tagway(options=options) as tagway:
        tagway.wait_route("/web")
        guarded.call("DELETE", f"/v1/acl/token/{accessor}")
        os.rename(_written(tmp_path / "new", READER), path)
        with Origin(name="late") as late:
            service_id = guarded.register("late", late.port, ["urlprefix-/late"])
            tagway.wait_route("/late", timeout=45)  # a 403 is retried after at most 30 s
            assert tagway.get("/web").status == 200
            guarded.deregister(service_id)


def _written(path, text):
    path.write_text(text)
    return path


def test_a_policy_that_is_narrowed(guarded):
    """What the token may not see any more Consul calls empty (services) or missing (keys): it stays."""
    secret = "22222222-4444-5555-6666-777777777777"
    created = guarded.put("/v1/acl/policy", {"Name": "narrowed", "Rules": READER_RULES})
    guarded.put("/v1/acl/token", {"SecretID": secret, "Policies": [{"Name": "narrowed"}]})
    port = guarded.get("/v1/health/service/web")[0]["Service"]["Port"]
    guarded.kv_put("fabio/config", f"route add m /manual http://127.0.0.1:{port}/")
    options = guarded.options(**{"registry.consul.token": secret, "registry.consul.wait": "1s"})
    with Tagway(options=options) as tagway:
        for path in ("/web", "/manual"):
            tagway.wait_route(path)
        guarded.put(f"/v1/acl/policy/{created['ID']}", {**created, "Rules": 'service "other" { policy = "read" }'})
        for words in ("read its keys", "read its instances"):
            wait_until(lambda words=words: words in str(tagway.problems()), 20, words)
        for path in ("/web", "/manual"):
            assert tagway.get(path).status == 200
        guarded.put(f"/v1/acl/policy/{created['ID']}", {**created, "Rules": READER_RULES})
        wait_until(lambda: "may not read" not in str(tagway.problems()), 20, "the problems to go")
    guarded.kv_delete("fabio/config")


def test_unix_socket(consul_binary, tmp_path):
    path = f"/tmp/tagway-test-{os.getpid()}-{free_port()}.sock"
    with Consul(consul_binary, config={"addresses": {"http": f"127.0.0.1 unix://{path}"}}) as consul, Origin() as origin:
        consul.register("web", origin.port, ["urlprefix-/web"])
        with Tagway(options=consul.options(**{"registry.consul.addr": f"unix://{path}"})) as tagway:
            tagway.wait_route("/web")
    if os.path.exists(path):
        os.unlink(path)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """ca.pem and a certificate for localhost and 127.0.0.1 signed by it."""
    folder = tmp_path_factory.mktemp("tls")

    def openssl(*argv):
        subprocess.run(["openssl", *argv], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=test authority", "-keyout", "ca.key", "-out", "ca.pem")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=consul",
            "-keyout", "consul.key", "-out", "consul.csr")
    (folder / "san").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    openssl("x509", "-req", "-in", "consul.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "san", "-out", "consul.pem")
    return folder


def test_https(consul_binary, certificates):
    port = free_port()
    config = {"ports": {"https": port},
              "tls": {"defaults": {"ca_file": str(certificates / "ca.pem"),
                                   "cert_file": str(certificates / "consul.pem"),
                                   "key_file": str(certificates / "consul.key")}}}
    with Consul(consul_binary, config=config) as consul, Origin() as origin:
        consul.register("web", origin.port, ["urlprefix-/web"])
        options = consul.options(**{"registry.consul.addr": f"https://127.0.0.1:{port}"})
        with Tagway(options={**options, "registry.consul.tls.cafile": certificates / "ca.pem"}) as tagway:
            tagway.wait_route("/web")
            service_id = consul.register("new", origin.port, ["urlprefix-/new"])
            tagway.wait_route("/new")
            consul.deregister(service_id)
            wait_until(lambda: tagway.get("/new").status == 404, what="the route to go")
        with Tagway(options={**options, "registry.consul.tls.insecureskipverify": "true"}) as tagway:
            tagway.wait_route("/web")
        # An unknown authority is not believed.
        with Tagway(options=options, is_ready=False) as tagway:
            wait_until(lambda: "certificate" in tagway.stderr().lower(), 20, "a complaint about the certificate")
            assert not accepts(tagway) or tagway.get("/web").status == 404


def accepts(tagway):
    """Whether the proxy listens; it need not before the first table."""
    try:
        tagway.connect().close()
        return True
    except OSError:
        return False
