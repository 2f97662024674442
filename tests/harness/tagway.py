# SPDX-License-Identifier: Apache-2.0
"""tagway as the tests run it: own ports, routes from a file or a registry, and a clean end that is
part of every test: exit code 0 on SIGTERM and no sanitizer report."""

import json
import os
import re
import tempfile

from . import client
from .ports import free_port
from .process import Process, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BINARY = os.environ.get("TAGWAY_BIN", os.path.join(ROOT, "build/plain/src/app/tagway"))

# What sanitizers write; halt_on_error makes most of them end the process as well.
_REPORT = re.compile(r"(ERROR|WARNING): (Address|Leak|Thread|Memory)Sanitizer|runtime error:|^BUG at ",
                     re.MULTILINE)

_SANITIZER_ENV = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=0:second_deadlock_stack=1:suppressions="
                    + os.path.join(ROOT, "tests/harness/tsan.supp"),
}


class Tagway:
    """A running tagway.

    routes: commands as text; served through the file backend, so set_routes can change them.
    options: keys of any kind; they win over what the harness sets. Without routes, options say
    where routes come from.
    """

    def __init__(self, routes=None, options=None, env=None, is_ready=True, binary=None):
        self._dir = tempfile.TemporaryDirectory(prefix="tagway-test-")
        self.port = free_port()
        self.admin_port = free_port()
        self.options = {
            "proxy.addr": f"127.0.0.1:{self.port}",
            "ui.addr": f"127.0.0.1:{self.admin_port}",
            "insecure": "true",
        }
        if routes is not None:
            self.routes_path = os.path.join(self._dir.name, "routes")
            self._write_routes(routes)
            self.options["registry.backend"] = "file"
            self.options["registry.file.path"] = self.routes_path
        self.options.update(options or {})
        argv = [binary or BINARY]
        argv += [f"-{key}={value}" for key, value in self.options.items() if value is not None]
        self.process = Process(argv, self._dir.name, "tagway", env={**_SANITIZER_ENV, **(env or {})})
        if is_ready:
            try:
                self.wait_ready()
            except BaseException:
                self.process.kill()
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.finish(has_failed=kind is not None)
        finally:
            self._dir.cleanup()

    # Life

    def wait_ready(self, timeout=20):
        def is_up():
            if not self.process.is_running():
                raise AssertionError(f"tagway exited:\n{self.stderr()[-4000:]}")
            return self.admin("/ready", may_fail=True).status == 200

        wait_until(is_up, timeout, "tagway ready")
        return self

    def finish(self, has_failed=False):
        """SIGTERM, exit 0, nothing from a sanitizer."""
        try:
            code = self.process.stop(20)
        finally:
            stderr = self.stderr()
            report = _REPORT.search(stderr)
            if has_failed or report:
                print(f"--- stderr of tagway ---\n{stderr[-12000:]}\n---")
        assert not report, f"sanitizer report: {stderr[report.start():report.start() + 3000]}"
        assert code == 0, f"tagway exited with {code}:\n{stderr[-4000:]}"

    def stderr(self):
        return self.process.stderr()

    # Traffic

    def connect(self, **options):
        return client.Client(self.port, **options)

    def get(self, target="/", host="localhost", fields=(), **options):
        return client.get(self.port, target, host, fields, **options)

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin_url(self):
        return f"http://127.0.0.1:{self.admin_port}"

    # Admin

    def admin(self, target, may_fail=False, method="GET", fields=(), body=None):
        try:
            return client.get(self.admin_port, target, f"127.0.0.1:{self.admin_port}",
                              [("Connection", "close"), *fields], method, body)
        except (OSError, client.Closed):
            if may_fail:
                return _NO_ANSWER
            raise

    def json(self, target):
        response = self.admin(target)
        assert response.status == 200, f"{target}: {response.status} {response.body[:300]!r}"
        return json.loads(response.body)

    def routes(self):
        return self.json("/api/routes") or []

    def destinations(self):
        return {route["dst"].rstrip("/") for route in self.routes()}

    def problems(self):
        return self.json("/api/problems") or []

    def metrics(self):
        """Samples as {name{labels}: value}."""
        samples = {}
        for line in self.admin("/metrics").body.decode().splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                samples[name] = float(value)
        return samples

    def metric(self, name, **labels):
        """Sum of all samples of that name whose labels include these."""
        total = 0
        for key, value in self.metrics().items():
            base, _, rest = key.partition("{")
            if base == name and all(f'{k}="{v}"' in rest for k, v in labels.items()):
                total += value
        return total

    # Routes

    def _write_routes(self, text):
        temporary = self.routes_path + ".new"
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, self.routes_path)

    def set_routes(self, text, until=None):
        """Replaces the route file; returns when until(routes) is true of /api/routes."""
        self._write_routes(text)
        if until:
            wait_until(lambda: until(self.routes()), what="the new routes")

    def wait_route(self, target="/", host="localhost", status=200, timeout=10):
        def answers():
            response = self.get(target, host)
            return response if response.status == status else None

        return wait_until(answers, timeout, f"{host}{target} to answer {status}")


class _NoAnswer:
    status = None
    body = b""


_NO_ANSWER = _NoAnswer()


def route(origin, path="/", service="svc", options="", **_):
    """A route add command to an origin (or port)."""
    port = origin if isinstance(origin, int) else origin.port
    text = f"route add {service} {path} http://127.0.0.1:{port}/"
    return text + (f' opts "{options}"' if options else "") + "\n"
