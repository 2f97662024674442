# SPDX-License-Identifier: Apache-2.0
"""The lookups of section 4 (tests/fabio/test_04_lookup.py) before the real fabio."""

import pytest

from fabio import test_04_lookup as rows
from harness.client import Closed
from harness.fabio import Fabio
from harness.origin import Origin

QUIET = {"log.level": "FATAL"}


@pytest.fixture(scope="module")
def origin():
    with Origin(lambda request: request.get("host").encode()) as origin:
        yield origin


@pytest.fixture(scope="module")
def named():
    origins = [Origin(name=str(number)) for number in range(1, 4)]
    yield origins
    for one in origins:
        one.stop()


@pytest.mark.parametrize("name, sources, options, requests", rows.LOOKUPS, ids=[row[0] for row in rows.LOOKUPS])
def test_lookup(origin, name, sources, options, requests):
    with Fabio(rows.table(sources, origin), {**QUIET, **options}) as fabio:
        found = {(host, path): rows.source_of(fabio.get(path, host), sources) for host, path, _ in requests}
        assert found == {(host, path): src for host, path, src in requests}


@pytest.mark.parametrize("name, sources, options, host, path, src, of_fabio, reason", rows.DIFFERENT,
                         ids=[f"{row[0]}-{row[-1]}" for row in rows.DIFFERENT])
def test_lookup_that_differs(origin, name, sources, options, host, path, src, of_fabio, reason):
    with Fabio(rows.table(sources, origin), {**QUIET, **options}) as fabio:
        try:
            found = rows.source_of(fabio.get(path, host), sources)
        except Closed:
            found = "nothing"
        assert found == of_fabio != src


@pytest.mark.parametrize("weights, expected", rows.SEQUENCES, ids=lambda value: str(value)[:24])
def test_round_robin(named, weights, expected):
    with Fabio(rows.weighted(named, *weights), {**QUIET, "proxy.strategy": "rr"}) as fabio:
        assert rows.sequence(fabio, len(expected.split())) == expected


@pytest.mark.parametrize("routes, host, path, fields, expected", rows.LOOPS)
def test_redirect_loop(origin, routes, host, path, fields, expected):
    with Fabio(routes.replace("{url}", origin.url), QUIET) as fabio:
        response = fabio.get(path, host, fields)
        assert f"{response.status} {response.get('location') or ''}".strip() == expected
