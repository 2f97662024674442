# SPDX-License-Identifier: Apache-2.0
"""The real fabio beside tagway, where there is one on PATH: the same inputs, the answers compared."""

import json
import shutil
import tempfile

from . import client
from .ports import free_port
from .process import Process, wait_until

BINARY = shutil.which("fabio")


class Fabio:
    """A running fabio. routes: commands as text for its static backend; options win over what the harness
    sets. It has the methods of harness.tagway.Tagway that comparisons need."""

    def __init__(self, routes=None, options=None, is_ready=True):
        self._dir = tempfile.TemporaryDirectory(prefix="tagway-test-fabio-")
        self.port = free_port()
        self.admin_port = free_port()
        self.options = {
            "proxy.addr": f"127.0.0.1:{self.port}",
            "ui.addr": f"127.0.0.1:{self.admin_port}",
            "insecure": "true",
        }
        if routes is not None:
            self.options["registry.backend"] = "static"
            self.options["registry.static.routes"] = routes
        self.options.update(options or {})
        first = self.options["proxy.addr"].partition(",")[0].partition(";")[0]
        self.port = int(first.rpartition(":")[2])
        argv = [BINARY] + [f"-{key}={value}" for key, value in self.options.items()]
        self.process = Process(argv, self._dir.name, "fabio")
        if not is_ready:
            return
        try:
            wait_until(self._is_up, 20, "fabio ready")
        except BaseException:
            self.process.kill()
            raise

    def _is_up(self):
        if not self.process.is_running():
            raise AssertionError(f"fabio exited:\n{self.stderr()[-4000:]}")
        # The proxy listens when the first table is there; the admin server comes up beside it.
        try:
            client.Client(self.port).close()
            client.Client(self.admin_port).close()
            return True
        except OSError:
            return False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self._dir.cleanup()

    def wait_rejected(self):
        """Until it says that it does not take the table, or ends in a panic."""
        def has_rejected():
            return not self.process.is_running() or any(
                "[WARN] line" in line or "[WARN] route:" in line or "[WARN] unexpected" in line
                for line in self.stderr().splitlines())

        wait_until(has_rejected, 20, "fabio to reject the table")

    def stderr(self):
        return self.process.stderr()

    def stdout(self):
        return self.process.stdout()

    def get(self, target="/", host="localhost", fields=(), **options):
        return client.get(self.port, target, host, fields, **options)

    def admin(self, target, method="GET", fields=(), body=None, host=None):
        return client.get(self.admin_port, target, host or f"127.0.0.1:{self.admin_port}",
                          [("Connection", "close"), *fields], method, body)

    def json(self, target):
        response = self.admin(target)
        assert response.status == 200, f"{target}: {response.status} {response.body[:300]!r}"
        return json.loads(response.body)

    def routes(self):
        return self.json("/api/routes") or []
