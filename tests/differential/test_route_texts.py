# SPDX-License-Identifier: Apache-2.0
"""Random route texts in tagway, fabio and the naive model: all three make the same table of each.

Texts come from the unit tests' generator (tests/unit/route/generate.h), which puts the text's number into
its names. So a batch of them goes into one table, and each text's part of it is compared by itself: fabio
watches a KV entry of a scripted Consul, tagway a file, which it follows faster than it lets itself ask
Consul. TAGWAY_TEST_SEED gives other texts, TAGWAY_TEST_TEXTS another number of them."""

import collections
import json
import os
import subprocess

import pytest

from harness.fabio import Fabio
from harness.fake_consul import FakeConsul
from harness.process import wait_until
from harness.tagway import BINARY, Tagway

SEED = int(os.environ.get("TAGWAY_TEST_SEED", "20264"))
TEXTS = int(os.environ.get("TAGWAY_TEST_TEXTS", "10000"))
BATCH = 25  # fabio takes quadratic time
KEY = "fabio/config"
PRINTER = os.path.join(os.path.dirname(BINARY), "../../tests/unit/route/print_route_texts")


def texts(first, count, *more):
    argv = [PRINTER, str(SEED), str(first), str(count), *more]
    output = subprocess.run(argv, capture_output=True, check=True).stdout.decode()
    return [json.loads(line) for line in output.splitlines()]


def batches(count, size, *more):
    return [texts(first, min(size, count + 1 - first), *more) for first in range(1, count + 1, size)]


@pytest.fixture(scope="module")
def consul():
    print(f"TAGWAY_TEST_SEED={SEED} TAGWAY_TEST_TEXTS={TEXTS}")
    with FakeConsul() as consul:
        consul.set_kv(KEY, marker("first"))
        yield consul


def marker(name):
    return f"route add marker.{name} zz/{name} http://marker/\n"


def raw_table(proxy, name):
    """The table as text, once it is the one with that marker."""
    def text():
        table = proxy.admin("/api/routes?raw").body.decode()
        return table if marker(name) in table else None

    return wait_until(text, 30, f"the table of {name}")


def number_of(service):
    return service.rpartition(".")[2]


def lines_by_number(raw):
    parts = collections.defaultdict(list)
    for line in raw.splitlines():
        if line:
            parts[number_of(line.split(" ")[2])].append(line)
    return parts


def weights_by_number(routes):
    parts = collections.defaultdict(list)
    for route in routes:
        parts[number_of(route["service"])].append(
            (route["service"], route["src"], route["dst"], round(route["weight"], 6)))
    return {number: sorted(part) for number, part in parts.items()}


def apply(batch, proxies):
    """Sets the batch's texts in each proxy; what it makes of them, lines and weights by number. proxies: name ->
    (proxy, function that sets a text)."""
    name = f"n{batch[0]['number']}"
    for _, set_text in proxies.values():
        set_text("".join(text["text"] for text in batch) + marker(name))
    return {who: (lines_by_number(raw_table(proxy, name)), weights_by_number(proxy.routes()))
            for who, (proxy, _) in proxies.items()}


def differences(text, answers):
    number = str(text["number"])
    lines = [line for line in text["raw"].splitlines() if line]
    weights = sorted((service, src, dst, round(weight, 6)) for service, src, dst, weight in text["targets"])
    for who, (raw, shares) in answers.items():
        if raw.get(number, []) != lines:
            yield f"{who}:\n" + "\n".join(raw.get(number, []))
        elif shares.get(number, []) != weights:
            yield f"{who}: {shares.get(number, [])}"


def compare(batch, proxies):
    answers = apply(batch, proxies)
    for text in batch:
        found = list(differences(text, answers))
        assert not found, (f"text {text['number']}:\n{text['text']}\nmodel:\n{text['raw']}\n"
                           f"{text['targets']}\n" + "\n".join(found))


def test_texts_make_the_same_tables(consul):
    targets = 0
    with Tagway(marker("first"), {"log.level": "ERROR"}) as tagway, \
            Fabio(options=consul.options(log_level="FATAL")) as fabio:
        proxies = {"tagway": (tagway, tagway.set_routes),
                   "fabio": (fabio, lambda text: consul.set_kv(KEY, text))}
        for batch in batches(TEXTS, BATCH):
            compare(batch, proxies)
            targets += sum(len(text["targets"]) for text in batch)
    assert targets > 2 * TEXTS, "the texts do not say much"


def test_texts_with_bad_lines_lose_only_these(consul):
    """fabio keeps the table before (Q-1) and does not find hosts in upper case in `del` and `weight` (Q-16):
    here the model alone is asked."""
    with Tagway(options=consul.options(log_level="ERROR")) as tagway:
        for batch in batches(TEXTS // 10, TEXTS // 40, "differences"):
            compare(batch, {"tagway": (tagway, lambda text: consul.set_kv(KEY, text))})
