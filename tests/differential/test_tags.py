# SPDX-License-Identifier: Apache-2.0
"""The rows of section 1 (tests/fabio/tag_rows.py) in one Consul that both watch: the same routes, or the
difference that the row owns up to."""

import collections

import pytest

from fabio.tag_rows import PORT, ROWS
from harness.consul import Consul
from harness.fabio import Fabio
from harness.process import wait_until
from harness.tagway import Tagway

pytestmark = pytest.mark.consul
ACCEPTED = [row for row in ROWS if not row.rejected_by_fabio]


def lines_by_service(proxy):
    lines = collections.defaultdict(list)
    for line in proxy.admin("/api/routes?raw").body.decode().splitlines():
        if line:
            _, _, service, rest = line.split(" ", 3)
            lines[service].append(rest)
    return lines


def facts(proxy):
    """/api/routes by service, without what only one of them says; options in order, as fabio's is random."""
    found = collections.defaultdict(set)
    for route in proxy.routes():
        found[route["service"]].add((route["host"], route["path"], route["src"], route["dst"],
                                     " ".join(sorted(route["opts"].split(" "))), route["cmd"],
                                     tuple(route.get("tags", ())), round(route["weight"], 6)))
    return found


@pytest.fixture(scope="module")
def consul(consul_binary):
    with Consul(consul_binary, config={"limits": {"http_max_conns_per_client": 1000}}) as consul:
        for row in ACCEPTED:
            consul.register(row.service, PORT, row.tags, address=row.address)
        yield consul


@pytest.fixture(scope="module")
def fabio(consul):
    with Fabio(options=consul.options(log_level="WARN")) as fabio:
        count = sum(len(row.lines_of_fabio or row.lines) for row in ACCEPTED)
        wait_until(lambda: len(fabio.routes()) == count, what=f"{count} routes of fabio")
        yield fabio


@pytest.fixture(scope="module")
def tables(consul, fabio):
    with Tagway(options=consul.options()) as tagway:
        count = sum(len(row.lines) for row in ACCEPTED)
        wait_until(lambda: len(tagway.routes()) == count, what=f"{count} routes of tagway")
        yield lines_by_service(fabio), lines_by_service(tagway), facts(fabio), facts(tagway)


@pytest.mark.parametrize("row", ACCEPTED, ids=lambda row: row.name)
def test_row(tables, row):
    of_fabio, of_tagway, facts_of_fabio, facts_of_tagway = tables
    if row.lines_of_fabio is None:
        assert of_fabio[row.service] == row.lines
        assert facts_of_fabio[row.service] == facts_of_tagway[row.service]
    else:
        assert of_fabio[row.service] == row.lines_of_fabio != row.lines
        assert row.reason
    assert of_tagway[row.service] == row.lines


@pytest.mark.parametrize("row", [row for row in ROWS if row.rejected_by_fabio], ids=lambda row: row.name)
def test_row_that_fabio_rejects(consul, fabio, row):
    def rejections():
        return fabio.stderr().count("[WARN] line") + fabio.stderr().count("[WARN] route:") + \
            fabio.stderr().count("[WARN] unexpected")

    before = rejections()
    consul.register(row.service, PORT, row.tags, address=row.address)
    try:
        wait_until(lambda: rejections() > before, what="fabio to reject the table")
        assert row.service not in lines_by_service(fabio)
    finally:
        consul.deregister(f"{row.service}-{PORT}")
