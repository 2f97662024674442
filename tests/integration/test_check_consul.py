# SPDX-License-Identifier: Apache-2.0
"""`tagway check -consul`: what a token may do, with the rule that is missing."""

import re
import subprocess

import pytest

from harness.consul import Consul
from harness.fake_consul import FakeConsul, answer
from harness.ports import free_port
from harness.process import SLOWNESS, wait_until
from harness.tagway import BINARY, Tagway

pytestmark = pytest.mark.consul

MANAGEMENT = "11111111-2222-3333-4444-555555555555"
SERVICES = 'service_prefix "" { policy = "read" }'
NODES = 'node_prefix "" { policy = "read" }'
ROUTES = 'key_prefix "fabio/config" { policy = "read" }'
PAGE = 'key_prefix "fabio/noroute.html" { policy = "read" }'
WRITE = 'key_prefix "fabio/config" { policy = "write" }'
REGISTER = 'service "fabio" { policy = "write" }'
EVERYTHING = [SERVICES, NODES, ROUTES, PAGE, REGISTER]


def check(address, *argv, token=None):
    """(exit code, {rule: verdict}, all output)."""
    result = subprocess.run(
        [BINARY, "check", "-consul", f"-registry.consul.addr={address}", *argv],
        capture_output=True, text=True, timeout=60 * SLOWNESS, check=False,
        env={"PATH": "/usr/bin:/bin", **({"CONSUL_HTTP_TOKEN": token} if token else {})})
    rules = dict(reversed(match) for match in
                 re.findall(r"^(granted|missing|optional|unknown) +(\S.*?\}) +#", result.stdout, re.MULTILINE))
    return result.returncode, rules, result.stdout + result.stderr


class GuardedConsul(Consul):
    """ACLs on, everything denied by default, keys listed only with a policy for it."""

    def __init__(self, binary):
        super().__init__(binary, config={"acl": {
            "enabled": True, "default_policy": "deny", "enable_key_list_policy": True,
            "tokens": {"initial_management": MANAGEMENT, "agent": MANAGEMENT}}})
        wait_until(self._has_acls, 20, "ACLs")
        self._tokens = 0

    def _has_acls(self):
        try:
            return self.get("/v1/acl/tokens") is not None
        except RuntimeError:
            return False

    def call(self, method, path, body=None):
        mark = "&" if "?" in path else "?"
        return super().call(method, f"{path}{mark}token={MANAGEMENT}", body)

    def token(self, rules):
        self._tokens += 1
        secret = f"99999999-8888-7777-6666-{self._tokens:012d}"
        self.put("/v1/acl/policy", {"Name": f"policy{self._tokens}", "Rules": "\n".join(rules)})
        self.put("/v1/acl/token", {"SecretID": secret, "Policies": [{"Name": f"policy{self._tokens}"}]})
        return secret


@pytest.fixture(scope="module")
def guarded(consul_binary):
    with GuardedConsul(consul_binary) as consul:
        yield consul


def listing(rules):
    """The same rules where keys need a policy of their own to be listed."""
    return [rule.replace('"read"', '"list"') if rule.startswith("key") else rule for rule in rules]


def test_everything_granted(guarded):
    code, rules, output = check(guarded.address, token=guarded.token(listing(EVERYTHING)))
    assert code == 0, output
    assert rules == {**dict.fromkeys(EVERYTHING, "granted"), WRITE: "optional"}
    assert output.rstrip().endswith("configuration OK")


@pytest.mark.parametrize("missing", EVERYTHING)
def test_each_missing_permission_is_named(guarded, missing):
    token = guarded.token(listing([rule for rule in EVERYTHING if rule != missing]))
    code, rules, output = check(guarded.address, token=token)
    assert code == 1, output
    assert {rule for rule, verdict in rules.items() if verdict == "missing"} == {missing}
    assert "1 permission is missing" in output
    assert token not in output


