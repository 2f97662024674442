# SPDX-License-Identifier: Apache-2.0
"""What the binary is protected by, read from the binary itself: ASLR of the program (PIE), no writable
GOT (full RELRO), no executable stack, stack canaries, checked libc calls, marked jump targets. A release
build has the same flags (meson.build); TAGWAY_BIN names it to have it looked at. Beside it what the systemd unit
forbids the process."""

import os
import platform
import re
import subprocess
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))

from harness.tagway import BINARY  # noqa: E402


def run(*argv):
    return subprocess.run([*argv, BINARY], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", autouse=True)
def plain_build():
    if not os.path.exists(BINARY):
        pytest.skip(f"there is no {BINARY}")
    if re.search(r"lib[at]san", run("readelf", "--dynamic")):
        pytest.skip("a sanitizer's build is not for use")


def segments(kind):
    """Flags (R, W, E) of the program headers of that kind."""
    lines = [line.split() for line in run("readelf", "--wide", "--program-headers").splitlines()]
    return [set("".join(line[6:-1])) for line in lines if line[:1] == [kind]]


def test_the_program_has_no_fixed_address():
    assert re.search(r"Type:\s+DYN", run("readelf", "--file-header"))
    assert re.search(r"FLAGS_1.*PIE", run("readelf", "--dynamic"))


def test_nothing_of_the_linkers_stays_writable():
    assert segments("GNU_RELRO")
    assert re.search(r"FLAGS_1.*NOW", run("readelf", "--dynamic"))


def test_nothing_is_both_written_and_run():
    assert segments("GNU_STACK") and segments("LOAD")
    for flags in segments("GNU_STACK") + segments("LOAD"):
        assert not {"W", "E"} <= flags


def test_a_broken_stack_is_seen():
    assert "__stack_chk_fail" in run("readelf", "--wide", "--dyn-syms")


def test_libc_checks_bounds():
    checked = set(re.findall(r" __(\w+)_chk@", run("readelf", "--wide", "--dyn-syms")))
    assert {"snprintf", "memcpy"} <= checked


@pytest.mark.skipif(platform.machine() != "x86_64", reason="marks of x86")
def test_jumps_lead_to_marked_places_only():
    assert "endbr64" in run("objdump", "--disassemble=main")


def test_no_library_comes_from_an_unusual_place():
    assert not re.search(r"\((RPATH|RUNPATH)\)", run("readelf", "--dynamic"))


UNIT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../conf/tagway.service")


@pytest.mark.parametrize("line", [
    "NoNewPrivileges=yes", "ProtectSystem=strict", "MemoryDenyWriteExecute=yes", "DynamicUser=yes",
    "AmbientCapabilities=CAP_NET_BIND_SERVICE", "CapabilityBoundingSet=CAP_NET_BIND_SERVICE", "ProtectHome=yes",
    "PrivateDevices=yes", "RestrictNamespaces=yes", "SystemCallFilter=@system-service", "LockPersonality=yes",
])
def test_the_unit_asks_for_little(line):
    with open(UNIT, encoding="utf-8") as unit:
        assert line in unit.read().splitlines()
