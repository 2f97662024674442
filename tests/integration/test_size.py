# SPDX-License-Identifier: Apache-2.0
"""Names that come and go leave nothing behind: bench/soak.py is the long version."""

from harness.process import wait_until
from harness.tagway import Tagway

LIVE, WARM_UP, GENERATIONS = 200, 5, 20


def generation(number):
    """Texts of equal length, so that each generation takes the same memory."""
    lines = []
    for i in range(number * LIVE, (number + 1) * LIVE):
        name = f"service-{i:06d}"
        lines += [f"route add {name} {name}.example.com/{path} http://10.{10 + k}.{100 + i % 100}.{100 + i // 100}:8080/"
                  f' opts "strip=/{i:06d}"' for k, path in enumerate(("", "b"))]
    return "\n".join(lines) + "\n"


def test_thousands_of_names_that_came_and_went_take_no_memory():
    with Tagway(generation(0), {"log.level": "WARN"}) as tagway:
        def show(number):
            name = f"service-{(number + 1) * LIVE - 1:06d}"
            tagway.set_routes(generation(number), until=lambda rows: any(row["service"] == name for row in rows))

        for number in range(1, WARM_UP):
            show(number)
        before = tagway.metric("tagway_heap_bytes")
        for number in range(WARM_UP, WARM_UP + GENERATIONS):
            show(number)
        # Old tables and their targets go with the next look at who still reads them.
        wait_until(lambda: tagway.metric("tagway_heap_bytes") <= 1.02 * before, 20,
                   f"the heap of {before:.0f} bytes that it was")