def test_the_rules_that_it_names_are_enough(guarded):
    """An empty token, then its policy made of what was said to be missing, until nothing is."""
    rules = ['operator = "read"']
    for _ in range(3):
        code, found, output = check(guarded.address, token=guarded.token(rules))
        missing = [rule for rule, verdict in found.items() if verdict == "missing"]
        if code == 0:
            break
        # What may be read but not listed is said of a second try.
        kept = [rule for rule in rules if not any(rule.split("{")[0] == new.split("{")[0] for new in missing)]
        rules = kept + missing
    assert code == 0, output
    options = guarded.options(**{"registry.consul.token": guarded.token(rules)})
    with Tagway(options=options) as tagway:
        assert not [problem for problem in tagway.problems() if problem.get("source") == "consul"]


def test_listing_keys_is_asked_for(guarded):
    code, rules, output = check(guarded.address, token=guarded.token(EVERYTHING))
    assert code == 1, output
    assert rules['key_prefix "fabio/config" { policy = "list" }'] == "missing"


def test_the_narrow_policy_of_one_service_is_not_enough(guarded):
    token = guarded.token(['service_prefix "web" { policy = "read" }', NODES] + listing([ROUTES, PAGE]))
    code, rules, _ = check(guarded.address, "-registry.consul.register.enabled=false", token=token)
    assert code == 1
    assert rules[SERVICES] == "missing"
    assert REGISTER not in rules


@pytest.mark.parametrize("access, verdict", [("rw", "missing"), ("ro", None)])
def test_writing_depends_on_ui_access(guarded, access, verdict):
    code, rules, output = check(guarded.address, f"-ui.access={access}",
                                token=guarded.token(listing(EVERYTHING)))
    assert rules.get(WRITE) == verdict, output
    assert code == (1 if verdict else 0)


def test_other_paths_and_names(guarded):
    token = guarded.token([SERVICES, NODES, 'key_prefix "a/" { policy = "write" }',
                           'service "edge" { policy = "write" }'])
    code, rules, output = check(guarded.address, "-registry.consul.kvpath=/a/routes", "-ui.access=rw",
                                "-registry.consul.noroutehtmlpath=/a/page",
                                "-registry.consul.register.name=edge", token=token)
    assert code == 0, output
    assert set(rules.values()) == {"granted"} and len(rules) == 6


def test_an_unknown_token(guarded):
    code, _, output = check(guarded.address, token="00000000-0000-0000-0000-00000000dead")
    assert code == 1
    assert "403 ACL not found" in output and "dead" not in output


def test_nothing_is_changed(guarded):
    before = guarded.get("/v1/kv/?keys") or [], sorted(guarded.services())
    check(guarded.address, "-ui.access=rw", token=guarded.token(listing(EVERYTHING + [WRITE])))
    assert (guarded.get("/v1/kv/?keys") or [], sorted(guarded.services())) == before


def test_without_acls(consul_binary):
    with Consul(consul_binary) as consul:
        code, rules, output = check(consul.address)
        assert code == 0, output
        assert set(rules.values()) == {"granted"}
        assert "ACLs are not enabled" in output
        code, _, output = check(consul.address, "-registry.consul.namespace=team")
        assert code == 1 and "Enterprise" in output
        code, _, output = check(consul.address, "-registry.consul.datacenter=mars")
        assert code == 1 and "No path to datacenter" in output


def test_unreachable():
    code, _, output = check(f"127.0.0.1:{free_port()}")
    assert code == 1
    assert "cannot be reached" in output


def test_an_agent_that_cannot_tell():
    """One too old for the question: reads are tried, writes stay unknown."""
    with FakeConsul() as consul:
        code, rules, output = check(f"127.0.0.1:{consul.port}")
        assert code == 0, output
        assert set(rules.values()) == {"unknown"}


def test_no_leader():
    with FakeConsul() as consul:
        consul.fault = lambda path: answer(200, b'""') if "leader" in path else None
        code, _, output = check(f"127.0.0.1:{consul.port}")
        assert code == 1 and "no leader" in output


def test_another_backend():
    code, _, output = check("127.0.0.1:1", "-registry.backend=static")
    assert code == 1
    assert "registry.backend is not consul" in output
