# SPDX-License-Identifier: Apache-2.0
import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))


def pytest_make_parametrize_id(config, val, argname):
    """Cases are told apart by their names, not by the bytes they send."""
    return val[:40].decode("latin-1").split("\r\n")[0] if isinstance(val, bytes) else None


def pytest_configure(config):
    config.addinivalue_line("markers", "multi_worker: several workers under load; also runs under TSan")
    config.addinivalue_line("markers", "consul: needs a consul binary")
    config.addinivalue_line("markers", "measured: judges time or memory, which others on the machine change too; "
                                       "`./dev test` repeats it alone after a failure")
    config.addinivalue_line("markers", "no_sanitizer: measured, and changed by sanitizers")


@pytest.hookimpl(tryfirst=True)  # before tests are selected by their marks
def pytest_collection_modifyitems(items):
    for item in items:
        if item.get_closest_marker("no_sanitizer"):
            item.add_marker("measured")


@pytest.fixture(scope="session")
def consul_binary():
    from harness.consul import find_binary

    return find_binary()


@pytest.fixture(scope="module")
def origin():
    """One that answers 200 to everything; modules that need another have their own."""
    from harness.origin import Origin

    with Origin() as origin:
        yield origin
