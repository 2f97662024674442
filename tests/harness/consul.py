# SPDX-License-Identifier: Apache-2.0
"""A real Consul agent on private ports: in dev mode, or a server with a data directory."""

import http.client
import json
import os
import signal
import subprocess
import tempfile
import urllib.parse

from .ports import free_port
from .process import Process, wait_until
from .tagway import ROOT


def find_binary():
    """Path of consul, building it when there is none; AssertionError with the reason when it cannot."""
    script = os.path.join(ROOT, "tests/tools/consul/build.sh")
    result = subprocess.run([script], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip().splitlines()[-1]


class Consul:
    def __init__(self, binary, is_dev=True, config=None):
        self._binary = binary
        self._is_dev = is_dev
        self._dir = tempfile.TemporaryDirectory(prefix="tagway-consul-")
        config = dict(config or {})
        self.port = free_port()
        self._config = {
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "node_name": "node1",
            "disable_update_check": True,
            "log_level": "warn",
            "ports": {"http": self.port, "dns": -1, "grpc": -1, "grpc_tls": -1,
                      "serf_lan": free_port(), "serf_wan": -1, "server": free_port(),
                      **config.pop("ports", {})},
            "performance": {"raft_multiplier": 1},
            **config,
        }
        if not is_dev:
            self._config.update({"server": True, "bootstrap_expect": 1})
        self.process = None
        self._starts = 0
        self._wipes = 0
        self.start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def options(self, **more):
        """Options of a tagway that reads this agent. Underscores in keyword names stand for dots."""
        return {"registry.backend": "consul", "registry.consul.addr": self.address,
                "registry.consul.register.enabled": "false",
                **{key.replace("_", "."): value for key, value in more.items()}}

    # Life

    def start(self):
        self._starts += 1
        path = os.path.join(self._dir.name, "config.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump(self._config, file)
        argv = [self._binary, "agent", "-config-file", path]
        if self._is_dev:
            argv.append("-dev")
        else:
            argv += ["-data-dir", os.path.join(self._dir.name, f"data{self._wipes}")]
        self.process = Process(argv, self._dir.name, f"consul{self._starts}")
        wait_until(self._is_up, 40, "a Consul leader")

    def _is_up(self):
        if not self.process.is_running():
            raise AssertionError(f"consul exited:\n{self.process.stdout()[-4000:]}")
        try:
            # The catalog answers only when there is a leader that has registered the node.
            return self.get("/v1/health/node/node1?passing") not in (None, [])
        except (OSError, RuntimeError):
            return False

    def kill(self):
        self.process.kill()

    def restart(self):
        """Killed and started again on its data (a dev agent forgets everything)."""
        self.kill()
        self.start()

    def wipe(self):
        """Killed and started again with nothing."""
        self.kill()
        self._wipes += 1
        self.start()

    def freeze(self):
        self.process.signal(signal.SIGSTOP)

    def thaw(self):
        self.process.signal(signal.SIGCONT)

    def stop(self):
        if self.process.is_running():
            self.process.signal(signal.SIGCONT)
            self.process.kill()
        self._dir.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    # HTTP API

    def call(self, method, path, body=None):
        """Parsed JSON answer (or text); None for 404; RuntimeError for other failures."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, body if isinstance(body, (bytes, str, type(None)))
                               else json.dumps(body))
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return json.loads(data) if data.strip() else None

    def get(self, path):
        return self.call("GET", path)

    def put(self, path, body=None):
        return self.call("PUT", path, body)

    def register(self, name, port, tags, service_id=None, status="passing", address="127.0.0.1",
                 has_check=True, **more):
        """Registers an instance with a TTL check in that state. Returns its id."""
        service_id = service_id or f"{name}-{port}"
        body = {"ID": service_id, "Name": name, "Address": address, "Port": port, "Tags": tags, **more}
        if has_check:
            body["Check"] = {"CheckID": f"{service_id}-ttl", "TTL": "1h", "Status": status}
        self.put("/v1/agent/service/register", body)
        return service_id

    def register_lasting(self, name, port, tags):
        """As register; the check keeps its state over a restart of the agent, which remembers only what
        was reported to it after the registration."""
        service_id = self.register(name, port, tags)
        self.set_health(service_id, "passing")

    def deregister(self, service_id):
        self.put(f"/v1/agent/service/deregister/{urllib.parse.quote(service_id)}")

    def set_health(self, service_id, status):
        self.put(f"/v1/agent/check/update/{service_id}-ttl", {"Status": status, "Output": ""})

    def set_service_maintenance(self, service_id, is_on):
        self.put(f"/v1/agent/service/maintenance/{service_id}?enable={str(is_on).lower()}&reason=test")

    def set_node_maintenance(self, is_on):
        self.put(f"/v1/agent/maintenance?enable={str(is_on).lower()}&reason=test")

    def kv_put(self, key, value):
        self.put(f"/v1/kv/{key}", value.encode())

    def kv_delete(self, key):
        self.call("DELETE", f"/v1/kv/{key}")

    def services(self):
        return self.get("/v1/agent/services")
