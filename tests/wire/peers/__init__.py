# SPDX-License-Identifier: Apache-2.0
"""nginx and haproxy in the arena, with the configurations beside this file."""

import contextlib
import os
import shutil
import socket
import tempfile

from arena import Arena
from harness.ports import free_port
from harness.process import Process, wait_until

_HERE = os.path.dirname(os.path.abspath(__file__))
_ARGV = {"nginx": ["/usr/sbin/nginx", "-c", "nginx.conf"], "haproxy": ["/usr/sbin/haproxy", "-q", "-f", "haproxy.cfg"]}

NAMES = tuple(_ARGV)


def is_installed(name):
    return shutil.which(_ARGV[name][0]) is not None


@contextlib.contextmanager
def peer_arena(name):
    """A peer never answers some cases; what it has not said in so long it will not say."""
    arena = Arena(patience=0.4)
    arena.port = free_port()
    directory = tempfile.mkdtemp(prefix=f"wire-{name}-")
    program, flag, file = _ARGV[name][0], _ARGV[name][1:-1], _ARGV[name][-1]
    with open(os.path.join(_HERE, file), encoding="utf-8") as template:
        text = template.read()
    for key, value in (("dir", directory), ("port", arena.port), ("origin", arena.origin_port)):
        text = text.replace(f"@{key}@", str(value))
    path = os.path.join(directory, file)
    with open(path, "w", encoding="utf-8") as config:
        config.write(text)
    process = Process([program, *flag, path], directory, name)
    try:
        wait_until(lambda: _accepts(arena.port), 10, name)
        yield arena
    finally:
        process.kill()
        arena.close()
        shutil.rmtree(directory, ignore_errors=True)


def _accepts(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False

