# SPDX-License-Identifier: Apache-2.0
"""The names of pushed and scraped metrics with metrics.names.compat=fabio beside the real fabio's: after the same
requests both know the same names, kinds and labels."""

import re
import socket
import threading

import pytest

from harness.client import get
from harness.fabio import Fabio
from harness.origin import Origin, refused_port
from harness.ports import free_port
from harness.process import wait_until
from harness.tagway import Tagway


class Sink:
    """Lines that come by UDP or TCP."""

    def __init__(self, is_tcp):
        self.lines = set()
        self.port = free_port()
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM if is_tcp else socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", self.port))
        if is_tcp:
            self._socket.listen()
        threading.Thread(target=self._accept if is_tcp else self._receive, daemon=True).start()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def _receive(self):
        while True:
            self.lines |= set(self._socket.recv(65536).decode().splitlines())

    def _accept(self):
        while True:
            connection, _ = self._socket.accept()
            threading.Thread(target=self._read, args=(connection,), daemon=True).start()

    def _read(self, connection):
        with connection.makefile(encoding="utf-8") as file:
            for line in file:
                self.lines.add(line.rstrip("\n"))


def statsd_names(lines):
    """name|kind, with dogstatsd's labels in order."""
    return {re.sub(r":[-0-9.e+]+\|", "|", line, count=1) for line in lines if line}


def graphite_names(lines):
    return {line.split(" ")[0] for line in lines}


class Site:
    """One of the proxies with all sinks, and some requests through it."""

    def __init__(self, make, routes, more):
        self.statsd, self.dogstatsd, self.graphite = Sink(False), Sink(False), Sink(True)
        self.metrics_port = free_port()
        port = free_port()
        self.proxy = make({
            "registry.backend": "static", "registry.static.routes": routes,
            "proxy.addr": f"127.0.0.1:{port},127.0.0.1:{self.metrics_port};proto=prometheus",
            "metrics.target": "statsd_raw,dogstatsd,graphite,prometheus", "metrics.interval": "200ms",
            "metrics.prefix": "my-host.fabio", "metrics.statsd.addr": self.statsd.address,
            "metrics.dogstatsd.addr": self.dogstatsd.address, "metrics.graphite.addr": self.graphite.address,
            "log.level": "WARN", **more})
        self.proxy.port = port
        wait_until(self._is_up, what="the listeners")
        for host, path in (("a.com", "/"), ("b.com", "/x"), ("moved.com", "/"), ("refused.com", "/"), ("none.com", "/")):
            self.proxy.get(path, host)

    def _is_up(self):
        try:
            return self.proxy.get("/").status and get(self.metrics_port, "/metrics").status == 200
        except OSError:
            return False

    def prometheus_names(self):
        """name{labels} of all samples but those of the process and of fabio's runtime."""
        names = set()
        for line in get(self.metrics_port, "/metrics").body.decode().splitlines():
            name = line.rpartition(" ")[0]
            if line.startswith("my_host"):
                names.add(name)
        return names


@pytest.fixture(scope="module")
def sites():
    with Origin() as origin:
        routes = (f"route add a a.com/ {origin.url}\nroute add b b.com/x {origin.url}\n"
                  'route add r moved.com/ http://b.com/ opts "redirect=301"\n'
                  f"route add c refused.com/ http://127.0.0.1:{refused_port()}/")
        fabio = Site(lambda options: Fabio(options=options), routes, {})
        tagway = Site(lambda options: Tagway(options=options), routes, {"metrics.names.compat": "fabio"})
        with fabio.proxy, tagway.proxy:
            yield fabio, tagway


def compare(names_of, sites, only_fabio="(?!)", only_tagway="(?!)"):
    """The patterns say which names only one of them has."""
    def differences():
        of_fabio, of_tagway = (names_of(site) for site in sites)
        unlike = {name for name in of_fabio ^ of_tagway
                  if not re.search(only_fabio if name in of_fabio else only_tagway, name)}
        shared = {name for name in of_fabio & of_tagway if re.search(f"{only_fabio}|{only_tagway}", name)}
        return unlike | shared if of_fabio & of_tagway else {"nothing in common"}

    try:
        wait_until(lambda: not differences(), 8, "equal names", 0.05)
    except AssertionError:
        assert not differences()
        raise


def test_statsd(sites):
    compare(lambda site: statsd_names(site.statsd.lines), sites)


def test_dogstatsd(sites):
    compare(lambda site: statsd_names(site.dogstatsd.lines), sites)


def test_graphite(sites):
    """fabio sends bytes of TCP for all targets and timers of those that only redirect, 0 and -1 for ever; ours tell
    also how often a timer was taken."""
    compare(lambda site: graphite_names(site.graphite.lines), sites,
            r"\.(rx|tx)$|fabior\.moved_com\.", r"\.count$")


def test_prometheus(sites):
    compare(lambda site: site.prometheus_names(), sites)
