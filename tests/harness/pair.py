# SPDX-License-Identifier: Apache-2.0
"""A tagway in front of one origin that follows a script, as one context."""

import contextlib

from .origin import ScriptedOrigin
from .tagway import Tagway, route


@contextlib.contextmanager
def pair(script, options=None, path="/"):
    with ScriptedOrigin(script) as origin, Tagway(route(origin, path), options) as tagway:
        yield tagway


def sends(answer):
    """A script: these bytes, or what a function makes of the request, for each request of a connection."""

    def script(connection):
        while True:
            request = connection.read_request()
            connection.send(answer(request) if callable(answer) else answer)

    return script
