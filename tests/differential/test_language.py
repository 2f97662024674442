# SPDX-License-Identifier: Apache-2.0
"""The rows of section 2 (tests/fabio/language_rows.py) before the real fabio: the same table, or the
difference that the row owns up to."""

import pytest

from fabio.language_rows import ROWS
from harness.fabio import Fabio
from harness.tagway import Tagway

QUIET = {"log.level": "WARN"}


def shares(proxy):
    return [(route["service"], route["src"], route["dst"], round(route["weight"], 6)) for route in proxy.routes()]


@pytest.mark.parametrize("row", [row for row in ROWS if not row.rejected_by_fabio], ids=lambda row: row.name)
def test_row(row):
    options = {"registry.backend": "static", "registry.static.routes": row.text}
    with Fabio(row.text, QUIET) as fabio, Tagway(options=options) as tagway:
        raw = fabio.admin("/api/routes?raw").body.decode()
        assert raw == (row.raw if row.raw_of_fabio is None else row.raw_of_fabio) + "\n"
        assert tagway.admin("/api/routes?raw").body.decode() == row.raw + "\n"
        if row.raw_of_fabio is None:
            assert shares(fabio) == shares(tagway)
        else:
            assert row.reason and raw != row.raw + "\n"


@pytest.mark.parametrize("row", [row for row in ROWS if row.rejected_by_fabio], ids=lambda row: row.name)
def test_row_that_fabio_rejects(row):
    # Through the environment an argument may not be longer than 128 KiB; none is.
    with Fabio(row.text, QUIET, is_ready=False) as fabio:
        fabio.wait_rejected()
