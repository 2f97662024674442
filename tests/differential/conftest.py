# SPDX-License-Identifier: Apache-2.0
import pytest

from harness import fabio


@pytest.fixture(scope="session", autouse=True)
def needs_fabio():
    if not fabio.BINARY:
        pytest.skip("fabio is not on PATH")
