# SPDX-License-Identifier: Apache-2.0
"""The proxy of the suite: tagway with the routes the tables need, one worker, believing no peer."""

import contextlib

from arena import Arena
from harness.tagway import Tagway
from judge import LOCAL_IP


def routes(port):
    to = f"http://127.0.0.1:{port}/"
    return f"""
route add svc / {to}
route add strip /strip {to} opts "strip=/strip"
route add prepend /prepend {to} opts "prepend=/pre"
route add host /host {to} opts "host=other.example"
route add query /query {to}?fixed=1
route add redirect redirect.example/ https://fixed.example/$path opts "redirect=302"
route add hosted hosted.example/ https://$host/$path opts "redirect=302"
"""


@contextlib.contextmanager
def tagway_arena(options=None):
    arena = Arena()
    with Tagway(routes(arena.origin_port), {
            "proxy.workers": 1, "proxy.trusted": "192.0.2.0/24", "proxy.localip": LOCAL_IP.decode(),
            "proxy.client.maxrequests": 0, **(options or {})}) as proxy:
        arena.port = proxy.port
        arena.proxy = proxy
        try:
            yield arena
        finally:
            arena.close()
