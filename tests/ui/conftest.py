# SPDX-License-Identifier: Apache-2.0
import pytest

pytest.importorskip("selenium.webdriver")


@pytest.fixture(scope="session")
def browser():
    from harness.browser import open_browser

    with open_browser() as browser:
        yield browser
