# SPDX-License-Identifier: Apache-2.0
"""A real Consul with `others` quiet services, tagway in front of it, and two origins for the services under test."""

from .consul import Consul
from .origin import Origin
from .process import wait_until
from .tagway import Tagway


class ConsulSite:
    def __init__(self, binary, others, **options):
        self.others = others
        self.consul = Consul(binary)
        self.a = Origin(name="a")
        self.b = Origin(name="b")
        for number in range(others):
            self.consul.register(f"other{number}", self.a.port, [f"urlprefix-/other{number}"])
        self.tagway = Tagway(options=self.consul.options(**options))
        self.wait_until_as_before("the first table")

    def wait_until_as_before(self, what="the table to be as before"):
        wait_until(lambda: len(self.tagway.routes()) == self.others, what=what)

    def register_web(self):
        """The service that most tests change, on origin a."""
        return self.consul.register("web", self.a.port, ["urlprefix-/web"], "web-1")

    def remove_all_but_others(self):
        for leftover in [name for name in self.consul.services() if not name.startswith("other")]:
            self.consul.deregister(leftover)
        self.wait_until_as_before()

    def close(self):
        try:
            self.tagway.finish()
        finally:
            self.consul.stop()
            self.a.stop()
            self.b.stop()
